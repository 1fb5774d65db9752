//! Log retention: what is older than a moment is let go, once a snapshot says what it told.
//!
//! Nothing is let go that State does not reflect, and nothing that a replay did not read: the snapshot is made from the log itself
//! ([`crate::snapshot`]). The streams of models stay whole, since every decision is to be made again bit for bit, with the model as it was
//! then. Cut off anywhere, what stands is whole, and doing it again finishes it.

use crate::api::{Result, RetainReport};
use crate::environment::fold::{self, ENVIRONMENT};
use crate::fold::core::Running;
use crate::fold::rebuild::fold_log;
use crate::replay::{Replay, decode, ends, laid_out_anew};
use crate::snapshot::{self, Header, Snapshot};
use crate::{Inner, rows};
use futures::stream::{self, StreamExt, TryStreamExt};
use luopan_kernel::catalogue::measures::civil;
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_store::{AuditRecord, Error, Expect};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;
/// Partitions looked at side by side: stores that are far away are waited for together.
const AT_ONCE: usize = 8;
/// The time of what is not there.
const NOTHING: Micros = Micros(i64::MIN);

/// A snapshot that stands.
struct Made {
    /// Where: what lies before it may go.
    at: Position,
    /// Entries replayed for it.
    replayed: u64,
    /// Rows written.
    parts: u64,
}

impl Inner {
    /// Lets go of what was received before `before`.
    pub(crate) async fn retain(self: &Arc<Self>, before: Micros) -> Result<RetainReport> {
        let now = self.env.now();
        let least = self.limits.retained_us_min;
        if before.0 > now.0.saturating_sub(least) {
            return Err(crate::api::Refusal {
                code: "retention_too_short",
                kind: crate::api::RefusalKind::Invalid,
                message: format!(
                    "the log keeps at least the last {} hours; name an earlier moment than {}",
                    least / HOUR_US,
                    in_words(before)
                ),
            });
        }
        // As State has them: a partition may be halted on another node.
        let rows: Vec<_> = (0..=ENVIRONMENT.0)
            .map(|p| rows::halt(PartitionId(p)))
            .collect();
        let halts = self.state.get(&rows).await?;
        let stored = (halts.into_iter().zip(0u16..))
            .filter_map(|(row, p)| Some((p, String::from_utf8_lossy(&row?).into_owned())));
        let halted = self.progress.halts().into_iter().next();
        if let Some((partition, reason)) = halted.or_else(|| stored.into_iter().next()) {
            return Err(crate::api::Refusal {
                code: "partition_halted",
                kind: crate::api::RefusalKind::Unavailable,
                message: format!(
                    "partition {partition} is halted ({reason}); mend it first: its log is what it is mended from"
                ),
            });
        }
        let mut report = RetainReport {
            before,
            ..RetainReport::default()
        };
        // Streams of models stay whole: a decision is made again with the model as it was then.
        let held: BTreeMap<PartitionId, Position> = (self.log.latest().await?.into_iter())
            .filter(|(p, _)| *p <= ENVIRONMENT)
            .collect();
        let partitions: Vec<PartitionId> = held.keys().copied().collect();
        let begins = self.log.begins(&partitions).await?;
        // By the log's own time too: a clock that runs ahead must not empty it.
        let newest = self.newest(&held).await?;
        let before = before.min(Micros(newest.0.saturating_sub(least)));
        report.before = before;
        let claim = snapshot::claim(self).await?;
        let work: Vec<_> = (partitions.iter())
            .map(|p| self.snapshot(*p, before, now, &claim))
            .collect();
        let made: Vec<Made> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        let mut to = Vec::with_capacity(made.len());
        for (partition, made) in partitions.iter().zip(made) {
            to.push((*partition, made.at));
            report.replayed += made.replayed;
            report.parts += made.parts;
        }
        snapshot::seal(self, &claim).await?;
        // All at once: a backend that keeps several partitions together lets go of what all of them let go of.
        let after = self.log.truncate(&to).await?;
        for ((partition, begin), after) in partitions.iter().zip(&begins).zip(&after) {
            let gone = after.0.saturating_sub(begin.0);
            report.partitions += u64::from(gone > 0);
            report.entries += gone;
            report.left += held[partition].0.saturating_sub(after.0);
        }
        for partition in &partitions {
            snapshot::sweep_others(self, *partition, &claim).await?;
        }
        if report.entries > 0 {
            let detail = format!(
                "{{\"before\":\"{}\",\"entries\":{},\"left\":{}}}",
                in_words(before),
                report.entries,
                report.left
            );
            let line = AuditRecord {
                at: now,
                by: "log retention".to_owned(),
                action: "log.truncate".to_owned(),
                detail,
            };
            self.control.audit(line).await?;
        }
        Ok(report)
    }

    /// Makes a snapshot of what a partition held before the moment.
    async fn snapshot(
        self: &Arc<Self>,
        partition: PartitionId,
        before: Micros,
        now: Micros,
        claim: &Expect,
    ) -> luopan_store::Result<Made> {
        match partition {
            ENVIRONMENT => self.snapshot_environment(before, now, claim).await,
            customers => self.snapshot_customers(customers, before, now, claim).await,
        }
    }

    async fn snapshot_customers(
        self: &Arc<Self>,
        partition: PartitionId,
        before: Micros,
        now: Micros,
        claim: &Expect,
    ) -> luopan_store::Result<Made> {
        // Versions that the partition switches to from here on must wait: their profiles would lack an image.
        let versions = self.versions_of(partition).await?;
        let until = self.reflected(&[partition]).await?[0];
        let mut replay = Replay::begin(self, partition).await?;
        replay.run(self, until, Some(before)).await?;
        refuse_wrong(&replay)?;
        let mut out = Made {
            at: replay.at,
            replayed: replay.entries,
            parts: 0,
        };
        if replay.at == replay.from {
            return Ok(out);
        }
        let last = replay.last_times();
        let running = replay.running.scenes.iter();
        let mut header = Header::new(replay.at, now, before);
        header.running = running.map(|(no, s)| (*no, s.version)).collect();
        header.voided.clone_from(&replay.voided);
        header.late.clone_from(&replay.late);
        let mut made = Snapshot::new(header, replay.links.clone());
        for (no, scene) in &replay.running.scenes {
            let last = last.get(no).copied().unwrap_or_default();
            made.add((*no, scene.version), &replay.rows, last, false);
        }
        // What versions that come behind it fold anew, they fold from all that is still there.
        for scene in laid_out_anew(self, partition, replay.at, until, &replay.running).await? {
            let mut alone = Running::default();
            alone.scenes.insert(scene.no, scene.clone());
            let folded = fold_log(self, partition, replay.at, &alone).await?;
            let last = last.get(&scene.no).copied().unwrap_or_default();
            made.add((scene.no, scene.version), &folded, last, true);
        }
        drop(replay);
        out.parts = made.write(self, partition, claim, versions).await?;
        Ok(out)
    }

    async fn snapshot_environment(
        &self,
        before: Micros,
        now: Micros,
        claim: &Expect,
    ) -> luopan_store::Result<Made> {
        let until = self.reflected(&[ENVIRONMENT]).await?[0];
        let from = snapshot::position(self, ENVIRONMENT).await?;
        let at = self.first_since(ENVIRONMENT, from, until, before).await?;
        let mut out = Made {
            at,
            replayed: 0,
            parts: 0,
        };
        if at == from {
            return Ok(out);
        }
        let (folded, read, _) = fold::replay(self, at, 0, 1).await?;
        out.replayed = read;
        let rows = folded.writes().into_iter().filter_map(|w| {
            let (table, key) = (w.key.table, w.key.key);
            w.value
                .map(|value| (table, luopan_store::Row { key, value }))
        });
        let rows = rows.collect();
        drop(folded);
        let header = Header::new(at, now, before);
        out.parts = snapshot::write_environment(self, ENVIRONMENT, header, rows, claim).await?;
        Ok(out)
    }

    /// That the partition runs the scene versions that it runs now, all of which are known here then.
    async fn versions_of(
        self: &Arc<Self>,
        partition: PartitionId,
    ) -> luopan_store::Result<Vec<Expect>> {
        self.learn_scenes().await?;
        let keys: Vec<_> = (self.scenes.numbers().into_iter())
            .map(|scene| rows::scene_version(scene, partition))
            .collect();
        let found = self.state.get(&keys).await?;
        let rows = keys.into_iter().zip(found);
        Ok(rows.map(|(key, value)| Expect { key, value }).collect())
    }

    /// Time of the newest entry at the heads of these partitions.
    async fn newest(
        &self,
        heads: &BTreeMap<PartitionId, Position>,
    ) -> luopan_store::Result<Micros> {
        let work: Vec<_> = heads.iter().map(|(p, head)| self.last(*p, *head)).collect();
        let times: Vec<Micros> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
        Ok(times.into_iter().max().unwrap_or(NOTHING))
    }

    /// Time of the newest entry of the partition's last message; [`NOTHING`] where it holds none.
    async fn last(&self, partition: PartitionId, head: Position) -> luopan_store::Result<Micros> {
        let mut newest = NOTHING;
        if head.0 == 0 || self.log.begins(&[partition]).await?[0] == head {
            return Ok(newest);
        }
        for message in (self.log.read(partition, Position(head.0 - 1), 1)).await? {
            let times = decode(partition, &message)?.into_iter().map(|e| e.at());
            newest = times.fold(newest, Micros::max);
        }
        Ok(newest)
    }

    /// First position of the first message in `from..until` that holds an entry of `before` or later.
    async fn first_since(
        &self,
        partition: PartitionId,
        mut from: Position,
        until: Position,
        before: Micros,
    ) -> luopan_store::Result<Position> {
        while from < until {
            let messages = self.log.read(partition, from, READ_BYTES).await?;
            if messages.is_empty() {
                return Err(ends(partition, from, until));
            }
            for message in &messages {
                let entries = decode(partition, message)?;
                if message.end() > until || entries.iter().any(|e| e.at() >= before) {
                    return Ok(from);
                }
                from = message.end();
            }
        }
        Ok(from)
    }
}

/// A moment in words, to the second, UTC.
pub(crate) fn in_words(at: Micros) -> String {
    let days = at.0.div_euclid(DAY_US);
    let (year, month, day) = civil(i32::try_from(days).unwrap_or_default());
    let second = at.0.rem_euclid(DAY_US) / 1_000_000;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn refuse_wrong(replay: &Replay) -> luopan_store::Result<()> {
    match replay.wrong.first() {
        None => Ok(()),
        Some(words) => Err(Error::Corrupt {
            store: "log",
            at: format!("partition {}", replay.partition.0),
            cause: format!("{words}; the log is kept"),
        }),
    }
}
