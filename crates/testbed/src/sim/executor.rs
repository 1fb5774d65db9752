//! One thread, one clock, one seed: tasks are polled in an order that the seed draws, and time passes only when nothing can be
//! done. The same seed gives the same run, poll by poll. It knows nothing of engines or stores.

use crate::dice::Dice;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::task::{ArcWake, waker};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

/// Longest that a poll takes, in microseconds of simulated time.
const POLL_US: u64 = 8;
/// Most polls of one run: more, and something goes round in a circle.
const POLLS_MAX: u64 = 10_000_000;

/// Whoever a task belongs to: a process, which may be killed or stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(pub u32);

/// The world itself: never killed.
pub const WORLD: Owner = Owner(0);

/// A simulated machine room: clock, tasks, chance.
#[derive(Clone)]
pub struct Sim(Arc<Inner>);

struct Inner(Mutex<Schedule>);

struct Schedule {
    now: i64,
    next: u64,
    tasks: BTreeMap<u64, Task>,
    ready: Vec<u64>,
    timers: BTreeMap<(i64, u64), Waker>,
    /// Until when a process gets no processor.
    paused: BTreeMap<Owner, i64>,
    dead: BTreeSet<Owner>,
    dice: Dice,
    polls: u64,
    trace: u64,
}

struct Task {
    owner: Owner,
    /// None while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    queued: bool,
}

struct Wake {
    task: u64,
    room: Weak<Inner>,
}

impl ArcWake for Wake {
    fn wake_by_ref(me: &Arc<Self>) {
        if let Some(room) = me.room.upgrade() {
            room.0.lock().queue(me.task);
        }
    }
}

impl Schedule {
    fn queue(&mut self, task: u64) {
        if let Some(t) = self.tasks.get_mut(&task)
            && !t.queued
        {
            t.queued = true;
            self.ready.push(task);
        }
    }

    /// A task that may run now, drawn among all that may.
    fn draw(&mut self) -> Option<u64> {
        let now = self.now;
        self.paused.retain(|_, until| *until > now);
        let may = |s: &Self, id: &u64| {
            (s.tasks.get(id)).is_some_and(|t| !s.paused.contains_key(&t.owner))
        };
        if self.paused.is_empty() {
            let n = self.ready.len() as u64;
            return (n > 0).then(|| {
                let i = self.dice.below(n) as usize;
                self.ready.swap_remove(i)
            });
        }
        let can: Vec<usize> = (0..self.ready.len())
            .filter(|i| may(self, &self.ready[*i]))
            .collect();
        let i = *self.dice.one(&can)?;
        Some(self.ready.swap_remove(i))
    }

    /// The next moment at which something can happen.
    fn next_moment(&self) -> Option<i64> {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        let waits = !self.ready.is_empty();
        let unpaused = self.paused.values().copied().min().filter(|_| waits);
        timer.into_iter().chain(unpaused).min()
    }
}

/// What [`Sim::sleep`] gives.
struct Sleep {
    room: Weak<Inner>,
    until: i64,
    key: Option<(i64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(room) = self.room.upgrade() else {
            return Poll::Pending;
        };
        let mut s = room.0.lock();
        if let Some(key) = self.key.take() {
            s.timers.remove(&key);
        }
        if s.now >= self.until {
            return Poll::Ready(());
        }
        s.next += 1;
        let key = (self.until, s.next);
        s.timers.insert(key, cx.waker().clone());
        drop(s);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(key), Some(room)) = (self.key, self.room.upgrade()) {
            room.0.lock().timers.remove(&key);
        }
    }
}

impl Sim {
    /// A room whose clock shows `now` (UTC microseconds).
    pub fn new(seed: u64, now: i64) -> Self {
        Self(Arc::new(Inner(Mutex::new(Schedule {
            now,
            next: 0,
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            timers: BTreeMap::new(),
            paused: BTreeMap::new(),
            dead: BTreeSet::new(),
            dice: Dice::new(seed, 1),
            polls: 0,
            trace: 0,
        }))))
    }

    /// True time in the room, UTC microseconds.
    pub fn now(&self) -> i64 {
        self.0.0.lock().now
    }

    /// The clock as a function that keeps no room alive.
    pub fn clock(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        let room = Arc::downgrade(&self.0);
        move || room.upgrade().map_or(0, |r| r.0.lock().now)
    }

    /// A number that the order of all polls gives: equal runs have equal traces.
    pub fn trace(&self) -> u64 {
        self.0.0.lock().trace
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.0.0.lock().polls
    }

    /// Ends `us` microseconds from now.
    pub fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let until = self.now().saturating_add(us.max(0));
        Sleep {
            room: Arc::downgrade(&self.0),
            until,
            key: None,
        }
        .boxed()
    }

    /// Runs a task of a process; one of a process that is dead never begins.
    pub fn spawn(&self, owner: Owner, future: BoxFuture<'static, ()>) {
        let mut s = self.0.0.lock();
        if s.dead.contains(&owner) {
            drop(s);
            drop(future);
            return;
        }
        s.next += 1;
        let id = s.next;
        let task = Task {
            owner,
            future: Some(future),
            queued: false,
        };
        s.tasks.insert(id, task);
        s.queue(id);
    }

    /// Kills a process: none of its tasks takes another step.
    pub fn kill(&self, owner: Owner) {
        let mut gone = Vec::new();
        {
            let mut s = self.0.0.lock();
            s.dead.insert(owner);
            let ids: Vec<u64> = (s.tasks.iter())
                .filter(|(_, t)| t.owner == owner)
                .map(|(id, _)| *id)
                .collect();
            for id in ids {
                gone.extend(s.tasks.remove(&id).and_then(|t| t.future));
            }
            let Schedule { ready, tasks, .. } = &mut *s;
            ready.retain(|id| tasks.contains_key(id));
        }
        // Dropping may wake others, which takes the lock.
        drop(gone);
    }

    /// Gives a process no processor for a time.
    pub fn pause(&self, owner: Owner, us: i64) {
        let mut s = self.0.0.lock();
        let until = s.now.saturating_add(us);
        s.paused.insert(owner, until);
        // The end of the pause is a moment to look at.
        s.next += 1;
        let key = (until, s.next);
        s.timers
            .insert(key, futures::task::noop_waker_ref().clone());
    }

    /// Time passes at once, by so much.
    pub fn jump(&self, us: i64) {
        self.0.0.lock().now += us.max(0);
    }

    /// One poll, or a step in time; false when nothing will ever happen again.
    fn step(&self) -> bool {
        let (id, mut future, due) = {
            let mut s = self.0.0.lock();
            let mut due = Vec::new();
            let now = s.now;
            while let Some(first) = s.timers.first_entry() {
                if first.key().0 > now {
                    break;
                }
                due.push(first.remove());
            }
            if !due.is_empty() {
                (0, None, due)
            } else if let Some(id) = s.draw() {
                s.polls += 1;
                let pass = s.dice.below(POLL_US);
                s.now += pass as i64;
                let now = s.now as u64;
                s.trace = (s.trace ^ id ^ now.rotate_left(17)).wrapping_mul(0x0000_0100_0000_01b3);
                let task = s.tasks.get_mut(&id);
                let future = task.and_then(|t| {
                    t.queued = false;
                    t.future.take()
                });
                (id, future, due)
            } else {
                match s.next_moment() {
                    Some(at) => s.now = s.now.max(at),
                    None => return false,
                }
                return true;
            }
        };
        due.into_iter().for_each(Waker::wake);
        let Some(mut f) = future.take() else {
            return true;
        };
        let wake = waker(Arc::new(Wake {
            task: id,
            room: Arc::downgrade(&self.0),
        }));
        let done = f.as_mut().poll(&mut Context::from_waker(&wake)).is_ready();
        let mut s = self.0.0.lock();
        match s.tasks.get_mut(&id) {
            Some(t) if !done => {
                t.future = Some(f);
                return true;
            }
            Some(_) => drop(s.tasks.remove(&id)),
            // It was killed while it ran: by itself.
            None => {}
        }
        drop(s);
        drop(f);
        true
    }

    /// Runs the room until `root` is done.
    ///
    /// # Errors
    /// When nothing can happen any more and `root` is not done.
    pub fn run<T: Send + 'static>(
        &self,
        root: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let out = Arc::new(Mutex::new(None));
        let put = out.clone();
        let task = async move {
            let value = root.await;
            *put.lock() = Some(value);
        };
        self.spawn(WORLD, task.boxed());
        loop {
            if let Some(value) = out.lock().take() {
                return Ok(value);
            }
            if !self.step() {
                return Err("nothing moves any more, and not all is done".into());
            }
            if self.polls() > POLLS_MAX {
                return Err(format!("{POLLS_MAX} polls, and the run has not ended"));
            }
        }
    }

    /// Drops every task: they hold the room that holds them.
    pub fn end(&self) {
        let tasks = std::mem::take(&mut self.0.0.lock().tasks);
        drop(tasks);
        let timers = std::mem::take(&mut self.0.0.lock().timers);
        drop(timers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn count(sim: &Sim, owner: Owner, n: &Arc<AtomicU64>) {
        let (sim2, n) = (sim.clone(), n.clone());
        sim.spawn(
            owner,
            async move {
                loop {
                    sim2.sleep(1_000).await;
                    n.fetch_add(1, Ordering::SeqCst);
                }
            }
            .boxed(),
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_gives_another() {
        let order = |seed| {
            let sim = Sim::new(seed, 0);
            let said = Arc::new(Mutex::new(Vec::new()));
            for i in 0..20 {
                let (sim2, said) = (sim.clone(), said.clone());
                sim.spawn(
                    WORLD,
                    async move {
                        for _ in 0..5 {
                            sim2.sleep(100).await;
                            said.lock().push(i);
                        }
                    }
                    .boxed(),
                );
            }
            let sleeper = sim.sleep(10_000);
            sim.run(sleeper).unwrap();
            sim.end();
            let said = said.lock().clone();
            (said, sim.trace())
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_eq!(order(1).0.len(), 100);
    }

    #[test]
    fn who_is_killed_or_stands_still_takes_no_step() {
        let sim = Sim::new(3, 0);
        let (a, b) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        count(&sim, Owner(1), &a);
        count(&sim, Owner(2), &b);
        let second = sim.sleep(100_000);
        sim.run(second).unwrap();
        sim.kill(Owner(1));
        sim.pause(Owner(2), 50_000);
        let (killed, paused) = (a.load(Ordering::SeqCst), b.load(Ordering::SeqCst));
        assert!(killed > 80 && paused > 80, "{killed} {paused}");
        let while_paused = sim.sleep(49_000);
        sim.run(while_paused).unwrap();
        assert_eq!(b.load(Ordering::SeqCst), paused);
        let after = sim.sleep(50_000);
        sim.run(after).unwrap();
        assert_eq!(a.load(Ordering::SeqCst), killed);
        assert!(b.load(Ordering::SeqCst) > paused + 30);
        sim.spawn(Owner(1), async { panic!("it is dead") }.boxed());
        let last = sim.sleep(10);
        sim.run(last).unwrap();
        sim.end();
    }

    #[test]
    fn a_room_in_which_nothing_can_happen_says_so() {
        let sim = Sim::new(4, 0);
        assert!(sim.run(std::future::pending::<()>()).is_err());
        sim.end();
    }
}
