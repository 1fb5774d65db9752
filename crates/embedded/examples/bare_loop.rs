//! The reference of the intake bench: append + get + upsert straight on fjall, one batch and one fsync for each 1,000 events.
//!
//! It must do what the product does for an event and nothing else: no parsing, no fold, no channel between threads.
//!
//! `bare_loop FOLDER [--rows N] [--events N] [--cache-mib N] [--batch N] [--fill-only]`

#![allow(clippy::print_stdout)]

use fjall::{Database, Keyspace, PersistMode};
use luopan_embedded::layout;
use std::time::{Duration, Instant};

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("name a folder")?;
    let (mut rows, mut events, mut cache_mib, mut batch) =
        (1_000_000u64, 2_000_000u64, 64u64, 1000u64);
    let mut fill_only = false;
    while let Some(a) = args.next() {
        let mut number =
            || -> Result<u64, Fault> { Ok(args.next().ok_or("a number is wanted")?.parse()?) };
        match a.as_str() {
            "--rows" => rows = number()?,
            "--events" => events = number()?,
            "--cache-mib" => cache_mib = number()?,
            "--batch" => batch = number()?.max(1),
            "--fill-only" => fill_only = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let db = layout::database(folder.as_ref(), cache_mib << 20, 2)?;
    let log = layout::log(&db)?;
    let profiles = layout::profiles(&db)?;
    let mut random = Random(42);
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
    let wall = wall.elapsed();
    let cpu = cpu() - cpu_before;
    println!(
        "{events} events: {:.0} a second, {:.2} us cpu an event; wall {wall:.1?} (get {getting:.1?}, commit {committing:.1?}), \
         written {} MiB, on disk {} MiB, journals {}",
        events as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / events as f64,
        (written() - io_before) >> 20,
        db.disk_space()? >> 20,
        db.journal_count(),
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
