//! Units of packs: lengths of time, amounts of money, hours of the day and days. Everything is exact: text in, integers out.

use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, SECOND_US};

/// A length of time as `30d`, `12h`, `15m`, `10s` or a sum such as `1d12h`, in microseconds. Units stand once each,
/// largest first; a day is 24 hours.
///
/// # Errors
/// A sentence that says what to write.
pub fn duration(text: &str) -> Result<i64, String> {
    const UNITS: [(&str, i64); 6] = [
        ("w", 7 * DAY_US),
        ("d", DAY_US),
        ("h", HOUR_US),
        ("m", MINUTE_US),
        ("s", SECOND_US),
        ("ms", 1_000),
    ];
    let help = "write a length of time as `30d`, `12h`, `15m`, `10s` or `1d12h`";
    let mut rest = text.trim();
    let mut total: i64 = 0;
    let mut least = usize::MAX;
    if rest.is_empty() {
        return Err(help.into());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = after.split_at(letters);
        if number.is_empty() {
            return Err(help.into());
        }
        let Some(index) = UNITS.iter().position(|(u, _)| *u == unit) else {
            return Err(if unit.is_empty() {
                format!("`{number}` has no unit; {help}")
            } else {
                format!("`{unit}` is not a unit of time (w, d, h, m, s, ms); {help}")
            });
        };
        if least != usize::MAX && index <= least {
            return Err(format!("units stand once each, largest first; {help}"));
        }
        least = index;
        let amount = number
            .parse::<i64>()
            .ok()
            .and_then(|n| n.checked_mul(UNITS[index].1))
            .and_then(|n| total.checked_add(n))
            .ok_or("the length of time is too long")?;
        total = amount;
        rest = next;
    }
    Ok(total)
}

/// A length of time in the form that [`duration`] reads, the shortest one that is exact.
pub fn duration_text(us: i64) -> String {
    if us < 0 {
        return format!("-{}", duration_text(us.saturating_neg()));
    }
    let mut out = String::new();
    let mut rest = us;
    for (unit, size) in [
        ("d", DAY_US),
        ("h", HOUR_US),
        ("m", MINUTE_US),
        ("s", SECOND_US),
        ("ms", 1_000),
    ] {
        let n = rest / size;
        if n > 0 {
            out.push_str(&format!("{n}{unit}"));
            rest -= n * size;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

// Amounts in minor units are the kernel's vocabulary; packs read and write them here.
pub use luopan_kernel::money::{currencies, decimal, minor_digits, minor_units};

/// A time of day `HH:MM` as minutes since midnight.
///
/// # Errors
/// A sentence that says what to write.
pub fn clock(text: &str) -> Result<u16, String> {
    let help = || "write a time of day as \"21:00\"".to_owned();
    let (h, m) = text.split_once(':').ok_or_else(help)?;
    if h.len() != 2 || m.len() != 2 {
        return Err(help());
    }
    let (h, m): (u16, u16) = (
        h.parse().map_err(|_| help())?,
        m.parse().map_err(|_| help())?,
    );
    if h > 23 || m > 59 {
        return Err(help());
    }
    Ok(h * 60 + m)
}

/// A day `YYYY-MM-DD` as days since 1970-01-01.
///
/// # Errors
/// A sentence that says what to write.
pub fn day(text: &str) -> Result<i64, String> {
    let date: jiff::civil::Date = text
        .parse()
        .map_err(|_| "write a day as 2026-11-23".to_owned())?;
    if text.len() != 10 {
        return Err("write a day as 2026-11-23".into());
    }
    let epoch = jiff::civil::date(1970, 1, 1);
    Ok(i64::from((date - epoch).get_days()))
}

/// The first instant of the day `text` in the zone; none when either is not right.
pub fn midnight(text: &str, zone_name: &str) -> Option<Micros> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let start = date.to_zoned(zone(zone_name)?).ok()?;
    Some(Micros(start.timestamp().as_microsecond()))
}

/// A time with its offset, `2026-11-23T09:30:00+08:00` or `…Z` (RFC 3339), in UTC microseconds.
///
/// # Errors
/// A sentence that says what to write.
pub fn timestamp(text: &str) -> Result<i64, String> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|_| "write a time with its offset, as 2026-11-23T09:30:00+08:00".to_owned())
}

/// The IANA zone `name` from the table built into this program, so the answer does not depend on the machine.
pub fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    zones().get(name).ok()
}

/// Names of all known zones.
pub(crate) fn zone_names() -> Vec<String> {
    zones().available().map(|n| n.to_string()).collect()
}

fn zones() -> &'static jiff::tz::TimeZoneDatabase {
    static ZONES: std::sync::OnceLock<jiff::tz::TimeZoneDatabase> = std::sync::OnceLock::new();
    ZONES.get_or_init(jiff::tz::TimeZoneDatabase::bundled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("30d"), Ok(30 * DAY_US));
        assert_eq!(duration("1d12h"), Ok(36 * HOUR_US));
        assert_eq!(duration("15m"), Ok(15 * MINUTE_US));
        for wrong in [
            "",
            "30",
            "d",
            "3x",
            "1h1d",
            "1d1d",
            "9999999999999d",
            "-1d",
            "1 d",
            "天",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(minor_units("12.5", 2), Ok(1250));
        assert_eq!(minor_units("-0.01", 2), Ok(-1));
        assert_eq!(minor_units("12.500", 2), Ok(1250));
        assert_eq!(minor_units("7", 0), Ok(7));
        assert_eq!(minor_units("0", 0), Ok(0));
        for wrong in ["12.505", "1,000", "", ".", "1e3", "99999999999999999999"] {
            assert!(minor_units(wrong, 2).is_err(), "{wrong}");
        }
        assert_eq!(minor_digits("CNY"), Some(2));
        assert_eq!(minor_digits("JPY"), Some(0));
        assert_eq!(minor_digits("RMB"), None);
    }

    #[test]
    fn days_clocks_and_zones() {
        assert_eq!(day("1970-01-02"), Ok(1));
        assert_eq!(day("2026-11-23"), Ok(20780));
        assert!(day("2026-02-30").is_err());
        assert_eq!(clock("21:05"), Ok(1265));
        assert!(clock("24:00").is_err());
        assert_eq!(timestamp("1970-01-01T08:00:01+08:00"), Ok(1_000_000));
        assert!(zone("Asia/Shanghai").is_some());
        assert!(zone("Asia/Beijing").is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0i64..10_000_000_000_000, minor: i64, digits in 0u32..4) {
            prop_assert_eq!(duration(&duration_text(ms * 1000)), Ok(ms * 1000));
            prop_assume!(minor != i64::MIN);
            prop_assert_eq!(minor_units(&decimal(minor, digits), digits), Ok(minor));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = (duration(&text), minor_units(&text, 2), clock(&text), day(&text), timestamp(&text));
        }
    }
}
