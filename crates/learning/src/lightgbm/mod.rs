//! LightGBM's text model (`Booster.save_model`, versions v3 and v4) to the kernel's [`Ensemble`], which predicts exactly what
//! LightGBM 4 predicts from the same text: raw scores bit for bit, predictions but for the last bits of `exp`. [`read`] keeps
//! besides what training saw, as a [`gbdt::Model`].
//!
//! What is declared is checked: counts, shapes, that each tree is one. What is not understood is refused with the line and
//! what was found there, never passed over. Not read: linear trees (`linear_tree=true`). And the other way: [`write()`].

mod lines;
mod model;
mod objective;
mod tree;
mod write;

pub use write::write;

use luopan_kernel::trees::{self, Ensemble, Parts};

use crate::gbdt;
use lines::Section;

/// Why a text is no model that can be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Something at one line.
    #[error("line {line}: {why}")]
    Line {
        /// The line, counted from one.
        line: usize,
        /// What was found and what is wanted.
        why: String,
    },
    /// The text says what no ensemble may.
    #[error("the model cannot be used: {0}")]
    Ensemble(#[from] trees::Error),
}

/// Why a model cannot be written: two of its features would have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the features {first:?} and {second:?} would both be called {both:?} in LightGBM's text: rename one"
)]
pub struct Unwritable {
    /// One of them.
    pub first: String,
    /// The other.
    pub second: String,
    /// The name that both would have.
    pub both: String,
}

const HEADER: &[&str] = &[
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];

/// Reads a text model as what predicts.
///
/// # Errors
/// [`Error`], with the line and what was found.
pub fn parse(text: &str) -> Result<Ensemble, Error> {
    Document::read(text)?.ensemble()
}

/// Reads a text model with what training saw at each node, so that it can be explained ([`crate::gbdt::shap`]) and written again
/// ([`write()`]). The power of a Tweedie objective is not in the text and does not change what is predicted: it is LightGBM's
/// default, 1.5.
///
/// # Errors
/// As [`parse`]; and what [`gbdt::Model`] cannot hold: averaged trees (random forests), objectives that it does not know, none at
/// all, or `sigmoid` other than 1; counts, weights, gains or inner values that are missing.
pub fn read(text: &str) -> Result<gbdt::Model, Error> {
    let document = Document::read(text)?;
    // Looks for what no ensemble may be, cycles among it.
    document.ensemble()?;
    model::of(&document)
}

/// A text that was looked through.
struct Document<'a> {
    header: Section<'a>,
    features: Vec<String>,
    outputs: usize,
    transform: trees::Transform,
    trees: Vec<(Section<'a>, tree::Found)>,
}

impl<'a> Document<'a> {
    fn read(text: &'a str) -> Result<Self, Error> {
        let mut sections = lines::sections(text)?;
        let trees = sections.split_off(1);
        let Some(header) = sections.pop() else {
            return Err(lines::fault(
                1,
                "an empty text; a model begins with a line `tree`",
            ));
        };
        header.only(HEADER)?;
        let (line, version) = header.text("version")?;
        if !matches!(version, "v3" | "v4") {
            return Err(lines::fault(
                line,
                format!("version {version:?}: v3 and v4 can be read"),
            ));
        }
        let (_, classes) = header.whole("num_class")?;
        let (line, outputs) = header.whole("num_tree_per_iteration")?;
        if outputs != classes {
            return Err(lines::fault(
                line,
                format!("{outputs} trees an iteration for num_class={classes}: they must be equal"),
            ));
        }
        let features = features(&header)?;
        let transform = match header.get("objective") {
            None => trees::Transform::Identity,
            Some((line, found)) => objective::transform(line, found, outputs)?,
        };
        if let Some((line, sizes)) = header.get("tree_sizes") {
            let declared = sizes.split_ascii_whitespace().count();
            if declared != trees.len() {
                return Err(lines::fault(
                    line,
                    format!(
                        "tree_sizes tells of {declared} trees, the text has {}",
                        trees.len()
                    ),
                ));
            }
        }
        let trees = trees
            .into_iter()
            .enumerate()
            .map(|(at, section)| {
                let found = tree::read(&section, at, features.len())?;
                Ok((section, found))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            header,
            features,
            outputs,
            transform,
            trees,
        })
    }

    fn ensemble(&self) -> Result<Ensemble, Error> {
        Ok(Ensemble::build(Parts {
            features: self.features.clone(),
            outputs: self.outputs,
            averaged: self.header.get("average_output").is_some(),
            transform: self.transform,
            trees: self.trees.iter().map(|(_, tree)| tree.parts()).collect(),
        })?)
    }
}

fn features(header: &Section<'_>) -> Result<Vec<String>, Error> {
    let (_, last) = header.whole("max_feature_idx")?;
    let (line, names) = header.text("feature_names")?;
    let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
    let (infos_line, infos) = header.text("feature_infos")?;
    for (line, key, found) in [
        (line, "feature_names", names.len()),
        (infos_line, "feature_infos", infos.split(' ').count()),
    ] {
        if found != last.saturating_add(1) {
            return Err(lines::fault(
                line,
                format!(
                    "{key} tells of {found} features, max_feature_idx={last} of {}",
                    last.saturating_add(1)
                ),
            ));
        }
    }
    Ok(names)
}
