//! `luopan demo`: the loop live on simulated customers. Everything but the arguments is in [`crate::demo`].

use super::output::{Said, line};
use super::{Cli, Common, Format};
use crate::demo::{self, Settings, View};
use crate::problem::{Problem, Result};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory};
use std::io::IsTerminal;
use std::net::SocketAddr;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Number of simulated customers
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000), value_name = "N")]
    customers: u32,
    /// Number of simulated products, 12 to 18300
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u32).range(12..=18_300), value_name = "N")]
    products: u32,
    /// Days of history before the first decision, 30 to 730: what customers did, from which factors are trained
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(30..=730), value_name = "DAYS")]
    history: u32,
    /// Seed of the world: the same seed gives the same customers
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// End after so many seconds of live decisions; history and training come before [default: on a terminal at `q` or Ctrl-C, else after 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Address of the HTTP API
    #[arg(long, default_value = "127.0.0.1:7700", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Simulated hours in a second, at most; it slows down when the machine cannot keep up
    #[arg(long, default_value_t = 24.0, value_name = "HOURS")]
    speed: f64,
    /// Print lines even on a terminal
    #[arg(long)]
    plain: bool,
}

/// Shortest and longest simulated time in a second, hours.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=240.0;

pub(super) async fn run(common: &Common, args: Demo) -> Result<Said> {
    if !SPEEDS.contains(&args.speed) {
        let words = format!(
            "--speed {} is not from {} to {} hours",
            args.speed,
            SPEEDS.start(),
            SPEEDS.end()
        );
        return Err(Problem::new("command_line", words));
    }
    let view = match common.format {
        Format::Json => View::Json,
        Format::Text if !args.plain && std::io::stdout().is_terminal() => View::Screen,
        Format::Text => View::Lines,
    };
    let settings = Settings {
        customers: args.customers,
        products: args.products,
        history_days: args.history,
        seed: args.seed,
        data: data_was_named().then(|| common.data.clone()),
        seconds: args.seconds,
        listen: args.listen,
        speed: args.speed,
        view,
    };
    let ending = demo::run(settings, line).await?;
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "luopan".to_owned());
    let said = Said::new(&ending.document(), ending.text(&program))?;
    Ok(said.unless(ending.is_good()))
}

/// The folder that every other command takes when none is named is not the demo's to use.
fn data_was_named() -> bool {
    let Ok(matches) = Cli::command().try_get_matches() else {
        return false;
    };
    let source = matches
        .subcommand()
        .and_then(|(_, demo)| demo.value_source("data"));
    matches!(source, Some(ValueSource::CommandLine))
}
