//! An image that is mounted as a whole.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use kip_agent::documents::sha256;
use kip_agent::protocol::{Kept, Listing, Part, Request, StoreKind};

use crate::agent::{Agent, PROGRAM, is_root, shell};

/// A user without any right.
const NOBODY: u32 = 65534;

const CAPABILITY: &str = "security.capability";
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

fn attribute(path: &Path, name: &str, value: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty())
}

/// A root file system with all that one has.
fn root_file_system(top: &Path) {
    shell(
        top,
        "mkdir -p etc usr/bin var/empty tmp
         chmod 1777 tmp
         printf 'root:x:0:0\\n' >etc/passwd
         : >etc/empty
         head -c 300000 /dev/urandom >usr/bin/program
         chmod 4755 usr/bin/program
         ln usr/bin/program usr/bin/alias
         ln -s ../etc/passwd usr/link
         ln -s /nowhere usr/lost
         touch -h -d @1000000000 usr/link
         touch -d @1234567890 etc/passwd
         mkdir -p 'long/name of a folder that is longer than the one hundred bytes that there are in a header/and more of it'
         printf x >'long/name of a folder that is longer than the one hundred bytes that there are in a header/and more of it/é'
         printf no-mark >etc/.hidden
         touch -d @1111111111 var/empty",
    );
    std::os::unix::net::UnixListener::bind(top.join("tmp/socket")).unwrap();
    if is_root() {
        shell(
            top,
            "chown -h 1000:2000 etc/passwd usr/link
             mknod null c 1 3
             mknod disk b 8 0
             mkfifo pipe",
        );
    }
}

/// All that a tar keeps of the files, but for sockets.
fn described(top: &Path) -> String {
    shell(
        top,
        "find . ! -type s -mindepth 1 -printf '%P|%y|%m|%U:%G|%T@|%l|%n\\n' | sed 's/\\.[0-9]*|/|/' | sort
         find . -type f | sort | xargs -d '\\n' sha256sum",
    )
}

#[test]
fn a_merged_root_file_system_is_one_image_of_one_layer() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", "/bin").env("HOSTNAME", "h");
    command.current_dir("/tmp").arg("flat").arg(folder.path());
    let mut agent = Agent::start(command.arg("60"));
    let listing: Listing = agent.get(&Request::List {});
    assert!(listing.images.is_empty() && listing.problems.is_empty());
    let image = agent.image();
    assert_eq!((image.store, image.names.len()), (StoreKind::Flat, 0));
    assert_eq!((&image.manifest, &image.index), (&None, &None));
    assert_eq!(image.layers.len(), 1);
    assert_eq!(image.layers[0].kept, Kept::Snapshot);
    let config = shell(
        Path::new("/"),
        &format!("printf %s '{}' | base64 -d", image.config.bytes),
    );
    assert_eq!(image.config.digest, sha256(config.as_bytes()));
    assert!(config.contains(r#"{"Env":["PATH=/bin"],"WorkingDir":"/tmp"}"#));
    // An empty one has a tar as well.
    let (rebuilt, tar) = agent.tar();
    assert_eq!(tar, [0; 1024]);
    assert!(!rebuilt.is_proven && rebuilt.tried == 1);
    let blob = Part::Blob {
        digest: image.layers[0].chain_id.clone(),
    };
    let read = Request::Read {
        part: blob,
        offset: 0,
        length: 1,
        compress: true,
    };
    assert!(agent.ask(&read).unwrap_err().contains("not on the node"));
}

#[test]
fn the_tar_has_all_of_the_files() {
    // Not a tmpfs, which may have no attributes.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let (top, again) = (folder.path().join("root"), folder.path().join("again"));
    fs::create_dir_all(&top).unwrap();
    fs::create_dir(&again).unwrap();
    root_file_system(&top);
    if is_root() {
        // As `setcap` writes cap_net_bind_service=ep.
        let capability = [&[1, 0, 0, 2, 0, 4][..], &[0; 14]].concat();
        attribute(&top.join("usr/bin/program"), CAPABILITY, &capability).unwrap();
        // As it would lie in a layer: here it is a folder, and no mark.
        attribute(&top.join("var/empty"), "user.overlay.opaque", b"y").unwrap();
        shell(&top, "mknod mark c 0 0");
    }
    let before = described(&top);
    let (rebuilt, tar) = Agent::flat(&top, &[]).tar();
    assert_eq!((rebuilt.left_out, rebuilt.examples.len()), (0, 0));
    fs::write(folder.path().join("tar"), &tar).unwrap();
    let names = shell(folder.path(), "tar -tf tar");
    assert!(
        !names.contains(".wh.") && !names.contains("socket"),
        "{names}"
    );
    let options =
        "--same-owner --preserve-permissions --numeric-owner --xattrs --xattrs-include='*'";
    shell(&again, &format!("tar -x {options} -f ../tar"));
    let lines: Vec<_> = before.lines().collect();
    let expected = lines.iter().filter(|line| !line.starts_with("mark|"));
    assert_eq!(
        described(&again).lines().collect::<Vec<_>>(),
        expected.copied().collect::<Vec<_>>()
    );
    let capability = |top: &Path| {
        let mut value = [0; 64];
        let size = rustix::fs::lgetxattr(top.join("usr/bin/program"), CAPABILITY, &mut value[..]);
        size.ok().map(|size| value[..size].to_vec())
    };
    assert_eq!(capability(&top).is_some(), is_root());
    assert_eq!(capability(&again), capability(&top));
}

#[test]
fn the_tar_has_the_attributes_of_its_files() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let (top, again) = (folder.path().join("root"), folder.path().join("again"));
    fs::create_dir_all(top.join("d")).unwrap();
    fs::create_dir(&again).unwrap();
    fs::write(top.join("d/file"), "content").unwrap();
    if let Err(error) = attribute(&top.join("d"), "user.of-a-folder", b"1") {
        println!("left out: there are no attributes of users here: {error}");
        return;
    }
    attribute(&top.join("d/file"), "user.of-a-file", b"\0\n=\xff").unwrap();
    let list = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\
                 \x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    for (path, name) in [("d/file", ACCESS), ("d", DEFAULT)] {
        if let Err(error) = attribute(&top.join(path), name, list) {
            println!("left out: there are no access lists here: {error}");
        }
    }
    let attributes = |top: &Path| {
        let value = |path: &str, name: &str| {
            let mut value = [0; 64];
            let size = rustix::fs::lgetxattr(top.join(path), name, &mut value[..]);
            size.ok().map(|size| value[..size].to_vec())
        };
        [
            value("d", "user.of-a-folder"),
            value("d", DEFAULT),
            value("d/file", "user.of-a-file"),
            value("d/file", ACCESS),
            value("d/file", "user.overlay.origin"),
        ]
    };
    let before = attributes(&top);
    assert_eq!(before[2].as_deref(), Some(b"\0\n=\xff".as_slice()));
    attribute(&top.join("d/file"), "user.overlay.origin", b"1").unwrap();
    let (rebuilt, tar) = Agent::flat(&top, &[]).tar();
    assert_eq!(rebuilt.profile.name, "containerd, attributes");
    fs::write(folder.path().join("tar"), &tar).unwrap();
    shell(&again, "tar -x --xattrs --xattrs-include='*' -f ../tar");
    assert_eq!(attributes(&again), before);
}

/// What is in the tar of `top` below the folder, after this script, whose mounts are gone with it. `None` where there may be none.
fn with_mounts(folder: &Path, script: &str) -> Option<String> {
    let enter = ["--mount", "--propagation", "private", "sh", "-ec"];
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(enter).current_dir(folder);
        command
    };
    let tried = unshare().arg(script).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("left out: `{script}` cannot be done here");
        return None;
    }
    let script = format!("{script}; exec {PROGRAM} flat top 60");
    let (_, tar) = Agent::start(unshare().arg(&script)).tar();
    fs::write(folder.join("tar"), &tar).unwrap();
    Some(shell(
        folder,
        "tar -tvf tar | awk '{ print $1, $6, $7, $8, $9 }'",
    ))
}

#[test]
fn what_is_mounted_there_is_no_part_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("top/mounted")).unwrap();
    let script = "mount -t tmpfs -o mode=755 none top/mounted && touch top/mounted/file";
    if let Some(names) = with_mounts(folder.path(), script) {
        assert_eq!(names, "drwxr-xr-x mounted/   \n");
    }
}

#[test]
fn an_overlay_is_read_as_its_containers_see_it() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let opaque = folder.path().join("upper/d");
    fs::create_dir_all(&opaque).unwrap();
    if attribute(&opaque, "trusted.overlay.opaque", b"y").is_err() {
        println!("left out: there can be no opaque folder here");
        return;
    }
    // Its layers are on two file systems, so that what is in it is of several devices.
    let script = "mkdir -p top upper lower && mount -t tmpfs none lower
        mkdir -p lower/d lower/e upper/e
        echo 1 >lower/gone; echo 1 >lower/d/hidden; echo 1 >lower/e/one; ln lower/e/one lower/e/two
        echo 2 >upper/d/new; echo 2 >upper/e/three; rm -f upper/gone; mknod upper/gone c 0 0
        mount -t overlay -o lowerdir=upper:lower none top";
    if let Some(names) = with_mounts(folder.path(), script) {
        let expected = "drwxr-xr-x d/   \n-rw-r--r-- d/new   \ndrwxr-xr-x e/   \n-rw-r--r-- e/one   \n\
                        -rw-r--r-- e/three   \nhrw-r--r-- e/two link to e/one\n";
        assert_eq!(names, expected);
    }
}

/// Seven files and folders that a user without rights cannot read, among others.
fn partly_readable(top: &Path) {
    shell(
        top,
        "chmod 755 .
         mkdir -p root/below open shown entered
         printf a >a-file; printf s >secret; ln secret secret-too; chmod 600 secret
         for it in 1 2 3; do printf x >open/$it; done
         chmod 000 open/2 open/3
         : >open/empty; chmod 000 open/empty
         printf x >root/below/file; chmod 700 root
         printf x >shown/file; chmod 744 shown
         printf x >entered/file; chmod 711 entered",
    );
}

#[test]
fn what_this_user_cannot_read_is_told_or_left_out() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (top, again) = (folder.path().join("root"), folder.path().join("again"));
    fs::create_dir(&top).unwrap();
    fs::create_dir(&again).unwrap();
    partly_readable(&top);
    symlink("/root", top.join("to-root")).unwrap();
    // What it cannot read of an empty file is no more than this.
    let hidden = attribute(&top.join("open/empty"), "user.hidden", b"1");
    println!("an attribute that cannot be read: {hidden:?}");
    // Where the program is, this user may not be able to go.
    let program = folder.path().join("kip-agent");
    fs::copy(PROGRAM, &program).unwrap();
    let start = |options: &[&str]| {
        let mut command = Command::new(&program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        Agent::start(command.arg("flat").arg(&top).arg("60").args(options))
    };

    let mut agent = start(&[]);
    let error = agent.rebuild().unwrap_err();
    let expected = "7 files of the image cannot be read by user 65534, for example \
                    /entered, /open/2, /open/3, /root, /secret, …";
    assert_eq!(error, expected);

    let mut skipping = start(&["skip-unreadable"]);
    let (rebuilt, tar) = skipping.tar();
    assert_eq!(rebuilt.left_out, 7);
    let examples = ["/entered", "/open/2", "/open/3", "/root", "/secret"];
    assert_eq!(rebuilt.examples, examples);
    fs::write(folder.path().join("tar"), &tar).unwrap();
    shell(&again, "tar -xf ../tar");
    let names = "a-file entered/ open/ open/1 open/empty root/ shown/ to-root";
    assert_eq!(
        shell(folder.path(), "tar -tf tar | paste -sd' '").trim(),
        names
    );
    assert_eq!(fs::read(again.join("a-file")).unwrap(), b"a");

    // Without leave, not even reading leaves anything out.
    let layer = skipping.image().layers.remove(0);
    let error = agent.read(&layer, &rebuilt, 0).unwrap_err();
    assert!(error.contains("/root/entered: "), "{error}");

    // Who may read all has all of it.
    let (all, _) = Agent::flat(&top, &["skip-unreadable"]).tar();
    assert_eq!(all.left_out, 0);
}
