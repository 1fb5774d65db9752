//! The rules of an audience saved as a segment of a pack, which is applied at once. This room must never leave a file in the pack that was not
//! applied with it.

use super::super::{Common, scene};
use crate::learn::audience::Described;
use crate::problem::{Problem, Result};
use crate::trained;
use crate::whole::write_whole;
use serde_json::json;
use std::path::Path;

/// Where rules become a segment: a file of its own in the pack's folder `segments`.
pub(super) struct Place<'a> {
    pack: &'a Path,
    name: &'a str,
    file: String,
    /// What stands there now.
    before: Option<Vec<u8>>,
}

impl<'a> Place<'a> {
    /// The place, before anything is learned.
    ///
    /// # Errors
    /// `scene_faults` of a pack that is not right as it is; `bad_segment` where the name is none or taken.
    pub(super) async fn new(
        common: &Common,
        pack: &'a Path,
        name: &'a str,
        is_replaced: bool,
    ) -> Result<Self> {
        let (checked, _) = scene::checked(common, pack).await?;
        let file = format!("segments/{name}.yaml");
        let refused = |words: String| Err(Problem::new("bad_segment", words));
        let mut letters = name.bytes();
        let is_name = (letters.next()).is_some_and(|b| b.is_ascii_lowercase())
            && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name {
            return refused(format!(
                "a segment cannot be called `{name}`: write a name of small letters, digits and _, beginning with a letter, such as `likely_buyers`"
            ));
        }
        let is_there = checked.plan.segments.iter().any(|s| s.name == name);
        let before = std::fs::read(pack.join(&file)).ok();
        match (is_there, &before, is_replaced) {
            (true, Some(_), true) | (false, None, false) => {}
            (true, Some(_), false) => {
                return refused(format!(
                    "the pack has a segment `{name}`, in {file}: give --replace to write it anew, or another name"
                ));
            }
            (true, None, _) => {
                return refused(format!(
                    "the pack has a segment `{name}` that stands in another file than {file}: it was not saved by this command; give another name"
                ));
            }
            (false, Some(_), _) => {
                return refused(format!(
                    "{file} is there and holds no segment `{name}`: give another name"
                ));
            }
            (false, None, true) => {
                return refused(format!(
                    "there is no segment `{name}` to write anew: leave --replace out"
                ));
            }
        }
        Ok(Self {
            pack,
            name,
            file,
            before,
        })
    }

    /// Checks the pack with the segment, writes its file and applies the pack. What cannot be applied is not left in the pack.
    pub(super) async fn save(
        &self,
        common: &Common,
        of: &Described,
        input: &Path,
    ) -> Result<(serde_json::Value, String)> {
        let Some(rule) = &of.segment else {
            let why = of.no_segment.as_deref().unwrap_or("there is no rule");
            return Err(Problem::new(
                "bad_segment",
                format!("nothing was saved: {why}"),
            ));
        };
        let text = self.text(rule, of, input);
        let mut pack = scene::loaded(common, self.pack).await?;
        pack.files.retain(|(file, _)| *file != self.file);
        pack.files.push((self.file.clone(), text.clone()));
        pack.files.sort();
        let files = pack.files.clone();
        let checked = luopan_scene::compile_with(pack, &trained::decode)
            .map_err(|faults| {
                let mut problem = scene::faulty(self.pack, &faults);
                problem.detail.push_str(
                    "\nnothing was saved; where a column is money, a length of time or a boolean to the scene, say so with --kinds, such as spent:CNY",
                );
                problem
            })?;
        scene::differs_by_one_segment(common, &checked, self.name).await?;
        let path = self.pack.join(&self.file);
        write_whole(&path, text.as_bytes())?;
        match scene::apply_checked(common, &checked, files).await {
            Ok((mut json, words)) => {
                json["segment"] = json!(self.name);
                json["file"] = json!(path);
                Ok((
                    json,
                    format!(
                        "segment {} is saved in {}\n{words}",
                        self.name,
                        path.display()
                    ),
                ))
            }
            Err(problem) => {
                let back = match &self.before {
                    Some(bytes) => write_whole(&path, bytes),
                    None => std::fs::remove_file(&path).map_err(|e| {
                        Problem::new("file_unreadable", format!("{}: {e}", path.display()))
                    }),
                };
                back.and(Err(problem))
            }
        }
    }

    /// The file: the rule, and what it was found from.
    fn text(&self, rule: &str, of: &Described, input: &Path) -> String {
        let input = input.file_name().unwrap_or_default().to_string_lossy();
        let held = &of.found.held_out;
        let about = format!(
            "Rules for a score of {} or more in {input} ({} rows, SHA-256 {}). Of {} rows that were not used: purity {:.3}, coverage {:.3}, fidelity {:.3}.",
            number(of.cut),
            of.rows,
            of.sha256,
            held.rows,
            held.purity.share,
            held.coverage.share,
            held.fidelity.share
        );
        // JSON's texts are YAML's in double quotes.
        format!(
            "# Written by `luopan learn audience`; with --replace it is written anew.\nsegments:\n  {}:\n    description: {}\n    rule: {}\n",
            self.name,
            json!(about),
            json!(rule)
        )
    }
}

/// A score for people: six digits that count.
pub(super) fn number(v: f64) -> String {
    let digits = (5 - v.abs().log10().floor().clamp(-10.0, 5.0) as i32) as usize;
    format!("{v:.digits$}")
}
