//! `luopan import`: files of events, customers or products into a scene, through one of its mappings.

use super::output::Said;
use super::{Common, Format};
use crate::data::{Opened, Opening};
use crate::import::load::{self, Into, Loaded};
use crate::problem::{Problem, Result};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use luopan_scene::Mapping;
use luopan_scene::mapping::{self, Happening, Target};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Scene
    #[arg(long)]
    scene: String,
    /// What the rows become
    #[arg(long, value_enum)]
    into: What,
    /// Mapping: the name of one of the scene's, or a file
    #[arg(long, value_name = "MAPPING", required_unless_present = "as_sent")]
    mapping: Option<String>,
    /// No mapping: each line is an event as `POST /v1/events` takes it, of whatever type; with `--into product_events` what
    /// happens to an item of the catalogue
    #[arg(long, conflicts_with = "mapping")]
    as_sent: bool,
    /// Catalogue of the product events that are read as sent
    #[arg(long, value_name = "CATALOGUE", requires = "as_sent")]
    catalogue: Option<String>,
    /// Files: CSV, lines of JSON or Parquet, also gzipped
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Events of one type.
    Events,
    /// Attributes of customers.
    Customers,
    /// Items of a catalogue.
    Products,
    /// Attributes of items that are there.
    #[value(name = "product_changes")]
    ProductChanges,
    /// Items that are offered no more.
    Withdrawals,
    /// Net asset values of items.
    Navs,
    /// Whatever happens to items: whole items, changes, withdrawals, net asset values, announcements.
    #[value(name = "product_events")]
    ProductEvents,
}

impl What {
    fn fits(self, target: &Target) -> bool {
        matches!(
            (self, target),
            (Self::Events, Target::Events { .. })
                | (Self::Customers, Target::Customers)
                | (Self::Products, Target::Products { .. })
        ) || matches!(target, Target::Environment { happens, .. } if Some(*happens) == self.happens())
    }

    fn happens(self) -> Option<Happening> {
        match self {
            Self::ProductChanges => Some(Happening::Change),
            Self::Withdrawals => Some(Happening::Withdrawal),
            Self::Navs => Some(Happening::Nav),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::ProductChanges => "product_changes",
            Self::Withdrawals => "withdrawals",
            Self::Navs => "navs",
            Self::Events => "events",
            Self::Customers => "customers",
            Self::Products => "products",
            Self::ProductEvents => "product_events",
        }
    }
}

fn word(target: &Target) -> &'static str {
    match target {
        Target::Events { .. } => "events",
        Target::Customers => "customers",
        Target::Products { .. } => "products",
        Target::Environment { happens, .. } => match happens {
            Happening::Change => "product_changes",
            Happening::Withdrawal => "withdrawals",
            Happening::Nav => "navs",
        },
        Target::Campaign { .. } => "campaign",
    }
}

pub(super) async fn run(common: &Common, import: Import) -> Result<Said> {
    for file in &import.files {
        // All of them are looked for before the first is taken.
        crate::import::source::size(file)?;
    }
    let opened = common.open(Opening::Existing).await?;
    let mut total = Loaded::default();
    let mut files = Vec::new();
    let outcome = load(&opened, common.format, &import, &mut total, &mut files).await;
    opened.close().await;
    if let Err(problem) = outcome {
        return Err(stopped(problem, total, files));
    }
    let mut text = words(total);
    if total.quarantined > 0 {
        text.push_str(&format!(
            "\n`luopan quarantine list --scene {}` says why each stands there",
            import.scene
        ));
    }
    // Nothing of it stands in the log: for a script that is a failure.
    let nothing_taken = total.accepted + total.duplicate == 0 && total.quarantined > 0;
    let said = Said::new(
        &json!({
            "scene": import.scene,
            "rows": total.rows,
            "accepted": total.accepted,
            "duplicate": total.duplicate,
            "quarantined": total.quarantined,
            "skipped": total.skipped,
            "files": files,
        }),
        text,
    )?;
    Ok(said.unless(!nothing_taken))
}

/// Counts in words.
fn words(total: Loaded) -> String {
    let mut text = format!(
        "{} {}: {} accepted, {} duplicate, {} quarantined",
        total.rows,
        if total.rows == 1 { "row" } else { "rows" },
        total.accepted,
        total.duplicate,
        total.quarantined
    );
    if total.skipped > 0 {
        text.push_str(&format!(", {} passed over by the mapping", total.skipped));
    }
    text
}

/// A refusal in the middle, with what was kept of all files of the command.
fn stopped(
    mut problem: Box<Problem>,
    total: Loaded,
    files: Vec<serde_json::Value>,
) -> Box<Problem> {
    if files.is_empty() {
        return problem;
    }
    problem.detail = format!(
        "{}\nwhat was read before is kept: {}",
        problem.detail,
        words(total)
    );
    problem
        .with("rows", total.rows)
        .with("accepted", total.accepted)
        .with("duplicate", total.duplicate)
        .with("quarantined", total.quarantined)
        .with("skipped", total.skipped)
        .with("files", files)
}

async fn load(
    opened: &Opened,
    format: Format,
    import: &Import,
    total: &mut Loaded,
    files: &mut Vec<serde_json::Value>,
) -> Result<()> {
    let mapping = match &import.mapping {
        Some(name) => Some(find(opened, &import.scene, name).await?),
        None => {
            opened.engine.plan(&import.scene)?;
            None
        }
    };
    let catalogue = match (&mapping, import.into, &import.catalogue) {
        (Some(_), ..) | (None, What::Events, None) => None,
        (None, What::ProductEvents, Some(catalogue)) => Some(catalogue.as_str()),
        (None, What::ProductEvents, None) => {
            return Err(Problem::new(
                "command_line",
                "whose products are they? write --catalogue with its name",
            ));
        }
        (None, What::Events, Some(_)) => {
            return Err(Problem::new(
                "command_line",
                "--catalogue goes with --into product_events; events of customers are of no catalogue",
            ));
        }
        (None, other, _) => {
            return Err(Problem::new(
                "command_line",
                format!(
                    "--as-sent reads events or product_events, not {}; write --into events, or name a mapping",
                    other.word()
                ),
            ));
        }
    };
    if let Some(mapping) = mapping.as_ref().filter(|m| !import.into.fits(&m.target)) {
        let makes = word(&mapping.target);
        let instead = match &mapping.target {
            Target::Campaign { .. } => "replay it with `luopan campaign replay`".to_owned(),
            _ => format!("write --into {makes}"),
        };
        return Err(Problem::new(
            "command_line",
            format!(
                "mapping `{}` makes {makes} of rows, not {}; {instead}, or name another mapping",
                import.mapping.as_deref().unwrap_or_default(),
                import.into.word()
            ),
        ));
    }
    opened.engine.start().await?;
    for path in &import.files {
        let passed = Arc::new(AtomicU64::new(0));
        let bar = Bar::new(path, format, passed.clone());
        let mut loaded = Loaded::default();
        let begun = |total| bar.begin(total);
        let (engine, scene) = (&opened.engine, import.scene.as_str());
        let outcome = match &mapping {
            Some(mapping) => {
                let into = Into {
                    engine,
                    scene,
                    mapping,
                };
                load::file(into, path, passed, begun, &mut loaded).await
            }
            None => load::sent(engine, scene, catalogue, path, passed, begun, &mut loaded).await,
        };
        bar.end();
        total.add(loaded);
        if outcome.is_err() && loaded.rows == 0 && files.is_empty() {
            return outcome;
        }
        files.push(json!({ "file": path, "rows": loaded.rows, "accepted": loaded.accepted, "duplicate": loaded.duplicate, "quarantined": loaded.quarantined, "skipped": loaded.skipped }));
        outcome?;
    }
    Ok(())
}

/// The mapping: one of the scene as it is applied, else a file checked against the scene.
async fn find(opened: &Opened, scene: &str, name: &str) -> Result<Mapping> {
    let plan = opened.engine.plan(scene)?;
    let info = opened.engine.scenes().into_iter().find(|s| s.name == scene);
    let mut known = Vec::new();
    if let Some(info) = info {
        let number = luopan_kernel::id::SceneNo(info.number);
        for (path, text) in opened
            .stores
            .control
            .scene_files(number, info.version)
            .await?
        {
            let Some(own) = mapping_name(&path) else {
                continue;
            };
            if own == name {
                return parsed(&path, &String::from_utf8_lossy(&text), &plan);
            }
            known.push(own.to_owned());
        }
    }
    let path = Path::new(name);
    if path.is_file() {
        let text = std::fs::read_to_string(path)
            .map_err(|e| crate::import::source::unreadable(path, &e))?;
        return parsed(name, &text, &plan);
    }
    Err(Problem::new(
        "unknown_mapping",
        format!(
            "scene `{scene}` has no mapping `{name}` and there is no such file; {}",
            if known.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", known.join(", "))
            }
        ),
    ))
}

/// The name of a mapping that stands in a pack under this path.
fn mapping_name(path: &str) -> Option<&str> {
    let (folder, file) = path.rsplit_once('/')?;
    let (name, ending) = file.rsplit_once('.')?;
    (folder.rsplit('/').next() == Some("mappings") && matches!(ending, "yaml" | "yml"))
        .then_some(name)
}

fn parsed(path: &str, text: &str, plan: &luopan_kernel::plan::ScenePlan) -> Result<Mapping> {
    mapping::parse(path, text, plan).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Problem::new("scene_faults", lines.join("\n"))
            .with("faults", serde_json::to_value(&faults).unwrap_or_default())
    })
}

/// A progress bar on standard error, when that is a terminal and people are reading.
pub(super) struct Bar {
    bar: ProgressBar,
    passed: Arc<AtomicU64>,
    watch: parking_lot::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Bar {
    pub(super) fn new(path: &Path, format: Format, passed: Arc<AtomicU64>) -> Self {
        let shown = format == Format::Text && std::io::stderr().is_terminal();
        let bar = if shown {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template(
            "{msg} {bar:40} {percent:>3} % {elapsed} (about {eta} left)",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(
            path.file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
        );
        Self {
            bar,
            passed,
            watch: parking_lot::Mutex::new(None),
        }
    }

    pub(super) fn begin(&self, total: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_length(total);
        let (bar, passed) = (self.bar.clone(), self.passed.clone());
        *self.watch.lock() = Some(tokio::spawn(async move {
            loop {
                bar.set_position(passed.load(Ordering::Relaxed));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }));
    }

    pub(super) fn end(&self) {
        if let Some(watch) = self.watch.lock().take() {
            watch.abort();
        }
        self.bar.finish_and_clear();
    }
}
