//! The stored form of where partitions begin: the last message under the subject `<stream>.begins` tells it of all that do not begin
//! at 0: `format u8, partitions u32`, then `partition u16, position u64, sequence u64` ascending, little-endian. The first
//! entry that is left is `position`, and its frame lies at `sequence` or above.
//!
//! It never knows what is purged: it is written before that, and what it calls gone is gone from then on.

use bytes::{BufMut, Bytes, BytesMut};
use luopan_kernel::id::PartitionId;
use luopan_store::Result;
use std::collections::BTreeMap;

use super::frame::{FORMAT, corrupt, newer};
use super::places::Place;

const ROW_BYTES: usize = 18;

/// Where partitions begin that do not begin at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Begins(pub(crate) BTreeMap<PartitionId, Place>);

impl Begins {
    /// Where a partition begins.
    pub(crate) fn of(&self, partition: PartitionId) -> Place {
        self.0.get(&partition).copied().unwrap_or(Place {
            position: 0,
            sequence: 1,
        })
    }

    /// The payload.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(5 + self.0.len() * ROW_BYTES);
        out.put_u8(FORMAT as u8);
        // Partitions are numbered in 16 bits.
        out.put_u32_le(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (partition, place) in &self.0 {
            out.put_u16_le(partition.0);
            out.put_u64_le(place.position);
            out.put_u64_le(place.sequence);
        }
        out.freeze()
    }

    /// Reads a payload; `at` says where it was found.
    pub(crate) fn decode(at: &str, payload: &[u8]) -> Result<Self> {
        let cut = || corrupt(at, "where partitions begin is cut short or too long");
        let (format, rest) = payload.split_first().ok_or_else(cut)?;
        match u32::from(*format) {
            FORMAT => {}
            format if format > FORMAT => return Err(newer(format)),
            _ => return Err(corrupt(at, "where partitions begin is wanted")),
        }
        let (number, rows) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if rows.len() as u64 != u64::from(u32::from_le_bytes(*number)) * ROW_BYTES as u64 {
            return Err(cut());
        }
        let mut out = BTreeMap::new();
        for row in rows.chunks_exact(ROW_BYTES) {
            let (partition, row) = row.split_first_chunk::<2>().ok_or_else(cut)?;
            let (position, row) = row.split_first_chunk::<8>().ok_or_else(cut)?;
            let (sequence, _) = row.split_first_chunk::<8>().ok_or_else(cut)?;
            let place = Place {
                position: u64::from_le_bytes(*position),
                sequence: u64::from_le_bytes(*sequence),
            };
            out.insert(PartitionId(u16::from_le_bytes(*partition)), place);
        }
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luopan_store::Error;

    #[test]
    fn it_is_read_back_and_what_is_cut_or_newer_is_refused() {
        let place = |position, sequence| Place { position, sequence };
        let begins = Begins(BTreeMap::from([
            (PartitionId(3), place(70_000, 9)),
            (PartitionId(700), place(1, 1 << 40)),
        ]));
        let bytes = begins.encode();
        assert_eq!(
            bytes[..23],
            [
                1, 2, 0, 0, 0, 3, 0, 0x70, 0x11, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0
            ]
        );
        assert_eq!(Begins::decode("here", &bytes).unwrap(), begins);
        assert_eq!(begins.of(PartitionId(4)), place(0, 1));
        for end in 0..bytes.len() {
            assert!(Begins::decode("here", &bytes[..end]).is_err());
        }
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert!(matches!(
            Begins::decode("here", &newer),
            Err(Error::Newer {
                found: 2,
                known: 1,
                ..
            })
        ));
    }
}
