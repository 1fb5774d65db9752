//! What the tests share: packs from text and from the repository.

use luopan_scene::{Checked, Fault};
use std::path::PathBuf;

/// The packs of this repository.
pub(crate) const SHIPPED: [&str; 3] = ["email-campaign", "bank-telemarketing", "fund"];

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A pack of one file.
pub(crate) fn compile(text: &str) -> Result<Checked, Vec<Fault>> {
    luopan_scene::compile(vec![("scene.yaml".into(), text.into())])
}

/// The faults of a pack, a line each.
pub(crate) fn faults(text: &str) -> String {
    match compile(text) {
        Ok(_) => String::new(),
        Err(faults) => lines(&faults),
    }
}

/// Faults, a line each.
pub(crate) fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|f| f.to_string() + "\n").collect()
}

/// A shipped pack, which has no faults.
pub(crate) fn shipped(name: &str) -> Checked {
    let files = luopan_scene::load_folder(&root().join("scenes").join(name)).unwrap();
    luopan_scene::compile(files).unwrap_or_else(|f| panic!("{name}:\n{}", lines(&f)))
}
