//! The reference of the intake bench: append + get + upsert straight on fjall, one batch and one fsync for each 1,000 events.
//!
//! It must do what the product does for an event and nothing else: no parsing, no fold, no channel between threads.
//! `--stores` does the same work through the store traits, to see what they cost (in a folder of its own).
//!
//! `bare_loop FOLDER [--rows N] [--events N] [--cache-mib N] [--batch N] [--workers N] [--fill-only] [--stores]`

#![allow(clippy::print_stdout)]

use bytes::Bytes;
use fjall::{Database, Keyspace, PersistMode};
use luopan_embedded::{Embedded, Options, layout};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Advance, Append, Commit, Durability, RowKey, Table, Write};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("name a folder")?;
    let (mut rows, mut events, mut cache_mib, mut batch, mut workers) =
        (1_000_000u64, 2_000_000u64, 64u64, 1000u64, 1u64);
    let (mut fill_only, mut through_stores) = (false, false);
    while let Some(a) = args.next() {
        let mut number =
            || -> Result<u64, Fault> { Ok(args.next().ok_or("a number is wanted")?.parse()?) };
        match a.as_str() {
            "--rows" => rows = number()?,
            "--events" => events = number()?,
            "--cache-mib" => cache_mib = number()?,
            "--batch" => batch = number()?.max(1),
            "--workers" => workers = number()?,
            "--fill-only" => fill_only = true,
            "--stores" => through_stores = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let mut random = Random(42);
    if through_stores {
        let options = Options {
            cache_bytes: cache_mib << 20,
            workers: workers as usize,
            ..Options::default()
        };
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(stores(&folder, options, [rows, events, batch], random));
    }
    let db = layout::database(folder.as_ref(), cache_mib << 20, workers as usize)?;
    let log = layout::log(&db)?;
    let profiles = layout::profiles(&db)?;
    fill(&db, &profiles, rows, &mut random)?;
    if fill_only {
        return Ok(());
    }
    run(&db, &log, &profiles, [rows, events, batch], &mut random)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Bytes that compress about two to one, as encoded profiles do.
    fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(16) {
            let word = self.next().to_le_bytes();
            let n = piece.len().min(8);
            piece[..n].copy_from_slice(&word[..n]);
        }
    }
}

/// Partition and a key as spread as UUIDs are.
fn key(n: u64) -> [u8; 20] {
    let mut out = [0; 20];
    let spread = Random(n).next();
    out[..2].copy_from_slice(&((spread % 256) as u16).to_be_bytes());
    out[4..12].copy_from_slice(&spread.to_be_bytes());
    out[12..].copy_from_slice(&n.to_be_bytes());
    out
}

fn fill(db: &Database, profiles: &Keyspace, rows: u64, random: &mut Random) -> Result<(), Fault> {
    if profiles.contains_key(key(rows - 1))? {
        return Ok(());
    }
    let (wall, cpu) = (Instant::now(), cpu());
    let mut value = vec![0; 1024];
    for from in (0..rows).step_by(1000) {
        let mut b = db.batch();
        for n in from..(from + 1000).min(rows) {
            random.fill(&mut value);
            b.insert(profiles, key(n), value.as_slice());
        }
        b.commit()?;
    }
    db.persist(PersistMode::SyncAll)?;
    let cpu = self::cpu() - cpu;
    println!(
        "filled {rows} rows in {:.1?}, cpu {cpu:.1?}",
        wall.elapsed()
    );
    Ok(())
}

fn run(
    db: &Database,
    log: &Keyspace,
    profiles: &Keyspace,
    [rows, events, batch]: [u64; 3],
    random: &mut Random,
) -> Result<(), Fault> {
    let (wall, cpu_before, io_before) = (Instant::now(), cpu(), written());
    let mut message = vec![0; 300];
    let (mut getting, mut committing) = (Duration::ZERO, Duration::ZERO);
    for first in (0..events).step_by(batch as usize) {
        let mut b = db.batch().durability(Some(PersistMode::SyncData));
        let at = Instant::now();
        for position in first..(first + batch).min(events) {
            random.fill(&mut message);
            let customer = key(random.next() % rows);
            let mut place = [0; 10];
            place[..2].copy_from_slice(&customer[..2]);
            place[2..].copy_from_slice(&position.to_be_bytes());
            b.insert(log, place, message.as_slice());
            let mut profile = profiles
                .get(customer)?
                .ok_or("a filled row is gone")?
                .to_vec();
            profile[..8].copy_from_slice(&position.to_be_bytes());
            b.insert(profiles, customer, profile);
        }
        getting += at.elapsed();
        let at = Instant::now();
        b.commit()?;
        committing += at.elapsed();
    }
    report(
        events,
        wall,
        cpu_before,
        io_before,
        &[("get", getting), ("commit", committing)],
    );
    println!(
        "on disk {} MiB, journals {}",
        db.disk_space()? >> 20,
        db.journal_count()
    );
    Ok(())
}

fn report(
    events: u64,
    wall: Instant,
    cpu_before: Duration,
    io_before: u64,
    parts: &[(&str, Duration)],
) {
    let wall = wall.elapsed();
    println!(
        "{events} events: {:.0} a second, {:.2} us cpu an event; wall {wall:.1?} {parts:.1?}, written {} MiB",
        events as f64 / wall.as_secs_f64(),
        (cpu() - cpu_before).as_secs_f64() * 1e6 / events as f64,
        (written() - io_before) >> 20,
    );
}

/// The same through the traits: one append, one get and one fold commit a partition for each batch.
async fn stores(
    folder: &str,
    options: Options,
    [rows, events, batch]: [u64; 3],
    mut random: Random,
) -> Result<(), Fault> {
    let stores = Embedded::open(folder, options).await?;
    let row = |customer: [u8; 20]| RowKey {
        table: Table::Profile,
        partition: PartitionId(u16::from_be_bytes([customer[0], customer[1]])),
        key: Bytes::copy_from_slice(&customer[2..]),
    };
    if stores.state.get(&[row(key(rows - 1))]).await?[0].is_none() {
        let mut value = vec![0; 1024];
        for from in (0..rows).step_by(1000) {
            let mut commit = Commit::new(Durability::Replayable);
            for n in from..(from + 1000).min(rows) {
                random.fill(&mut value);
                let value = Some(Bytes::copy_from_slice(&value));
                commit.writes.push(Write {
                    key: row(key(n)),
                    value,
                });
            }
            stores.state.commit(vec![commit]).await?;
        }
    }
    let (wall, cpu_before, io_before) = (Instant::now(), cpu(), written());
    let mut message = vec![0; 300];
    let mut parts = [
        ("append", Duration::ZERO),
        ("get", Duration::ZERO),
        ("commit", Duration::ZERO),
    ];
    for first in (0..events).step_by(batch as usize) {
        let mut keys = Vec::new();
        let mut appends = Vec::new();
        for _ in first..(first + batch).min(events) {
            random.fill(&mut message);
            let row = row(key(random.next() % rows));
            appends.push(Append {
                partition: row.partition,
                count: 1,
                message: Bytes::copy_from_slice(&message),
            });
            keys.push(row);
        }
        let at = Instant::now();
        let appended = stores.log.append(appends).await?;
        parts[0].1 += at.elapsed();
        let at = Instant::now();
        let found = stores.state.get(&keys).await?;
        parts[1].1 += at.elapsed();
        let at = Instant::now();
        let mut commits = std::collections::BTreeMap::new();
        for ((key, found), appended) in keys.into_iter().zip(found).zip(appended) {
            let commit = commits
                .entry(appended.partition)
                .or_insert_with(|| Commit::new(Durability::Replayable));
            let from = commit.advance.map_or(appended.first, |a: Advance| a.from);
            commit.advance = Some(Advance {
                partition: appended.partition,
                from,
                to: appended.end,
            });
            let mut profile = found.ok_or("a filled row is gone")?.to_vec();
            profile[..8].copy_from_slice(&appended.first.0.to_be_bytes());
            let value = Some(Bytes::from(profile));
            commit.writes.push(Write { key, value });
        }
        let out = stores.state.commit(commits.into_values().collect()).await?;
        if let Some(Err(conflict)) = out.into_iter().find(Result::is_err) {
            return Err(conflict.into());
        }
        parts[2].1 += at.elapsed();
    }
    report(events, wall, cpu_before, io_before, &parts);
    let at = stores.state.positions(&[PartitionId(0)]).await?;
    println!(
        "partition 0 folded up to {}",
        at.first().map_or(0, |p: &Position| p.0)
    );
    Ok(())
}

/// User and system time of this process, to 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Bytes this process caused to be written to disk.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines()
        .find_map(|l| l.strip_prefix("write_bytes: "))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
