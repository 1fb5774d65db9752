//! `luopan match`: the best items of a policy for every customer of a data folder, as Parquet.

use super::output::{Said, table};
use super::{Common, Format};
use crate::data::{Opened, Opening};
use crate::matching::{Folder, ITEMS_PER_CUSTOMER_MAX, Manifest, Progress, WORKERS_MAX, Why, work};
use crate::problem::{Problem, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use luopan_kernel::time::Micros;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Pause between two looks at how far the work is.
const LOOK: Duration = Duration::from_millis(200);
/// Pause between two lines where no terminal shows a bar.
const LINE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Match {
    /// Scene
    #[arg(long)]
    scene: String,
    /// Policy of the scene; the first that its pack declares when left out
    #[arg(long)]
    policy: Option<String>,
    /// Most items of a customer, 1 to 1000
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// The Parquet file to write; while the work goes on, its parts stand in a folder beside it, FILE.partial
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The moment to rank at, RFC 3339 with a zone; now, or that of the work that was begun
    #[arg(long, value_parser = crate::time::parse)]
    at: Option<Micros>,
    /// Threads; all cores when not given
    #[arg(long)]
    threads: Option<usize>,
    /// Begin anew, dropping what an earlier run has finished
    #[arg(long)]
    restart: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Summary {
    scene: String,
    version: u32,
    policy: String,
    #[serde(with = "crate::time::text")]
    at: Micros,
    output: PathBuf,
    top: usize,
    /// Items of the catalogue.
    products: usize,
    customers: u64,
    rows: u64,
    with_nothing: u64,
    /// Of these, by the rule.
    why: Vec<Why>,
    /// Partitions that an earlier run had finished.
    resumed: u64,
    /// Of this run.
    seconds: f64,
    /// Of this run.
    customers_per_second: f64,
}

fn within(what: &str, found: usize, most: usize) -> Result<usize> {
    if (1..=most).contains(&found) {
        Ok(found)
    } else {
        Err(Problem::limit(
            "command_line",
            format!("--{what} is {found}; write 1 to {most}"),
            most as u64,
        ))
    }
}

pub(super) async fn run(common: &Common, asked: Match) -> Result<Said> {
    within("top", asked.top, ITEMS_PER_CUSTOMER_MAX)?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = within(
        "threads",
        asked.threads.unwrap_or_else(|| cores().min(WORKERS_MAX)),
        WORKERS_MAX,
    )?;
    let folder = Folder::of(&asked.output)?;
    let opened = common.open(Opening::Existing).await?;
    let outcome = matched(&opened, common.format, &asked, &folder, threads).await;
    opened.close().await;
    let summary = outcome?;
    let text = words(&summary);
    Said::new(&summary, text)
}

async fn matched(
    opened: &Opened,
    format: Format,
    asked: &Match,
    folder: &Folder,
    threads: usize,
) -> Result<Summary> {
    if asked.restart {
        folder.clear()?;
    }
    let begun = folder.begun()?;
    if begun.is_none() {
        // What was acknowledged is folded first. Work that was begun goes on from the state that it was begun from, so
        // then nothing may fold, fire or learn.
        opened.settle().await?;
        opened.engine.stop().await;
    }
    let at = (asked.at)
        .or(begun.as_ref().map(|b| b.at))
        .unwrap_or_else(crate::env::now);
    let versions = begun.as_ref().map(|b| b.models.as_slice());
    let policy = match &asked.policy {
        Some(policy) => policy.clone(),
        None => first_policy(opened, &asked.scene)?,
    };
    let matcher = opened
        .engine
        .matcher(&asked.scene, &policy, at, versions)
        .await?;
    let manifest = Manifest::new(matcher.about(), asked.top);
    folder.enter(&manifest, begun.as_ref())?;

    let started = Instant::now();
    let progress = Arc::new(Progress::default());
    let products = matcher.about().items;
    let working = {
        let (folder, output) = (folder.clone(), asked.output.clone());
        let (notes, progress) = (manifest.notes(), progress.clone());
        let (top, runtime) = (asked.top, tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || {
            work(
                &matcher,
                &folder,
                &output,
                &notes,
                (top, threads),
                &progress,
                &runtime,
            )
        })
    };
    let outcome = watch(working, &progress, format)
        .await
        .map_err(|e| Problem::internal(format!("matching failed: {e}")))??;
    folder.clear()?;
    let seconds = started.elapsed().as_secs_f64();
    let ranked = progress.customers.load(Ordering::Relaxed);
    Ok(Summary {
        scene: manifest.scene,
        version: manifest.version,
        policy: manifest.policy,
        at,
        output: asked.output.clone(),
        top: asked.top,
        products,
        customers: outcome.all.customers,
        rows: outcome.all.rows,
        with_nothing: outcome.all.with_nothing,
        why: outcome.all.why,
        resumed: outcome.resumed,
        seconds,
        customers_per_second: ranked as f64 / seconds.max(f64::MIN_POSITIVE),
    })
}

fn first_policy(opened: &Opened, scene: &str) -> Result<String> {
    let plan = opened.engine.plan(scene)?;
    (plan.policies.first()).map_or_else(
        || {
            let words = format!("scene `{scene}` has no policy to rank by");
            Err(Problem::new("unknown_policy", words))
        },
        |p| Ok(p.name.clone()),
    )
}

/// Shows how far the work is until it is done: a bar on a terminal, else a line now and then.
async fn watch<T>(
    mut working: tokio::task::JoinHandle<T>,
    progress: &Progress,
    format: Format,
) -> std::result::Result<T, tokio::task::JoinError> {
    let all = luopan_kernel::PARTITIONS as u64;
    let bar = if format == Format::Text && std::io::stderr().is_terminal() {
        ProgressBar::new(all)
    } else {
        ProgressBar::hidden()
    };
    let style =
        ProgressStyle::with_template("{msg} {bar:40} {percent:>3} % {elapsed} (about {eta} left)");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let started = Instant::now();
    let mut last = started;
    loop {
        if let Ok(outcome) = tokio::time::timeout(LOOK, &mut working).await {
            bar.finish_and_clear();
            return outcome;
        }
        let partitions = progress.partitions.load(Ordering::Relaxed);
        let customers = progress.customers.load(Ordering::Relaxed);
        let rate = customers as f64 / started.elapsed().as_secs_f64();
        bar.set_message(format!("{customers} customers, {rate:.0}/s"));
        bar.set_position(partitions);
        if bar.is_hidden() && last.elapsed() >= LINE {
            last = Instant::now();
            tracing::info!("{partitions} of {all} partitions, {customers} customers, {rate:.0}/s");
        }
    }
}

fn words(summary: &Summary) -> String {
    let mut out = format!(
        "policy `{}`: {} customers, {} products, {} rows in {} in {:.1} s ({:.0} customers/s)\n",
        summary.policy,
        summary.customers,
        summary.products,
        summary.rows,
        summary.output.display(),
        summary.seconds,
        summary.customers_per_second
    );
    if summary.products == 0 {
        out.push_str(
            "the policy's catalogue has no items; `luopan import --into products` brings them in\n",
        );
    }
    if summary.resumed > 0 {
        out.push_str(&format!(
            "{} of {} partitions were finished by an earlier run\n",
            summary.resumed,
            luopan_kernel::PARTITIONS
        ));
    }
    if summary.with_nothing > 0 {
        out.push_str(&format!(
            "{} {} nothing:\n",
            summary.with_nothing,
            if summary.with_nothing == 1 {
                "customer has"
            } else {
                "customers have"
            }
        ));
        let rows: Vec<Vec<String>> = (summary.why.iter())
            .map(|w| vec![w.gate.clone(), w.rule.clone(), w.customers.to_string()])
            .collect();
        out.push_str(&table(&["refused by", "rule", "customers"], &rows));
    }
    out
}
