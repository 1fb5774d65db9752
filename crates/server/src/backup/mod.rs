//! Backups of an installation: a folder with one file a part and a manifest that is written last, and putting one back. Moving to
//! other backends is the same without files. A backup without its whole manifest, or with a part that is not as the manifest
//! says, must never be put back; what is put back must never be mixed with something that was there.

mod erasures;
mod manifest;
mod read;
mod record;
mod restore;
mod write;

pub use erasures::erasures;
pub use manifest::{FORMAT, MANIFEST, Manifest, PartFile, PartitionEnd};
pub use read::{check, pour};
pub use record::FRAME_BYTES_MAX;
pub use restore::{MOVED, Moved, Restored, into_cluster, into_folder, migrate};
pub use write::{Source, take};

use crate::problem::Problem;
use luopan_store::copy::Part;

/// The file of a part, and what it is called in a manifest.
pub(crate) fn name(part: Part) -> &'static str {
    match part {
        Part::Log => "log",
        Part::State => "state",
        Part::Control => "control",
        Part::Keys => "keys",
        Part::Erased => "erased",
    }
}

pub(crate) fn file(part: Part) -> String {
    format!("{}.part", name(part))
}

pub(crate) fn bad(detail: impl Into<String>) -> Box<Problem> {
    Problem::new("bad_backup", detail)
}

/// What a task that ended with a panic is answered with.
pub(crate) fn stopped(what: &str) -> impl FnOnce(tokio::task::JoinError) -> Box<Problem> {
    move |e| Problem::internal(format!("{what} stopped: {e}"))
}
