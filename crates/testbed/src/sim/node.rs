//! A node of the simulated installation: the real engine in a process that may be killed, stand still, be cut off or have a
//! wrong clock, and is started again.

use super::connection::{Connection, Counted, Link, Weather};
use super::executor::{Owner, Sim, WORLD};
use super::servers::{Planted, Servers};
use crate::dice::Dice;
use crate::lines::Said;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Either, select};
use luopan_engine::{Engine, Env, Limits, RefusalKind};
use luopan_kernel::time::Micros;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// The clock runs.
const RUNS: i64 = i64::MIN;
/// How long a caller waits for a node, in microseconds.
const ANSWER_WITHIN_US: i64 = 35_000_000;
/// How long a supervisor waits before it starts a program again that did not come up.
const START_AGAIN_US: i64 = 300_000;

/// Good weather.
const CALM: Weather = Weather {
    near_us: 100,
    spread_us: 0,
    late: 0,
    late_us: 0,
    lost: 0,
};

/// What a node's clock shows beside the room's.
#[derive(Debug)]
pub struct Clock {
    skew: AtomicI64,
    held: AtomicI64,
}

impl Clock {
    /// Sets how far the clock is off, in microseconds.
    pub fn set_skew(&self, us: i64) {
        self.skew.store(us, Ordering::SeqCst);
    }

    /// Holds the clock at a moment.
    pub fn hold(&self, at: Micros) {
        self.held.store(at.0, Ordering::SeqCst);
    }

    fn now(&self, sim: &Sim) -> Micros {
        match self.held.load(Ordering::SeqCst) {
            RUNS => Micros(sim.now() + self.skew.load(Ordering::SeqCst)),
            held => Micros(held),
        }
    }
}

/// The engine's environment in the room.
struct NodeEnv {
    sim: Sim,
    owner: Owner,
    clock: Arc<Clock>,
    dice: Mutex<Dice>,
    seeds_repeat: bool,
}

impl Env for NodeEnv {
    fn now(&self) -> Micros {
        self.clock.now(&self.sim)
    }

    /// A UUIDv7: 48 bits of milliseconds, then chance.
    fn fresh_id(&self) -> [u8; 16] {
        let ms = (self.now().0 / 1_000) as u128;
        let mut dice = self.dice.lock();
        let chance = (u128::from(dice.draw()) << 64 | u128::from(dice.draw())) & ((1 << 80) - 1);
        let id = ms << 80 | chance;
        let id = id & !(0xf << 76) | 7 << 76;
        (id & !(0b11 << 62) | 0b10 << 62).to_be_bytes()
    }

    fn seed(&self) -> u64 {
        match self.seeds_repeat {
            true => 7,
            false => self.dice.lock().draw(),
        }
    }

    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        self.sim.sleep(us)
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.sim.spawn(self.owner, task);
    }

    fn utc_offset_s(&self, zone: &str, _at: Micros) -> Option<i32> {
        match zone {
            "UTC" => Some(0),
            "Asia/Shanghai" => Some(28_800),
            _ => None,
        }
    }
}

/// One place for a process.
struct Place {
    owner: Owner,
    /// Who carries out what it asks of its own disk.
    disk: Owner,
    link: Arc<Link>,
    clock: Arc<Clock>,
    /// The program was started: one place has one process.
    is_started: bool,
    engine: Option<Arc<Engine>>,
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Seed of everything.
    pub seed: u64,
    /// The one node holds its stores itself.
    pub embedded: bool,
    /// Nodes.
    pub nodes: usize,
    /// Usual weather between nodes and servers.
    pub weather: Weather,
    /// The engines' limits.
    pub limits: Limits,
}

/// The nodes and their servers.
pub struct Cluster {
    /// The room.
    pub sim: Sim,
    /// The servers.
    pub servers: Arc<Servers>,
    /// What it is made of.
    pub shape: Shape,
    /// What was said by those who use it.
    pub said: Mutex<Said>,
    /// Counters of the network.
    pub counted: Arc<Counted>,
    /// The log's server is down until then.
    pub log_down_until: Arc<AtomicI64>,
    /// State's server is down until then.
    pub state_down_until: Arc<AtomicI64>,
    /// True once only good weather is left.
    calm: std::sync::atomic::AtomicBool,
    places: Mutex<Vec<Place>>,
    owners: AtomicU32,
    dice: AtomicU64,
}

impl Cluster {
    /// Places for nodes; none is started.
    pub fn new(sim: &Sim, servers: Arc<Servers>, shape: Shape) -> Arc<Self> {
        let me = Self {
            sim: sim.clone(),
            servers,
            said: Mutex::default(),
            counted: Arc::default(),
            log_down_until: Arc::default(),
            state_down_until: Arc::default(),
            calm: false.into(),
            places: Mutex::default(),
            owners: AtomicU32::new(1),
            dice: AtomicU64::new(100),
            shape,
        };
        let places = (0..me.shape.nodes).map(|_| me.place(None)).collect();
        *me.places.lock() = places;
        Arc::new(me)
    }

    /// A stream of chance of its own.
    pub fn fresh_dice(&self) -> Dice {
        Dice::new(self.shape.seed, self.dice.fetch_add(1, Ordering::SeqCst))
    }

    fn place(&self, clock: Option<Arc<Clock>>) -> Place {
        let fresh = || Owner(self.owners.fetch_add(1, Ordering::SeqCst));
        let (owner, disk) = (fresh(), fresh());
        let weather = match self.calm.load(Ordering::SeqCst) {
            true => CALM,
            false => self.shape.weather,
        };
        let link = Link {
            weather: Mutex::new(weather),
            cut_until: AtomicI64::new(0),
            log_down_until: self.log_down_until.clone(),
            state_down_until: self.state_down_until.clone(),
            older_than: Mutex::default(),
            heard: Mutex::default(),
            full_until: AtomicI64::new(0),
            // What a node asked of a server is done whether or not the node lives; its own disk dies with it.
            carrier: if self.shape.embedded { disk } else { WORLD },
            embedded: self.shape.embedded,
            counted: self.counted.clone(),
            dice: Mutex::new(self.fresh_dice()),
        };
        let clock = clock.unwrap_or_else(|| {
            Arc::new(Clock {
                skew: AtomicI64::new(0),
                held: AtomicI64::new(RUNS),
            })
        });
        Place {
            owner,
            disk,
            link: Arc::new(link),
            clock,
            is_started: false,
            engine: None,
        }
    }

    /// Starts the program in a place; its supervisor tries until it comes up or is killed.
    pub fn start(self: &Arc<Self>, i: usize) {
        let (owner, link, clock) = {
            let mut places = self.places.lock();
            let Some(p) = places.get_mut(i) else { return };
            if std::mem::replace(&mut p.is_started, true) {
                return;
            }
            (p.owner, p.link.clone(), p.clock.clone())
        };
        let env = Arc::new(NodeEnv {
            sim: self.sim.clone(),
            owner,
            clock,
            dice: Mutex::new(self.fresh_dice()),
            seeds_repeat: self.servers.planted() == Some(Planted::SeedsRepeat),
        });
        let stores = Connection::new(&self.sim, &self.servers, Some(link)).stores();
        let me = self.clone();
        let program = async move {
            loop {
                let limits = me.shape.limits;
                let opened =
                    Engine::open_node(stores.clone(), env.clone(), limits, &format!("n{i}"), "")
                        .await;
                let engine = match opened {
                    Ok(engine) => engine,
                    Err(e) if e.kind == RefusalKind::Unavailable => {
                        me.sim.sleep(START_AGAIN_US).await;
                        continue;
                    }
                    Err(e) => return me.broken(format!("node {i} does not open: {e}")),
                };
                // The server ends when it cannot start, and is started again: by another process.
                if engine.start().await.is_err() {
                    return me.restart(i);
                }
                let mut places = me.places.lock();
                if let Some(p) = places.get_mut(i)
                    && p.owner == owner
                {
                    p.engine = Some(engine);
                }
                return;
            }
        };
        self.sim.spawn(owner, program.boxed());
    }

    /// Ends the process from within and has it started again.
    fn restart(self: &Arc<Self>, i: usize) {
        let (me, sim) = (self.clone(), self.sim.clone());
        let again = async move {
            me.kill(i, false);
            sim.sleep(START_AGAIN_US).await;
            me.start(i);
        };
        self.sim.spawn(WORLD, again.boxed());
    }

    /// Kills the process in a place; with the power gone, what its own disk had not synced is gone too.
    pub fn kill(&self, i: usize, power: bool) {
        let clock = self.places.lock().get(i).map(|p| p.clock.clone());
        let fresh = self.place(clock);
        let old = match self.places.lock().get_mut(i) {
            Some(p) => std::mem::replace(p, fresh),
            None => return,
        };
        self.sim.kill(old.owner);
        self.sim.kill(old.disk);
        drop(old);
        if power && self.shape.embedded {
            self.servers.lose_power();
        }
    }

    /// True when the program in a place is up.
    pub fn is_up(&self, i: usize) -> bool {
        self.places
            .lock()
            .get(i)
            .is_some_and(|p| p.engine.is_some())
    }

    /// Every engine that is up.
    pub fn engines(&self) -> Vec<Arc<Engine>> {
        (self.places.lock().iter())
            .filter_map(|p| p.engine.clone())
            .collect()
    }

    /// Gives the process in a place no processor for a time.
    pub fn pause(&self, i: usize, us: i64) {
        if let Some(owner) = self.places.lock().get(i).map(|p| p.owner) {
            self.sim.pause(owner, us);
        }
    }

    /// Something about the way or the clock of a place.
    pub fn with_place(&self, i: usize, change: impl FnOnce(&Link, &Clock)) {
        if let Some(p) = self.places.lock().get(i) {
            change(&p.link, &p.clock);
        }
    }

    /// Only good weather from now on.
    pub fn calm(&self) {
        self.calm.store(true, Ordering::SeqCst);
        for p in self.places.lock().iter() {
            *p.link.weather.lock() = CALM;
        }
    }

    /// Holds every clock at the latest moment that any of them shows.
    pub fn hold(&self) -> Micros {
        let places = self.places.lock();
        let at = (places.iter().map(|p| p.clock.now(&self.sim)))
            .max()
            .unwrap_or_default();
        places.iter().for_each(|p| p.clock.hold(at));
        at
    }

    /// Tells that something happened that must not.
    pub fn broken(&self, what: String) {
        self.said.lock().broken.push(what);
    }

    /// Asks a node over the network; none when no answer came: it is down, it died, or the answer was lost.
    pub async fn ask<T: Send + 'static, F>(
        &self,
        i: usize,
        dice: &mut Dice,
        question: impl FnOnce(Arc<Engine>) -> F,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (owner, engine) = {
            let places = self.places.lock();
            let p = places.get(i)?;
            (p.owner, p.engine.clone()?)
        };
        let (answer, answered) = oneshot::channel();
        let question = question(engine);
        let (sim, there) = (self.sim.clone(), dice.below(400) as i64);
        let asked = async move {
            sim.sleep(there).await;
            // Nobody may be left to hear it.
            let _ = answer.send(question.await);
        };
        self.sim.spawn(owner, asked.boxed());
        let end = self.sim.sleep(ANSWER_WITHIN_US);
        let found = match select(answered, end).await {
            Either::Left((found, _)) => found.ok(),
            Either::Right(_) => None,
        };
        let lost = dice.below(100_000) < self.shape.weather.lost;
        found.filter(|_| !lost)
    }
}
