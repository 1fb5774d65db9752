//! The scene of the demo, carried inside the program, so that it runs wherever the program does. It must never differ from
//! `scenes/fund`: it is that folder, read at build time.

use crate::problem::{Problem, Result};
use bytes::Bytes;
use include_dir::{Dir, include_dir};
use luopan_scene::{Checked, Draft};

/// Name of the scene.
pub(crate) const SCENE: &str = "fund";
/// Its catalogue of funds.
pub(crate) const CATALOGUE: &str = "funds";

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

/// The pack, checked, with its files as they are.
///
/// # Errors
/// A pack with faults, which the tests of this program exclude.
pub(crate) fn load() -> Result<(Checked, Files)> {
    let mut files = Files::new();
    gather(&FOLDER, &mut files);
    files.retain(|(path, _)| luopan_scene::is_pack_file(path));
    files.sort();
    let texts: Vec<(String, String)> = (files.iter())
        .map(|(path, content)| (path.clone(), String::from_utf8_lossy(content).into_owned()))
        .collect();
    let (draft, _) = Draft::parse(texts);
    match draft.check() {
        Ok(checked) => Ok((checked, files)),
        Err(faults) => {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Err(Problem::internal(format!(
                "the scene inside the program has faults: {}",
                words.join("; ")
            )))
        }
    }
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
