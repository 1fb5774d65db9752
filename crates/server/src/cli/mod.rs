//! The command line: arguments in, words or JSON out, one file a command. Answers go to standard output, everything else to
//! standard error; a refusal is one clear sentence, or a problem document with `--format json`.

mod backup;
mod campaign;
mod challenge;
mod decide;
mod demo;
mod explain;
mod export;
mod import;
mod key;
mod learn;
mod matching;
mod model;
mod openapi;
mod output;
mod product;
mod profile;
mod proof;
mod quarantine;
mod retain;
mod scene;
mod segment;
mod serve;
mod simulate;
mod train;
mod train_intention;
mod verify;

use crate::data::{Opened, Opening};
use crate::problem::{Problem, Result};
use crate::telemetry::Telemetry;
use crate::telemetry::logs::LogFormat;
use crate::telemetry::traces::Traces;
use clap::{Args, Parser, Subcommand, ValueEnum};
use luopan_store::Stores;
use output::Said;
use std::path::PathBuf;
use std::process::ExitCode;

/// Luopan: events in, decisions out, and it learns from every answer.
#[derive(Debug, Parser)]
#[command(
    name = "luopan",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Data folder
    #[arg(
        long,
        global = true,
        env = "LUOPAN_DATA",
        default_value = "luopan-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// Configuration of a node of several, in place of a data folder (docs/cluster.md)
    #[arg(long, global = true, env = "LUOPAN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How answers are written
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub format: Format,
    /// How lines on standard error are written; as answers are, when left out. LUOPAN_LOG says how much
    #[arg(long, global = true, value_enum, env = "LUOPAN_LOG_FORMAT")]
    pub log: Option<LogFormat>,
}

impl Common {
    /// Opens the data folder, or the stores that the configuration names.
    async fn open(&self, opening: Opening) -> Result<Opened> {
        self.open_as(opening, |stores| stores).await
    }

    /// As [`Common::open`], over what `seen` makes of the stores.
    async fn open_as(
        &self,
        opening: Opening,
        seen: impl FnOnce(Stores) -> Stores,
    ) -> Result<Opened> {
        match &self.config {
            Some(config) => {
                crate::cluster::open_as(crate::cluster::read(config)?.cluster, seen).await
            }
            None => crate::data::open_as(&self.data, opening, seen).await,
        }
    }

    /// How lines on standard error are written.
    fn log_format(&self) -> LogFormat {
        self.log.unwrap_or(match self.format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        })
    }

    /// What the configuration says of traces. One that cannot be read is refused when it is used.
    fn traces(&self) -> Traces {
        let config = self.config.as_deref().map(crate::cluster::read);
        config
            .and_then(|read| read.ok()?.traces)
            .unwrap_or_default()
    }
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the loop learn on simulated customers
    Demo(demo::Demo),
    /// Serve the HTTP API
    Serve(serve::Serve),
    /// Check, apply and list scene packs
    #[command(subcommand)]
    Scene(scene::Scene),
    /// Import files of events, customers or products
    Import(import::Import),
    /// Write a simulated year of a wealth platform as files
    Simulate(simulate::Simulate),
    /// Replay logged campaigns
    #[command(subcommand)]
    Campaign(campaign::Campaign),
    /// Show what is known of a customer
    Profile(profile::Profile),
    /// Decide for a customer
    Decide(decide::Decide),
    /// Recompute a recorded decision and show why it came out so
    Explain(explain::Explain),
    /// Rank a policy's items for all customers, into a Parquet file
    Match(matching::Match),
    /// Learn from logged decisions and from any table: training sets, models, predictions
    #[command(subcommand)]
    Learn(learn::Learn),
    /// Register trained models, put versions in force, and roll back
    #[command(subcommand)]
    Model(model::Model),
    /// Train a pack's artifacts from history
    #[command(subcommand)]
    Train(train::Train),
    /// List segments and count rules
    #[command(subcommand)]
    Segment(segment::Segment),
    /// List and show the items of a catalogue
    #[command(subcommand)]
    Product(product::Product),
    /// List quarantined inputs and try them again
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Write why every decision and order of a period was allowed, or verify such a file
    Proof(proof::Proof),
    /// Write what was known, decided and ordered for other programs
    #[command(subcommand)]
    Export(export::Export),
    /// Replay the log, from its snapshots or from nothing, and compare with what is stored
    Verify,
    /// Let go of log entries older than is kept, once snapshots tell what they told
    Retain(retain::Retain),
    /// Back everything up into a folder, while nodes of a cluster run
    Backup(backup::Backup),
    /// Put a backup back into an empty data folder or an empty cluster
    Restore(backup::Restore),
    /// Move a stopped data folder into an empty cluster
    Migrate(backup::Migrate),
    /// Print the description of the HTTP API
    Openapi,
    /// Make, list and remove API keys
    #[command(subcommand)]
    Key(key::Key),
}

impl Command {
    /// What to do when a running server holds the data folder: most questions it answers itself, some work it does not do.
    fn while_in_use(&self) -> String {
        let instead = |route: &str| format!("a server that runs on it answers this at `{route}`");
        match self {
            Self::Profile(_) => instead("GET /v1/customers/ID?scene=SCENE"),
            Self::Decide(_) => instead("POST /v1/decisions"),
            Self::Explain(c) if c.contributions => instead("GET /v1/decisions/ID/contributions"),
            Self::Explain(_) => instead("GET /v1/decisions/ID/explain"),
            Self::Segment(segment::Segment::List { .. }) => instead("GET /v1/segments?scene=SCENE"),
            Self::Segment(segment::Segment::Count { .. }) => instead("POST /v1/segments/count"),
            Self::Product(product::Product::List { .. }) => {
                instead("GET /v1/scenes/SCENE/catalogues/CATALOGUE/items")
            }
            Self::Product(product::Product::Show { .. }) => {
                instead("GET /v1/scenes/SCENE/catalogues/CATALOGUE/items/KEY")
            }
            Self::Quarantine(quarantine::Quarantine::List { .. }) => instead("GET /v1/quarantine"),
            Self::Quarantine(quarantine::Quarantine::Retry { .. }) => {
                instead("POST /v1/quarantine/retry")
            }
            Self::Scene(scene::Scene::List) => instead("GET /v1/scenes"),
            Self::Scene(_) => needs_stopped("applies no scenes"),
            Self::Import(_) => format!(
                "{}; events alone it takes at `POST /v1/events?origin=import`",
                needs_stopped("imports no files")
            ),
            Self::Match(_) => needs_stopped("ranks no items for all customers"),
            Self::Learn(learn::Learn::Dataset(_)) => needs_stopped("writes no training sets"),
            Self::Learn(learn::Learn::Audience(_)) => needs_stopped("applies no scenes"),
            Self::Learn(learn::Learn::Contest(_)) => instead("GET /v1/contests/NAME?scene=SCENE"),
            Self::Learn(_) => String::new(),
            Self::Train(_) => needs_stopped("trains nothing"),
            Self::Model(model::Model::Promote { .. }) => instead("POST /v1/models/NAME/promote"),
            Self::Model(model::Model::Rollback { .. }) => instead("POST /v1/models/NAME/rollback"),
            Self::Model(model::Model::Register(_)) => needs_stopped("registers no models"),
            Self::Model(model::Model::Challenge(_)) => instead("POST /v1/models/NAME/challenge"),
            Self::Model(_) => instead("GET /v1/models"),
            Self::Verify => needs_stopped("cannot be verified while it writes"),
            Self::Retain(_) => "a server that runs on it does it by itself every day, when it was started with `--keep-log TIME`".to_owned(),
            Self::Backup(_) => "a server that runs on it takes backups at `POST /v1/backups`, when it was started with `--backups DIR`".to_owned(),
            Self::Restore(_) => "a backup is put back into a new folder: name one with --data".to_owned(),
            Self::Migrate(_) => needs_stopped("cannot be moved while it writes"),
            Self::Proof(_) => needs_stopped("writes no proofs"),
            Self::Export(_) => needs_stopped("exports nothing"),
            Self::Key(_) => needs_stopped("neither makes, lists nor removes keys"),
            Self::Serve(_) => "a second server needs a folder of its own".to_owned(),
            Self::Demo(_) | Self::Campaign(_) => {
                "leave --data out, and a fresh folder is used".to_owned()
            }
            Self::Openapi | Self::Simulate(_) => String::new(),
        }
    }

    async fn run(self, common: &Common) -> Result<Said> {
        match self {
            Self::Demo(c) => demo::run(common, c).await,
            Self::Serve(c) => serve::run(common, c).await,
            Self::Scene(c) => scene::run(common, c).await,
            Self::Import(c) => import::run(common, c).await,
            Self::Simulate(c) => simulate::run(common, c).await,
            Self::Campaign(c) => campaign::run(common, c).await,
            Self::Profile(c) => profile::run(common, c).await,
            Self::Decide(c) => decide::run(common, c).await,
            Self::Explain(c) => explain::run(common, c).await,
            Self::Match(c) => matching::run(common, c).await,
            Self::Learn(c) => learn::run(common, c).await,
            Self::Train(c) => train::run(common, c).await,
            Self::Model(c) => model::run(common, c).await,
            Self::Segment(c) => segment::run(common, c).await,
            Self::Product(c) => product::run(common, c).await,
            Self::Quarantine(c) => quarantine::run(common, c).await,
            Self::Verify => verify::run(common).await,
            Self::Retain(c) => retain::run(common, c).await,
            Self::Backup(c) => backup::backup(common, c).await,
            Self::Restore(c) => backup::restore(common, c).await,
            Self::Migrate(c) => backup::migrate(common, c).await,
            Self::Proof(c) => proof::run(common, c).await,
            Self::Export(c) => export::run(common, c).await,
            Self::Openapi => Ok(openapi::run()),
            Self::Key(c) => key::run(common, c).await,
        }
    }
}

fn needs_stopped(what: &str) -> String {
    format!(
        "a server that runs on it {what}: stop it, give this command again, and start it afterwards"
    )
}

/// Exit code of a refusal.
const REFUSED: u8 = 1;
/// Exit code of a command line that cannot be read.
const USAGE: u8 = 2;

/// The program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Only what runs for long sends traces.
    let traces = matches!(cli.command, Command::Serve(_)).then(|| cli.common.traces());
    let telemetry = match Telemetry::start(cli.common.log_format(), traces.as_ref()) {
        Ok(telemetry) => telemetry,
        Err(problem) => return refuse(cli.common.format, &problem),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return refuse(
                cli.common.format,
                &Problem::internal(format!("starting failed: {error}")),
            );
        }
    };
    let format = cli.common.format;
    let while_in_use = cli.command.while_in_use();
    let answer = runtime
        .block_on(cli.command.run(&cli.common))
        .map_err(|mut problem| {
            if problem.code == "data_in_use" {
                problem.detail = format!("{}; {while_in_use}", problem.detail);
            }
            problem
        });
    let code = match answer.and_then(|said| said.print(format).map(|()| said.agrees())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(REFUSED),
        Err(problem) => refuse(format, &problem),
    };
    // Nothing that still runs in the background may keep a finished command alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    telemetry.end();
    code
}

fn refuse(format: Format, problem: &Problem) -> ExitCode {
    output::error(format, problem);
    ExitCode::from(REFUSED)
}

fn usage(error: &clap::Error) -> ExitCode {
    let asked = !error.use_stderr();
    let words: Vec<_> = std::env::args().collect();
    let json = words.windows(2).any(|w| w == ["--format", "json"])
        || words.iter().any(|w| w == "--format=json");
    if asked || !json {
        // A closed pipe is the reader's choice, not a fault.
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        let said = text.split("\n\nUsage").next().unwrap_or_default();
        let words: Vec<&str> = said
            .split_whitespace()
            .skip_while(|w| *w == "error:")
            .collect();
        output::error(Format::Json, &Problem::new("command_line", words.join(" ")));
    }
    if asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(USAGE)
    }
}
