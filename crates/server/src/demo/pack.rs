//! The scene of the demo, carried inside the program, so that it runs wherever the program does. It must never differ from
//! `scenes/fund` and `scenes/fund-trained`: it is those folders, read at build time.

use crate::problem::{Problem, Result};
use bytes::Bytes;
use include_dir::{Dir, include_dir};
use luopan_kernel::plan::ScenePlan;
use luopan_scene::{Checked, Draft, Fault, Loaded};

/// Name of the scene.
pub(crate) const SCENE: &str = "fund";
/// Its catalogue of funds.
pub(crate) const CATALOGUE: &str = "funds";

/// The policy that narrows funds down by trained factors.
pub(crate) const POLICY: &str = "taste";
/// Where its factors stand in the pack.
const FACTORS: &str = "artifacts/taste.bin";

static TASTE: &[u8] = include_bytes!("../../../../scenes/fund-trained/taste.yaml");
static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../scenes/fund");

/// Files of a pack: path within it and content.
pub(crate) type Files = Vec<(String, Bytes)>;

fn gather(folder: &'static Dir<'static>, files: &mut Files) {
    for file in folder.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        files.push((path, Bytes::from_static(file.contents())));
    }
    for inner in folder.dirs() {
        gather(inner, files);
    }
}

/// The pack's files as they are, with the one that adds the policy of trained factors when `retrieves`.
fn files(retrieves: bool) -> Files {
    let mut files = Files::new();
    gather(&FOLDER, &mut files);
    if retrieves {
        files.push(("policies/taste.yaml".to_owned(), Bytes::from_static(TASTE)));
    }
    files.retain(|(path, _)| luopan_scene::is_pack_file(path));
    files.sort();
    files
}

fn draft(files: &Files, factors: Option<&[u8]>) -> Draft {
    let texts = (files.iter())
        .map(|(path, content)| (path.clone(), String::from_utf8_lossy(content).into_owned()))
        .collect();
    let trained = factors.map(|bytes| (FACTORS.to_owned(), bytes.to_vec()));
    let loaded = Loaded {
        files: texts,
        trained: trained.into_iter().collect(),
        ..Loaded::default()
    };
    Draft::parse(loaded).0
}

fn faulty(faults: Vec<Fault>) -> Box<Problem> {
    let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Problem::internal(format!(
        "the scene inside the program has faults: {}",
        words.join("; ")
    ))
}

/// The pack, checked, with its files as they are.
///
/// # Errors
/// A pack with faults, which the tests of this program exclude.
pub(crate) fn load() -> Result<(Checked, Files)> {
    let files = files(false);
    let checked = draft(&files, None).check().map_err(faulty)?;
    Ok((checked, files))
}

/// The pack with the policy [`POLICY`], to be trained.
///
/// # Errors
/// As [`load`]'s.
pub(crate) fn to_train() -> Result<ScenePlan> {
    draft(&files(true), None).check_to_train().map_err(faulty)
}

/// The pack with the policy [`POLICY`] and its trained factors.
///
/// # Errors
/// As [`load`]'s.
pub(crate) fn trained(factors: &[u8]) -> Result<(Checked, Files)> {
    let files = files(true);
    let checked = draft(&files, Some(factors)).check().map_err(faulty)?;
    Ok((checked, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use luopan_simulator::fund::{Change, made_up};

    #[test]
    fn the_pack_declares_all_that_is_said_of_products() {
        let (checked, _) = load().unwrap();
        let funds = (checked.plan.catalogues.iter())
            .find(|c| c.name == CATALOGUE)
            .unwrap();
        let mut settings = luopan_simulator::fund::Settings::new(1, 1, 20_000);
        settings.products = Some(made_up(1, 60));
        settings.days = 3;
        settings.price_history_days = 3;
        let world = luopan_simulator::fund::World::new(settings).unwrap();
        for product in world.products() {
            let Change::Set(values) = product.listing().what else {
                panic!("a product is listed whole");
            };
            for (name, _) in values {
                assert!(funds.attributes.iter().any(|a| a.name == name), "{name}");
            }
        }
    }
}
