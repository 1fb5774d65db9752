//! Internal ids. Foreign ids (a bank's customer number, a phone number) never appear in a key, a log record or a lake
//! file: intake maps them to these, and only the erasable key store knows both.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest foreign identifier and longest event id, in bytes.
pub const FOREIGN_ID_BYTES_MAX: usize = 128;

/// A tenant's number; it prefixes every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub u32);

/// The tenant of an installation that has only one.
pub const DEFAULT_TENANT: TenantId = TenantId(1);

/// Number of a scene within a store, given in the order in which scenes were first applied; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SceneNo(pub u16);

/// A log partition: `0..PARTITIONS` for customers, `ENVIRONMENT_PARTITION` for market and product events, above it one
/// a model (its learner log).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

/// A position in a partition's log: the number of entries before it. Position 0 is before the first entry.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(s: &str) -> Result<Self, ParseIdError> {
                parse_uuid(s).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id128! {
    /// The internal id of one identifier (account, device, phone) of a customer: a UUIDv7 made when it was first seen.
    IdentifierId
}
id128! {
    /// The internal id of a decision: a UUIDv7.
    DecisionId
}

/// A customer is a bounded set of linked identifiers and is named by one of them, the canonical identifier.
pub type CustomerId = IdentifierId;

/// Most identifiers that may be linked to one customer.
pub const LINKED_IDENTIFIERS_MAX: usize = 32;

impl IdentifierId {
    /// The customer partition of this identifier: a fixed hash, so it never moves.
    pub fn partition(&self) -> PartitionId {
        PartitionId((hash64(&self.0) % u64::from(crate::PARTITIONS)) as u16)
    }
}

/// Text that is not an id in the 8-4-4-4-12 form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not an id; write 32 hexadecimal digits as 8-4-4-4-12")]
pub struct ParseIdError {
    /// What was found.
    pub found: String,
}

fn write_uuid(b: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, byte) in b.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_uuid(s: &str) -> Result<[u8; 16], ParseIdError> {
    let fault = || ParseIdError {
        found: s.chars().take(64).collect(),
    };
    if s.len() != 36 || !s.is_ascii() {
        return Err(fault());
    }
    let mut out = [0u8; 16];
    let mut digits = 0;
    for (i, c) in s.bytes().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if c != b'-' {
                return Err(fault());
            }
            continue;
        }
        let v = (c as char).to_digit(16).ok_or_else(fault)? as u8;
        out[digits / 2] = (out[digits / 2] << 4) | v;
        digits += 1;
    }
    Ok(out)
}

/// SipHash-1-3 of `bytes` with the zero key: the one 64-bit hash used where a hash decides something (partition,
/// budget row, experiment bucket). It is part of the stored formats and never changes.
pub fn hash64(bytes: &[u8]) -> u64 {
    use core::hash::Hasher;
    let mut h = siphasher::sip::SipHasher13::new();
    h.write(bytes);
    h.finish()
}

/// SipHash-1-3 with 128-bit output and the zero key: names events for deduplication and values for distinct counts.
pub fn hash128(bytes: &[u8]) -> u128 {
    use core::hash::Hasher;
    use siphasher::sip128::Hasher128;
    let mut h = siphasher::sip128::SipHasher13::new();
    h.write(bytes);
    h.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read_back() {
        let id = DecisionId([
            0x01, 0x92, 0xab, 0xcd, 5, 6, 0x77, 8, 9, 10, 11, 12, 13, 14, 15, 0xff,
        ]);
        assert_eq!(id.to_string(), "0192abcd-0506-7708-090a-0b0c0d0e0fff");
        assert_eq!(id.to_string().parse::<DecisionId>().unwrap(), id);
        assert!(
            "0192abcd"
                .parse::<DecisionId>()
                .unwrap_err()
                .to_string()
                .contains("8-4-4-4-12")
        );
    }

    #[test]
    fn the_hash_is_pinned() {
        // A golden value: a change here would move every identifier to another partition.
        assert_eq!(hash64(b"luopan"), GOLDEN_64);
        assert_eq!(hash128(b"luopan"), GOLDEN_128);
    }
    const GOLDEN_64: u64 = 3_683_649_628_832_162_574;
    const GOLDEN_128: u128 = 176766344496609299850955201175524521489;
}
