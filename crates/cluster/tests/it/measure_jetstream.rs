//! What the log on JetStream does in a second, beside a bare loop of the same client on the same server in the same run. Run by
//! hand: `cargo nextest run --release -p luopan-cluster --run-ignored only --no-capture measure_jetstream`.

#![allow(clippy::print_stdout)]

use crate::servers::nats::{Server, cluster};
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use bytes::Bytes;
use futures::StreamExt;
use luopan_cluster::jetstream::{JetStreamLog, Options};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Append, EventLog};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECONDS: Duration = Duration::from_secs(3);
const MESSAGE_BYTES: usize = 1000;
const PARTITIONS: u64 = 256;

/// Runs `calls` tasks of `one` for a while; prints calls and messages a second and times.
async fn timed<F, R>(what: &str, calls: u64, messages: u64, one: F)
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    let one = Arc::new(one);
    let at = Instant::now();
    let tasks: Vec<_> = (0..calls)
        .map(|task| {
            let one = Arc::clone(&one);
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut n = task;
                while at.elapsed() < SECONDS {
                    let began = Instant::now();
                    one(n).await;
                    times.push(began.elapsed());
                    n += calls;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let seconds = at.elapsed().as_secs_f64();
    times.sort();
    let each = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{what}, {calls} at once: {:.0} calls/s, {:.0} messages/s, p50 {:.2} ms, p99 {:.2} ms",
        times.len() as f64 / seconds,
        times.len() as f64 * messages as f64 / seconds,
        each(50),
        each(99),
    );
}

fn append(partition: u64, message: &Bytes) -> Append {
    Append {
        partition: PartitionId((partition % PARTITIONS) as u16),
        count: 1,
        message: message.clone(),
    }
}

async fn measure(what: &str, options: Options) {
    println!("{what}");
    let servers: Vec<async_nats::ServerAddr> =
        options.servers.iter().map(|s| s.parse().unwrap()).collect();
    let log = Arc::new(JetStreamLog::open(options.clone()).await.unwrap());
    let client = async_nats::connect(servers).await.unwrap();
    let mut context = async_nats::jetstream::new(client);
    // A slow disk is to be measured, not given up on.
    context.set_timeout(Duration::from_secs(60));
    let mut bare = context
        .get_stream(&options.stream)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    bare.name = "bare".to_owned();
    bare.subjects = vec!["bare.*".to_owned()];
    context.create_stream(bare).await.unwrap();
    let message = Bytes::from(vec![7; MESSAGE_BYTES]);
    for calls in [1, 8, 64] {
        let (context, sent) = (context.clone(), message.clone());
        timed("  bare publish", calls, 1, move |n| {
            let subject = format!("bare.{}", n % PARTITIONS);
            let (context, sent) = (context.clone(), sent.clone());
            async move {
                let ack = context.publish(subject, sent).await.unwrap();
                ack.await.unwrap();
            }
        })
        .await;
        let (log, sent) = (Arc::clone(&log), message.clone());
        timed("  append of 1", calls, 1, move |n| {
            let (log, sent) = (Arc::clone(&log), sent.clone());
            async move {
                log.append(vec![append(n, &sent)]).await.unwrap();
            }
        })
        .await;
    }
    let (bare, sent) = (context.clone(), message.clone());
    timed("  bare publish of 256", 1, PARTITIONS, move |_| {
        let (context, sent) = (bare.clone(), sent.clone());
        async move {
            let mut acks = Vec::new();
            for p in 0..PARTITIONS {
                acks.push(
                    context
                        .publish(format!("bare.{p}"), sent.clone())
                        .await
                        .unwrap(),
                );
            }
            for ack in acks {
                ack.await.unwrap();
            }
        }
    })
    .await;
    for calls in [1, 8, 64] {
        let (log, sent) = (Arc::clone(&log), message.clone());
        timed("  append of 256", calls, PARTITIONS, move |_| {
            let (log, sent) = (Arc::clone(&log), sent.clone());
            async move {
                let batch = (0..PARTITIONS).map(|p| append(p, &sent)).collect();
                log.append(batch).await.unwrap();
            }
        })
        .await;
    }
    println!("  {:?}", log.counts());
    reads(&log, &options, &context, &message).await;
}

/// 100,000 messages of one partition read from its start, and the newest one alone.
async fn reads(
    log: &Arc<JetStreamLog>,
    options: &Options,
    context: &async_nats::jetstream::Context,
    message: &Bytes,
) {
    const MESSAGES: u64 = 100_000;
    let partition = PartitionId(999);
    // As they come from 64 callers at once; how many frames they are in is printed.
    let mut made = 0;
    while made < MESSAGES {
        let calls = (0..64).map(|_| {
            let one = Append {
                partition,
                ..append(0, message)
            };
            log.append(vec![one])
        });
        made += futures::future::join_all(calls).await.len() as u64;
    }
    let late = JetStreamLog::open(options.clone()).await.unwrap();
    for (what, bytes_max) in [("4 MiB", 4 << 20), ("256 KiB", 256 << 10)] {
        let before = late.counts();
        let (at, mut next, mut bytes) = (Instant::now(), Position(0), 0);
        while next.0 < MESSAGES {
            let found = late.read(partition, next, bytes_max).await.unwrap();
            bytes += found.iter().map(|m| m.message.len()).sum::<usize>();
            next = found.last().unwrap().end();
        }
        let (took, after) = (at.elapsed(), late.counts());
        println!(
            "  read of {} messages in {} frames by {what}: {took:.2?}, {:.1} MB/s, {} gets",
            next.0,
            after.got - before.got,
            bytes as f64 / 1e6 / took.as_secs_f64(),
            after.gets - before.gets,
        );
    }
    let subject = format!("{}.999", options.stream);
    let config = OrderedConfig {
        deliver_subject: "bare_read".to_owned(),
        filter_subject: subject.clone(),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let at = Instant::now();
    let consumer: async_nats::jetstream::consumer::Consumer<OrderedConfig> = context
        .create_consumer_on_stream(config, options.stream.as_str())
        .await
        .unwrap();
    let frames = consumer.cached_info().num_pending as usize;
    let messages = consumer.messages().await.unwrap();
    let bytes: usize = (messages.take(frames))
        .map(|m| m.unwrap().payload.len())
        .fold(0, |sum, n| async move { sum + n })
        .await;
    let took = at.elapsed();
    println!(
        "  an ordered consumer over the same {frames} frames: {took:.2?}, {:.1} MB/s",
        bytes as f64 / 1e6 / took.as_secs_f64()
    );
    let head = log.heads(&[partition]).await.unwrap()[0];
    let (at, newest) = (Instant::now(), Position(head.0 - 1));
    for _ in 0..1000 {
        assert_eq!(late.read(partition, newest, 1).await.unwrap().len(), 1);
    }
    println!("  the newest message: {:.3?} each", at.elapsed() / 1000);
    let stream = context.get_stream(&options.stream).await.unwrap();
    let at = Instant::now();
    for _ in 0..1000 {
        stream
            .direct_get_last_for_subject(subject.as_str())
            .await
            .unwrap();
    }
    println!(
        "  a bare direct get of it: {:.3?} each",
        at.elapsed() / 1000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn one_server() {
    let Some(server) = Server::alone() else {
        return;
    };
    let options = Options {
        servers: vec![server.url()],
        ..Options::default()
    };
    measure("one server, sync_interval: always", options).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn three_servers() {
    let Some(servers) = cluster() else { return };
    let options = Options {
        servers: servers.iter().map(Server::url).collect(),
        replicas: 3,
        ..Options::default()
    };
    while JetStreamLog::open(options.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    measure(
        "three servers, three replicas, sync_interval: always",
        options,
    )
    .await;
}

/// Nodes that append to the same partitions at once: what they do together must not fall with their number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn nodes_beside_each_other() {
    let Some(server) = Server::alone() else {
        return;
    };
    let message = Bytes::from(vec![7; MESSAGE_BYTES]);
    for (nodes, calls) in [(1usize, 24), (2, 24), (3, 24), (2, 48), (3, 72)] {
        let options = Options {
            servers: vec![server.url()],
            stream: format!("nodes_{nodes}_{calls}"),
            ..Options::default()
        };
        let mut logs = Vec::new();
        for _ in 0..nodes {
            logs.push(Arc::new(JetStreamLog::open(options.clone()).await.unwrap()));
        }
        let (sent, all) = (message.clone(), logs.clone());
        let before = [Some(std::process::id()), server.pid()].map(cpu);
        let counted = |logs: &[Arc<JetStreamLog>]| -> u64 {
            logs.iter().map(|log| log.counts().messages).sum()
        };
        timed(
            &format!("{nodes} nodes, append of 256"),
            calls,
            PARTITIONS,
            move |n| {
                let (log, sent) = (Arc::clone(&all[n as usize % nodes]), sent.clone());
                async move {
                    let batch = (0..PARTITIONS).map(|p| append(p, &sent)).collect();
                    log.append(batch).await.unwrap();
                }
            },
        )
        .await;
        let after = [Some(std::process::id()), server.pid()].map(cpu);
        let messages = counted(&logs) as f64;
        let [own, its] = [0, 1].map(|i| (after[i] - before[i]) * 1e6 / messages);
        println!(
            "  CPU a message: {own:.1} us the nodes (and who calls), {its:.1} us the server; cores for that rate: {:.2}",
            (own + its) * messages / 1e6 / SECONDS.as_secs_f64()
        );
    }
}

/// Processor time of a process, in seconds.
fn cpu(pid: Option<u32>) -> f64 {
    let stat = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    let stat = stat.unwrap_or_default();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = fields.iter().skip(11).take(2);
    // Linux tells a hundred ticks a second, whatever its own clock does.
    ticks.map(|t| t.parse().unwrap_or(0.0)).sum::<f64>() / 100.0
}
