//! What a kept model makes of its features, by the rows of a file.

use super::dataset::sha256;
use super::model::{self, cpu_seconds, not_over, refused};
use super::{report, table};
use crate::problem::{Problem, Result};
use crate::whole::{writable, write_whole};
use luopan_learning::effects::{Effects, Settings, effects};
use luopan_learning::tabular::{Feature, Kept};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The answer for programs, in a folder.
pub const JSON: &str = "effects.json";
/// The answer for people, in a folder.
pub const PAGE: &str = "effects.html";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Folder of the model.
    pub model: PathBuf,
    /// The table.
    pub input: PathBuf,
    /// Pairs of features, as `FIRST:SECOND`.
    pub pairs: Vec<String>,
    /// What else is asked; its pairs are those above.
    pub settings: Settings,
    /// A folder for both answers, or a file that ends in `.json` or `.html` for one.
    pub output: Option<PathBuf>,
}

/// What a model makes of its features.
#[derive(Debug, Clone, Serialize)]
pub struct Looked {
    /// `gbdt`, `glm`, `scorecard`.
    pub model: &'static str,
    /// Task.
    pub task: &'static str,
    /// What is predicted: the column, and of two classes the one whose probability it is.
    pub predicts: String,
    /// The table.
    pub input: PathBuf,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// What was found.
    #[serde(flatten)]
    pub effects: Effects,
    /// Seconds of processor time without reading the file.
    pub cpu_seconds: f64,
    /// Files that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<PathBuf>,
}

/// Looks at a model.
///
/// # Errors
/// `file_unreadable`, `bad_model`, `bad_table`, `cannot_learn`, `command_line`. Then no file is written.
pub fn from_file(asked: &Asked) -> Result<Looked> {
    if asked.model.join(model::FACTORS).exists() {
        return Err(Problem::new(
            "command_line",
            format!(
                "{} holds factors of users and items (als), which have no features to tell effects of; name a folder of gbdt, glm or scorecard",
                asked.model.display()
            ),
        ));
    }
    let files = files(asked.output.as_deref());
    for file in &files {
        not_over(&asked.input, file)?;
        writable(file)?;
    }
    let kept = model::open(&asked.model)?;
    let mut settings = asked.settings.clone();
    for pair in &asked.pairs {
        settings.pairs.push(parted(&kept, pair)?);
    }
    for name in (settings.features.iter()).chain(settings.pairs.iter().flat_map(|(a, b)| [a, b])) {
        known(&kept, name)?;
    }
    let names = |of: fn(&Feature) -> bool| -> Vec<String> {
        let found = kept.features().iter().filter(|f| of(f));
        found.map(|f| f.name.clone()).collect()
    };
    let mut only = names(|_| true);
    only.extend(kept.exposure().map(str::to_owned));
    only.extend(settings.target.clone());
    let wanted = table::Wanted {
        texts: names(Feature::is_category),
        only: Some(only),
        ..table::Wanted::default()
    };
    let frame = table::read(&asked.input, &wanted)?;
    let begun = cpu_seconds();
    let found = effects(&kept, &frame, &settings);
    let found = found.map_err(|e| refused(&asked.input, Some(&frame), &e))?;
    let predicts = match &kept.target().classes[..] {
        [_, positive] => format!("{} = {positive}", kept.target().column),
        _ => kept.target().column.clone(),
    };
    let looked = Looked {
        model: kept.kind().name(),
        task: kept.task().name(),
        predicts,
        input: asked.input.clone(),
        sha256: sha256(&asked.input)?,
        effects: found,
        cpu_seconds: cpu_seconds() - begun,
        output: files,
    };
    for file in &looked.output {
        match is_page(file) {
            true => write_whole(file, report::effects::page(&looked)?.as_bytes())?,
            false => {
                let json = serde_json::to_vec_pretty(&looked)
                    .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
                write_whole(file, &json)?;
            }
        }
    }
    Ok(looked)
}

fn ends_in(file: &Path, extension: &str) -> bool {
    file.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

fn is_page(file: &Path) -> bool {
    ends_in(file, "html")
}

fn files(output: Option<&Path>) -> Vec<PathBuf> {
    match output {
        None => Vec::new(),
        Some(file) if is_page(file) || ends_in(file, "json") => vec![file.to_owned()],
        Some(folder) => vec![folder.join(JSON), folder.join(PAGE)],
    }
}

/// A pair of features: names may hold colons themselves.
fn parted(kept: &Kept, pair: &str) -> Result<(String, String)> {
    let is_known = |name: &str| kept.features().iter().any(|f| f.name == name);
    let both = |at: usize| (pair[..at].to_owned(), pair[at + 1..].to_owned());
    let ways: Vec<(String, String)> = pair.match_indices(':').map(|(at, _)| both(at)).collect();
    let whole = ways.iter().find(|(a, b)| is_known(a) && is_known(b));
    whole.or(ways.first()).cloned().ok_or_else(|| {
        Problem::new(
            "command_line",
            format!("`{pair}` is no pair; write FIRST:SECOND with two features"),
        )
    })
}

fn known(kept: &Kept, name: &str) -> Result<()> {
    let names = || kept.features().iter().map(|f| f.name.as_str());
    if names().any(|n| n == name) {
        return Ok(());
    }
    let words = match luopan_scene::nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", names().take(20).collect::<Vec<_>>().join(", ")),
    };
    Err(Problem::new(
        "command_line",
        format!("the model has no feature `{name}`; {words}"),
    ))
}
