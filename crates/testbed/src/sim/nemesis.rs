//! Whoever makes things go wrong: kills, losses of power, processes that stand still, ways that are cut, servers that go down
//! and lose what was not synced, full disks, clocks that step, time that jumps, and scenes that are applied anew.

use super::executor::WORLD;
use super::node::Cluster;
use crate::dice::Dice;
use crate::scene::SCENE;
use futures::FutureExt;
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::id::PartitionId;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::{HOUR_US, Micros, SECOND_US};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Most faults of a run: it has to get somewhere between them.
const FAULTS_MAX: u64 = 60;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process is killed.
    Kill,
    /// The machine of an embedded node loses power.
    Power,
    /// A process gets no processor for longer than it counts as alive, or less.
    Pause,
    /// Nothing goes through between a node and its servers.
    Cut,
    /// The log's server is down.
    LogDown,
    /// State's server is down.
    StateDown,
    /// The disk of an embedded node takes no writes.
    Full,
    /// A node's clock is off by up to two seconds.
    Clock,
    /// The other nodes are brought up to date, and write what this one cannot read; a while later it is too.
    Older,
    /// Hours pass.
    Hours,
    /// A scene is applied anew, with another segment or tag or without it.
    Scene,
    /// Log retention lets go of what is older than a while.
    Retain,
}

impl Fault {
    /// Those that can meet a node with its own stores, or one of several.
    pub fn of(embedded: bool) -> Vec<Self> {
        match embedded {
            true => vec![
                Self::Kill,
                Self::Power,
                Self::Pause,
                Self::Full,
                Self::Clock,
                Self::Hours,
                Self::Scene,
                Self::Retain,
            ],
            false => vec![
                Self::Kill,
                Self::Pause,
                Self::Cut,
                Self::LogDown,
                Self::StateDown,
                Self::Older,
                Self::Clock,
                Self::Hours,
                Self::Scene,
                Self::Retain,
            ],
        }
    }
}

/// The nemesis of a run.
pub struct Nemesis {
    /// What it works on.
    pub cluster: Arc<Cluster>,
    /// What it does.
    pub faults: Vec<Fault>,
    /// Longest time between two faults, in microseconds.
    pub between_us: u64,
    /// Plans that it applies by turns.
    pub plans: Vec<ScenePlan>,
    /// Set when it shall end.
    pub end: Arc<AtomicBool>,
    /// What it did.
    pub done: Arc<Mutex<BTreeMap<Fault, u64>>>,
    /// Moment at which everything that it did is over, room's time.
    pub over: Arc<AtomicI64>,
}

impl Nemesis {
    /// Does its work until it shall end.
    pub async fn run(self) {
        let mut dice = self.cluster.fresh_dice();
        let mut hours = 0;
        for _ in 0..4 + dice.below(FAULTS_MAX) {
            let us = dice.below(self.between_us.max(1)) as i64;
            self.cluster.sim.sleep(us).await;
            if self.end.load(Ordering::SeqCst) {
                return;
            }
            let Some(fault) = dice.one(&self.faults).copied() else {
                return;
            };
            if fault == Fault::Hours && hours >= 16 {
                continue;
            }
            *self.done.lock().entry(fault).or_default() += 1;
            match fault {
                Fault::Hours => {
                    let h = 1 + dice.below(4) as i64;
                    hours += h;
                    self.cluster.sim.jump(h * HOUR_US);
                }
                Fault::Scene => self.apply(&mut dice).await,
                Fault::Retain => self.retain(&mut dice).await,
                other => self.harm(other, &mut dice).await,
            }
        }
    }

    async fn apply(&self, dice: &mut Dice) {
        let Some(plan) = dice.one(&self.plans).cloned() else {
            return;
        };
        // Whoever is told that it failed, or hears nothing, leaves it at that: what is half told to the log is completed by the nodes.
        let node = dice.below(self.cluster.shape.nodes as u64) as usize;
        let question = |engine: Arc<luopan_engine::Engine>| async move {
            engine.apply_scene(&plan, &[], "sim").await
        };
        match self.cluster.ask(node, dice, question).await {
            Some(Err(e)) if e.kind != luopan_engine::RefusalKind::Unavailable => {
                let what = format!("scene {SCENE} was refused: {e}");
                self.cluster.broken(what);
            }
            _ => {}
        }
    }

    /// What is older than a while is let go, by any node; whether it is cut off in the middle is all the same.
    async fn retain(&self, dice: &mut Dice) {
        let node = dice.below(self.cluster.shape.nodes as u64) as usize;
        let while_us = match dice.percent(50) {
            true => dice.below(4 * HOUR_US as u64),
            false => dice.below(2 * SECOND_US as u64),
        };
        // Nodes whose clocks are off by two seconds still find it in their past.
        let before = Micros(self.cluster.sim.now() - 3 * SECOND_US - while_us as i64);
        let question =
            |engine: Arc<luopan_engine::Engine>| async move { engine.retain(before).await };
        match self.cluster.ask(node, dice, question).await {
            Some(Err(e))
                if !matches!(
                    e.kind,
                    luopan_engine::RefusalKind::Unavailable | luopan_engine::RefusalKind::NotFound
                ) =>
            {
                self.cluster.broken(format!("retention was refused: {e}"));
            }
            _ => {}
        }
    }

    async fn harm(&self, fault: Fault, dice: &mut Dice) {
        let c = &self.cluster;
        let node = dice.below(c.shape.nodes as u64) as usize;
        // Mostly short, now and then longer than a node counts as alive.
        let long = dice.percent(30);
        let us = dice.below(if long { 9_000_000 } else { 900_000 }) as i64;
        let until = c.sim.now() + us;
        self.over.fetch_max(until + SECOND_US, Ordering::SeqCst);
        match fault {
            Fault::Kill | Fault::Power => {
                c.kill(node, fault == Fault::Power);
                let (me, sim) = (c.clone(), c.sim.clone());
                let again = async move {
                    sim.sleep(us).await;
                    me.start(node);
                };
                c.sim.spawn(WORLD, again.boxed());
            }
            // One alone is brought up to date by stopping it.
            Fault::Older if c.shape.nodes < 2 => {}
            Fault::Older => {
                let all: Vec<_> = (0..=ENVIRONMENT_PARTITION).map(PartitionId).collect();
                // The servers themselves do not fail.
                let heads = c.servers.heads(&all).ok();
                c.with_place(node, |link, _| *link.older_than.lock() = heads);
                let (me, sim) = (c.clone(), c.sim.clone());
                let up_to_date = async move {
                    sim.sleep(us).await;
                    me.kill(node, false);
                    me.start(node);
                };
                c.sim.spawn(WORLD, up_to_date.boxed());
            }
            Fault::Pause => c.pause(node, us),
            Fault::Cut => c.with_place(node, |link, _| {
                link.cut_until.store(until, Ordering::SeqCst);
            }),
            Fault::LogDown => c.log_down_until.store(until, Ordering::SeqCst),
            Fault::StateDown => {
                c.state_down_until.store(until, Ordering::SeqCst);
                // Its callers live: a server that is not embedded has synced what it answered.
                if c.servers.planted() == Some(super::servers::Planted::SyncsLie) {
                    c.servers.lose_power();
                }
            }
            Fault::Full => c.with_place(node, |link, _| {
                link.full_until.store(until, Ordering::SeqCst);
            }),
            Fault::Clock => {
                let skew = dice.below(4 * SECOND_US as u64) as i64 - 2 * SECOND_US;
                c.with_place(node, |_, clock| clock.set_skew(skew));
            }
            Fault::Hours | Fault::Scene | Fault::Retain => {}
        }
    }
}
