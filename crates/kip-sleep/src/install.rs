//! Copying the running program to where the sleeping containers find it.

use core::ffi::CStr;

use kip_sleep::errno::Errno;
use kip_sleep::failure::{Cause, Failure};
use kip_sleep::temporary::{self, PATH_MAX};

use crate::linux::{self, File};
use crate::termination;

/// The running program, also where it was deleted or is called by a relative name.
const SELF: &CStr = c"/proc/self/exe";

/// Everybody may read and execute it: the containers' users are not known here.
const MODE: u16 = 0o555;

/// Puts a copy at `target`, and tells about the node; or leaves `target` as it was.
// Not inlined, so that its buffers do not grow the stack of a sleeping process.
#[inline(never)]
pub(crate) fn install(target: &CStr) -> Result<(), Failure<'_>> {
    copy(target)?;
    termination::tell(target);
    Ok(())
}

/// Puts a copy at `target`.
///
/// The copy gets a name of its own first and is renamed when it is complete, so that nobody ever sees half a
/// program, and a running one is not written to. A file that a killed installation left behind stays, and is in
/// nobody's way.
fn copy(target: &CStr) -> Result<(), Failure<'_>> {
    let failed = |reason| {
        move |errno| Failure {
            reason,
            argument: Some(target),
            cause: Cause::System(errno),
        }
    };
    let program = File::open(SELF).map_err(failed("cannot open /proc/self/exe for"))?;
    let mut buffer = [0; PATH_MAX];
    let copy = create(target, &mut buffer).map_err(failed("cannot create a file beside"))?;
    let path = linux::c_string(&buffer);
    fill(&program, copy)
        .map_err(failed("cannot write a file beside"))
        .and_then(|()| linux::rename(path, target).map_err(failed("cannot rename a file to")))
        .inspect_err(|_| {
            // What went wrong before is what matters.
            let _ = linux::unlink(path);
        })
}

/// A new file in the folder of `target`, and its path in `buffer`.
fn create(target: &CStr, buffer: &mut [u8; PATH_MAX]) -> Result<File, Errno> {
    loop {
        let stamp = linux::monotonic_now();
        temporary::path(target.to_bytes(), stamp, buffer).ok_or(Errno::ENAMETOOLONG)?;
        match File::create_new(linux::c_string(buffer)) {
            // Another installation in the very same nanosecond: the next one is free.
            Err(Errno::EEXIST) => {}
            result => return result,
        }
    }
}

/// Copies all of `program` and makes the copy executable.
fn fill(program: &File, copy: File) -> Result<(), Errno> {
    let mut buffer = [0; 1024];
    loop {
        let bytes = program.read(&mut buffer)?;
        if bytes.is_empty() {
            break;
        }
        copy.write_all(bytes)?;
    }
    copy.set_mode(MODE)?;
    copy.close()
}
