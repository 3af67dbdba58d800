//! `kip-sleep install`: the built program copies itself.

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use process::{
    KIP_SLEEP, Mount, Sleeper, command, with_file_limit, with_mounts, with_umask, without_syscall,
};

/// A new empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("install")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's folder goes");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn install(target: &Path) -> Command {
    let mut install = command(&KIP_SLEEP);
    install.arg("install").arg(target);
    install
}

#[track_caller]
fn installed(output: &Output, target: &Path) {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        output.stderr.escape_ascii()
    );
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let mode = fs::metadata(target)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode, 0o100_555, "{mode:o}");
    let same = fs::read(target).expect("readable") == fs::read(&*KIP_SLEEP).expect("readable");
    assert!(same, "other content");
    assert!(
        command(target)
            .arg("1ns")
            .status()
            .expect("it starts")
            .success()
    );
}

#[track_caller]
fn failed(output: &Output, message: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), message);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_copy_is_whole_executable_and_alone_whatever_the_umask() {
    for umask in [0o000, 0o022, 0o077, 0o777] {
        let folder = folder(&format!("umask-{umask:o}"));
        let target = folder.join("sleep");
        let output = with_umask(&mut install(&target), umask)
            .output()
            .expect("it starts");
        installed(&output, &target);
        assert_eq!(names(&folder), ["sleep"]);
    }
}

#[test]
fn a_copy_installs_itself_by_a_relative_name() {
    let folder = folder("relative");
    installed(
        &install(&folder.join("sleep")).output().expect("it starts"),
        &folder.join("sleep"),
    );
    let output = command(Path::new("./sleep"))
        .args(["install", "again"])
        .current_dir(&folder)
        .output()
        .expect("it starts");
    installed(&output, &folder.join("again"));
}

#[test]
fn an_existing_file_is_replaced_even_one_that_runs() {
    let target = folder("replaced").join("sleep");
    fs::write(&target, "old").expect("written");
    fs::set_permissions(&target, PermissionsExt::from_mode(0o400)).expect("mode");
    installed(&install(&target).output().expect("it starts"), &target);

    let sleeper = Sleeper::start(command(&target).arg("1h"));
    installed(&install(&target).output().expect("it starts"), &target);
    assert!(sleeper.waits());
    sleeper.signal(libc::SIGTERM);
    assert!(sleeper.end().success());
}

#[test]
fn a_link_is_replaced_and_its_target_left_alone() {
    let folder = folder("link");
    fs::write(folder.join("other"), "other").expect("written");
    std::os::unix::fs::symlink("other", folder.join("sleep")).expect("linked");
    installed(
        &install(&folder.join("sleep")).output().expect("it starts"),
        &folder.join("sleep"),
    );
    assert_eq!(fs::read(folder.join("other")).expect("readable"), b"other");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let target = folder("missing").join("no/sleep");
    let message = format!(
        "kip-sleep: cannot create a file beside \"{}\": errno 2 (ENOENT)\n",
        target.display()
    );
    failed(&install(&target).output().expect("it starts"), &message);
}

#[test]
fn a_read_only_file_system_is_named() {
    let folder = folder("read-only");
    let target = folder.join("sleep");
    let mount = Mount::memory(&folder, libc::MS_RDONLY, c"");
    let output = with_mounts(&mut install(&target), vec![mount])
        .output()
        .expect("it starts (a mount namespace needs root: run this test as root)");
    let message = format!(
        "kip-sleep: cannot create a file beside \"{}\": errno 30 (EROFS)\n",
        target.display()
    );
    failed(&output, &message);
}

#[test]
fn a_target_that_is_a_folder_is_refused_and_nothing_left() {
    let folder = folder("taken");
    fs::create_dir(folder.join("sleep")).expect("a folder");
    let target = folder.join("sleep");
    let message = format!(
        "kip-sleep: cannot rename a file to \"{}\": errno 21 (EISDIR)\n",
        target.display()
    );
    failed(&install(&target).output().expect("it starts"), &message);
    assert_eq!(names(&folder), ["sleep"]);
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let output = install(Path::new(&"x".repeat(4_090)))
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.ends_with("x\": errno 36 (ENAMETOOLONG)\n"),
        "{message}"
    );
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    let folder = folder("full");
    let target = folder.join("sleep");
    fs::write(&target, "old").expect("written");
    // The first write is cut short at the limit, the second fails.
    let output = with_file_limit(&mut install(&target), 100, true)
        .output()
        .expect("it starts");
    let message = format!(
        "kip-sleep: cannot write a file beside \"{}\": errno 27 (EFBIG)\n",
        target.display()
    );
    failed(&output, &message);
    assert_eq!(fs::read(&target).expect("readable"), b"old");
    assert_eq!(names(&folder), ["sleep"]);
}

#[test]
fn what_a_killed_installation_left_behind_is_no_obstacle() {
    let folder = folder("killed");
    let target = folder.join("sleep");
    let output = with_file_limit(&mut install(&target), 100, false)
        .output()
        .expect("it starts");
    assert_eq!(
        output.status.signal(),
        Some(libc::SIGXFSZ),
        "{}",
        output.status
    );
    let left = names(&folder);
    assert!(left.len() == 1 && left[0].starts_with("sleep."), "{left:?}");

    installed(&install(&target).output().expect("it starts"), &target);
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn many_installations_at_once_all_end_well() {
    let folder = folder("many");
    let target = folder.join("sleep");
    for _ in 0..10 {
        let children: Vec<_> = (0..8)
            .map(|_| install(&target).spawn().expect("it starts"))
            .collect();
        for child in children {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", output.status);
        }
        installed(&install(&target).output().expect("it starts"), &target);
        assert_eq!(names(&folder), ["sleep"]);
    }
}

/// What the program calls its architecture, by the machine that its ELF header names.
fn architecture() -> &'static str {
    let machine = fs::read(&*KIP_SLEEP).expect("readable")[18];
    let known = [(62, "amd64"), (183, "arm64")];
    let found = known.iter().find(|(number, _)| *number == machine);
    found.expect("a machine that it is built for").1
}

/// A folder to be seen as `/dev`, with an empty file for the termination message.
fn device_folder(name: &str) -> (PathBuf, PathBuf) {
    let dev = folder(name).join("dev");
    fs::create_dir(&dev).expect("a folder");
    let log = dev.join("termination-log");
    fs::write(&log, "").expect("written");
    (dev, log)
}

fn bound(dev: &Path) -> Mount {
    Mount::bind(dev, Path::new("/dev"))
}

#[test]
fn architecture_and_disk_are_told_where_kubelet_reads_them() {
    let (dev, log) = device_folder("told");
    // The target's own file system, of a size that no other here has.
    let volume = folder("told-volume");
    let disk = Mount::memory(&volume, 0, c"size=5m");
    let output = with_mounts(&mut install(&volume.join("sleep")), vec![bound(&dev), disk])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", output.status);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let told = fs::read_to_string(&log).expect("readable");
    assert_eq!(told, format!("{} 5242880", architecture()));
}

#[test]
fn a_disk_that_cannot_be_measured_leaves_the_architecture() {
    let (dev, log) = device_folder("unmeasured");
    let target = dev.with_file_name("sleep");
    let mut install = install(&target);
    with_mounts(&mut install, vec![bound(&dev)]);
    let output = without_syscall(&mut install, libc::SYS_statfs)
        .output()
        .expect("it starts");
    installed(&output, &target);
    let told = fs::read_to_string(&log).expect("readable");
    assert_eq!(told, architecture());
}

#[test]
fn where_nobody_is_to_be_told_nothing_is_made_and_the_installation_succeeds() {
    let (dev, log) = device_folder("untold");
    fs::remove_file(&log).expect("it was there");
    let target = dev.with_file_name("sleep");
    let output = with_mounts(&mut install(&target), vec![bound(&dev)])
        .output()
        .expect("it starts");
    installed(&output, &target);
    assert!(names(&dev).is_empty());
}

#[test]
fn a_message_that_cannot_be_written_does_not_fail_the_installation() {
    let (dev, log) = device_folder("unwritable");
    let target = dev.with_file_name("sleep");
    let read_only = Mount::bound_read_only(Path::new("/dev"));
    let output = with_mounts(&mut install(&target), vec![bound(&dev), read_only])
        .output()
        .expect("it starts");
    installed(&output, &target);
    assert_eq!(fs::read(&log).expect("readable"), b"");

    // It can be opened, and refuses what is no number.
    fs::remove_file(&log).expect("it was there");
    std::os::unix::fs::symlink("/proc/self/oom_score_adj", &log).expect("linked");
    let output = with_mounts(&mut install(&target), vec![bound(&dev)])
        .output()
        .expect("it starts");
    installed(&output, &target);
}

#[test]
fn an_installation_that_fails_tells_nothing_about_the_node() {
    let (dev, log) = device_folder("failed");
    let target = dev.with_file_name("no").join("sleep");
    let output = with_mounts(&mut install(&target), vec![bound(&dev)])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{}", output.status);
    assert_eq!(fs::read(&log).expect("readable"), b"");
}
