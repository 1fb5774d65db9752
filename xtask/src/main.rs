//! The command line of the repository's chores: `cargo run --release -p xtask -- CHORE`. Words and exit codes only; the work
//! is in the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the Luopan repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run the measurements, all or by name, and draw the table in bench/README.md.
    Bench {
        /// Names of measurements; all when none is given.
        names: Vec<String>,
    },
    /// Draw the table in bench/README.md from bench/results/*.json.
    BenchTable,
    /// Build the kernel for wasm and run the conformance cases through it under Node.
    Wasm,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Bench { names } => xtask::bench::run(&names),
        Chore::BenchTable => xtask::bench::write_table(),
        Chore::Wasm => xtask::wasm::conformance(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
