//! One run of one seed: what it is made of, the clients and the nemesis, then rest, and a look at every law.

use super::clients::{CUSTOMERS, Client};
use super::connection::Connection;
use super::connection::Weather;
use super::executor::{Sim, WORLD};
use super::nemesis::{Fault, Nemesis};
use super::node::{Cluster, Shape};
use super::servers::{Planted, Servers};
use crate::check::{self, Checked, Looked};
use crate::dice::Dice;
use crate::oracle::Told;
use crate::scene::{self, SCENE};
use futures::FutureExt;
use luopan_engine::Limits;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::{HOUR_US, SECOND_US};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Simulated time at which a run begins: 2026-03-02 09:00 UTC, to which the seed adds up to a day.
const BEGIN_US: i64 = 1_772_442_000_000_000;
/// Longest that a run may take, in simulated microseconds, before and after the faults end.
const RUN_MAX_US: i64 = 24 * HOUR_US;
/// How long everything has to come to rest.
const REST_US: i64 = 6 * SECOND_US;

/// How long it has when nobody is started anew: what was left undone is found by looking for it.
const SWEPT_US: i64 = 30 * SECOND_US;

/// What is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seed {
    /// The seed.
    pub seed: u64,
    /// A fault that the checkers must find.
    pub planted: Option<Planted>,
}

/// How often the first listed outcome was drawn, less how often it was to be expected: a sum, and its variance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Draws {
    /// Draws that could have come out otherwise.
    pub n: u64,
    /// Sum of drawn less expected.
    pub excess: f64,
    /// Variance of that sum.
    pub variance: f64,
}

impl Draws {
    /// In standard deviations.
    pub fn z(&self) -> f64 {
        match self.variance > 0.0 {
            true => self.excess / self.variance.sqrt(),
            false => 0.0,
        }
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.excess += other.excess;
        self.variance += other.variance;
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Laws that are broken.
    pub broken: Vec<String>,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Messages late and lost, and calls in all.
    pub late: u64,
    /// Messages lost.
    pub lost: u64,
    /// Calls of stores.
    pub calls: u64,
    /// Commits that losses of power took.
    pub commits_lost: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Events acknowledged.
    pub events: u64,
    /// Decisions acknowledged.
    pub decisions: u64,
    /// Frequencies of draws.
    pub draws: Draws,
    /// The order of all polls.
    pub trace: u64,
    /// Polls.
    pub polls: u64,
    /// Simulated seconds.
    pub seconds: i64,
}

/// The scene, small enough for budgets to end: as it is, with another segment, with another tag, with both.
fn plan((segment, tag): (bool, bool)) -> Result<ScenePlan, String> {
    let yaml = (scene::YAML)
        .replace("points: {limit: 60", "points: {limit: 14")
        .replace("whole: {limit: 1200", "whole: {limit: 30")
        .replace("daily: {limit: 800", "daily: {limit: 17");
    let yaml = match segment {
        true => yaml.replace("segments:\n", "segments:\n  heavy: weight > 0\n"),
        false => yaml,
    };
    // Behind the others, so that the model reads the same slots and stays the same.
    let heaviest = "  heaviest: {event: visit, aggregate: max, of: weight}\nsegments:\n";
    let yaml = match tag {
        true => yaml.replace("segments:\n", heaviest),
        false => yaml,
    };
    scene::compiled(&yaml)
}

fn shape(seed: u64, dice: &mut Dice) -> Shape {
    let embedded = dice.percent(35);
    let rough = dice.below(3);
    let weather = match (embedded, rough) {
        // A disk that syncs.
        (true, _) => Weather {
            near_us: 20,
            spread_us: 1_500,
            late: 500,
            late_us: 80_000,
            lost: 0,
        },
        (false, 0) => Weather {
            near_us: 60,
            spread_us: 600,
            ..Weather::default()
        },
        (false, _) => Weather {
            near_us: 60,
            spread_us: 2_000,
            late: 200 * rough,
            late_us: 3_000_000,
            lost: 15 * rough,
        },
    };
    let mut limits = Limits {
        workers: 1 + dice.below(3) as usize,
        retained_us_min: 0,
        ..Limits::default()
    };
    if dice.percent(50) {
        limits.checkpoint_samples = 1 + dice.below(6);
        limits.fold_entries_max = 1 + dice.below(5) as usize;
        limits.fold_bytes_max = 400;
        limits.fold_round_entries_max = 8;
        limits.id_cache_entries = 4;
    }
    if dice.percent(20) {
        limits.fold_lag_max = 30;
        limits.decisions_in_flight_max = 2;
    }
    if dice.percent(60) {
        limits.pace_us = 1 + dice.below(100_000) as i64;
    }
    Shape {
        seed,
        embedded,
        nodes: if embedded {
            1
        } else {
            1 + dice.below(4) as usize
        },
        weather,
        limits,
    }
}

/// Runs one seed.
pub fn run(what: Seed) -> Report {
    let mut dice = Dice::new(what.seed, 0);
    let begin = BEGIN_US + dice.below(24 * HOUR_US as u64) as i64;
    let sim = Sim::new(what.seed, begin);
    let mut report = Report::default();
    let plans = match [(false, false), (true, false), (false, true), (true, true)].map(plan) {
        [Ok(a), Ok(b), Ok(c), Ok(d)] => vec![a, b, c, d],
        [a, b, ..] => {
            report
                .broken
                .extend([a.err(), b.err()].into_iter().flatten());
            return report;
        }
    };
    let shape = shape(what.seed, &mut dice);
    let mut faults: Vec<Fault> = (Fault::of(shape.embedded).into_iter())
        .filter(|_| dice.percent(60))
        .collect();
    if what.planted == Some(Planted::SyncsLie) {
        faults = match shape.embedded {
            true => vec![Fault::Power],
            false => vec![Fault::StateDown],
        };
    }
    if what.planted == Some(Planted::AnnouncementsForgotten) {
        // What keeps an announcement from being made, and little else that hides it.
        faults = match shape.embedded {
            true => vec![Fault::Scene, Fault::Kill],
            false => vec![Fault::Scene, Fault::Kill, Fault::LogDown],
        };
    }
    let between_us = 300_000 + dice.below(4_000_000);
    let things = 12 + dice.below(40);
    let limits = (plans[0].budgets.iter())
        .map(|b| (b.name.clone(), b.limit))
        .collect();
    let servers = Arc::new(Servers::new(&sim, what.seed, limits, what.planted));
    let cluster = Cluster::new(&sim, servers.clone(), shape);
    let done = Arc::new(Mutex::new(BTreeMap::new()));
    let root = whole(
        cluster.clone(),
        plans,
        faults,
        between_us,
        things,
        done.clone(),
    );
    match sim.run(root) {
        Ok((draws, told)) => {
            report.draws = draws;
            report.entries = told;
        }
        Err(e) => report.broken.push(e),
    }
    {
        let said = cluster.said.lock();
        report.broken.extend(said.broken.iter().cloned());
        report.events = said.events_taken.len() as u64;
        report.decisions = said.decided.len() as u64;
    }
    report.broken.extend(servers.faults());
    report.faults = done.lock().clone();
    report.late = cluster.counted.late.load(Ordering::Relaxed);
    report.lost = cluster.counted.lost.load(Ordering::Relaxed);
    report.calls = cluster.counted.calls.load(Ordering::Relaxed);
    report.commits_lost = servers.lost();
    report.trace = sim.trace();
    report.polls = sim.polls();
    report.seconds = (sim.now() - begin) / SECOND_US;
    sim.end();
    report
}

/// Waits until something holds; false after too long.
async fn until(cluster: &Cluster, mut holds: impl FnMut() -> bool) -> bool {
    let end = cluster.sim.now() + 300 * SECOND_US;
    while !holds() {
        if cluster.sim.now() > end {
            return false;
        }
        cluster.sim.sleep(50_000).await;
    }
    true
}

async fn whole(
    cluster: Arc<Cluster>,
    plans: Vec<ScenePlan>,
    faults: Vec<Fault>,
    between_us: u64,
    things: u64,
    done: Arc<Mutex<BTreeMap<Fault, u64>>>,
) -> (Draws, u64) {
    let nothing = (Draws::default(), 0);
    let (sim, n) = (cluster.sim.clone(), cluster.shape.nodes);
    (0..n).for_each(|i| cluster.start(i));
    if !until(&cluster, || (0..n).all(|i| cluster.is_up(i))).await {
        cluster.broken("a node does not come up".into());
        return nothing;
    }
    if !applied(&cluster, &plans[0]).await {
        return nothing;
    }
    let mut first = Client::new(&cluster, 0);
    for i in 0..CUSTOMERS {
        let pair = (format!("t{i}a"), format!("t{i}b"));
        if !first.tie(&pair.0, &pair.1).await && !first.tie(&pair.0, &pair.1).await {
            cluster.broken(format!("{pair:?} could not be linked"));
            return nothing;
        }
    }
    let (end, over) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicI64::new(0)),
    );
    let nemesis = Nemesis {
        cluster: cluster.clone(),
        faults,
        between_us,
        plans,
        end: end.clone(),
        done,
        over: over.clone(),
    };
    sim.spawn(WORLD, nemesis.run().boxed());
    let clients = (1..=3).map(|k| Client::new(&cluster, k).run(things).boxed());
    let linker = Client::new(&cluster, 9).link(things / 3).boxed();
    let work = futures::future::join_all(clients.chain([linker]));
    let clients = match futures::future::select(work, sim.sleep(RUN_MAX_US)).await {
        futures::future::Either::Left((clients, _)) => clients,
        futures::future::Either::Right(_) => {
            cluster.broken("the clients do not come to an end".into());
            return nothing;
        }
    };
    // The faults end, whoever is down comes up, and the weather is good.
    end.store(true, Ordering::SeqCst);
    let left = over.load(Ordering::SeqCst) - sim.now();
    sim.sleep(left.max(0) + between_us as i64).await;
    cluster.calm();
    // A start takes up what was left undone. So must those that live on.
    let again = cluster.fresh_dice().percent(50);
    for i in 0..n {
        cluster.with_place(i, |_, clock| clock.set_skew(0));
        if again {
            cluster.kill(i, false);
            cluster.start(i);
        }
    }
    if !until(&cluster, || (0..n).all(|i| cluster.is_up(i))).await {
        cluster.broken("a node does not come up again".into());
        return nothing;
    }
    sim.sleep(if again { REST_US } else { SWEPT_US }).await;
    match look(&cluster).await {
        Ok(checked) => {
            order(&cluster, &clients, &checked.told);
            (draws(&checked.told), checked.told.entries)
        }
        Err(broken) => {
            broken.into_iter().for_each(|b| cluster.broken(b));
            nothing
        }
    }
}

async fn applied(cluster: &Cluster, plan: &ScenePlan) -> bool {
    let mut dice = cluster.fresh_dice();
    for _ in 0..60 {
        let plan = plan.clone();
        let answer = cluster
            .ask(0, &mut dice, |engine| async move {
                engine.apply_scene(&plan, &[], "sim").await
            })
            .await;
        if let Some(Ok(_)) = answer {
            return true;
        }
        cluster.sim.sleep(300_000).await;
    }
    cluster.broken("the scene could not be applied".into());
    false
}

/// Every clock stands, everything comes to rest, and the laws are looked at from one node; the others must know the same.
async fn look(cluster: &Arc<Cluster>) -> Result<Checked, Vec<String>> {
    let now = cluster.hold();
    let mut stores = Connection::new(&cluster.sim, &cluster.servers, None).stores();
    stores.log = cluster.servers.archive.clone();
    let mut engines = cluster.engines();
    let turn = cluster.shape.seed as usize % engines.len().max(1);
    engines.rotate_left(turn);
    let said = cluster.said.lock().clone();
    let sim = cluster.sim.clone();
    let checked = check::check(&Looked {
        engines: &engines,
        stores: &stores,
        said: &said,
        now,
        pause: &move |ms| sim.sleep(ms as i64 * 1_000),
        explained: 25,
        lie: None,
    })
    .await?;
    let recorded = stores.control.scenes().await;
    let mut newest = BTreeMap::new();
    for s in recorded.map_err(|e| vec![e.to_string()])? {
        newest.insert(s.scene.0, (s.version, s.announced));
    }
    if let Some((scene, (version, _))) = newest.iter().find(|(_, (_, announced))| !announced) {
        return Err(vec![format!(
            "a scene is told to the whole log or to nobody: version {version} of scene {scene} is recorded and not announced"
        )]);
    }
    let newest: Vec<_> = newest.into_iter().map(|(s, (v, _))| (s, v)).collect();
    let mut views = Vec::new();
    for engine in &engines {
        let known = engine.scenes();
        let known: Vec<_> = known.iter().map(|s| (s.number, s.version)).collect();
        if known != newest {
            return Err(vec![format!(
                "every node knows the same: {known:?} are applied on one, {newest:?} are recorded"
            )]);
        }
        let mut view = Vec::new();
        for n in 0..CUSTOMERS {
            for name in [format!("t{n}a"), format!("f{n}b"), format!("s{n}")] {
                let customer = engine.customer(SCENE, &name).await;
                view.push(customer.map(|c| (c.identifiers, c.tags, c.segments)).ok());
            }
        }
        let segments = engine
            .segments(SCENE)
            .await
            .map_err(|e| vec![e.to_string()])?;
        views.push((view, segments));
    }
    match views.windows(2).all(|w| w[0] == w[1]) {
        true => Ok(checked),
        false => Err(vec!["every node knows the same: they differ".into()]),
    }
}

/// What one client had acknowledged before it sent the next stands before it in the log, for each customer.
fn order(cluster: &Cluster, clients: &[Client], told: &Told) {
    for client in clients {
        let mut last = BTreeMap::new();
        for id in &client.order {
            let (Some(of), Some((partition, at))) = (told.events.get(id), told.order.get(id))
            else {
                continue;
            };
            if let Some((before, before_at)) = last.insert((*of, *partition), (id, *at))
                && before_at > *at
            {
                cluster.broken(format!(
                    "events of one identifier keep their order: {before} was acknowledged before {id} was sent, and stands behind it"
                ));
            }
        }
    }
}

/// How often the first listed outcome was drawn.
fn draws(told: &Told) -> Draws {
    let mut out = Draws::default();
    for record in told.records.values().filter(|r| r.withheld.is_none()) {
        let decision = &record.decision;
        let Some(first) = decision.distribution.listed.first() else {
            continue;
        };
        let p = first.probability;
        if p <= 0.0 || p >= 1.0 {
            continue;
        }
        let drawn = decision.choices.first().map(|c| c.item.as_str());
        out.n += 1;
        out.excess += f64::from(u8::from(drawn == first.item.as_deref())) - p;
        out.variance += p * (1.0 - p);
    }
    out
}
