//! `luopan demo`: the whole loop live on simulated customers, in a data folder of its own. It runs the real engine over
//! real stores and a real HTTP server; only the customers and the clock are simulated. It must never touch another data
//! folder, and never read the simulator's truth: what it claims it has measured, by running a random policy beside the
//! learned one.

mod clock;
mod closing;
mod drive;
mod feed;
mod pack;
mod score;
mod screen;
mod words;

pub(crate) use closing::Ending;

use crate::env::{self, RealEnv};
use crate::http::{App, listen, router};
use crate::keys;
use crate::limits::HEAD_TIME_MAX;
use crate::problem::{Problem, Result};
use crate::train;
use clock::DemoEnv;
use drive::{Drive, Snapshot};
use luopan_embedded::{Embedded, Options};
use luopan_engine::{Engine, Limits};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, SECOND_US};
use luopan_simulator::fund::{self, World, days};
use screen::{Footer, Screen};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Real time of one turn of the loop.
const TURN: Duration = Duration::from_millis(40);
/// Most real time that one turn makes up for.
const TURN_MAX: Duration = Duration::from_millis(250);
/// Between two drawings on a terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(300);
/// Between two lines without one.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// How long a demo without a terminal runs when nobody says: it must end by itself.
const SECONDS_WITHOUT_TERMINAL: u64 = 60;
/// Simulated days of a demo that no one limits; it then has caught up with the present and ends.
const DAYS_MAX: i64 = 120;
/// Days of prices before that.
const PRICE_DAYS: i64 = 35;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Number of customers.
    pub(crate) customers: u32,
    /// Number of products.
    pub(crate) products: u32,
    /// Days of history before the first decision.
    pub(crate) history_days: u32,
    /// Seed of the world.
    pub(crate) seed: u64,
    /// Data folder, fresh; none for one in the folder for temporary files.
    pub(crate) data: Option<PathBuf>,
    /// End after so many seconds.
    pub(crate) seconds: Option<u64>,
    /// Address of the HTTP API.
    pub(crate) listen: SocketAddr,
    /// Simulated hours in a second, at most.
    pub(crate) speed: f64,
    /// How to show it.
    pub(crate) view: View,
}

/// How the demo is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The live view; standard output must be a terminal.
    Screen,
    /// A line now and then.
    Lines,
    /// A JSON document now and then.
    Json,
}

/// Runs the demo to its end. `say` prints a line.
///
/// # Errors
/// A folder or address that cannot be used, a terminal that fails, and what the engine refuses.
pub(crate) async fn run(settings: Settings, say: fn(&str) -> Result<()>) -> Result<Ending> {
    let seconds = settings
        .seconds
        .or((settings.view != View::Screen).then_some(SECONDS_WITHOUT_TERMINAL));
    let (start, end) = span(env::now(), seconds, settings.speed);
    // Simulated microseconds in a real one.
    let pace = settings.speed * (HOUR_US / SECOND_US) as f64;
    // Before anything is made: a port that is taken is the most common fault, and leaves nothing behind.
    let listener = TcpListener::bind(settings.listen).await.map_err(|e| {
        let words = format!(
            "listening on {} failed: {e}; name another address with --listen, as 127.0.0.1:0",
            settings.listen
        );
        Problem::new("command_line", words)
    })?;
    let data = folder(settings.data.as_deref())?;
    let made = data.clone();
    let mut lives = false;
    let times = (start, end, pace);
    let outcome = within(settings, data, listener, times, seconds, say, &mut lives).await;
    if outcome.is_err() && !lives {
        // A world that never came to life is of no use to anybody, and in the way the next time.
        let _ = std::fs::remove_dir_all(&made);
    }
    outcome
}

/// The demo in its folder. `lives` is set once there is something in it to look at.
async fn within(
    settings: Settings,
    data: PathBuf,
    listener: TcpListener,
    (start, end, pace): (Micros, Micros, f64),
    seconds: Option<u64>,
    say: fn(&str) -> Result<()>,
    lives: &mut bool,
) -> Result<Ending> {
    let (checked, files) = pack::load()?;
    let plan = Arc::new(pack::to_train()?);
    let world = world(&settings, start, end)?;
    let real = Arc::new(RealEnv::default());
    let clock = Arc::new(DemoEnv::new(real.clone(), world.start(), pace));
    let stores = Embedded::open(&data, Options::default()).await?.stores();
    keys::ensure_first(stores.control.as_ref(), &data, env::now()).await?;
    let engine = Engine::open(stores.clone(), clock.clone(), Limits::default()).await?;
    engine.start().await?;
    engine.apply_scene(&checked.plan, &files, "demo").await?;

    let address = listener
        .local_addr()
        .map_err(|e| Problem::internal(format!("asking for the address failed: {e}")))?;
    let app = App::new(engine.clone(), stores, false).await?;
    let server = tokio::spawn(listen::serve(
        listener,
        router(app),
        HEAD_TIME_MAX,
        std::future::pending(),
    ));

    let mut drive = Drive::new(engine.clone(), clock, &plan, world, (start, end), pace)?;
    let url = format!("http://{address}");
    if settings.view != View::Json {
        say(&format!(
            "{} simulated customers, {} products, seed {}, data in {}, API at {url}",
            words::grouped(settings.customers.into()),
            words::grouped(settings.products.into()),
            settings.seed,
            data.display()
        ))?;
    }
    *lives = true;
    // On a terminal too: the live view opens when there is something to see, and this takes its time.
    let talks = settings.view != View::Json;
    let begun = Instant::now();
    let history = i64::from(settings.history_days);
    drive
        .past(&mut |past| {
            if !talks {
                return Ok(());
            }
            say(&format!(
                "history: day {:>3} of {}, {} events of customers",
                past.day.min(history),
                history,
                words::grouped(past.events)
            ))
        })
        .await?;
    let history_seconds = begun.elapsed().as_secs_f64();
    let settings_of_training = train::factors::Settings::default();
    let trained = train::factors(&engine, plan, pack::POLICY, &settings_of_training).await;
    let (factors, training) = trained?;
    let (checked, files) = pack::trained(&factors)?;
    engine
        .apply_trained_scene(&checked.plan, &checked.artifacts, &files, "demo")
        .await?;
    drive.begin().await?;
    if talks {
        say(&format!(
            "history took {history_seconds:.1} s; factors of {} examples in {:.1} s: {:.3} of later purchases among 50 of {} funds \
             (by popularity {:.3})",
            words::grouped(training.read.examples),
            training.reading_seconds + training.training_seconds,
            training.factors.recall_at_50,
            words::grouped(training.items as u64),
            training.popularity.recall_at_50,
        ))?;
    }
    let footer = Footer {
        url,
        key: keys::file(&data).display().to_string(),
    };
    let live_since = Instant::now();
    let last = live(
        &mut drive,
        &settings,
        seconds.map(Duration::from_secs),
        footer,
        say,
    )
    .await?;
    let seconds = live_since.elapsed().as_secs_f64();
    server.abort();
    // Stopped, so that no timer fires between what is replayed and what it is compared with.
    engine.stop().await;
    let report = engine.verify().await?;
    Ok(Ending {
        last,
        report,
        data,
        listen: address,
        seconds,
    })
}

/// From when to when simulated time runs: it ends at the present, so that the data folder can be served on afterwards.
fn span(now: Micros, seconds: Option<u64>, speed: f64) -> (Micros, Micros) {
    let most = DAYS_MAX * DAY_US;
    let us = seconds.map_or(most, |s| {
        ((s as f64 * speed * HOUR_US as f64) as i64).min(3 * most)
    });
    (now.plus(-us), now)
}

/// A world with history before `start`, which goes on until `end`.
fn world(settings: &Settings, start: Micros, end: Micros) -> Result<World> {
    let first = days::day_at(start) - i64::from(settings.history_days);
    let mut of = fund::Settings::new(settings.seed, settings.customers, first);
    of.days = days::day_at(end) + 1 - first;
    of.price_history_days = PRICE_DAYS;
    of.products = Some(fund::made_up(settings.seed, settings.products as usize));
    of.threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    World::new(of).map_err(|e| Problem::internal(e.to_string()))
}

/// The data folder: as named when it is new or empty, else a new one.
fn folder(named: Option<&Path>) -> Result<PathBuf> {
    let fault = |path: &Path, e: std::io::Error| {
        Problem::new(
            "data_unusable",
            format!("the folder {} cannot be made: {e}", path.display()),
        )
    };
    let Some(path) = named else {
        let parent = std::env::temp_dir();
        let made = tempfile::Builder::new()
            .prefix("luopan-demo-")
            .tempdir_in(&parent)
            .map_err(|e| fault(&parent, e))?;
        return Ok(made.keep());
    };
    std::fs::create_dir_all(path).map_err(|e| fault(path, e))?;
    let used = std::fs::read_dir(path)
        .map_err(|e| fault(path, e))?
        .next()
        .is_some();
    if used {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "the folder {} is not empty; the demo begins with a fresh one, so name another with --data",
                path.display()
            ),
        ));
    }
    Ok(path.to_owned())
}

/// Lets the world live until someone or the time ends it, showing it meanwhile; then waits until everything is folded.
async fn live(
    drive: &mut Drive,
    settings: &Settings,
    limit: Option<Duration>,
    footer: Footer,
    say: fn(&str) -> Result<()>,
) -> Result<Snapshot> {
    let mut screen = match settings.view {
        View::Screen => Some(Screen::open(footer)?),
        View::Lines | View::Json => None,
    };
    let every = if screen.is_some() {
        DRAWN_EVERY
    } else {
        LINE_EVERY
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let started = Instant::now();
    let (mut turned, mut shown) = (started, started);
    let over = |drive: &Drive| drive.ended() || limit.is_some_and(|l| started.elapsed() >= l);
    while !over(drive) {
        let real = turned.elapsed().min(TURN_MAX);
        turned = Instant::now();
        drive.turn(real).await?;
        if shown.elapsed() >= every {
            shown = Instant::now();
            let snapshot = drive.snapshot().await?;
            match (&mut screen, settings.view) {
                (Some(screen), _) => screen.show(&snapshot)?,
                (None, View::Json) => say(&closing::json(&snapshot)?)?,
                (None, _) => say(&words::line(&snapshot))?,
            }
        }
        if let Some(screen) = &mut screen
            && screen.asked_to_end()?
        {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(TURN.saturating_sub(turned.elapsed())) => {}
            _ = &mut interrupted => break,
        }
    }
    drive.settle().await?;
    drive.snapshot().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_ends_at_the_present() {
        let now = Micros(1_788_220_800_000_000);
        assert_eq!(span(now, Some(20), 6.0), (now.plus(-120 * HOUR_US), now));
        assert_eq!(span(now, None, 6.0), (now.plus(-DAYS_MAX * DAY_US), now));
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let fresh = parent.path().join("fresh");
        assert_eq!(folder(Some(&fresh)).unwrap(), fresh);
        std::fs::write(fresh.join("x"), "x").unwrap();
        let refused = folder(Some(&fresh)).unwrap_err();
        assert!(refused.detail.contains("not empty") && refused.code == "data_unusable");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_short_demo_earns_something_and_its_log_agrees_with_its_state() {
        let parent = tempfile::tempdir().unwrap();
        let settings = Settings {
            customers: 600,
            products: 300,
            history_days: 40,
            seed: 3,
            data: Some(parent.path().join("data")),
            seconds: Some(5),
            listen: ([127, 0, 0, 1], 0).into(),
            speed: 48.0,
            view: View::Json,
        };
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = Settings {
            listen: taken.local_addr().unwrap(),
            ..settings.clone()
        };
        let refused = run(there, |_| Ok(())).await.unwrap_err();
        assert!(refused.detail.contains("--listen"), "{}", refused.detail);
        assert!(
            !parent.path().join("data").exists(),
            "nothing is left behind"
        );
        let ending = run(settings, |_| Ok(())).await.unwrap();
        let s = &ending.last;
        assert!(ending.is_good(), "{}", ending.text("luopan"));
        assert_eq!(s.quarantined, 0);
        assert_eq!(s.learned.decisions + s.random.decisions, s.decisions);
        assert!(s.random.decisions > 0 && s.learned.contacts > s.random.contacts);
        assert!(s.events > 600 && s.days > 1.0);
        assert!(
            s.segments
                .iter()
                .any(|g| g.name == "assessed" && g.members > 300),
            "{:?}",
            s.segments
        );
        // Every contact was counted and confirmed: none of them was given back.
        let contacts = s.budgets.iter().find(|b| b.name == "contacts").unwrap();
        assert_eq!(
            contacts.in_all as u64,
            s.learned.contacts + s.random.contacts
        );
        assert!(contacts.limit > 0 && contacts.spent <= contacts.limit);
        assert!(
            s.models.iter().any(|(_, samples)| *samples > 0),
            "{:?}",
            s.models
        );
    }
}
