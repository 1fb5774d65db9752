//! Texts that are dates or times, told by their form. This room must never work out which time one is.

/// True of `2026-01-31` and `2026/1/31`, alone or before the time of a day, whatever follows its minutes.
pub fn is_time(text: &str) -> bool {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let parts: Vec<&str> = date.split(separator).collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let number = |part: &str, most: u32| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        let found = part
            .parse::<u32>()
            .ok()
            .filter(|_| digits && part.len() <= 2);
        found.is_some_and(|n| (1..=most).contains(&n))
    };
    let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
    is_year && number(month, 12) && number(day, 31) && rest.is_none_or(is_of_day)
}

/// Hours and minutes, and whatever follows.
fn is_of_day(text: &str) -> bool {
    let Some((hours, rest)) = text.split_once(':') else {
        return false;
    };
    let of = |digits: &str, most: u32| {
        let is_all = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_all && digits.parse::<u32>().is_ok_and(|n| n <= most)
    };
    of(hours, 24) && rest.get(..2).is_some_and(|minutes| of(minutes, 59))
}

#[cfg(test)]
mod tests {
    use super::is_time;

    #[test]
    fn times_are_told_from_other_texts() {
        for time in [
            "2026-01-31",
            "2026/1/3",
            "2026-01-31T08:00",
            "2026-01-31 08:00:00",
            "2026-01-31T08:00:00.25+08:00",
            "2026-01-31T08:00:00Z",
        ] {
            assert!(is_time(time), "{time}");
        }
        for text in [
            "",
            "2026",
            "2026-01",
            "2026-13-01",
            "2026-01-32",
            "26-01-31",
            "a-b-c",
            "2026-01-31 north",
            "0123-45-678",
            "10-20",
            "T",
            "2026-01-31T",
            "2026-01-31T8",
            "\u{4e00}-\u{4e01}-\u{4e02}",
            "2026-01-31T25:00",
            "2026-+1-31",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }
}
