//! How long it takes to open, back up, restore and move a data folder of many events. Figures, no expectations:
//!
//!     LUOPAN_MEASURE_EVENTS=10000000 cargo test --release -p luopan-server --test it -- --ignored --nocapture backups::measure

use super::load::apply;
use super::servers::Servers;
use super::{folder, open};
use luopan_engine::api::{Incoming, Raw};
use luopan_kernel::event::Origin;
use luopan_server::data::Opening;
use luopan_server::{backup, cluster};
use std::borrow::Cow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const CUSTOMERS: u64 = 200_000;
const BATCH: u64 = 5_000;

fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => bytes_of(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

fn say(what: &str, figure: f64, unit: &str) {
    eprintln!("{what}: {figure:.1} {unit}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of some minutes"]
async fn open_back_up_restore_and_move() {
    let wanted = std::env::var("LUOPAN_MEASURE_EVENTS");
    let events: u64 = wanted.map_or(10_000_000, |n| n.parse().expect("a number"));
    let at = folder();
    let data = at.path().join("data");
    let opened = open(&data, Opening::Create).await.expect("open");
    opened.engine.start().await.expect("start");
    apply(&opened).await;
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (engine, next) = (Arc::clone(&opened.engine), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= events {
                        return;
                    }
                    let inputs: Vec<_> = (first..(first + BATCH).min(events))
                        .map(|n| {
                            Ok(Incoming {
                                id: Cow::Owned(format!("e{n}")),
                                customer: Cow::Owned(format!("c{}", n * 7_919 % CUSTOMERS)),
                                kind: Cow::Borrowed("visit"),
                                occurred_at: None,
                                properties: vec![
                                    ("page".into(), Raw::Text(format!("p{}", n % 97).into())),
                                    ("seconds".into(), Raw::Int((n % 600) as i64)),
                                ],
                                context: Vec::new(),
                                corrects: None,
                                raw: Cow::Borrowed(""),
                            })
                        })
                        .collect();
                    loop {
                        match engine.ingest("store", Origin::Live, &inputs).await {
                            Ok(_) => break,
                            // The fold is behind: the refusal that every sender gets.
                            Err(_) => {
                                tokio::time::sleep(std::time::Duration::from_millis(50)).await
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    opened.settle().await.expect("settled");
    say(
        "taken in and folded",
        events as f64 / began.elapsed().as_secs_f64(),
        "events/s",
    );
    opened.close().await;
    let size = bytes_of(&data);
    say("data folder", size as f64 / f64::from(1 << 20), "MiB");

    let began = Instant::now();
    let opened = open(&data, Opening::Existing).await.expect("open");
    say("opened", began.elapsed().as_secs_f64(), "s");
    let mib = |bytes: u64, began: Instant| {
        bytes as f64 / f64::from(1 << 20) / began.elapsed().as_secs_f64()
    };
    let to = at.path().join("backup");
    let began = Instant::now();
    let manifest = backup::take(&opened.source(), &to).await.expect("a backup");
    say("backup", mib(manifest.bytes(), began), "MiB/s");
    say("backup", began.elapsed().as_secs_f64(), "s");
    say(
        "backup",
        manifest.bytes() as f64 / f64::from(1 << 20),
        "MiB",
    );
    opened.close().await;
    let began = Instant::now();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&data)
        .arg(at.path().join("cp"))
        .status();
    assert!(copied.expect("cp").success());
    let synced = Command::new("sync")
        .arg("-f")
        .arg(at.path().join("cp"))
        .status();
    assert!(synced.expect("sync").success());
    say(
        "cp -a and sync -f of the data folder",
        mib(size, began),
        "MiB/s",
    );
    say(
        "cp -a and sync -f of the data folder",
        began.elapsed().as_secs_f64(),
        "s",
    );
    std::fs::remove_dir_all(at.path().join("cp")).expect("removed");

    let began = Instant::now();
    let restored = at.path().join("restored");
    backup::into_folder(&to, &restored, &[])
        .await
        .expect("restored");
    say(
        "restored",
        events as f64 / began.elapsed().as_secs_f64(),
        "events/s",
    );
    std::fs::remove_dir_all(&restored).expect("removed");
    std::fs::remove_dir_all(&to).expect("removed");

    let Some(servers) = Servers::start().await else {
        return;
    };
    let config = servers.config(at.path(), "target");
    let cluster = cluster::read(&config).expect("read").cluster;
    let moved = backup::migrate(&data, cluster).await.expect("moved");
    say(
        "moved into PostgreSQL and JetStream",
        events as f64 / moved.seconds,
        "events/s",
    );
    say(
        "verified there",
        moved.verified.replay_seconds,
        "s of replaying",
    );
}
