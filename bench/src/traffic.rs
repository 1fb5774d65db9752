//! The traffic that the measurements send: events of the scene `scenes/intake` for customers drawn alike, and requests for
//! decisions. A function of its seed apart from the clock. It must never read what the product knows.

use std::io::Write as _;

/// Microseconds of a day.
const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }
}

/// Whose events are drawn.
#[derive(Clone, Debug)]
pub enum Customers {
    /// Each number once, in order.
    Each(std::ops::Range<u64>),
    /// Uniform over so many.
    Uniform(u64),
}

/// A source of events as lines of JSON.
#[derive(Clone, Debug)]
pub struct Events {
    random: Random,
    customers: Customers,
    /// Events lie at most so far back, in microseconds.
    back_us: u64,
    prefix: String,
    sent: u64,
}

impl Events {
    /// Events named `PREFIX-0`, `PREFIX-1` and so on, which happened within the last `days` days.
    #[must_use]
    pub fn new(prefix: &str, customers: Customers, days: u64) -> Self {
        let seed = prefix
            .bytes()
            .fold(1, |s: u64, b| s.wrapping_mul(31).wrapping_add(b.into()));
        Self {
            random: Random(seed),
            customers,
            back_us: (days * DAY_US).max(1),
            prefix: prefix.to_owned(),
            sent: 0,
        }
    }

    /// Writes at most `lines` lines into `out` and answers how many: fewer when every customer had a turn.
    pub fn write(&mut self, lines: u64, out: &mut Vec<u8>) -> u64 {
        let now = now_us();
        for written in 0..lines {
            let customer = match &mut self.customers {
                Customers::Each(range) => match range.next() {
                    Some(customer) => customer,
                    None => return written,
                },
                Customers::Uniform(end) => self.random.below(*end),
            };
            self.line(customer, now, out);
        }
        lines
    }

    fn line(&mut self, customer: u64, now_us: u64, out: &mut Vec<u8>) {
        let r = &mut self.random;
        let at = now_us - r.below(self.back_us);
        let item = r.below(12);
        let amount = 100 + r.below(10_000_000);
        // A Vec takes whatever is written.
        let _ = write!(
            out,
            r#"{{"id":"{}-{}","customer":"customer-{customer:09}","occurred_at":{at},"type":"#,
            self.prefix, self.sent
        );
        let _ = match r.below(100) {
            0..30 => write!(
                out,
                r#""login","properties":{{"channel":"{}","device":"device-{:06}"}}"#,
                ["app", "web", "branch"][r.below(3) as usize],
                r.below(1_000_000)
            ),
            30..70 => write!(
                out,
                r#""view","properties":{{"page":"{}","item":"i{item:02}","seconds":{}.{}}}"#,
                ["home", "item", "search", "holdings", "service"][r.below(5) as usize],
                r.below(300),
                r.below(10)
            ),
            70..78 => write!(
                out,
                r#""deposit","properties":{{"amount":{amount},"channel":"app"}}"#
            ),
            78..90 => write!(
                out,
                r#""order","properties":{{"item":"i{item:02}","amount":{amount},"quantity":{}}}"#,
                1 + r.below(99)
            ),
            90..95 => write!(
                out,
                r#""redeem","properties":{{"item":"i{item:02}","amount":{amount}}}"#
            ),
            _ => write!(
                out,
                r#""contact","properties":{{"topic":"{}","score":{}}}"#,
                ["price", "service", "complaint", "other"][r.below(4) as usize],
                1 + r.below(5)
            ),
        };
        let _ = writeln!(
            out,
            r#","context":{{"page":"https://example.org/a/{}","session":"{:016x}"}}}}"#,
            r.below(1_000),
            r.draw()
        );
        self.sent += 1;
    }
}

/// Microseconds since 1970.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_event_and_every_type_occurs() {
        let mut events = Events::new("e", Customers::Uniform(100), 5);
        let mut out = Vec::new();
        assert_eq!(events.write(500, &mut out), 500);
        let mut types = std::collections::BTreeSet::new();
        for line in String::from_utf8(out).expect("UTF-8").lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            types.insert(event["type"].as_str().expect("text").to_owned());
            assert!(event["properties"].is_object() && event["context"].is_object());
        }
        assert_eq!(types.len(), 6);
    }

    #[test]
    fn each_customer_has_one_turn() {
        let mut events = Events::new("p", Customers::Each(0..3), 5);
        let mut out = Vec::new();
        assert_eq!(events.write(2, &mut out), 2);
        assert_eq!(events.write(2, &mut out), 1);
        assert_eq!(events.write(2, &mut out), 0);
    }
}
