//! The victim of the crash tests: opens the real engine on a data folder, checks the laws, says `ready`, and works until it is
//! killed. It must never be more careful than the server is: no flushing, no stopping before death.
//!
//! `loop_under_load --data DIR --said FILE --seed N --round N [--no-load] [--acknowledge-early]`

use futures::FutureExt;
use luopan_embedded::{Embedded, Options};
use luopan_engine::{Engine, Limits};
use luopan_testbed::check::{self, Looked};
use luopan_testbed::env::VictimEnv;
use luopan_testbed::lines::{Line, Said, say};
use luopan_testbed::load::{self, Load};
use luopan_testbed::scene;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Decisions made again to compare.
const EXPLAINED: usize = 3;

struct Arguments {
    data: PathBuf,
    said: PathBuf,
    load: Load,
    no_load: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = std::env::args().skip(1);
    let (mut data, mut said) = (None, None);
    let mut load = Load {
        seed: 0,
        round: 0,
        acknowledge_early: false,
    };
    let mut no_load = false;
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or(format!("{name} wants a value"));
        let number = |v: String| v.parse::<u64>().map_err(|e| format!("`{v}`: {e}"));
        match name.as_str() {
            "--data" => data = Some(PathBuf::from(value()?)),
            "--said" => said = Some(PathBuf::from(value()?)),
            "--seed" => load.seed = number(value()?)?,
            "--round" => load.round = number(value()?)?,
            "--no-load" => no_load = true,
            "--acknowledge-early" => load.acknowledge_early = true,
            _ => return Err(format!("`{name}` is no argument of this program")),
        }
    }
    Ok(Arguments {
        data: data.ok_or("--data is missing")?,
        said: said.ok_or("--said is missing")?,
        load,
        no_load,
    })
}

async fn work(arguments: Arguments) -> Result<(), Vec<String>> {
    let one = |e: String| vec![e];
    let text = std::fs::read_to_string(&arguments.said).map_err(|e| one(e.to_string()))?;
    let said = Said::read(&text);
    let env = Arc::new(VictimEnv::default());
    let opened = Embedded::open(&arguments.data, Options::default()).await;
    let stores = opened
        .map_err(|e| one(format!("the data folder does not open: {e}")))?
        .stores();
    let opened = Engine::open(stores.clone(), env.clone(), Limits::default()).await;
    let engine = opened.map_err(|e| one(format!("the engine does not open: {e}")))?;
    let started = engine.start().await;
    started.map_err(|e| one(format!("the engine does not start: {e}")))?;
    let applied = engine
        .apply_scene(&scene::plan().map_err(one)?, &[], "load")
        .await;
    applied.map_err(|e| one(format!("the scene is not applied: {e}")))?;
    // What is due by now is due; nothing more comes due while the laws are looked at.
    let now = env.hold();
    let look = Looked {
        engines: std::slice::from_ref(&engine),
        stores: &stores,
        said: &said,
        now,
        pause: &|ms| tokio::time::sleep(Duration::from_millis(ms)).boxed(),
        explained: EXPLAINED,
        lie: None,
    };
    let checked = check::check(&look).await?;
    say(&[Line::Checked(checked.words)]);
    env.release();
    if arguments.no_load {
        engine.stop().await;
        return Ok(());
    }
    load::run(engine, arguments.load, &said).await;
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 3)]
async fn main() -> ExitCode {
    let done = match arguments() {
        Ok(arguments) => work(arguments).await,
        Err(e) => Err(vec![e]),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            say(&faults.into_iter().map(Line::Broken).collect::<Vec<_>>());
            ExitCode::FAILURE
        }
    }
}
