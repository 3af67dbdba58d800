//! The termination message: what kubelet shows of a container that has ended, as its status.

use core::ffi::CStr;

use kip_sleep::node;

use crate::arch;
use crate::linux::{self, File};
use crate::output::Output;

/// Kubelet's default `terminationMessagePath`: a file that it mounts for every user to write, also where the root file
/// system is read-only.
const PATH: &CStr = c"/dev/termination-log";

/// Tells about the node: its architecture, and the size of the file system on which `file` lies.
///
/// Nobody may be there to be told: outside of a container there is no such file, and none is made.
pub(crate) fn tell(file: &CStr) {
    if let Ok(log) = File::open_existing(PATH) {
        let mut message = Output::new(log);
        // Writing to memory cannot fail.
        let _ = node::describe(arch::NAME, linux::disk(file).ok(), &mut message);
        message.flush();
    }
}
