//! Figures in words: the lines of a demo that has no terminal, and what both views share.

use super::drive::Snapshot;
use luopan_kernel::time::Micros;

/// A count with its thousands apart.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time to the minute, UTC.
pub(crate) fn time(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |t| t.strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// How the two policies stand to each other.
pub(crate) fn lift(s: &Snapshot) -> String {
    let (learned, random) = (&s.learned, &s.random);
    if learned.low > random.high {
        let times = if random.mean > 0.0 {
            format!(" ({:.1} times as much)", learned.mean / random.mean)
        } else {
            String::new()
        };
        format!("learned is ahead{times}")
    } else if random.low > learned.high {
        "random is ahead".to_owned()
    } else {
        "too close to tell yet".to_owned()
    }
}

/// One line for a log.
pub(crate) fn line(s: &Snapshot) -> String {
    let f = |name: &str, f: &super::score::Figures| {
        format!("{name} {:.4} [{:.4}, {:.4}]", f.mean, f.low, f.high)
    };
    let models: Vec<String> = s
        .models
        .iter()
        .map(|(n, k)| format!("{n} {}", grouped(*k)))
        .collect();
    format!(
        "day {:>5.1}  events {:>10} ({:>6.0}/s)  decisions {:>8} ({:>5.0}/s)  reward {}  {}  samples {}  lag {}",
        s.days,
        grouped(s.events),
        s.events_per_second,
        grouped(s.decisions),
        s.decisions_per_second,
        f("learned", &s.learned),
        f("random", &s.random),
        models.join(", "),
        grouped(s.fold_lag),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::score::Figures;

    #[test]
    fn counts_and_times_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(time(Micros(1_788_220_800_000_000)), "2026-09-01 00:00");
    }

    #[test]
    fn nobody_is_ahead_while_the_intervals_overlap() {
        let figures = |low: f64, high: f64| Figures {
            mean: f64::midpoint(low, high),
            low,
            high,
            ..Figures::default()
        };
        let mut s = Snapshot {
            learned: figures(0.1, 0.3),
            random: figures(0.0, 0.2),
            ..Snapshot::default()
        };
        assert_eq!(lift(&s), "too close to tell yet");
        s.learned = figures(0.3, 0.5);
        assert_eq!(lift(&s), "learned is ahead (4.0 times as much)");
        s.random = figures(0.6, 0.7);
        assert_eq!(lift(&s), "random is ahead");
    }
}
