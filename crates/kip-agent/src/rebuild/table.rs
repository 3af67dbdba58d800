//! The forms of known builders, the likeliest first.
//!
//! Nearly all builders of today write as containerd does: it is tried alone, before all others are.

use super::form::{Form, Format, Marks, Order, Prefix, Sort, Time, Xattrs};

/// The highest tier.
pub(super) const LAST_TIER: u8 = 2;

const BY_NAME: Order = Order {
    sort: Sort::Names,
    marks_by_own_name: false,
};
const BY_NAME_MARKS_TOO: Order = Order {
    sort: Sort::Names,
    marks_by_own_name: true,
};
const BY_PATH: Order = Order {
    sort: Sort::Paths,
    marks_by_own_name: false,
};
const BY_PATH_MARKS_TOO: Order = Order {
    sort: Sort::Paths,
    marks_by_own_name: true,
};

const BY_SLASHED_PATH: Order = Order {
    sort: Sort::SlashedPaths,
    marks_by_own_name: true,
};

const BARE: Prefix = prefix("");
const DOT: Prefix = prefix("./");
const ABSOLUTE: Prefix = prefix("/");

const fn prefix(all: &'static str) -> Prefix {
    Prefix {
        files: all,
        folders: all,
        links: all,
    }
}

/// As the differ of containerd writes, and `BuildKit` with it.
const CONTAINERD: Form = Form {
    name: "containerd",
    tier: 0,
    format: Format::Go,
    order: BY_NAME,
    prefix: BARE,
    root: None,
    slash: true,
    owner: "",
    type_bits: false,
    decimals: false,
    xattrs: Xattrs::Capability,
    only_written: false,
    marks: Marks {
        mode: 0,
        time: Time::Given,
        linked: false,
        opaque_like_folder: false,
    },
    record: 512,
};

/// As containerd would write if it wrote all attributes of an image.
const FULL: Form = Form {
    name: "containerd, attributes",
    tier: LAST_TIER + 1,
    xattrs: Xattrs::Images,
    ..CONTAINERD
};

/// What the others differ from.
const OTHER: Form = Form {
    name: "",
    tier: 1,
    ..CONTAINERD
};

/// As Docker writes from an overlay's folder.
const DOCKER: Form = Form {
    name: "docker",
    marks: Marks {
        mode: 0o600,
        linked: true,
        opaque_like_folder: true,
        ..OTHER.marks
    },
    ..OTHER
};

/// As buildah and podman do.
const STORAGE: Form = Form {
    name: "containers-storage",
    type_bits: true,
    xattrs: Xattrs::CapabilityAndUser,
    marks: Marks {
        mode: 0,
        ..DOCKER.marks
    },
    ..DOCKER
};

const UMOCI: Form = Form {
    name: "umoci",
    order: BY_PATH,
    root: Some((".", Time::Near)),
    only_written: true,
    xattrs: Xattrs::All,
    marks: Marks {
        time: Time::Epoch,
        ..OTHER.marks
    },
    ..OTHER
};

const KANIKO: Form = Form {
    name: "kaniko",
    tier: 2,
    order: BY_PATH,
    root: Some(("/", Time::Near)),
    prefix: Prefix { links: "/", ..BARE },
    marks: UMOCI.marks,
    ..OTHER
};

/// Small tools in Go: what is not written, is made by the unpacker.
const GO: Form = Form {
    name: "go",
    order: BY_NAME_MARKS_TOO,
    only_written: true,
    ..OTHER
};

const GNU: Form = Form {
    name: "gnu",
    tier: 2,
    format: Format::Gnu,
    xattrs: Xattrs::None,
    record: 10240,
    ..GO
};

const fn gnu(
    name: &'static str,
    format: Format,
    order: Order,
    owner: &'static str,
    root: Option<(&'static str, Time)>,
) -> Form {
    let prefix = if root.is_some() { DOT } else { BARE };
    Form {
        name,
        format,
        order,
        owner,
        root,
        prefix,
        decimals: matches!(format, Format::GnuPosix | Format::PythonPaxFloat),
        ..GNU
    }
}

const NEAR: Option<(&str, Time)> = Some(("./", Time::Near));
const GIVEN: Option<(&str, Time)> = Some(("./", Time::Given));

/// With the marks' times those of their folders: what was last done in a folder is often a deletion.
const fn by_folder(form: Form, name: &'static str) -> Form {
    let marks = Marks {
        time: Time::Near,
        ..form.marks
    };
    Form {
        name,
        marks,
        ..form
    }
}

const DOCKER_OLD: Form = Form {
    name: "docker before 24",
    xattrs: Xattrs::Capability,
    ..STORAGE
};

const KO: Prefix = Prefix {
    folders: "",
    ..ABSOLUTE
};

/// All of them. The first two are those of [`fallback`].
#[rustfmt::skip]
pub(super) static FORMS: &[Form] = &[
    CONTAINERD,
    FULL,
    DOCKER,
    by_folder(DOCKER, "docker, marks by folder"),
    STORAGE,
    by_folder(STORAGE, "containers-storage, marks by folder"),
    DOCKER_OLD,
    by_folder(DOCKER_OLD, "docker before 24, marks by folder"),
    GO,
    Form { name: "docker, changes", order: BY_PATH, ..OTHER },
    Form { name: "docker before 24, changes", order: BY_PATH, type_bits: true, ..OTHER },
    Form { name: "go, by path", order: BY_PATH_MARKS_TOO, ..GO },
    Form { name: "go, bare folders", slash: false, ..GO },
    Form { name: "go, bare folders, by path", slash: false, order: BY_PATH_MARKS_TOO, ..GO },
    Form { name: "go, bare folders, absolute files", slash: false, prefix: KO, ..GO },
    Form { name: "go, decimals", decimals: true, ..GO },
    UMOCI,
    Form { name: "umoci, root's time given", root: Some((".", Time::Given)), ..UMOCI },

    Form { name: "go, absolute", tier: 2, prefix: ABSOLUTE, slash: false, ..GO },
    Form { name: "go, absolute folders", tier: 2, prefix: ABSOLUTE, ..GO },
    KANIKO,
    Form { name: "kaniko, root's time given", root: Some(("/", Time::Given)), ..KANIKO },
    Form { name: "go, root as owner", tier: 2, owner: "root", ..GO },
    Form { name: "go, bare folders, root as owner", tier: 2, owner: "root", slash: false, ..GO },
    Form { name: "go, ./", tier: 2, prefix: DOT, ..GO },
    Form { name: "go, ./, with root", tier: 2, prefix: DOT, root: NEAR, ..GO },

    gnu("gnu", Format::Gnu, BY_NAME_MARKS_TOO, "", None),
    gnu("gnu, ./", Format::Gnu, BY_NAME_MARKS_TOO, "", NEAR),
    gnu("gnu, ./, root's time given", Format::Gnu, BY_NAME_MARKS_TOO, "", GIVEN),
    gnu("gnu, root as owner", Format::Gnu, BY_NAME_MARKS_TOO, "root", None),
    gnu("gnu, ./, root as owner", Format::Gnu, BY_NAME_MARKS_TOO, "root", NEAR),
    gnu("gnu, ./, root as owner, root's time given", Format::Gnu, BY_NAME_MARKS_TOO, "root", GIVEN),
    gnu("gnu, by path", Format::Gnu, BY_PATH_MARKS_TOO, "", None),
    gnu("gnu, ./, by path", Format::Gnu, BY_PATH_MARKS_TOO, "", NEAR),
    gnu("gnu, ./, by path, root's time given", Format::Gnu, BY_PATH_MARKS_TOO, "", GIVEN),
    Form { name: "gnu, ./, without root", prefix: DOT, ..GNU },
    Form { name: "gnu, ./, without root, by path", prefix: DOT, order: BY_PATH_MARKS_TOO, ..GNU },
    gnu("gnu, root as owner, by path", Format::Gnu, BY_PATH_MARKS_TOO, "root", None),
    gnu("gnu, ./, root as owner, by path", Format::Gnu, BY_PATH_MARKS_TOO, "root", NEAR),

    gnu("posix", Format::GnuPosix, BY_NAME_MARKS_TOO, "", None),
    gnu("posix, ./", Format::GnuPosix, BY_NAME_MARKS_TOO, "", NEAR),
    gnu("posix, ./, root's time given", Format::GnuPosix, BY_NAME_MARKS_TOO, "", GIVEN),
    gnu("posix, root as owner", Format::GnuPosix, BY_NAME_MARKS_TOO, "root", None),
    gnu("posix, ./, root as owner", Format::GnuPosix, BY_NAME_MARKS_TOO, "root", NEAR),

    gnu("python gnu", Format::PythonGnu, BY_NAME_MARKS_TOO, "", None),
    gnu("python gnu, root as owner", Format::PythonGnu, BY_NAME_MARKS_TOO, "root", None),
    gnu("python gnu, ./, root as owner", Format::PythonGnu, BY_NAME_MARKS_TOO, "root", NEAR),
    Form { name: "python gnu, ./", prefix: DOT, format: Format::PythonGnu, ..GNU },
    Form { name: "python gnu, ./, with root", prefix: DOT, format: Format::PythonGnu, root: NEAR, ..GNU },
    gnu("python pax", Format::PythonPax, BY_NAME_MARKS_TOO, "", None),
    gnu("python pax, root as owner", Format::PythonPax, BY_NAME_MARKS_TOO, "root", None),
    Form { name: "python pax, ./", prefix: DOT, format: Format::PythonPax, ..GNU },
    gnu("python pax, decimals", Format::PythonPaxFloat, BY_NAME_MARKS_TOO, "", None),
    gnu("python pax, decimals, root as owner", Format::PythonPaxFloat, BY_NAME_MARKS_TOO, "root", None),

    Form { name: "python pax, ./, decimals, root as owner", prefix: DOT, format: Format::PythonPaxFloat, owner: "root", decimals: true, ..GNU },
    Form { name: "python pax, absolute", prefix: ABSOLUTE, format: Format::PythonPax, ..GNU },
    Form { name: "python pax, absolute, root as owner", prefix: ABSOLUTE, format: Format::PythonPax, owner: "root", ..GNU },

    Form { name: "jib", format: Format::Commons, order: BY_SLASHED_PATH, type_bits: true, record: 512, ..GNU },

    Form { name: "bsdtar", format: Format::Bsd, record: 512, ..GNU },
    Form { name: "bsdtar, by path", format: Format::Bsd, record: 512, order: BY_PATH_MARKS_TOO, ..GNU },
    Form { name: "bsdtar, ./", format: Format::Bsd, record: 512, prefix: DOT, ..GNU },
    Form { name: "bsdtar, ./, by path", format: Format::Bsd, record: 512, prefix: DOT, order: BY_PATH_MARKS_TOO, ..GNU },
    Form { name: "bsdtar, root as owner", format: Format::Bsd, record: 512, owner: "root", ..GNU },
    Form { name: "bsdtar, piped", format: Format::Bsd, ..GNU },
    Form { name: "bsdtar, ./, piped", format: Format::Bsd, prefix: DOT, ..GNU },
];

/// What is taken where none is proven: most readers and builders understand it. Where files have attributes that it leaves out
/// (`has_more`), it is the same with these, which no builder is known to write: it is in no tier.
pub(super) fn fallback(has_more: bool) -> &'static Form {
    &FORMS[usize::from(has_more)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_a_name_of_its_own_and_is_no_other_one() {
        assert_eq!((*fallback(false), *fallback(true)), (CONTAINERD, FULL));
        for (index, form) in FORMS.iter().enumerate() {
            assert_eq!(form.tier == 0, index == 0);
            assert_eq!(form.tier > LAST_TIER, index == 1);
            for other in &FORMS[..index] {
                assert_ne!(form.name, other.name);
                let renamed = Form {
                    name: other.name,
                    ..*form
                };
                assert_ne!(renamed, *other, "{} and {}", form.name, other.name);
            }
        }
    }
}
