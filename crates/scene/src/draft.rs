//! A pack as it was read: every file a tree, every section gathered over the files. [`Draft::check`] turns it into a
//! [`Checked`] scene or says everything that is wrong; the types let no one skip that step.

use crate::compile::{self, DecodeArtifact};
use crate::fault::{Code, Fault, nearest, shown};
use crate::load::{Loaded, is_days_file};
use crate::mapping::Mapping;
use crate::node::{At, Data, Key, Node, parse};
use crate::shape::{Reporter, check};
use crate::tables::{MAPPING, PACK, section_kind};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::plan::{ArtifactKind, ScenePlan};
use std::collections::{BTreeMap, BTreeSet};

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
    /// A file of sections was not read to its end: any name may be declared there.
    unread: bool,
    /// Trained files, by path within the pack.
    trained: BTreeMap<String, Vec<u8>>,
    /// Of registered models the version in force, by name.
    models: BTreeMap<String, Vec<u8>>,
}

/// A scene without a fault: what may be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The compiled scene.
    pub plan: ScenePlan,
    /// The artifacts that the plan names, in its order.
    pub artifacts: Vec<Artifact>,
    /// Import mappings by name (the file's name without its ending).
    pub mappings: BTreeMap<String, Mapping>,
}

/// Sections that hold names, each with its declaration.
const NAMED: [&str; 22] = [
    "settings",
    "customer",
    "events",
    "tags",
    "sequences",
    "derived",
    "request",
    "calendars",
    "market",
    "catalogues",
    "orders",
    "segments",
    "rules",
    "rule_sets",
    "rewards",
    "models",
    "budgets",
    "artifacts",
    "intentions",
    "policies",
    "contests",
    "monitors",
];

/// Sections of one value.
const SINGLE: [&str; 5] = [
    "scene",
    "description",
    "zone",
    "zone_attribute",
    "dedup_horizon",
];

/// The sections of all files.
#[derive(Debug, Default)]
pub(crate) struct Sections<'d> {
    entries: BTreeMap<&'static str, Vec<&'d (Key, Node)>>,
    vague: BTreeSet<&'static str>,
}

impl<'d> Sections<'d> {
    /// The entries of a section, in the order of files.
    pub(crate) fn of(&self, name: &str) -> &[&'d (Key, Node)] {
        self.entries.get(name).map_or(&[], Vec::as_slice)
    }

    /// True when the section may declare more than could be read: what is not found there may be declared all the same.
    pub(crate) fn is_vague(&self, name: &str) -> bool {
        self.vague.contains(name)
    }

    /// All sections of which that is true.
    pub(crate) fn vague(&self) -> BTreeSet<&'static str> {
        self.vague.clone()
    }
}

/// True for a file that holds an import mapping: it stands in a folder `mappings`.
fn is_mapping(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("mappings")
}

impl Draft {
    /// Reads the files of a pack: what was loaded from a folder, or pairs of the path within the pack and the text. The
    /// faults are those of reading alone; [`Draft::check`] gives them again with all others.
    pub fn parse(pack: impl Into<Loaded>) -> (Self, Vec<Fault>) {
        let Loaded {
            mut files,
            trained,
            models,
            mut faults,
        } = pack.into();
        files.sort();
        let mut unread = faults
            .iter()
            .any(|f| !is_mapping(&f.file) && !is_days_file(&f.file));
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
            unread = true;
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
                unread |= !is_mapping(path) && !is_days_file(path);
                continue;
            }
            if is_days_file(path) {
                // Read by the calendar that names it.
                roots.push(None);
                continue;
            }
            let before = faults.len();
            roots.push(parse(i as u16, path, text, &mut faults));
            unread |= !is_mapping(path)
                && faults[before..]
                    .iter()
                    .any(|f| f.code != Code::DuplicateName);
        }
        let draft = Self {
            files,
            roots,
            faults: faults.clone(),
            unread,
            trained,
            models,
        };
        (draft, faults)
    }

    /// The registered models that the pack names: whoever has the registry gives the versions in force ([`Loaded::models`]).
    pub fn models_named(&self) -> BTreeSet<String> {
        let roots = self.roots.iter().flatten();
        let artifacts = roots.filter_map(|root| root.get("artifacts"));
        (artifacts.flat_map(Node::entries))
            .filter_map(|(_, artifact)| artifact.get("model")?.text())
            .map(str::to_owned)
            .collect()
    }

    /// Checks and compiles the pack. Trained files are read as Luopan's own forms.
    ///
    /// # Errors
    /// Every fault, by file and place.
    pub fn check(&self) -> Result<Checked, Vec<Fault>> {
        let own = |kind: ArtifactKind, bytes: &[u8]| {
            Artifact::decode(kind, bytes).map_err(|e| e.to_string())
        };
        self.check_with(&own)
    }

    /// Checks and compiles the pack, with trained files read by `decode`.
    ///
    /// # Errors
    /// Every fault, by file and place.
    pub fn check_with(&self, decode: &DecodeArtifact<'_>) -> Result<Checked, Vec<Fault>> {
        self.compiled(compile::Trained {
            files: &self.trained,
            models: &self.models,
            decode,
            to_train: false,
        })
    }

    /// As [`Draft::check`], of a pack whose trained files are not there yet or are of other features: none is read. The
    /// plan says what to train them from. It names no hashes, so no engine applies it, and it has no ranking by trees.
    ///
    /// # Errors
    /// Every other fault, by file and place.
    pub fn check_to_train(&self) -> Result<ScenePlan, Vec<Fault>> {
        let none = |_: ArtifactKind, _: &[u8]| Err(String::new());
        let checked = self.compiled(compile::Trained {
            files: &self.trained,
            models: &self.models,
            decode: &none,
            to_train: true,
        })?;
        Ok(checked.plan)
    }

    fn compiled(&self, trained: compile::Trained<'_>) -> Result<Checked, Vec<Fault>> {
        let mut report = Reporter {
            files: &self.files,
            faults: self.faults.clone(),
        };
        let mut sections = Sections::default();
        if self.unread {
            // Names declared where nothing could be read would all be reported as unknown.
            sections.vague.extend(NAMED.into_iter().chain(SINGLE));
        }
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
        let (plan, artifacts, declared, mut report) =
            compile::scene(&sections, self, trained, report);
        let mut compiled = BTreeMap::new();
        for (name, root) in mappings {
            if let Some(mapping) = crate::mapping::compile(root, &plan, &declared, &mut report) {
                compiled.insert(name, mapping);
            }
        }
        if report.faults.is_empty() {
            Ok(Checked {
                plan,
                artifacts,
                mappings: compiled,
            })
        } else {
            Err(finished(report.faults))
        }
    }

    /// Puts the entries of `root` into their sections and reports names declared twice. A section under a mistyped key was
    /// reported; what stands in it is looked at all the same.
    fn gather<'d>(&self, root: &'d Node, sections: &mut Sections<'d>, report: &mut Reporter<'_>) {
        if !matches!(root.data, Data::Map(_)) {
            sections.vague.extend(NAMED.into_iter().chain(SINGLE));
        }
        for entry in root.entries() {
            let exact = |n: &&str| *n == entry.0.text;
            let all = || NAMED.into_iter().chain(SINGLE);
            let (name, meant) = match all().find(exact) {
                Some(name) => (name, false),
                None => {
                    let near = nearest(&entry.0.text, all());
                    let Some(name) = all().find(|n| Some(*n) == near.as_deref()) else {
                        continue;
                    };
                    if let (Some(kind), false) = (section_kind(name), entry.1.is_null()) {
                        check(&entry.1, kind, report);
                    }
                    (name, true)
                }
            };
            if entry.1.is_null() {
                continue;
            }
            if SINGLE.contains(&name) {
                let seen = sections.entries.entry(name).or_default();
                match seen.first() {
                    Some((key, _)) if !meant => twice(report, name, key.at, entry.0.at),
                    Some(_) => {}
                    None => seen.push(entry),
                }
                continue;
            }
            if !matches!(entry.1.data, Data::Map(_)) {
                sections.vague.insert(name);
            }
            for inner in entry.1.entries() {
                let seen = sections.entries.entry(name).or_default();
                match seen.iter().find(|(key, _)| key.text == inner.0.text) {
                    Some((key, _)) => twice(report, &inner.0.text, key.at, inner.0.at),
                    None => seen.push(inner),
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
