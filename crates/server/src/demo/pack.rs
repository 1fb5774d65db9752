//! The scene of the demo, carried inside the program, so that it runs wherever the program does. It must never differ from
//! `scenes/fund`: it is that folder, read at build time.

use crate::problem::{Problem, Result};
use bytes::Bytes;
use include_dir::{Dir, include_dir};
use luopan_scene::{Checked, Draft};

/// Name of the scene.
pub(crate) const SCENE: &str = "fund";

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
    use luopan_kernel::value::Value;
    use luopan_simulator::catalogue::OFFERS;

    #[test]
    fn the_population_knows_exactly_the_products_of_the_pack() {
        let (checked, _) = load().unwrap();
        let catalogue = &checked.plan.catalogues[0];
        let attribute = |name: &str| {
            catalogue
                .attributes
                .iter()
                .position(|a| a.name == name)
                .unwrap()
        };
        let (kind, risk, term) = (
            attribute("kind"),
            attribute("risk_level"),
            attribute("term_days"),
        );
        let mut of_pack: Vec<_> = (catalogue.items.iter())
            .map(|i| {
                (
                    i.key.as_str(),
                    i.values[kind].clone(),
                    i.values[risk].clone(),
                    i.values[term].clone(),
                )
            })
            .collect();
        let mut of_world: Vec<_> = (OFFERS.iter())
            .map(|o| {
                let (risk, term) = (
                    Value::Int(o.risk_level.into()),
                    Value::Int(o.term_days.into()),
                );
                (o.key, Value::text(o.kind), risk, term)
            })
            .collect();
        of_pack.sort_by_key(|i| i.0);
        of_world.sort_by_key(|i| i.0);
        assert_eq!(of_pack, of_world);
    }
}
