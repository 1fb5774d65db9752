//! An installation with the scene of the load, and the look at the laws after the load has ended. It holds no expectations of its
//! own.

use futures::FutureExt;
use luopan_cluster::jetstream::{Installation, JetStreamLog, Options};
use luopan_cluster::postgres::{Postgres, PostgresOptions};
use luopan_engine::{Engine, Limits};
use luopan_store::Stores;
use luopan_testbed::check::{self, Looked};
use luopan_testbed::env::VictimEnv;
use luopan_testbed::lines::Said;
use luopan_testbed::scene;
use luopan_testbed::servers::nats::Nats;
use luopan_testbed::servers::whole::{Plan, Whole};
use luopan_testbed::traffic::{Shape, Traffic};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest time for acknowledgements to come again.
pub(crate) const AGAIN_MAX: Duration = Duration::from_secs(90);

/// Three nodes, three NATS servers, one PostgreSQL.
pub(crate) fn plan() -> (TempDir, Plan) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("scene.yaml"), scene::YAML).expect("a scene");
    let plan = Plan {
        program: PathBuf::from(env!("CARGO_BIN_EXE_luopan")),
        scene: folder.path().to_owned(),
        nats: 3,
        nodes: 3,
        first_proxied: false,
        settings: Vec::new(),
        postgres_data: None,
    };
    (folder, plan)
}

/// An installation as planned; none where a program is missing.
pub(crate) fn start(change: impl FnOnce(&mut Plan)) -> Option<Whole> {
    let (_scene, mut plan) = plan();
    change(&mut plan);
    Whole::start(&plan).expect("an installation")
}

/// The load on all nodes, once it flows.
pub(crate) fn load(whole: &Whole, shape: Shape) -> Traffic {
    let traffic = Traffic::start(whole.urls(), &whole.key, shape).expect("a load");
    traffic.more(60, AGAIN_MAX).expect("the load flows");
    traffic
}

/// Waits until acknowledgements come again and prints the longest time without one since `watch` was told.
pub(crate) fn goes_on(traffic: &Traffic, after: &str) {
    traffic.more(60, AGAIN_MAX).expect(after);
    let (events, decisions) = traffic.longest();
    eprintln!(
        "{after}: at most {events:.1?} without an acknowledged event, {decisions:.1?} without a decision"
    );
}

/// Ends the load and the nodes, and looks at the laws as one more node; gives those that are broken.
pub(crate) fn broken(mut whole: Whole, traffic: Traffic) -> Vec<String> {
    eprintln!("{:?}", traffic.counts());
    let said = traffic.stop();
    for node in &mut whole.nodes {
        if node.pid().is_some() {
            node.stop();
        }
    }
    let broken = found_broken(&said, async || shared(&whole).await);
    if !broken.is_empty() {
        for node in &whole.nodes {
            let errors = node.errors();
            let told = errors
                .lines()
                .filter(|l| !l.contains("another worker folded here"));
            let told: Vec<&str> = told.collect();
            eprintln!(
                "a node said: {}",
                told[told.len().saturating_sub(15)..].join("\n")
            );
        }
    }
    broken
}

/// Looks at the laws over these stores; nothing else uses them.
pub(crate) fn found_broken(
    said: &Said,
    stores: impl AsyncFnOnce() -> Result<Stores, String>,
) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut broken = said.broken.clone();
    match runtime.block_on(async { look(stores().await.map_err(|e| vec![e])?, said).await }) {
        Ok(words) => eprintln!("{words}"),
        Err(found) => broken.extend(found),
    }
    broken
}

/// Ends the load and the nodes; the laws stand, and they were put to the test.
pub(crate) fn laws_stand(whole: Whole, traffic: Traffic) {
    let counts = traffic.counts();
    let broken = broken(whole, traffic);
    assert_eq!(broken, Vec::<String>::new());
    assert!(
        counts.events > 120 && counts.decisions > 120,
        "{counts:?}: nothing was put to the test"
    );
}

/// The stores of an installation.
async fn shared(whole: &Whole) -> Result<Stores, String> {
    let url = whole.postgres.url(whole.postgres.port);
    let postgres = Postgres::connect(PostgresOptions::new(url)).await;
    let postgres = postgres.map_err(|e| e.to_string())?;
    let log = JetStreamLog::open(Options {
        servers: (whole.nats.iter())
            .map(|n: &Nats| format!("nats://127.0.0.1:{}", n.port))
            .collect(),
        replicas: whole.nats.len(),
        installation: Some(Installation {
            id: postgres.installation().to_owned(),
            partitions: luopan_kernel::PARTITIONS,
        }),
        ..Options::default()
    });
    Ok(Stores {
        log: Arc::new(log.await.map_err(|e| e.to_string())?),
        state: postgres.state.clone(),
        control: postgres.control.clone(),
        keys: postgres.keys.clone(),
        nodes: postgres.nodes.clone(),
    })
}

async fn look(stores: Stores, said: &Said) -> Result<String, Vec<String>> {
    let one = |e: String| vec![e];
    let since = Instant::now();
    let env = Arc::new(VictimEnv::default());
    let engine = Engine::open_node(stores.clone(), env.clone(), Limits::default(), "check", "");
    let engine = engine.await.map_err(|e| one(e.to_string()))?;
    engine.start().await.map_err(|e| one(e.to_string()))?;
    // What is due by now is due; nothing more comes due while the laws are looked at.
    let now = env.hold();
    let look = Looked {
        engines: std::slice::from_ref(&engine),
        stores: &stores,
        said,
        now,
        pause: &|ms| tokio::time::sleep(Duration::from_millis(ms)).boxed(),
        explained: 3,
        lie: None,
    };
    let words = check::check(&look).await?.words;
    let took = since.elapsed();
    // The same look, lied to: as if everything that was sent had been acknowledged, and as if the stores held something else.
    let mut lied = said.clone();
    lied.events_taken.extend(said.events_sent.keys().cloned());
    let look = Looked {
        said: &lied,
        lie: Some(&check::lies),
        ..look
    };
    let found = check::check(&look).await.err().unwrap_or_default();
    engine.stop().await;
    let refused = (said.events_sent.len()).saturating_sub(said.events_taken.len());
    let lost = found
        .iter()
        .any(|b| b.starts_with("no acknowledged event is missing"));
    eprintln!(
        "{refused} events were sent and not acknowledged, some are {}; lied to, {} laws were found broken",
        if lost { "lost" } else { "all there" },
        found.len()
    );
    let unnoticed: Vec<String> = (check::BROKEN_BY_LIES.iter())
        .filter(|law| !found.iter().any(|b| b.starts_with(**law)))
        .map(|law| format!("a lie went unnoticed: {law}"))
        .collect();
    match unnoticed.is_empty() {
        true => Ok(format!("{words}; looked at in {took:.1?}")),
        false => Err(unnoticed),
    }
}
