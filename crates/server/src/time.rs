//! Times as people and programs write them: RFC 3339 text with a zone, or integer microseconds since 1970-01-01 UTC. Local
//! times without a zone are never guessed at.

use luopan_kernel::time::Micros;

/// The time written as RFC 3339 with a zone.
///
/// # Errors
/// What was found and what to write instead.
pub fn parse(text: &str) -> Result<Micros, String> {
    text.parse::<jiff::Timestamp>()
        .map(|t| Micros(t.as_microsecond()))
        .map_err(|_| {
            let found: String = text.chars().take(64).collect();
            if is_well_formed(text) {
                return format!(
                    "`{found}` lies outside the times that are kept, {} to {}",
                    jiff::Timestamp::MIN,
                    jiff::Timestamp::MAX
                );
            }
            format!(
                "`{found}` is not a time; write RFC 3339 with a zone, for instance 2026-11-22T08:00:00Z, or integer microseconds since 1970"
            )
        })
}

/// True for a day and an hour that there are, with a zone: what then cannot be read is out of range.
fn is_well_formed(text: &str) -> bool {
    let Some(hour) = text.find(['T', 't', ' ']) else {
        return false;
    };
    let Some(zone) = text[hour..].find(['Z', 'z', '+', '-']) else {
        return false;
    };
    text[..hour + zone].parse::<jiff::civil::DateTime>().is_ok()
}

/// The time as RFC 3339 in UTC; outside the years that RFC 3339 can write, the microseconds.
#[must_use]
pub fn write(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

/// For `#[serde(with)]`: writes a [`Micros`] as RFC 3339.
pub mod text {
    use super::Micros;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the time.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &Micros, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::write(*at))
    }

    /// Reads the time.
    ///
    /// # Errors
    /// Text that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Micros, D::Error> {
        let text = String::deserialize(d)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_a_zone_are_read_and_others_refused() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(Micros(1_000_000)));
        assert_eq!(parse("1970-01-01T08:00:01+08:00"), Ok(Micros(1_000_000)));
        assert_eq!(parse("1970-01-01T00:00:00.000001Z"), Ok(Micros(1)));
        let refused = parse("2026-11-22 08:00").unwrap_err();
        assert!(refused.contains("2026-11-22 08:00") && refused.contains("RFC 3339"));
        let late = parse("9999-12-31T23:59:59Z").unwrap_err();
        assert!(
            late.contains("outside") && late.contains("9999-12-30"),
            "{late}"
        );
        assert!(
            parse("2026-02-30T00:00:00Z")
                .unwrap_err()
                .contains("RFC 3339")
        );
        assert_eq!(write(Micros(1)), "1970-01-01T00:00:00.000001Z");
    }
}
