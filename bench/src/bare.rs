//! The reference of intake: append, get, upsert and sync straight on fjall, with the layout and the record sizes of the product
//! and nothing else - no HTTP, no parsing, no fold, no channel between threads. It runs in a process of its own, so that its CPU
//! time is its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, PersistMode};
use luopan_embedded::{Options, layout};
use luopan_kernel::PARTITIONS;
use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::process::{Others, cpu, wait_idle};
use crate::traffic::Random;

/// First argument of a process that is the bare loop.
const WORD: &str = "bare-loop";

/// What the loop does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Asked {
    /// Rows, filled before anything is measured.
    pub rows: u64,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// Events.
    pub events: u64,
    /// Bytes of an event in the log.
    pub event_bytes: usize,
    /// Events of one batch, which is one sync; those of one partition are appended as one record, as the product does.
    pub batch: u64,
}

/// What it took, from the first event to the last sync.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Took {
    /// CPU time of the process.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
    /// Share of the machine that other processes had meanwhile.
    pub others: f64,
}

/// Runs the loop in another process of this program, whose `main` calls [`serve`] first.
pub fn run(folder: &Path, asked: Asked) -> Result<Took, Fault> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let output = Command::new(std::env::current_exe()?)
        .arg(WORD)
        .arg(folder)
        .arg(serde_json::to_string(&asked)?)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the bare loop ended with {}", output.status).into());
    }
    std::fs::remove_dir_all(folder)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Is the bare loop when the command line says so, and answers whether it was.
pub fn serve() -> Result<bool, Fault> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(WORD) {
        return Ok(false);
    }
    let folder = arguments.next().ok_or("a folder is wanted")?;
    let asked: Asked = serde_json::from_str(&arguments.next().ok_or("what to do is wanted")?)?;
    let took = measure(folder.as_ref(), asked)?;
    serde_json::to_writer(std::io::stdout(), &took)?;
    Ok(true)
}

fn measure(folder: &Path, asked: Asked) -> Result<Took, Fault> {
    let options = Options::default();
    std::fs::create_dir_all(folder)?;
    let db = layout::database(folder, options.cache_bytes, options.workers)?;
    let log = layout::log(&db)?;
    let profiles = layout::profiles(&db)?;
    let mut random = Random(42);
    let mut row = vec![0; asked.row_bytes];
    for from in (0..asked.rows).step_by(1_000) {
        let mut batch = db.batch();
        for n in from..(from + 1_000).min(asked.rows) {
            half_random(&mut random, &mut row);
            batch.insert(&profiles, key(n), row.as_slice());
        }
        batch.commit()?;
    }
    db.persist(PersistMode::SyncAll)?;
    wait_idle(std::process::id())?;
    let others = Others::watch(&[std::process::id()])?;
    let (wall, before) = (Instant::now(), cpu(std::process::id())?);
    events(&db, &log, &profiles, asked, &mut random)?;
    Ok(Took {
        cpu: cpu(std::process::id())? - before,
        wall: wall.elapsed(),
        others: others.share()?,
    })
}

fn events(
    db: &Database,
    log: &Keyspace,
    profiles: &Keyspace,
    asked: Asked,
    random: &mut Random,
) -> Result<(), Fault> {
    let mut message = vec![0; asked.event_bytes];
    for first in (0..asked.events).step_by(usize::try_from(asked.batch)?) {
        let mut batch = db.batch().durability(Some(PersistMode::SyncData));
        let mut appended: Vec<Vec<u8>> = vec![Vec::new(); usize::from(PARTITIONS)];
        for event in first..(first + asked.batch).min(asked.events) {
            half_random(random, &mut message);
            let customer = key(random.below(asked.rows));
            appended[usize::from(u16::from_be_bytes([customer[0], customer[1]]))]
                .extend_from_slice(&message);
            let found = profiles.get(customer)?.ok_or("a filled row is gone")?;
            let mut row = found.to_vec();
            row[..8].copy_from_slice(&event.to_be_bytes());
            batch.insert(profiles, customer, row);
        }
        for (partition, message) in (0u16..).zip(&appended).filter(|(_, m)| !m.is_empty()) {
            let mut place = [0; 10];
            place[..2].copy_from_slice(&partition.to_be_bytes());
            place[2..].copy_from_slice(&first.to_be_bytes());
            batch.insert(log, place, message.as_slice());
        }
        batch.commit()?;
    }
    Ok(())
}

/// Partition and a key as spread as the product's ids are.
fn key(n: u64) -> [u8; 20] {
    let mut out = [0; 20];
    let spread = Random(n).draw();
    out[..2].copy_from_slice(&((spread % u64::from(PARTITIONS)) as u16).to_be_bytes());
    out[4..12].copy_from_slice(&spread.to_be_bytes());
    out[12..].copy_from_slice(&n.to_be_bytes());
    out
}

/// Bytes that compress about two to one, as encoded profiles do.
fn half_random(random: &mut Random, out: &mut [u8]) {
    for piece in out.chunks_mut(16) {
        let word = random.draw().to_le_bytes();
        let n = piece.len().min(8);
        piece[..n].copy_from_slice(&word[..n]);
    }
}
