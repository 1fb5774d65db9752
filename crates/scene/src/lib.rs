//! Scene packs: a whole business as a folder of declarations, compiled to the plans that the kernel runs.
//!
//! In: the texts of a pack's files. Out: a [`Checked`] scene, or every fault at once, each with file, line, column, what was
//! found, what to write instead and the nearest right word. The types `Draft -> Checked` (and `Applied`, in the engine) let
//! no one skip the check. All is pure but [`load_folder`], which reads a folder.
//!
//! It must never guess: what it does not know is a fault, and a plan it gives out was type-checked to the last expression.
//! `docs/scene.md` tells the format; the key tables behind it are in `tables.rs`.

mod cel;
mod change;

mod compile;
mod draft;
mod fault;
mod load;
pub mod mapping;
mod node;
mod rule;
pub mod schema;
mod shape;
mod tables;
pub mod unit;
mod words;

pub use change::{Change, Kind, What, changes};
pub use compile::{DEDUP_HORIZON_DEFAULT_US, DecodeArtifact};
pub use draft::{Checked, Draft};
pub use fault::{Code, Fault, nearest};
pub use load::{Error as LoadError, Loaded, is_pack_file, load_folder};
pub use mapping::{MappedRow, Mapping, RowFault};
pub use rule::{Place, rule};
pub use words::{Language, words, words_of_event};

/// Reads, checks and compiles a pack: what [`load_folder`] gave, or pairs of the path within the pack and the text.
///
/// # Errors
/// Every fault, by file and place.
pub fn compile(pack: impl Into<Loaded>) -> Result<Checked, Vec<Fault>> {
    Draft::parse(pack).0.check()
}

/// As [`compile`], with trained files read by `decode`.
///
/// # Errors
/// Every fault, by file and place.
pub fn compile_with(
    pack: impl Into<Loaded>,
    decode: &DecodeArtifact<'_>,
) -> Result<Checked, Vec<Fault>> {
    Draft::parse(pack).0.check_with(decode)
}

/// As [`compile`], of a pack whose trained files are still to be made ([`Draft::check_to_train`]).
///
/// # Errors
/// Every other fault, by file and place.
pub fn compile_to_train(
    pack: impl Into<Loaded>,
) -> Result<luopan_kernel::plan::ScenePlan, Vec<Fault>> {
    Draft::parse(pack).0.check_to_train()
}

/// Named limits of packs. At a limit the pack is refused and the fault names it; the kernel's own limits
/// ([`luopan_kernel::plan`]) hold too.
pub mod limits {
    pub use crate::cel::{EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX};
    pub use crate::compile::{
        ATTRIBUTES_MAX, BUDGETS_MAX, CALENDAR_DAYS_MAX, CALENDARS_MAX, CATALOGUES_MAX, MODELS_MAX,
        PAIRED_MAX, POLICIES_MAX, POLICY_PARTS_MAX, REWARDS_MAX, SETTINGS_MAX, SLOTS_MAX,
    };
    pub use crate::draft::{FILE_BYTES_MAX, FILES_MAX};
    pub use crate::load::FOLDERS_DEEP_MAX;
    pub use crate::shape::{ENTRIES_MAX, EXPRESSION_BYTES_MAX, NAME_BYTES_MAX};
}
