//! The load over HTTP: threads that send events (again and again, some of them), ask for decisions under keys, confirm sends,
//! answer with outcomes, link and un-link, each request to any of the nodes. What is sent is noted before it is sent, what was
//! acknowledged after the answer came; what had no answer may have been done or not. It outlives the nodes, so it keeps what
//! was said itself ([`Said`]).

use crate::dice::Dice;
use crate::lines::{Line, Said};
use crate::scene::{POLICIES, weight};
use luopan_kernel::id::hash64;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for an answer: longer than a node waits for its servers.
const ANSWER_MAX: Duration = Duration::from_secs(45);
/// Most events of a request.
const BATCH_MAX: u64 = 24;
/// Customers of one kind.
const CUSTOMERS: u64 = 40;
/// Pairs that are linked before anything is decided.
const TIED: u64 = 6;
/// Answers kept for those who answer to them.
const MADE_MAX: usize = 1_000;

/// How many threads do what.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Seed.
    pub seed: u64,
    /// Threads that send events.
    pub events: u64,
    /// Threads that ask for decisions.
    pub decisions: u64,
    /// Pause after each request, in milliseconds.
    pub pause_ms: u64,
    /// Planted fault: events count as acknowledged when they are sent.
    pub acknowledge_early: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 3,
            decisions: 3,
            pause_ms: 4,
            acknowledge_early: false,
        }
    }
}

/// What came of the requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests of events that were acknowledged.
    pub events: u64,
    /// Decisions that were answered.
    pub decisions: u64,
    /// Requests refused with 429, and of these those without `Retry-After`.
    pub busy: u64,
    /// See above.
    pub busy_without_retry_after: u64,
    /// Requests refused with 503 and `Retry-After`: the node cannot do it now, and says so.
    pub put_off: u64,
    /// Requests refused in another way, but for un-links of those who are apart already.
    pub refused: u64,
    /// Requests without an answer.
    pub unanswered: u64,
}

/// The longest times without an acknowledgement since [`Traffic::watch`].
#[derive(Debug, Clone, Copy)]
struct Watch {
    last_event: Instant,
    last_decision: Instant,
    events: Duration,
    decisions: Duration,
}

#[derive(Debug)]
struct Shared {
    shape: Shape,
    urls: RwLock<Vec<String>>,
    key: String,
    said: Mutex<Said>,
    counts: Mutex<Counts>,
    watch: Mutex<Watch>,
    made: Mutex<VecDeque<(String, String, String, bool)>>,
    times: Mutex<Vec<Duration>>,
    stop: AtomicBool,
    next: AtomicU64,
    pause_ms: AtomicU64,
}

/// A running load.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What a request came to.
enum Outcome {
    Ok(String),
    Busy,
    Refused(u16, String),
    Unanswered,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("not poisoned")
}

impl Traffic {
    /// Links the pairs that stay linked, then starts. `urls` are the nodes.
    ///
    /// # Errors
    /// When a pair cannot be linked.
    pub fn start(urls: Vec<String>, key: &str, shape: Shape) -> Result<Self, String> {
        let now = Instant::now();
        let shared = Arc::new(Shared {
            shape,
            urls: RwLock::new(urls),
            key: format!("Bearer {key}"),
            said: Mutex::default(),
            counts: Mutex::default(),
            watch: Mutex::new(Watch {
                last_event: now,
                last_decision: now,
                events: Duration::ZERO,
                decisions: Duration::ZERO,
            }),
            made: Mutex::default(),
            times: Mutex::default(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            pause_ms: AtomicU64::new(shape.pause_ms),
        });
        let agent = agent();
        for n in 0..TIED {
            let (a, b) = (format!("t{n}a"), format!("t{n}b"));
            shared.say(Line::LinkSent(a.clone(), b.clone()));
            let body = format!(r#"{{"a":"{a}","b":"{b}"}}"#);
            match shared.post(&agent, 0, "/v1/identities/link", &body) {
                Outcome::Ok(_) => shared.say(Line::Linked(a, b)),
                _ => return Err(format!("{a} and {b} could not be linked")),
            }
        }
        let mut threads = Vec::new();
        for task in 0..shape.events {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || shared.send_events(task)));
        }
        for task in 0..shape.decisions {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || shared.decide(100 + task)));
        }
        for (task, run) in [
            (200, Shared::answer as fn(&Shared, u64)),
            (201, Shared::link),
        ] {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || run(&shared, task)));
        }
        Ok(Self { shared, threads })
    }

    /// So many more threads, and no pauses from now on.
    pub fn flood(&mut self, events: u64, decisions: u64) {
        self.shared.pause_ms.store(0, Ordering::SeqCst);
        for task in 0..events {
            let shared = Arc::clone(&self.shared);
            self.threads
                .push(std::thread::spawn(move || shared.send_events(1_000 + task)));
        }
        for task in 0..decisions {
            let shared = Arc::clone(&self.shared);
            self.threads
                .push(std::thread::spawn(move || shared.decide(2_000 + task)));
        }
    }

    /// What came of the requests so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }

    /// The nodes that are asked from now on.
    pub fn ask(&self, urls: Vec<String>) {
        *self.shared.urls.write().expect("not poisoned") = urls;
    }

    /// Measures the longest times without an acknowledgement from now on.
    pub fn watch(&self) {
        let now = Instant::now();
        *lock(&self.shared.watch) = Watch {
            last_event: now,
            last_decision: now,
            events: Duration::ZERO,
            decisions: Duration::ZERO,
        };
    }

    /// The longest times without an acknowledged event and without a decision since [`Traffic::watch`].
    #[must_use]
    pub fn longest(&self) -> (Duration, Duration) {
        let watch = lock(&self.shared.watch);
        (
            watch.events.max(watch.last_event.elapsed()),
            watch.decisions.max(watch.last_decision.elapsed()),
        )
    }

    /// Waits until so many more requests of events and so many more decisions were acknowledged.
    ///
    /// # Errors
    /// When they do not come in time.
    pub fn more(&self, n: u64, within: Duration) -> Result<Duration, String> {
        let (since, before) = (Instant::now(), self.counts());
        loop {
            let now = self.counts();
            if now.events >= before.events + n && now.decisions >= before.decisions + n {
                return Ok(since.elapsed());
            }
            if since.elapsed() > within {
                return Err(format!(
                    "{n} requests of events and {n} decisions were not acknowledged within {within:?}: {before:?}, then {now:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How long each answered decision took since this was last asked, ascending.
    #[must_use]
    pub fn times(&self) -> Vec<Duration> {
        let mut times = std::mem::take(&mut *lock(&self.shared.times));
        times.sort_unstable();
        times
    }

    /// Sends some events to one node and waits until they are folded, wherever their partitions are; how long that took, or none
    /// when it took longer than half a minute.
    #[must_use]
    pub fn folded_everywhere(&self, node: usize, name: &str) -> Option<Duration> {
        let shared = &self.shared;
        let events: Vec<_> = (0..CUSTOMERS)
            .map(|n| (format!("probe-{name}-{n}"), format!("s{n}")))
            .collect();
        let mut body = String::new();
        for (id, customer) in &events {
            shared.say(Line::EventSent(
                id.clone(),
                customer.clone(),
                "visit".into(),
            ));
            body.push_str(&visit(id, customer, 0));
        }
        let since = Instant::now();
        let agent = agent();
        let path = "/v1/events?wait_ms=30000";
        match shared.post(&agent, node, path, &body) {
            Outcome::Ok(text) => {
                for (id, _) in events {
                    shared.say(Line::EventTaken(id));
                }
                // Duplicates are told only when the wait was long enough.
                text.contains("\"duplicates\"").then(|| since.elapsed())
            }
            _ => None,
        }
    }

    /// Ends the load; what was said.
    ///
    /// # Panics
    /// When a thread of it panicked.
    #[must_use]
    pub fn stop(self) -> Said {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a thread of the load");
        }
        lock(&self.shared.said).clone()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_MAX))
        .timeout_connect(Some(Duration::from_secs(2)))
        .build()
        .into()
}

/// What an event holds is a function of its id.
fn visit(id: &str, customer: &str, seconds_ago: u64) -> String {
    let page = hash64(id.as_bytes()) % 7;
    let at = match seconds_ago {
        0 => String::new(),
        s => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = now.map_or(0, |n| n.as_micros());
            format!(r#""occurred_at":{},"#, now - u128::from(s) * 1_000_000)
        }
    };
    format!(
        "{{\"id\":\"{id}\",\"customer\":\"{customer}\",\"type\":\"visit\",{at}\"properties\":{{\"weight\":{},\"page\":\"p{page}\"}}}}\n",
        weight(id)
    )
}

/// Whether an un-link was refused because there is nothing to do.
fn is_apart(text: &str) -> bool {
    text.contains("not_linked") || text.contains("unknown_customer")
}

/// The text of a member in a flat piece of JSON that we know the writer of.
fn member<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let from = text.find(&format!("\"{name}\":\""))? + name.len() + 4;
    text[from..].split('"').next()
}

impl Shared {
    fn say(&self, line: Line) {
        lock(&self.said).take(line);
    }

    fn going(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn dice(&self, task: u64) -> Dice {
        Dice::new(self.shape.seed, task + 1)
    }

    fn pause(&self, dice: &mut Dice) {
        std::thread::sleep(Duration::from_millis(
            dice.below(2 * self.pause_ms.load(Ordering::SeqCst) + 1),
        ));
    }

    fn customer(&self, dice: &mut Dice) -> String {
        let n = dice.below(CUSTOMERS);
        match dice.below(8) {
            0 => format!("t{}a", n % TIED),
            1 => format!("t{}b", n % TIED),
            2 => format!("f{n}a"),
            3 => format!("f{n}b"),
            _ => format!("s{n}"),
        }
    }

    fn post(&self, agent: &ureq::Agent, node: usize, path: &str, body: &str) -> Outcome {
        let url = {
            let urls = self.urls.read().expect("not poisoned");
            format!("{}{path}", urls[node % urls.len()])
        };
        let media = match path.starts_with("/v1/events") {
            true => "application/x-ndjson",
            false => "application/json",
        };
        let answer = agent
            .post(url)
            .header("authorization", &self.key)
            .header("content-type", media)
            .send(body);
        let read = answer.and_then(|mut a| {
            let again = a.headers().contains_key("retry-after");
            let status = a.status().as_u16();
            a.body_mut().read_to_string().map(|t| (status, again, t))
        });
        let mut counts = lock(&self.counts);
        match read {
            Ok((200..=299, _, text)) => Outcome::Ok(text),
            Ok((429, again, _)) => {
                counts.busy += 1;
                counts.busy_without_retry_after += u64::from(!again);
                Outcome::Busy
            }
            Ok((503, true, text)) => {
                counts.put_off += 1;
                Outcome::Refused(503, text)
            }
            Ok((status, _, text)) => {
                counts.refused += u64::from(!is_apart(&text));
                Outcome::Refused(status, text)
            }
            Err(_) => {
                counts.unanswered += 1;
                Outcome::Unanswered
            }
        }
    }

    fn post_anywhere(&self, agent: &ureq::Agent, path: &str, body: &str) -> Outcome {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let out = self.post(agent, (hash64(&n.to_le_bytes()) >> 8) as usize, path, body);
        match &out {
            // A node that cannot do it now, or that has ended.
            Outcome::Refused(500..=599, _) | Outcome::Unanswered | Outcome::Busy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Outcome::Refused(status, text) if !is_apart(text) => {
                let text: String = text.chars().take(300).collect();
                self.say(Line::Broken(format!("{path} answered {status}: {text}")));
            }
            _ => {}
        }
        out
    }

    fn send_events(&self, task: u64) {
        let (mut dice, agent) = (self.dice(task), agent());
        let mut mine: Vec<(String, String)> = Vec::new();
        for n in 0u64.. {
            if !self.going() {
                return;
            }
            let mut batch = Vec::new();
            let mut body = String::new();
            for i in 0..=dice.below(BATCH_MAX) {
                let again = dice.percent(12).then(|| dice.one(&mine).cloned()).flatten();
                let (id, customer) =
                    again.unwrap_or_else(|| (format!("e{task}-{n}-{i}"), self.customer(&mut dice)));
                let ago = if dice.percent(20) {
                    dice.below(3_600)
                } else {
                    0
                };
                body.push_str(&visit(&id, &customer, ago));
                batch.push((id, customer));
            }
            self.ingest(&agent, "visit", &batch, &body);
            mine.extend(batch);
            if mine.len() > 2_000 {
                mine.drain(..1_000);
            }
            self.pause(&mut dice);
        }
    }

    fn ingest(&self, agent: &ureq::Agent, kind: &str, batch: &[(String, String)], body: &str) {
        for (id, customer) in batch {
            self.say(Line::EventSent(
                id.clone(),
                customer.clone(),
                kind.to_owned(),
            ));
            if self.shape.acknowledge_early {
                self.say(Line::EventTaken(id.clone()));
            }
        }
        match self.post_anywhere(agent, "/v1/events", body) {
            Outcome::Ok(text) if text.contains("\"quarantined\":0") => {
                for (id, _) in batch {
                    self.say(Line::EventTaken(id.clone()));
                }
                lock(&self.counts).events += 1;
                let (mut watch, now) = (lock(&self.watch), Instant::now());
                watch.events = watch.events.max(now - watch.last_event);
                watch.last_event = now;
            }
            Outcome::Ok(text) => {
                let text: String = text.chars().take(300).collect();
                self.say(Line::Broken(format!("good events were refused: {text}")));
            }
            _ => {}
        }
    }

    fn decide(&self, task: u64) {
        let (mut dice, agent) = (self.dice(task), agent());
        let mut mine: Vec<(String, String, String)> = Vec::new();
        for n in 0u64.. {
            if !self.going() {
                return;
            }
            let again = dice.percent(15).then(|| dice.one(&mine).cloned()).flatten();
            let (key, customer, policy) = again.unwrap_or_else(|| {
                let policy = POLICIES[dice.below(POLICIES.len() as u64) as usize];
                (
                    format!("k{task}-{n}"),
                    self.customer(&mut dice),
                    policy.to_owned(),
                )
            });
            self.say(Line::DecisionSent(
                key.clone(),
                customer.clone(),
                policy.clone(),
            ));
            let body = format!(
                r#"{{"policy":"{policy}","customer":"{customer}","idempotency_key":"{key}"}}"#
            );
            let since = Instant::now();
            if let Outcome::Ok(text) = self.post_anywhere(&agent, "/v1/decisions", &body) {
                lock(&self.times).push(since.elapsed());
                let id = member(&text, "id").unwrap_or_default().to_owned();
                let item = member(&text, "item").unwrap_or("-").to_owned();
                let chosen = item != "-";
                self.say(Line::Decided(key.clone(), id.clone(), item));
                lock(&self.counts).decisions += 1;
                {
                    let (mut watch, now) = (lock(&self.watch), Instant::now());
                    watch.decisions = watch.decisions.max(now - watch.last_decision);
                    watch.last_decision = now;
                }
                let mut made = lock(&self.made);
                if made.len() < MADE_MAX {
                    made.push_back((id, customer.clone(), policy.clone(), chosen));
                }
            }
            mine.push((key, customer, policy));
            self.pause(&mut dice);
        }
    }

    /// Receipts and outcomes; which, is a function of the decision's id.
    fn answer(&self, task: u64) {
        let (mut dice, agent) = (self.dice(task), agent());
        while self.going() {
            let made: Vec<_> = lock(&self.made).drain(..).collect();
            for (decision, customer, policy, chosen) in made {
                let fate = hash64(decision.as_bytes()) % 4;
                let (kind, status) = match (policy.as_str(), fate) {
                    ("short", 0) if chosen => ("luopan.receipt", ",\"status\":\"failed\""),
                    ("short", 1 | 2) | ("long", _) if chosen => {
                        ("luopan.receipt", ",\"status\":\"delivered\"")
                    }
                    ("learned", 2 | 3) => ("buy", ""),
                    _ => continue,
                };
                let id = format!("a-{decision}");
                let line = format!(
                    "{{\"id\":\"{id}\",\"customer\":\"{customer}\",\"type\":\"{kind}\",\"properties\":{{\"decision_id\":\"{decision}\"{status}}}}}\n"
                );
                for _ in 0..=u64::from(dice.percent(15)) {
                    self.ingest(&agent, kind, &[(id.clone(), customer.clone())], &line);
                }
            }
            self.pause(&mut dice);
        }
    }

    /// Links and un-links pairs. One whose outcome is not known is left alone: it may still be under way.
    fn link(&self, task: u64) {
        let (mut dice, agent) = (self.dice(task), agent());
        let mut free: Vec<u64> = (0..CUSTOMERS).collect();
        while self.going() && !free.is_empty() {
            let place = dice.below(free.len() as u64) as usize;
            let n = free[place];
            let (a, b) = (format!("f{n}a"), format!("f{n}b"));
            let (path, body, sent, done) = match dice.percent(50) {
                true => (
                    "/v1/identities/link",
                    format!(r#"{{"a":"{a}","b":"{b}"}}"#),
                    Line::LinkSent(a.clone(), b.clone()),
                    Line::Linked(a, b),
                ),
                false => (
                    "/v1/identities/unlink",
                    format!(r#"{{"identifier":"{b}"}}"#),
                    Line::UnlinkSent(a.clone(), b.clone()),
                    Line::Unlinked(a, b),
                ),
            };
            self.say(sent);
            match self.post_anywhere(&agent, path, &body) {
                Outcome::Ok(_) => self.say(done),
                // What was never seen, or is linked to nobody, is apart.
                Outcome::Refused(400..=499, _) if path.ends_with("unlink") => self.say(done),
                _ => {
                    free.swap_remove(place);
                }
            }
            std::thread::sleep(Duration::from_millis(20));
            self.pause(&mut dice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_an_answer() {
        let text = r#"{"id":"019a","choices":[{"position":0,"item":"gift"}],"item":"x"}"#;
        assert_eq!(member(text, "id"), Some("019a"));
        assert_eq!(member(text, "item"), Some("gift"));
        assert_eq!(member(text, "null_action"), None);
        assert!(visit("e1", "ann", 5).contains("\"occurred_at\":1"));
    }
}
