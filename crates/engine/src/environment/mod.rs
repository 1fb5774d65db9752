//! The environment partition: what happens to products. Its fold, its rows, and the way in. Catalogue snapshots are laid out
//! from its rows in `catalogues.rs`.
//!
//! It must never skip an entry and never depend on a scene's plan: rows hold values by name, so that a later version of the
//! scene may have other attributes.

pub(crate) mod fold;
pub(crate) mod intake;
pub(crate) mod rows;

/// Row number of a catalogue: a hash of its name, so that another catalogue beside it changes nothing.
pub(crate) type CatalogueNo = u64;

/// Name of an item: scene, catalogue, key.
pub(crate) type ItemName = (luopan_kernel::id::SceneNo, CatalogueNo, String);

/// Row number of the catalogue of this name.
pub(crate) fn number(name: &str) -> CatalogueNo {
    luopan_kernel::id::hash64(name.as_bytes())
}
