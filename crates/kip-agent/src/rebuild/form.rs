//! What a builder chooses where the tar format leaves a choice.

use std::io;

/// A known builder's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, and the table names it"
)]
pub(super) struct Form {
    /// For people, and for [`crate::protocol::Profile`].
    pub(super) name: &'static str,
    /// Forms of a lower tier are tried before those of a higher one.
    pub(super) tier: u8,
    pub(super) format: Format,
    pub(super) order: Order,
    pub(super) prefix: Prefix,
    /// The name of the root's entry and where its time is from, where it has an entry. Unpackers do not keep it.
    pub(super) root: Option<(&'static str, Time)>,
    /// Whether the names of folders end in a slash.
    pub(super) slash: bool,
    /// The name of user and group 0; the others have none.
    pub(super) owner: &'static str,
    /// Whether the mode has the bits of the file's type.
    pub(super) type_bits: bool,
    /// Whether times are written with their decimals.
    pub(super) decimals: bool,
    pub(super) xattrs: Xattrs,
    /// Whether folders are left out that an unpacker has made: nobody wrote them.
    pub(super) only_written: bool,
    pub(super) marks: Marks,
    /// Zeros at the end fill up to a multiple of this.
    pub(super) record: u64,
}

/// What is before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) files: &'static str,
    pub(super) folders: &'static str,
    /// Before the name that a hard link leads to.
    pub(super) links: &'static str,
}

/// Of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Go,
    Gnu,
    GnuPosix,
    PythonGnu,
    /// With whole seconds.
    PythonPax,
    /// With times as floating-point numbers.
    PythonPaxFloat,
    /// libarchive's `bsdtar`, as far as USTAR has room.
    Bsd,
    /// Apache Commons Compress, in Java.
    Commons,
}

/// Of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) sort: Sort,
    /// Marks of deletion are where their own names are, `.wh.…`, and not where those of the deleted are.
    pub(super) marks_by_own_name: bool,
}

/// By what entries are sorted. It matters where a name goes on with what is less than a slash, as `a-b` does beside `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// In each folder by name, with what is in a folder after it: `a`, `a/b`, `a-b`.
    Names,
    /// By the whole path: `a`, `a-b`, `a/b`.
    Paths,
    /// By the whole path, where a folder's ends in a slash: `a-b`, `a/`, `a/b`.
    SlashedPaths,
}

/// Where a time is from that the disk does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// From the profile.
    Given,
    /// Of a mark, its folder's; of the root, that of the newest in it.
    Near,
    /// 1970.
    Epoch,
}

/// Which extended attributes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Xattrs {
    None,
    Capability,
    /// And `security.ima`, and those of users.
    CapabilityAndUser,
    /// All that belong to the image, as [`super::entries::is_images`] says.
    Images,
    All,
}

/// Of deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) mode: u32,
    pub(super) time: Time,
    /// The kernel makes all marks of a mount links of one file, and some builders write the first one's name into the others.
    pub(super) linked: bool,
    /// The mark of an opaque folder has that folder's mode, and the time 0.
    pub(super) opaque_like_folder: bool,
}

/// The form with the name that a profile has.
pub(super) fn known(name: &str) -> io::Result<&'static Form> {
    named(name).ok_or_else(|| {
        let what = format!("no form of a tar is known as {name:?}");
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })
}

/// The form with the name.
pub(super) fn named(name: &str) -> Option<&'static Form> {
    super::table::FORMS.iter().find(|form| form.name == name)
}
