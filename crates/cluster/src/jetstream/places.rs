//! Where positions lie in the stream, as far as it was followed: the one place where entries are counted.
//!
//! It must see the messages of the stream one after another and refuses any gap: a message missed here would shift all
//! positions behind it.

use luopan_kernel::id::{PartitionId, Position};
use luopan_store::Appended;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

use super::begins::Begins;
use super::frame::{Checkpoint, Label, Told};

/// A checkpoint is written for every so many messages of the stream.
pub(crate) const CHECKPOINT_EVERY: u64 = 1024;
/// Most places remembered of a partition; beyond, every other one is forgotten.
const MARKS_MAX: usize = 512;
/// Own checkpoints kept to compare those of other nodes with.
const COMPARED_MAX: usize = 8;

/// Where a position lies: the message that begins with entry `position` is the first of its partition at `sequence` or
/// above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position.
    pub(crate) position: u64,
    /// Sequence of the stream.
    pub(crate) sequence: u64,
}

/// What came of a message of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was counted; where each section of a frame lies.
    Next(Vec<Appended>),
    /// It was counted before.
    Old,
    /// The one that follows what was counted is missing.
    Gap {
        /// Its sequence.
        missing: u64,
    },
    /// A checkpoint tells other heads than were counted here.
    Differs {
        /// The sequence that it speaks of.
        sequence: u64,
    },
}

/// What is known of a message.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A frame.
    Frame(Label),
    /// A checkpoint.
    Checkpoint(Told),
    /// Where partitions begin.
    Begins(Begins),
}

#[derive(Debug, Default)]
struct Partition {
    head: u64,
    marks: BTreeMap<u64, u64>,
}

impl Partition {
    fn mark(&mut self, place: Place) {
        self.marks.insert(place.position, place.sequence);
        if self.marks.len() > MARKS_MAX {
            let mut keep = false;
            self.marks.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    seen: u64,
    partitions: BTreeMap<PartitionId, Partition>,
    /// Sequence of the last checkpoint's message, and the sequence that it speaks of.
    index: (u64, u64),
    due: Option<Checkpoint>,
    made: VecDeque<Told>,
    /// What was last told of where partitions begin, and the sequence of that message.
    begins: (u64, Begins),
}

impl Inner {
    /// Takes in what the message `at` tells, all before which was counted.
    fn begin_at(&mut self, at: u64, begins: &Begins) {
        for (partition, place) in &begins.0 {
            let found = self.partitions.entry(*partition).or_default();
            // It never held anything, and starts elsewhere than at 0.
            found.head = found.head.max(place.position);
            found.marks = found.marks.split_off(&place.position);
            found.mark(*place);
        }
        self.begins = (at, begins.clone());
    }

    fn checkpoint(&self) -> Checkpoint {
        let heads = self.partitions.iter();
        Checkpoint {
            sequence: self.seen,
            heads: heads.map(|(p, found)| (*p, found.head)).collect(),
        }
    }
}

/// Counted entries of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Places {
    inner: Mutex<Inner>,
}

impl Places {
    /// Goes on from a checkpoint whose message has the sequence `at`.
    pub(crate) fn begin(&self, at: u64, checkpoint: &Checkpoint) {
        let mut inner = self.inner.lock();
        inner.seen = checkpoint.sequence;
        inner.index = (at, checkpoint.sequence);
        for (partition, head) in &checkpoint.heads {
            let mut found = Partition {
                head: *head,
                ..Partition::default()
            };
            found.mark(Place {
                position: *head,
                sequence: checkpoint.sequence + 1,
            });
            inner.partitions.insert(*partition, found);
        }
    }

    /// Takes in what was told of where partitions begin, by a message that was counted already.
    pub(crate) fn begin_at(&self, at: u64, begins: &Begins) {
        self.inner.lock().begin_at(at, begins);
    }

    /// What was last told of where partitions begin, and the sequence of that message, 0 when nothing was.
    pub(crate) fn begins(&self) -> (u64, Begins) {
        self.inner.lock().begins.clone()
    }

    /// Sequence up to which all was counted.
    pub(crate) fn seen(&self) -> u64 {
        self.inner.lock().seen
    }

    /// Counts a message of the stream.
    pub(crate) fn take(&self, sequence: u64, kind: &Kind) -> Taken {
        let mut inner = self.inner.lock();
        if sequence <= inner.seen {
            return Taken::Old;
        }
        if sequence > inner.seen + 1 {
            return Taken::Gap {
                missing: inner.seen + 1,
            };
        }
        let mut out = Vec::new();
        match kind {
            Kind::Frame(label) => {
                for section in &label.sections {
                    let found = inner.partitions.entry(section.partition).or_default();
                    let first = found.head;
                    // A label that lies must not stop the process.
                    found.head = found.head.saturating_add(section.entries);
                    let end = found.head;
                    found.mark(Place {
                        position: end,
                        sequence: sequence + 1,
                    });
                    out.push(Appended {
                        partition: section.partition,
                        first: Position(first),
                        end: Position(end),
                    });
                }
            }
            Kind::Checkpoint(told) => {
                if (inner.made.iter())
                    .any(|own| own.sequence == told.sequence && own.hash != told.hash)
                {
                    return Taken::Differs {
                        sequence: told.sequence,
                    };
                }
                inner.index = (sequence, told.sequence);
            }
            Kind::Begins(begins) => inner.begin_at(sequence, begins),
        }
        inner.seen = sequence;
        if sequence.is_multiple_of(CHECKPOINT_EVERY) {
            let checkpoint = inner.checkpoint();
            if inner.made.len() == COMPARED_MAX {
                inner.made.pop_front();
            }
            inner.made.push_back(checkpoint.told());
            inner.due = Some(checkpoint);
        }
        Taken::Next(out)
    }

    /// A checkpoint of what was counted until now.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.inner.lock().checkpoint()
    }

    /// Whether there is a checkpoint that was not written yet.
    pub(crate) fn is_due(&self) -> bool {
        self.inner.lock().due.is_some()
    }

    /// The newest checkpoint that was not written yet, as far as is known here.
    pub(crate) fn due(&self) -> Option<Checkpoint> {
        self.inner.lock().due.take()
    }

    /// Sequence of the last checkpoint's message, and the sequence that it speaks of; zeros when there is none.
    pub(crate) fn index(&self) -> (u64, u64) {
        self.inner.lock().index
    }

    /// Remembers where a position lies.
    pub(crate) fn mark(&self, partition: PartitionId, place: Place) {
        let mut inner = self.inner.lock();
        if let Some(found) = inner.partitions.get_mut(&partition) {
            found.mark(place);
        }
    }

    /// The nearest known place at or below a position, and the sequence of the nearest above (at most one above all that
    /// was seen).
    pub(crate) fn around(&self, partition: PartitionId, position: u64) -> (Place, u64) {
        let inner = self.inner.lock();
        let mut lower = inner.begins.1.of(partition);
        let mut upper = inner.seen + 1;
        if let Some(found) = inner.partitions.get(&partition) {
            let known = found.marks.range(..=position).next_back();
            if let Some((position, sequence)) = known.filter(|(p, _)| **p >= lower.position) {
                lower = Place {
                    position: *position,
                    sequence: *sequence,
                };
            }
            if let Some((_, sequence)) = found.marks.range(position.saturating_add(1)..).next() {
                upper = *sequence;
            }
        }
        (lower, upper)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Section;
    use super::*;

    fn frame(partition: u16, entries: u64) -> Kind {
        let section = Section {
            partition: PartitionId(partition),
            entries,
            messages: 1,
            bytes: 0,
        };
        Kind::Frame(Label {
            round: 0,
            index: 0,
            sections: vec![section],
        })
    }

    fn end(taken: Taken) -> u64 {
        match taken {
            Taken::Next(appended) => appended[0].end.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn entries_are_counted_once_and_a_gap_is_told() {
        let places = Places::default();
        assert_eq!(end(places.take(1, &frame(3, 2))), 2);
        assert_eq!(places.take(1, &frame(3, 2)), Taken::Old);
        assert_eq!(places.take(3, &frame(3, 2)), Taken::Gap { missing: 2 });
        assert_eq!(end(places.take(2, &frame(4, 5))), 5);
        assert_eq!(end(places.take(3, &frame(3, 1))), 3);
        let lies = |position, sequence| Place { position, sequence };
        assert_eq!(places.around(PartitionId(3), 0), (lies(0, 1), 2));
        assert_eq!(places.around(PartitionId(3), 2), (lies(2, 2), 4));
        assert_eq!(places.around(PartitionId(3), 3), (lies(3, 4), 4));
        assert_eq!(places.around(PartitionId(9), 1), (lies(0, 1), 4));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_still_right() {
        let places = Places::default();
        for n in 1..=20_000 {
            places.take(n, &frame(1, 3));
        }
        let inner = places.inner.lock();
        let marks = &inner.partitions[&PartitionId(1)].marks;
        assert!(marks.len() <= MARKS_MAX && marks.len() > MARKS_MAX / 4);
        assert!(marks.iter().all(|(p, s)| *p == (s - 1) * 3));
    }

    #[test]
    fn a_checkpoint_is_gone_on_from_and_another_count_is_told() {
        let [one, two] = [Places::default(), Places::default()];
        for n in 1..=CHECKPOINT_EVERY {
            one.take(n, &frame((n % 5) as u16, n % 3 + 1));
            two.take(n, &frame((n % 5) as u16, 1));
        }
        let checkpoint = one.due().unwrap();
        assert_eq!(checkpoint.sequence, CHECKPOINT_EVERY);
        assert!(one.due().is_none());
        let three = Places::default();
        three.begin(CHECKPOINT_EVERY + 1, &checkpoint);
        assert_eq!(three.checkpoint(), one.checkpoint());
        let next = CHECKPOINT_EVERY + 1;
        let told = Kind::Checkpoint(checkpoint.told());
        assert_eq!(one.take(next, &told), Taken::Next(Vec::new()));
        assert_eq!(
            two.take(next, &told),
            Taken::Differs {
                sequence: CHECKPOINT_EVERY
            }
        );
        assert_eq!(three.take(next, &told), Taken::Next(Vec::new()));
        assert_eq!(
            end(three.take(next + 1, &frame(1, 4))),
            end(one.take(next + 1, &frame(1, 4)))
        );
    }
}
