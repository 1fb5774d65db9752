//! Log retention: what is older than a moment is let go, once a snapshot says what it told.
//!
//! Nothing is let go that State does not reflect, and nothing that a replay did not read: the snapshot is made from the log itself
//! ([`crate::snapshot`]). The streams of models stay whole, since every decision is to be made again bit for bit, with the model as it was
//! then. Cut off anywhere, what stands is whole, and doing it again finishes it.

use crate::api::{Result, RetainReport};
use crate::environment::fold::{self, ENVIRONMENT};
use crate::fold::core::Running;
use crate::fold::rebuild::fold_log;
use crate::replay::{Replay, decode, laid_out_anew};
use crate::snapshot::{self, Header, Snapshot};
use crate::{Inner, rows};
use luopan_kernel::catalogue::measures::civil;
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_store::{AuditRecord, Error, Expect};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

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
        let mut to = Vec::new();
        for partition in &partitions {
            let at = if partition.0 < luopan_kernel::PARTITIONS {
                self.snapshot_customers(*partition, before, now, &claim, &mut report)
                    .await?
            } else {
                self.snapshot_environment(before, now, &claim, &mut report)
                    .await?
            };
            to.push((*partition, at));
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

    /// Makes a snapshot of what a partition of customers held before the moment; gives its position.
    async fn snapshot_customers(
        self: &Arc<Self>,
        partition: PartitionId,
        before: Micros,
        now: Micros,
        claim: &Expect,
        report: &mut RetainReport,
    ) -> luopan_store::Result<Position> {
        // Versions that the partition switches to from here on must wait: their profiles would lack an image.
        let versions = self.versions_of(partition).await?;
        let until = self.state.positions(&[partition]).await?[0];
        let mut replay = Replay::begin(self, partition).await?;
        replay.run(self, until, Some(before)).await?;
        refuse_wrong(&replay)?;
        report.replayed += replay.entries;
        if replay.at == replay.from {
            return Ok(replay.at);
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
        let at = replay.at;
        drop(replay);
        report.parts += made.write(self, partition, claim, versions).await?;
        Ok(at)
    }

    /// Makes a snapshot of what the environment was before the moment; gives its position.
    async fn snapshot_environment(
        &self,
        before: Micros,
        now: Micros,
        claim: &Expect,
        report: &mut RetainReport,
    ) -> luopan_store::Result<Position> {
        let until = self.state.positions(&[ENVIRONMENT]).await?[0];
        let from = snapshot::position(self, ENVIRONMENT).await?;
        let at = self.first_since(ENVIRONMENT, from, until, before).await?;
        if at == from {
            return Ok(from);
        }
        let (replayed, read, _) = fold::replay(self, at, 0, 1).await?;
        report.replayed += read;
        let rows = replayed.writes().into_iter().filter_map(|w| {
            let (table, key) = (w.key.table, w.key.key);
            w.value
                .map(|value| (table, luopan_store::Row { key, value }))
        });
        let rows = rows.collect();
        drop(replayed);
        let header = Header::new(at, now, before);
        report.parts += snapshot::write_environment(self, ENVIRONMENT, header, rows, claim).await?;
        Ok(at)
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
        let mut newest = Micros(i64::MIN);
        for (partition, head) in heads.iter().filter(|(_, head)| head.0 > 0) {
            if self.log.begins(&[*partition]).await?[0] == *head {
                continue;
            }
            let last = Position(head.0 - 1);
            for message in self.log.read(*partition, last, 1).await? {
                let times = decode(*partition, &message)?.into_iter().map(|e| e.at());
                newest = times.fold(newest, Micros::max);
            }
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
                break;
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
