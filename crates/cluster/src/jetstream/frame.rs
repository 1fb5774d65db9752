//! The stored form: what a message of the stream holds, and which subject it lies under. It never knows a position.
//!
//! A frame is one or more log messages that were appended together, of partitions of one group: the customers' partitions
//! share a subject by sixteens ([`GROUP_PARTITIONS`]), every other partition has one of its own. A server that syncs every message
//! of a stream takes so many a second however short they are, so what one append says to all partitions is sixteen messages and not 256.
//! Its label is the header [`HEADER`]: `format round index sections`, separated by spaces. `round` names the group of appends that
//! wrote it (32 hexadecimal digits) and `index` its place among the frames of that round; `sections` are
//! `partition:entries:messages:bytes`, separated by commas, each partition once, in the order in which they lie in the payload. A section of one log
//! message is that message; one of several begins with a table of `entries u32, bytes u32` a log message, little-endian, with
//! the log messages behind it.
//!
//! A checkpoint (subject `<stream>.index`) tells the heads of all partitions at a sequence of the stream: `format u8,
//! sequence u64, partitions u32`, then `partition u16, head u64` ascending, little-endian. It can be made again from the
//! stream at any time.
//!
//! Positions are nowhere stored: the position of an entry is the number of entries of its partition before it in the
//! stream. So nodes append without asking each other, and nobody has to be right about a position but the stream.

use bytes::{BufMut, Bytes, BytesMut};
use luopan_kernel::id::PartitionId;
use luopan_store::{Error, Result};
use std::collections::BTreeMap;

use super::STORE;

/// Header that holds the label of a frame.
pub(crate) const HEADER: &str = "Luopan-Frame";
/// Header that tells what a checkpoint speaks of without reading it: `format sequence hash`, the hash being the XXH3 of its
/// payload in hexadecimal digits.
pub(crate) const CHECKPOINT_HEADER: &str = "Luopan-Checkpoint";
/// Newest format of frames and checkpoints.
pub(crate) const FORMAT: u32 = 1;
/// Log messages are put together in one frame as long as it has at most this many bytes; a longer one has a frame of its own.
pub(crate) const FRAME_BYTES_MAX: usize = 256 << 10;
/// Partitions of customers that share a subject. Reading one of them alone from the servers reads the others too.
pub(crate) const GROUP_PARTITIONS: u16 = 16;
/// First token of a subject of such a group.
const GROUP: char = 'g';
/// Last token of the subject of checkpoints.
const INDEX: &str = "index";
/// Last token of the subject that tells where partitions begin.
const BEGINS: &str = "begins";

pub(crate) fn corrupt(at: &str, cause: impl Into<String>) -> Error {
    Error::Corrupt {
        store: STORE,
        at: at.to_owned(),
        cause: cause.into(),
    }
}

pub(crate) fn newer(found: u32) -> Error {
    Error::Newer {
        store: STORE,
        found,
        known: FORMAT,
    }
}

/// What a subject of the stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// Frames of a partition alone.
    Partition(PartitionId),
    /// Frames of [`GROUP_PARTITIONS`] partitions of customers.
    Group(u16),
    /// Checkpoints.
    Index,
    /// Where partitions begin ([`super::begins`]).
    Begins,
}

impl Subject {
    /// Where the frames of a partition lie.
    pub(crate) fn of(partition: PartitionId) -> Self {
        if partition.0 < luopan_kernel::PARTITIONS {
            Self::Group(partition.0 / GROUP_PARTITIONS)
        } else {
            Self::Partition(partition)
        }
    }

    /// Its name in the stream.
    pub(crate) fn name(self, stream: &str) -> String {
        match self {
            Self::Partition(p) => format!("{stream}.{}", p.0),
            Self::Group(g) => format!("{stream}.{GROUP}{g}"),
            Self::Index => format!("{stream}.{INDEX}"),
            Self::Begins => format!("{stream}.{BEGINS}"),
        }
    }

    /// Reads a name.
    pub(crate) fn parse(stream: &str, name: &str) -> Result<Self> {
        let last = name.strip_prefix(stream).and_then(|r| r.strip_prefix('.'));
        match last {
            Some(INDEX) => Ok(Self::Index),
            Some(BEGINS) => Ok(Self::Begins),
            Some(p) => {
                let found = match p.strip_prefix(GROUP) {
                    Some(g) => g.parse().map(Self::Group),
                    None => p.parse().map(|p| Self::Partition(PartitionId(p))),
                };
                found.map_err(|_| corrupt(name, "the subject names no partition and no group"))
            }
            None => Err(corrupt(name, "the subject is not of this stream")),
        }
    }
}

/// What the header of a frame tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The group of appends that wrote it.
    pub(crate) round: u128,
    /// Its place in that group.
    pub(crate) index: u32,
    /// What it holds, at least one; each partition once.
    pub(crate) sections: Vec<Section>,
}

/// What a frame holds of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    /// The partition.
    pub(crate) partition: PartitionId,
    /// Entries of all its log messages.
    pub(crate) entries: u64,
    /// Log messages.
    pub(crate) messages: u32,
    /// Bytes of the payload.
    pub(crate) bytes: usize,
}

impl Section {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        let section = Self {
            partition: PartitionId(words.next()?.parse().ok()?),
            entries: words.next()?.parse().ok()?,
            messages: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        };
        (words.next().is_none() && section.messages > 0).then_some(section)
    }
}

impl Label {
    /// The header's value.
    pub(crate) fn encode(&self) -> String {
        let mut out = format!("{FORMAT} {:032x} {} ", self.round, self.index);
        for (i, s) in self.sections.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            out.push_str(&format!(
                "{comma}{}:{}:{}:{}",
                s.partition.0, s.entries, s.messages, s.bytes
            ));
        }
        out
    }

    /// Reads a header's value; `at` says where it was found.
    pub(crate) fn decode(at: &str, text: Option<&str>) -> Result<Self> {
        let text = text.ok_or_else(|| corrupt(at, format!("a header {HEADER} is wanted")))?;
        let mut words = text.split(' ');
        let format = words.next().and_then(|w| w.parse::<u32>().ok());
        match format {
            Some(FORMAT) => {}
            Some(format) if format > FORMAT => return Err(newer(format)),
            _ => return Err(corrupt(at, format!("the header {HEADER} is {text:?}"))),
        }
        let label = (|| {
            let label = Self {
                round: u128::from_str_radix(words.next()?, 16).ok()?,
                index: words.next()?.parse().ok()?,
                sections: (words.next()?.split(','))
                    .map(Section::read)
                    .collect::<Option<_>>()?,
            };
            let sections = label.sections.iter().enumerate();
            let mut again = sections
                .filter(|(i, s)| (label.sections[..*i].iter()).any(|o| o.partition == s.partition));
            (words.next().is_none() && again.next().is_none()).then_some(label)
        })();
        label.ok_or_else(|| corrupt(at, format!("the header {HEADER} is {text:?}")))
    }

    /// Refuses a frame that lies under a subject of other partitions.
    pub(crate) fn lies_under(&self, at: &str, subject: Subject) -> Result<()> {
        if self
            .sections
            .iter()
            .all(|s| Subject::of(s.partition) == subject)
        {
            return Ok(());
        }
        Err(corrupt(at, "it holds a partition of another subject"))
    }
}

/// Log messages of one partition on their way into one frame.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    parts: Vec<(u32, Bytes)>,
    bytes: usize,
    entries: u64,
}

impl Parts {
    /// Adds a log message of `count` entries.
    pub(crate) fn push(&mut self, count: u32, message: Bytes) {
        self.bytes = self.bytes.saturating_add(message.len());
        self.entries += u64::from(count);
        self.parts.push((count, message));
    }

    /// Number of log messages.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// What it is as a section of this partition.
    pub(crate) fn section(&self, partition: PartitionId) -> Section {
        let table = if self.parts.len() == 1 {
            0
        } else {
            self.parts.len() * 8
        };
        Section {
            partition,
            entries: self.entries,
            messages: u32::try_from(self.parts.len()).unwrap_or(u32::MAX),
            bytes: table + self.bytes,
        }
    }

    /// Number of entries.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Writes the section.
    fn write(&self, out: &mut BytesMut) {
        if self.parts.len() > 1 {
            for (count, message) in &self.parts {
                out.put_u32_le(*count);
                // A log message is far below 4 GiB (`MESSAGE_BYTES_MAX`).
                out.put_u32_le(u32::try_from(message.len()).unwrap_or(u32::MAX));
            }
        }
        for (_, message) in &self.parts {
            out.put_slice(message);
        }
    }
}

/// The payload of a frame.
pub(crate) fn payload(sections: &[(PartitionId, Parts)]) -> Bytes {
    if let [(_, parts)] = sections
        && let [(_, message)] = &parts.parts[..]
    {
        return message.clone();
    }
    let bytes = sections.iter().map(|(p, parts)| parts.section(*p).bytes);
    let mut out = BytesMut::with_capacity(bytes.sum());
    for (_, parts) in sections {
        parts.write(&mut out);
    }
    out.freeze()
}

/// Log messages with their numbers of entries, in order.
pub(crate) type Messages = Vec<(u32, Bytes)>;

/// The log messages of every section of a frame, in the order of its label.
pub(crate) fn messages(at: &str, label: &Label, payload: &Bytes) -> Result<Vec<Messages>> {
    let mut from = 0usize;
    let mut out = Vec::with_capacity(label.sections.len());
    for section in &label.sections {
        let end = (from.checked_add(section.bytes))
            .filter(|end| *end <= payload.len())
            .ok_or_else(|| corrupt(at, "a section is cut short"))?;
        out.push(of_section(at, section, &payload.slice(from..end))?);
        from = end;
    }
    if from != payload.len() {
        return Err(corrupt(at, "bytes behind the last section"));
    }
    Ok(out)
}

fn of_section(at: &str, section: &Section, payload: &Bytes) -> Result<Messages> {
    let out = if section.messages == 1 {
        let count = u32::try_from(section.entries)
            .map_err(|_| corrupt(at, "one message of more entries than a message has"))?;
        vec![(count, payload.clone())]
    } else {
        let number = section.messages as usize;
        let mut from = number
            .checked_mul(8)
            .filter(|table| *table <= payload.len())
            .ok_or_else(|| corrupt(at, "the table of messages is cut short"))?;
        let (table, _) = payload.split_at(from);
        let mut out = Vec::with_capacity(number);
        for row in table.chunks_exact(8) {
            let (count, bytes) = row.split_at(4);
            let [count, bytes] = [count, bytes].map(|b| {
                let mut word = [0; 4];
                word.copy_from_slice(b);
                u32::from_le_bytes(word)
            });
            let end = from + bytes as usize;
            if end > payload.len() {
                return Err(corrupt(at, "a message is cut short"));
            }
            out.push((count, payload.slice(from..end)));
            from = end;
        }
        if from != payload.len() {
            return Err(corrupt(at, "bytes behind the last message"));
        }
        out
    };
    let entries = out.iter().map(|(count, _)| u64::from(*count)).sum::<u64>();
    if entries != section.entries || out.iter().any(|(count, _)| *count == 0) {
        return Err(corrupt(at, "label and messages count differently"));
    }
    Ok(out)
}

/// What the header of a checkpoint tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The sequence that it speaks of.
    pub(crate) sequence: u64,
    /// XXH3 of its payload.
    pub(crate) hash: u64,
}

impl Told {
    /// The header's value.
    pub(crate) fn encode(&self) -> String {
        format!("{FORMAT} {} {:016x}", self.sequence, self.hash)
    }

    /// Reads a header's value; `at` says where it was found.
    pub(crate) fn decode(at: &str, text: Option<&str>) -> Result<Self> {
        let wanted = || corrupt(at, format!("a header {CHECKPOINT_HEADER} is wanted"));
        let mut words = text.ok_or_else(wanted)?.split(' ');
        let format = words.next().and_then(|w| w.parse::<u32>().ok());
        match format {
            Some(FORMAT) => {}
            Some(format) if format > FORMAT => return Err(newer(format)),
            _ => return Err(wanted()),
        }
        let sequence = words.next().and_then(|w| w.parse().ok());
        let hash = words.next().and_then(|w| u64::from_str_radix(w, 16).ok());
        match (sequence, hash, words.next()) {
            (Some(sequence), Some(hash), None) => Ok(Self { sequence, hash }),
            _ => Err(wanted()),
        }
    }
}

/// Heads of all partitions at a sequence of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Everything up to this sequence is counted, and nothing above.
    pub(crate) sequence: u64,
    /// Heads of the partitions that hold anything.
    pub(crate) heads: BTreeMap<PartitionId, u64>,
}

impl Checkpoint {
    /// Head of a partition.
    pub(crate) fn head(&self, partition: PartitionId) -> u64 {
        self.heads.get(&partition).copied().unwrap_or(0)
    }

    /// What its header tells.
    pub(crate) fn told(&self) -> Told {
        Told {
            sequence: self.sequence,
            hash: xxhash_rust::xxh3::xxh3_64(&self.encode()),
        }
    }

    /// The payload.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(13 + self.heads.len() * 10);
        out.put_u8(FORMAT as u8);
        out.put_u64_le(self.sequence);
        // Partitions are numbered in 16 bits.
        out.put_u32_le(u32::try_from(self.heads.len()).unwrap_or(u32::MAX));
        for (partition, head) in &self.heads {
            out.put_u16_le(partition.0);
            out.put_u64_le(*head);
        }
        out.freeze()
    }

    /// Reads a payload; `at` says where it was found.
    pub(crate) fn decode(at: &str, payload: &[u8]) -> Result<Self> {
        let cut = || corrupt(at, "the checkpoint is cut short or too long");
        let (format, rest) = payload.split_first().ok_or_else(cut)?;
        match u32::from(*format) {
            FORMAT => {}
            format if format > FORMAT => return Err(newer(format)),
            _ => return Err(corrupt(at, "a checkpoint is wanted")),
        }
        let (sequence, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let (number, rows) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if rows.len() as u64 != u64::from(u32::from_le_bytes(*number)) * 10 {
            return Err(cut());
        }
        let mut heads = BTreeMap::new();
        for row in rows.chunks_exact(10) {
            let (partition, head) = row.split_first_chunk::<2>().ok_or_else(cut)?;
            let (head, _) = head.split_first_chunk::<8>().ok_or_else(cut)?;
            heads.insert(
                PartitionId(u16::from_le_bytes(*partition)),
                u64::from_le_bytes(*head),
            );
        }
        Ok(Self {
            sequence: u64::from_le_bytes(*sequence),
            heads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Of = (u16, Vec<(u32, Vec<u8>)>);
    type Sections = Vec<Of>;

    fn frame(sections: &[Of]) -> (Label, Bytes) {
        let sections: Vec<_> = (sections.iter())
            .map(|(partition, messages)| {
                let mut out = Parts::default();
                for (count, message) in messages {
                    out.push(*count, Bytes::from(message.clone()));
                }
                (PartitionId(*partition), out)
            })
            .collect();
        let label = Label {
            round: 0x0123_4567_89ab_cdef,
            index: 7,
            sections: (sections.iter())
                .map(|(partition, parts)| parts.section(*partition))
                .collect(),
        };
        (label, payload(&sections))
    }

    proptest! {
        #[test]
        fn what_was_framed_is_read(sections in prop::collection::btree_map(0u16..40, prop::collection::vec((1u32..9, prop::collection::vec(any::<u8>(), 0..40)), 1..6), 1..6)) {
            let sections: Sections = sections.into_iter().collect();
            let (label, payload) = frame(&sections);
            let found = Label::decode("here", Some(&label.encode())).unwrap();
            prop_assert_eq!(&found, &label);
            let messages = messages("here", &found, &payload).unwrap().into_iter();
            let found: Sections = (found.sections.iter().zip(messages))
                .map(|(s, found)| {
                    let found = found.into_iter().map(|(count, message)| (count, message.to_vec()));
                    (s.partition.0, found.collect())
                })
                .collect();
            prop_assert_eq!(found, sections);
        }

        #[test]
        fn nothing_that_comes_makes_a_reader_panic(label in "1 [0-9a-f]{1,4} [0-9] [0-9]:[0-9]:[0-9]:[0-9,:]{0,9}|[0-9a-f:, ]{0,60}", payload in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(label) = Label::decode("here", Some(&label)) {
                let _ = messages("here", &label, &Bytes::from(payload.clone()));
            }
            let _ = Checkpoint::decode("here", &payload);
        }

        #[test]
        fn a_checkpoint_is_read_back(sequence in any::<u64>(), heads in prop::collection::btree_map(any::<u16>(), any::<u64>(), 0..9)) {
            let heads = heads.into_iter().map(|(p, h)| (PartitionId(p), h)).collect();
            let checkpoint = Checkpoint { sequence, heads };
            let told = checkpoint.told();
            prop_assert_eq!(Told::decode("here", Some(&told.encode())).unwrap(), told);
            prop_assert_eq!(Checkpoint::decode("here", &checkpoint.encode()).unwrap(), checkpoint);
        }
    }

    /// The bytes of format 1, as the golden file has them.
    #[test]
    fn the_golden_frames_of_format_1_are_read() {
        let one = frame(&[(256, vec![(3, b"one".to_vec())])]);
        let two = frame(&[
            (17, vec![(2, b"first".to_vec()), (5, b"second".to_vec())]),
            (16, vec![(1, b"third".to_vec())]),
        ]);
        let checkpoint = Checkpoint {
            sequence: 4096,
            heads: [(PartitionId(0), 9), (PartitionId(300), u64::MAX)].into(),
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let mut text = String::new();
        for (label, payload) in [&one, &two] {
            text.push_str(&format!("{HEADER}: {}\n{}\n", label.encode(), hex(payload)));
        }
        let told = checkpoint.told().encode();
        text.push_str(&format!(
            "{CHECKPOINT_HEADER}: {told}\n{}\n",
            hex(&checkpoint.encode())
        ));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/jetstream-1.txt");
        if std::env::var_os("LUOPAN_BLESS").is_some_and(|v| v == "1") {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers() {
        let label = "2 whatever it is";
        let refused = Label::decode("here", Some(label)).unwrap_err();
        assert!(matches!(
            refused,
            Error::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
        let refused = Told::decode("here", Some("2 1 0")).unwrap_err();
        assert!(matches!(
            refused,
            Error::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
        let refused = Checkpoint::decode("here", &[2, 0]).unwrap_err();
        assert!(matches!(
            refused,
            Error::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert!(Label::decode("here", None).is_err());
        for wrong in [
            "1 00 0",
            "1 00 0 3:1:0:5",
            "1 00 0 3:1:1:5,3:1:1:5",
            "1 00 0 ",
        ] {
            assert!(Label::decode("here", Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn subjects_are_read_back() {
        for subject in [
            Subject::Partition(PartitionId(0)),
            Subject::Partition(PartitionId(u16::MAX)),
            Subject::Group(0),
            Subject::Group(15),
            Subject::Index,
        ] {
            let name = subject.name("luopan_log");
            assert_eq!(Subject::parse("luopan_log", &name).unwrap(), subject);
        }
        for name in [
            "luopan_log.65536",
            "other.1",
            "luopan_log",
            "luopan_log.x",
            "luopan_log.g",
        ] {
            assert!(Subject::parse("luopan_log", name).is_err(), "{name}");
        }
    }
}
