//! JetStream as the event log: the suite, nodes beside each other, killed and stopped servers, and what is refused.

use crate::servers::nats::{Any, Server, cluster};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_cluster::jetstream::{Installation, JetStreamLog, Options};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::suite::Subject;
use luopan_store::{Append, Error, EventLog, Stores};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Names of streams, so that tests on a given server do not meet.
fn fresh_stream() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.unwrap().as_nanos();
    format!("luopan_test_{}_{now}_{number}", std::process::id())
}

fn options(url: &str, stream: &str) -> Options {
    Options {
        servers: vec![url.to_owned()],
        stream: stream.to_owned(),
        ..Options::default()
    }
}

async fn open(url: &str, stream: &str) -> Arc<JetStreamLog> {
    Arc::new(JetStreamLog::open(options(url, stream)).await.unwrap())
}

/// Opens as soon as the servers let it.
async fn open_soon(options: &Options) -> Arc<JetStreamLog> {
    let since = Instant::now();
    loop {
        match JetStreamLog::open(options.clone()).await {
            Ok(log) => return Arc::new(log),
            Err(e) => assert!(since.elapsed() < Duration::from_secs(60), "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A stream of its own; where there is no server, the memory backend stands in, which was said.
struct Stream {
    server: Option<Any>,
    name: String,
}

impl Stream {
    fn new() -> Self {
        Self {
            server: Any::find(),
            name: fresh_stream(),
        }
    }
}

#[async_trait]
impl Subject for Stream {
    async fn open(&self) -> Stores {
        let mut stores = luopan_store::memory::stores();
        if let Some(server) = &self.server {
            stores.log = open(&server.url(), &self.name).await;
        }
        stores
    }

    fn survives(&self) -> bool {
        self.server.is_some()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(Any::Given(url)) = &self.server else {
            return;
        };
        let (url, name) = (url.clone(), self.name.clone());
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                if let Ok(client) = async_nats::connect(url).await {
                    let context = async_nats::jetstream::new(client);
                    let _ = context.delete_stream(name).await;
                }
            });
        });
        let _ = deleting.join();
    }
}

luopan_store::conformance! { @ crate::jetstream::Stream::new();
    log: positions_and_order, nothing_of_a_refused_batch, read_from_the_middle, read_in_pieces, limits,
        concurrent_appends_keep_order, wait_starts_with_everything, wait_misses_nothing, a_dropped_wait_is_harmless;
    reopen: the_log_lasts;
}

fn append(partition: u16, text: impl AsRef<[u8]>) -> Append {
    Append {
        partition: PartitionId(partition),
        count: 1,
        message: Bytes::copy_from_slice(text.as_ref()),
    }
}

/// A partition that all tasks of a load append to; each has one of its own besides.
const SHARED: u16 = 500;

/// Tasks that append without pause, and what they were told.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// Text to where it lies, of acknowledged appends.
    acknowledged: HashMap<String, Vec<(u16, u64)>>,
    /// Of those whose outcome is not known.
    unknown: Vec<String>,
    /// When the last append was acknowledged, and the longest time between two.
    last: Option<Instant>,
    longest: Duration,
}

impl Load {
    fn start(logs: &[Arc<JetStreamLog>], tasks: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        let tasks = (0..tasks)
            .map(|t| {
                let log = Arc::clone(&logs[usize::from(t) % logs.len()]);
                let (stop, told) = (Arc::clone(&stop), Arc::clone(&told));
                tokio::spawn(async move {
                    for i in 0u32.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let text = format!("{t}:{i}");
                        // Sometimes a batch, sometimes one message.
                        let mut batch = vec![append(SHARED, &text)];
                        if i % 3 != 0 {
                            batch.push(append(t, &text));
                        }
                        let out = log.append(batch).await;
                        let mut told = told.lock();
                        match out {
                            Ok(out) => {
                                let out = out.iter().map(|a| (a.partition.0, a.first.0));
                                told.acknowledged.insert(text, out.collect());
                                let now = Instant::now();
                                let pause = told.last.map_or(Duration::ZERO, |l| now - l);
                                told.longest = told.longest.max(pause);
                                told.last = Some(now);
                            }
                            Err(Error::Unavailable { .. }) => told.unknown.push(text),
                            Err(e) => panic!("{e}"),
                        }
                    }
                })
            })
            .collect();
        Self { stop, tasks, told }
    }

    fn acknowledged(&self) -> usize {
        self.told.lock().acknowledged.len()
    }

    /// Waits until so many more were acknowledged.
    async fn more(&self, n: usize, within: Duration) {
        let wanted = self.acknowledged() + n;
        let since = Instant::now();
        while self.acknowledged() < wanted {
            assert!(
                since.elapsed() < within,
                "no {n} appends within {within:?}; {} of {wanted} acknowledged",
                self.acknowledged()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops all, and checks that the log holds what was acknowledged, once and where it was told, and nothing else but
    /// what is not known, without a gap. Gives how many were acknowledged and how many are not known.
    async fn check(self, log: &dyn EventLog) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let told = std::mem::take(&mut *self.told.lock());
        let mut found: BTreeMap<(u16, String), Vec<u64>> = BTreeMap::new();
        let held = log.partitions().await.unwrap();
        for partition in held {
            let all = log.read(partition, Position(0), usize::MAX).await;
            let mut next = [0u32; 64];
            let mut head = 0;
            for (i, m) in all.unwrap().into_iter().enumerate() {
                assert_eq!(
                    (m.first.0, m.count),
                    (i as u64, 1),
                    "a gap in {partition:?}"
                );
                let text = String::from_utf8(m.message.to_vec()).unwrap();
                let (t, n) = text.split_once(':').unwrap();
                let (t, n): (usize, u32) = (t.parse().unwrap(), n.parse().unwrap());
                // Each task's order is kept, but for one whose outcome it did not know.
                assert!(
                    n >= next[t] || told.unknown.contains(&text),
                    "{text} out of order"
                );
                next[t] = next[t].max(n + 1);
                found.entry((partition.0, text)).or_default().push(i as u64);
                head = i as u64 + 1;
            }
            let heads = log.heads(&[partition]).await.unwrap();
            assert_eq!(heads, [Position(head)]);
        }
        for (text, places) in &told.acknowledged {
            for (partition, position) in places {
                let at = found.remove(&(*partition, text.clone()));
                assert_eq!(at, Some(vec![*position]), "{text} in {partition}");
            }
        }
        for ((partition, text), at) in found {
            assert_eq!(at.len(), 1, "{text} in {partition} is there twice");
            assert!(told.unknown.contains(&text), "{text} was never sent");
        }
        (told.acknowledged.len(), told.unknown.len())
    }
}

/// Two nodes append to the same partitions at once: both count the same positions, and each wakes the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_append_beside_each_other() {
    let Some(server) = Any::find() else { return };
    let name = fresh_stream();
    let nodes = [
        open(&server.url(), &name).await,
        open(&server.url(), &name).await,
    ];
    let load = Load::start(&nodes, 8);
    load.more(2000, Duration::from_secs(60)).await;
    let (acknowledged, unknown) = load.check(&*nodes[0]).await;
    assert_eq!(unknown, 0);
    assert!(acknowledged >= 2000);
    for node in &nodes {
        assert_eq!(node.counts().doubled, 0);
    }
    // A third that comes later finds the same.
    let late = open(&server.url(), &name).await;
    for partition in late.partitions().await.unwrap() {
        let [a, b] = [&nodes[1], &late].map(Arc::clone);
        let [a, b] = [
            a.read(partition, Position(0), usize::MAX).await.unwrap(),
            b.read(partition, Position(0), usize::MAX).await.unwrap(),
        ];
        assert!(a == b, "{partition:?}");
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let ticket = nodes[to].wait(0).await.unwrap().ticket;
        let waiter = Arc::clone(&nodes[to]);
        let waiting = tokio::spawn(async move { waiter.wait(ticket).await.unwrap() });
        let at = Instant::now();
        let out = nodes[from].append(vec![append(77, "wake")]).await.unwrap();
        let wake = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert_eq!(wake.unwrap().unwrap().partitions, [PartitionId(77)]);
        eprintln!("woken {:?} after the append began", at.elapsed());
        let head = nodes[to].heads(&[PartitionId(77)]).await.unwrap();
        assert_eq!(head, [out[0].end]);
    }
}

/// `kill -9` of the only server under load, three times over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_survives_kill_9_of_the_server() {
    let Some(mut server) = Server::alone() else {
        return;
    };
    let name = fresh_stream();
    let log = open(&server.url(), &name).await;
    let load = Load::start(&[Arc::clone(&log)], 8);
    for _ in 0..3 {
        load.more(300, Duration::from_secs(60)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(log.writable().await.is_err());
        server.start();
        server.ready();
    }
    load.more(300, Duration::from_secs(60)).await;
    log.writable().await.unwrap();
    eprintln!("{:?}", log.counts());
    let late = open(&server.url(), &name).await;
    let (acknowledged, unknown) = load.check(&*log).await;
    eprintln!("{acknowledged} acknowledged, {unknown} not known");
    assert_eq!(log.counts().doubled, 0);
    // What one node counted, one that opens now counts too.
    let late_heads = late.heads(&[PartitionId(SHARED)]).await.unwrap();
    let heads = log.heads(&[PartitionId(SHARED)]).await.unwrap();
    assert!(late_heads <= heads && heads[0].0 >= 1200);
}

/// The server hangs for longer than an acknowledgement may take, so attempts are made again whose first ones land too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_published_again_lands_once() {
    let Some(server) = Server::alone() else {
        return;
    };
    let log = open(&server.url(), &fresh_stream()).await;
    let load = Load::start(&[Arc::clone(&log)], 8);
    load.more(200, Duration::from_secs(60)).await;
    server.signal("-STOP");
    tokio::time::sleep(Duration::from_millis(4700)).await;
    server.signal("-CONT");
    load.more(200, Duration::from_secs(60)).await;
    let counts = log.counts();
    eprintln!("{counts:?}");
    assert!(counts.retries > 0, "nothing was published again");
    let (_, unknown) = load.check(&*log).await;
    assert_eq!(unknown, 0);
    assert_eq!(log.counts().doubled, 0);
}

/// Positions far from what was read are found by checkpoints, by a node that saw none of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn old_positions_are_found_by_a_node_that_comes_late() {
    let Some(server) = Any::find() else { return };
    let name = fresh_stream();
    let log = open(&server.url(), &name).await;
    // 40 rounds of 500 partitions, of two entries each, and one that is in few of them.
    for round in 0..40u64 {
        let mut batch: Vec<_> = (0..500)
            .map(|p| Append {
                count: 2,
                ..append(p, format!("{round}"))
            })
            .collect();
        if round % 10 == 3 {
            batch.push(append(900, format!("{round}")));
        }
        log.append(batch).await.unwrap();
    }
    let since = Instant::now();
    while log.counts().checkpoints == 0 {
        assert!(since.elapsed() < Duration::from_secs(10), "no checkpoint");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    eprintln!("{:?}", log.counts());
    let late = open(&server.url(), &name).await;
    eprintln!("{:?}", late.counts());
    assert!(late.counts().followed < 20_000, "it counted from the start");
    for node in [&log, &late] {
        for position in [79u64, 0, 41, 1, 78, 20, 63] {
            let found = node.read(PartitionId(3), Position(position), 1).await;
            let found = found.unwrap().remove(0);
            assert_eq!(found.first.0, position / 2 * 2);
            assert_eq!(found.message, format!("{}", position / 2));
        }
        let rare = node.read(PartitionId(900), Position(1), usize::MAX).await;
        let rare: Vec<_> = (rare.unwrap().into_iter())
            .map(|m| (m.first.0, m.message))
            .collect();
        let wanted = [(1, "13"), (2, "23"), (3, "33")];
        assert_eq!(
            rare,
            wanted.map(|(p, t)| (p, Bytes::from_static(t.as_bytes())))
        );
        let all = node.read(PartitionId(499), Position(0), usize::MAX).await;
        assert_eq!(all.unwrap().len(), 40);
    }
}

/// More messages than an atomic batch has are refused, with the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_of_too_many_partitions_is_refused() {
    let Some(server) = Any::find() else { return };
    let log = open(&server.url(), &fresh_stream()).await;
    // Of the customers' partitions, sixteen share a message; each of the others needs one.
    let batch = (0..=1240).map(|p| append(p, "x")).collect();
    let refused = log.append(batch).await;
    let found = |e: &Error| {
        matches!(
            e,
            Error::Limit {
                limit: 1000,
                found: 1001,
                ..
            }
        )
    };
    assert!(refused.as_ref().is_err_and(found), "{refused:?}");
    assert!(log.partitions().await.unwrap().is_empty());
    let batch: Vec<_> = (0..1240).map(|p| append(p, "x")).collect();
    assert_eq!(log.append(batch).await.unwrap().len(), 1240);
    let many = (0..5000).map(|_| append(1, "x")).collect();
    assert_eq!(log.append(many).await.unwrap()[4999].end.0, 5001);
}

mod refused {
    //! What is no server or stream for a log.

    use super::*;
    use async_nats::jetstream::stream::{Config, StorageType};

    async fn said(options: Options) -> String {
        match JetStreamLog::open(options).await {
            Ok(_) => panic!("it was opened"),
            Err(e) => {
                eprintln!("{e}");
                e.to_string()
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_takes_only_short_messages() {
        let Some(server) = Server::configured(true, "") else {
            return;
        };
        let said = said(options(&server.url(), "luopan_log")).await;
        assert!(said.contains("1048576") && said.contains("max_payload: 8MB"));
    }

    #[tokio::test]
    async fn a_server_without_jetstream() {
        let Some(server) = Server::configured(false, "max_payload: 8MB") else {
            return;
        };
        let said = said(options(&server.url(), "luopan_log")).await;
        assert!(said.contains("JetStream is off"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there() {
        let text = said(options("nats://127.0.0.1:1", "luopan_log")).await;
        assert!(text.contains("failed to connect to NATS"));
        let text = said(options("nats://127.0.0.1:1", "a.b")).await;
        assert!(text.contains("\"a.b\""));
    }

    #[tokio::test]
    async fn replicas_that_a_lone_server_does_not_have() {
        let Some(server) = Server::alone() else {
            return;
        };
        let mut wanted = options(&server.url(), "luopan_log");
        wanted.replicas = 3;
        assert!(said(wanted.clone()).await.contains("3 replicas"));
        wanted.replicas = 2;
        assert!(said(wanted).await.contains("use 1, 3 or 5"));
    }

    #[tokio::test]
    async fn another_installation_and_another_partition_count() {
        let Some(server) = Any::find() else { return };
        let mut ours = options(&server.url(), &fresh_stream());
        ours.installation = Some(Installation {
            id: "ours".to_owned(),
            partitions: 256,
        });
        let log = JetStreamLog::open(ours.clone()).await.unwrap();
        log.append(vec![append(1, "x")]).await.unwrap();
        drop(log);
        let with = |id: &str, partitions| Options {
            installation: Some(Installation {
                id: id.to_owned(),
                partitions,
            }),
            ..ours.clone()
        };
        let other = said(with("theirs", 256)).await;
        assert!(other.contains("\"ours\"") && other.contains("\"theirs\""));
        let count = JetStreamLog::open(with("ours", 128)).await;
        let is_mismatch = |e: &Error| {
            matches!(
                e,
                Error::Mismatch {
                    found: 256,
                    wanted: 128,
                    ..
                }
            )
        };
        assert!(count.as_ref().is_err_and(is_mismatch), "{count:?}");
        // The same, and one that does not care.
        let none = Options {
            installation: None,
            ..ours.clone()
        };
        for options in [ours, none] {
            let log = JetStreamLog::open(options).await.unwrap();
            let head = log.heads(&[PartitionId(1)]).await.unwrap();
            assert_eq!(head, [Position(1)]);
        }
    }

    #[tokio::test]
    async fn a_stream_of_a_newer_format_is_refused_with_both_numbers() {
        let Some(server) = Server::alone() else {
            return;
        };
        let ours = options(&server.url(), &fresh_stream());
        drop(JetStreamLog::open(ours.clone()).await.unwrap());
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        let found = context.get_stream(&ours.stream).await.unwrap();
        let mut config = found.cached_info().config.clone();
        let format = config.metadata.insert("luopan_format".into(), "2".into());
        assert_eq!(format.as_deref(), Some("1"));
        context.update_stream(config).await.unwrap();
        let refused = JetStreamLog::open(ours).await;
        assert!(
            matches!(
                refused,
                Err(Error::Newer {
                    found: 2,
                    known: 1,
                    ..
                })
            ),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_stream_with_other_settings_or_of_something_else() {
        let Some(server) = Server::alone() else {
            return;
        };
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        let stream = Config {
            name: "orders".to_owned(),
            subjects: vec!["orders.*".to_owned()],
            storage: StorageType::Memory,
            ..Config::default()
        };
        context.create_stream(stream).await.unwrap();
        let said = said(options(&server.url(), "orders")).await;
        for setting in ["storage Memory", "allow_atomic_publish", "deny_delete"] {
            assert!(said.contains(setting), "{setting}");
        }
    }

    /// A message that is no frame halts the log: it is not passed over.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_cannot_be_counted_halts_the_log() {
        let Some(server) = Any::find() else { return };
        let name = fresh_stream();
        let log = open(&server.url(), &name).await;
        log.append(vec![append(1, "x")]).await.unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        let strange = context.publish(format!("{name}.1"), "strange".into()).await;
        strange.unwrap().await.unwrap();
        let since = Instant::now();
        while log.writable().await.is_ok() {
            assert!(since.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said = log.append(vec![append(1, "y")]).await.unwrap_err();
        assert!(said.to_string().contains("Luopan-Frame"), "{said}");
        let read = log.read(PartitionId(1), Position(0), usize::MAX).await;
        assert_eq!(read.unwrap().len(), 1);
        let again = JetStreamLog::open(options(&server.url(), &name)).await;
        assert!(again.is_err());
    }
}

mod crash {
    //! Three servers, three replicas.

    use super::*;

    async fn leader(log_of: &Options) -> usize {
        let client = async_nats::connect(
            log_of
                .servers
                .iter()
                .map(|s| s.parse().unwrap())
                .collect::<Vec<async_nats::ServerAddr>>(),
        );
        let context = async_nats::jetstream::new(client.await.unwrap());
        let since = Instant::now();
        loop {
            if let Ok(found) = context.get_stream(&log_of.stream).await
                && let Some(leader) = (found.cached_info().cluster.as_ref())
                    .and_then(|cluster| cluster.leader.as_ref())
            {
                return leader[1..].parse().unwrap();
            }
            assert!(since.elapsed() < Duration::from_secs(30), "no leader");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A follower is killed, then the leader, each coming back; then two at once, which stops appends until they are back.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn servers_of_three_are_killed_under_load() {
        let Some(mut servers) = cluster() else { return };
        let wanted = Options {
            servers: servers.iter().map(Server::url).collect(),
            replicas: 3,
            ..options("", &fresh_stream())
        };
        let first = open_soon(&wanted).await;
        let second = open_soon(&wanted).await;
        let load = Load::start(&[Arc::clone(&first), Arc::clone(&second)], 8);
        load.more(300, Duration::from_secs(60)).await;
        for what in ["a follower", "the leader", "the leader"] {
            let leader = leader(&wanted).await;
            let victim = if what == "the leader" {
                leader
            } else {
                (leader + 1) % 3
            };
            load.told.lock().longest = Duration::ZERO;
            servers[victim].kill();
            load.more(300, Duration::from_secs(40)).await;
            let longest = load.told.lock().longest;
            eprintln!("killed {what}: at most {longest:?} without an acknowledgement");
            servers[victim].start();
            servers[victim].ready();
            // Back in step before the next one goes.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let one = leader(&wanted).await;
        let two = (one + 1) % 3;
        let at = Instant::now();
        servers[one].kill();
        servers[two].kill();
        // The calls that are under way learn that it is not known.
        while load.told.lock().unknown.len() < 4 {
            assert!(
                at.elapsed() < Duration::from_secs(90),
                "no append was given up"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for log in [&first, &second] {
            let why = log.writable().await.unwrap_err();
            eprintln!("with two killed: {why}");
        }
        servers[one].start();
        servers[two].start();
        let at = Instant::now();
        load.more(300, Duration::from_secs(90)).await;
        eprintln!("300 appends {:?} after both came back", at.elapsed());
        for log in [&first, &second] {
            while let Err(why) = log.writable().await {
                assert!(at.elapsed() < Duration::from_secs(60), "{why}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        eprintln!("{:?}\n{:?}", first.counts(), second.counts());
        let (acknowledged, unknown) = load.check(&*first).await;
        eprintln!("{acknowledged} acknowledged, {unknown} not known");
        for log in [&first, &second] {
            assert_eq!(log.counts().doubled, 0);
        }
        // One that comes late, through another server, counts the same.
        let late = open_soon(&wanted).await;
        for partition in late.partitions().await.unwrap() {
            let found = late.read(partition, Position(0), usize::MAX).await.unwrap();
            let known = first
                .read(partition, Position(0), usize::MAX)
                .await
                .unwrap();
            assert!(known == found[..known.len()], "{partition:?}");
        }
    }
}

mod truncated {
    //! What is let go by one node, seen by others.

    use super::*;

    /// Forty rounds of two entries in each of 500 partitions.
    async fn filled(log: &JetStreamLog) {
        for round in 0..40u64 {
            let batch = (0..500).map(|p| Append {
                count: 2,
                ..append(p, format!("{round}"))
            });
            log.append(batch.collect()).await.unwrap();
        }
    }

    /// One node truncates; one that was there, and one that comes later, refuse what is gone and read what is left where it was.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn other_nodes_and_later_ones_take_nothing_for_what_was_let_go() {
        let Some(server) = Any::find() else { return };
        let name = fresh_stream();
        let log = open(&server.url(), &name).await;
        filled(&log).await;
        let other = open(&server.url(), &name).await;
        // Nothing at hand: opened behind a checkpoint, it asks the servers for what is older.
        let before = other.read(PartitionId(3), Position(50), 1).await.unwrap();
        assert_eq!(before[0].message, "25");
        // Partition 3 may let go of less than its neighbours 0 to 15; 300 has messages of its own.
        let mut to: Vec<_> = (0..16).map(|p| (PartitionId(p), Position(61))).collect();
        to[3].1 = Position(41);
        to.push((PartitionId(300), Position(79)));
        let begins = log.truncate(&to).await.unwrap();
        assert_eq!(begins[..16], [Position(40); 16]);
        assert_eq!(begins[16], Position(78));
        let late = open(&server.url(), &name).await;
        for node in [&log, &other, &late] {
            for partition in [3, 7] {
                let p = PartitionId(partition);
                match node.read(p, Position(39), 1).await {
                    Err(Error::Truncated { begin: 40, .. }) => {}
                    read => panic!("{read:?}"),
                }
                let rest = node.read(p, Position(41), usize::MAX).await.unwrap();
                let rest: Vec<_> = rest.into_iter().map(|m| (m.first.0, m.message)).collect();
                let wanted = (20..40).map(|n| (2 * n, Bytes::from(format!("{n}"))));
                assert_eq!(rest, wanted.collect::<Vec<_>>());
            }
            let own = node.read(PartitionId(300), Position(78), 1).await.unwrap();
            assert_eq!((own.len(), own[0].message.as_ref()), (1, &b"39"[..]));
            let whole = node.read(PartitionId(16), Position(0), usize::MAX).await;
            assert_eq!(whole.unwrap().len(), 40);
        }
        other.append(vec![append(3, "more")]).await.unwrap();
        let late = open(&server.url(), &name).await;
        let head = late.heads(&[PartitionId(3)]).await.unwrap();
        assert_eq!(head, [Position(81)]);
    }

    /// A node that would have to count what is gone says so and takes nothing in its place.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_let_go_before_it_was_counted_halts_the_node() {
        let Some(server) = Any::find() else { return };
        let name = fresh_stream();
        let log = open(&server.url(), &name).await;
        for n in 0..9 {
            log.append(vec![append(1, format!("{n}"))]).await.unwrap();
        }
        drop(log);
        // By hand, without a checkpoint behind it.
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        let stream = context.get_stream(&name).await.unwrap();
        stream.purge().sequence(5).await.unwrap();
        let said = JetStreamLog::open(options(&server.url(), &name)).await;
        let said = said.err().unwrap().to_string();
        assert!(said.contains("let go by log retention"), "{said}");
    }
}
