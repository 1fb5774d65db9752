//! A pack as it was read: every file a tree, every section gathered over the files. [`Draft::check`] turns it into a
//! [`Checked`] scene or says everything that is wrong; the types let no one skip that step.

use crate::compile;
use crate::fault::{Code, Fault, shown};
use crate::mapping::Mapping;
use crate::node::{At, Key, Node, parse};
use crate::shape::{Reporter, check};
use crate::tables::{MAPPING, PACK};
use luopan_kernel::plan::ScenePlan;
use std::collections::BTreeMap;

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most files of a pack.
pub const FILES_MAX: usize = 1000;

/// A pack that was read and not yet checked.
#[derive(Debug, Clone)]
pub struct Draft {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) roots: Vec<Option<Node>>,
    pub(crate) faults: Vec<Fault>,
}

/// A scene without a fault: what may be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The compiled scene.
    pub plan: ScenePlan,
    /// Import mappings by name (the file's name without its ending).
    pub mappings: BTreeMap<String, Mapping>,
}

/// The sections of all files, by name.
pub(crate) type Sections<'d> = BTreeMap<&'static str, Vec<&'d (Key, Node)>>;

/// True for a file that holds an import mapping: it stands in a folder `mappings`.
fn is_mapping(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("mappings")
}

impl Draft {
    /// Reads the files of a pack: pairs of the path within the pack and the text. The faults are those of reading alone;
    /// [`Draft::check`] gives them again with all others.
    pub fn parse(files: Vec<(String, String)>) -> (Self, Vec<Fault>) {
        let mut files = files;
        files.sort();
        let mut faults = Vec::new();
        let whole = |path: &str, code, found: String, write: &str| Fault {
            file: path.to_owned(),
            line: 1,
            column: 1,
            code,
            found,
            write: write.to_owned(),
            nearest: None,
        };
        if files.len() > FILES_MAX {
            faults.push(whole(
                "",
                Code::Limit,
                format!("the pack has {} files", files.len()),
                &format!("put sections together; at most {FILES_MAX} are read"),
            ));
            files.truncate(FILES_MAX);
        }
        let mut roots = Vec::with_capacity(files.len());
        for (i, (path, text)) in files.iter().enumerate() {
            if text.len() > FILE_BYTES_MAX {
                faults.push(whole(
                    path,
                    Code::Limit,
                    format!("the file has {} bytes", text.len()),
                    &format!("divide it; at most {FILE_BYTES_MAX} are read"),
                ));
                roots.push(None);
                continue;
            }
            roots.push(parse(i as u16, path, text, &mut faults));
        }
        let draft = Self {
            files,
            roots,
            faults: faults.clone(),
        };
        (draft, faults)
    }

    /// Checks and compiles the pack.
    ///
    /// # Errors
    /// Every fault, by file and place.
    pub fn check(&self) -> Result<Checked, Vec<Fault>> {
        let mut report = Reporter {
            files: &self.files,
            faults: self.faults.clone(),
        };
        let unread = self
            .roots
            .iter()
            .zip(&self.files)
            .any(|(root, (_, text))| root.is_none() && !text.trim().is_empty());
        let mut sections: Sections<'_> = BTreeMap::new();
        let mut mappings: Vec<(String, &Node)> = Vec::new();
        for ((path, _), root) in self.files.iter().zip(&self.roots) {
            let Some(root) = root.as_ref().filter(|r| !r.is_null()) else {
                continue;
            };
            if is_mapping(path) {
                check(root, &MAPPING, &mut report);
                let stem = path.rsplit('/').next().unwrap_or(path);
                let stem = stem.rsplit_once('.').map_or(stem, |(s, _)| s);
                mappings.push((stem.to_owned(), root));
                continue;
            }
            check(root, &PACK, &mut report);
            self.gather(root, &mut sections, &mut report);
        }
        if unread {
            // Names declared in a file that cannot be read would all be reported as unknown: mend that file first.
            return Err(finished(report.faults));
        }
        let (plan, mut report) = compile::scene(&sections, self, report);
        let mut compiled = BTreeMap::new();
        for (name, root) in mappings {
            if let Some(mapping) = crate::mapping::compile(root, &plan, &mut report) {
                compiled.insert(name, mapping);
            }
        }
        if report.faults.is_empty() {
            Ok(Checked {
                plan,
                mappings: compiled,
            })
        } else {
            Err(finished(report.faults))
        }
    }

    /// Puts the entries of `root` into their sections and reports names declared twice.
    fn gather<'d>(&self, root: &'d Node, sections: &mut Sections<'d>, report: &mut Reporter<'_>) {
        const NAMED: [&str; 13] = [
            "customer",
            "events",
            "tags",
            "derived",
            "request",
            "calendars",
            "catalogues",
            "segments",
            "rules",
            "rewards",
            "models",
            "budgets",
            "policies",
        ];
        const SINGLE: [&str; 5] = [
            "scene",
            "description",
            "zone",
            "zone_attribute",
            "dedup_horizon",
        ];
        for entry in root.entries() {
            if entry.1.is_null() {
                continue;
            }
            if let Some(name) = SINGLE.into_iter().find(|n| *n == entry.0.text) {
                let seen = sections.entry(name).or_default();
                match seen.first() {
                    Some((key, _)) => twice(report, name, key.at, entry.0.at),
                    None => seen.push(entry),
                }
            } else if let Some(name) = NAMED.into_iter().find(|n| *n == entry.0.text) {
                for inner in entry.1.entries() {
                    let seen = sections.entry(name).or_default();
                    match seen.iter().find(|(key, _)| key.text == inner.0.text) {
                        Some((key, _)) => twice(report, &inner.0.text, key.at, inner.0.at),
                        None => seen.push(inner),
                    }
                }
            }
        }
    }
}

fn twice(report: &mut Reporter<'_>, name: &str, first: At, second: At) {
    let path = report
        .files
        .get(usize::from(first.file))
        .map_or("", |(p, _)| p.as_str())
        .to_owned();
    report.at(
        second,
        Code::DuplicateName,
        format!(
            "`{}` is declared already in {path}:{}:{}",
            shown(name),
            first.line,
            first.column
        ),
        "keep one of them, or give this one another name",
    );
}

/// Faults in the order of files and places, each once.
pub(crate) fn finished(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by(|a, b| {
        (&a.file, a.line, a.column, a.code, &a.found)
            .cmp(&(&b.file, b.line, b.column, b.code, &b.found))
    });
    faults.dedup();
    faults
}
