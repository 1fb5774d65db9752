//! Measures of a catalogue's items: each becomes an attribute that NAVs fill.

use super::Compiler;
use crate::fault::{Code, listed, nearest, shown};
use crate::node::{Key, Node};
use luopan_kernel::catalogue::measures::{
    ANNUALISED_MONTHS_MIN, Measure, MeasurePlan, MeasuresPlan, Span,
};
use luopan_kernel::plan::Field;
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::ValueType;

/// Trading days of a year where a pack does not say: about what the mainland's exchanges have.
const TRADING_DAYS: u16 = 250;
/// Longest gap between two NAVs where a pack does not say: the longest holidays and some days more.
const LONGEST_GAP_DAYS: u16 = 15;
/// Largest return of a day that is believed where a pack does not say.
const LARGEST_MOVE: f64 = 0.3;
/// Months of the longest window.
const MONTHS_MAX: u16 = 1_200;
/// Days of the longest window that is written in days.
const DAYS_MAX: u16 = 366;

fn span(text: &str) -> Option<Span> {
    if text == "inception" {
        return Some(Span::Inception);
    }
    if let Some(number) = text.strip_suffix('d') {
        let days: u16 = number.parse().ok()?;
        return (1..=DAYS_MAX).contains(&days).then_some(Span::Days(days));
    }
    let (number, months) = match text.strip_suffix('m') {
        Some(number) => (number, 1),
        None => (text.strip_suffix('y')?, 12),
    };
    let n: u16 = number.parse().ok()?;
    let months = n.checked_mul(months)?;
    (1..=MONTHS_MAX)
        .contains(&months)
        .then_some(Span::Months(months))
}

impl Compiler<'_, '_> {
    /// Compiles the measures of a catalogue and adds their attributes.
    pub(super) fn measures(
        &mut self,
        node: &Node,
        attributes: &mut Vec<Field>,
    ) -> Option<MeasuresPlan> {
        let declared = attributes.len();
        let peer_group = node.get("peer_group").and_then(|n| {
            let name = n.text()?;
            let found = attributes.iter().position(|a| a.name == name);
            if found.is_none_or(|i| attributes[i].kind != ValueType::Text) {
                let texts = || {
                    (attributes.iter())
                        .filter(|a| a.kind == ValueType::Text)
                        .map(|a| a.name.as_str())
                };
                self.report.near(
                    n.at,
                    Code::UnknownName,
                    format!("`{}` is no text attribute", shown(name)),
                    format!("peers are told by one of {}", listed(texts())),
                    nearest(name, texts()),
                );
            }
            found.map(|i| i as u16)
        });
        let mut list: Vec<MeasurePlan> = Vec::new();
        let entries: Vec<&(Key, Node)> = node
            .get("attributes")
            .map_or(&[][..], Node::entries)
            .iter()
            .collect();
        for (key, node) in &entries {
            if attributes[..declared].iter().any(|a| a.name == key.text) {
                self.report.at(
                    key.at,
                    Code::Conflict,
                    format!("`{}` is declared as an attribute too", shown(&key.text)),
                    "give the measure another name",
                );
            }
            let at = attributes.len() as u16;
            let ranked = |this: &mut Self| {
                let of = node.get("of")?;
                let name = of.text()?;
                let known: Vec<&str> = attributes.iter().map(|a| a.name.as_str()).collect();
                let Some(i) = known.iter().position(|k| *k == name) else {
                    this.report
                        .unknown(of.at, "attribute", name, known.iter().copied());
                    return None;
                };
                if !matches!(attributes[i].kind, ValueType::Number | ValueType::Integer) {
                    this.report.at(
                        of.at,
                        Code::WrongType,
                        format!("`{name}` is {}", attributes[i].kind.word()),
                        "only numbers have a rank; ranks are declared behind what they rank",
                    );
                }
                let low = node.get("best").and_then(Node::text) == Some("low");
                Some((i as u16, low))
            };
            let windowed = |this: &mut Self, is_annual: bool| {
                let window = node.get("window")?;
                let found = span(window.scalar()?);
                let Some(span) = found else {
                    this.report.at(
                        window.at,
                        Code::OutOfRange,
                        format!("`{}` is no window", shown(window.scalar()?)),
                        "write days, months or years as `7d`, `3m` or `1y`, or `inception`",
                    );
                    return None;
                };
                let is_short = match span {
                    Span::Days(_) => true,
                    Span::Months(n) => n < ANNUALISED_MONTHS_MIN,
                    Span::Inception => false,
                };
                if is_annual && is_short {
                    this.report.at(
                        window.at,
                        Code::OutOfRange,
                        "less than a year is annualised",
                        "write `1y` or longer: nothing is annualised under a year",
                    );
                }
                Some(span)
            };
            let word = node.get("measure").and_then(Node::text).unwrap_or_default();
            let measure = match word {
                "nav" => Some(Measure::Nav),
                "nav_at" => Some(Measure::NavAt),
                "first_nav_at" => Some(Measure::FirstNavAt),
                "age_days" => Some(Measure::AgeDays),
                "days_down" => Some(Measure::DaysDown),
                "return" => windowed(self, false).map(Measure::Return),
                "drawdown" => windowed(self, false).map(Measure::Drawdown),
                "annualised_return" => windowed(self, true).map(Measure::AnnualisedReturn),
                "volatility" => windowed(self, true).map(Measure::Volatility),
                "sharpe" => windowed(self, true).map(Measure::Sharpe),
                "rank" => ranked(self).map(|(of, low)| Measure::Rank { of, low }),
                "quantile" => ranked(self).map(|(of, low)| Measure::Quantile { of, low }),
                _ => None,
            };
            for (name, wanted) in [
                (
                    "window",
                    matches!(
                        word,
                        "return" | "drawdown" | "annualised_return" | "volatility" | "sharpe"
                    ),
                ),
                ("of", matches!(word, "rank" | "quantile")),
            ] {
                match (node.get(name), wanted) {
                    (None, true) => self.report.at(
                        key.at,
                        Code::MissingKey,
                        format!("the measure `{}` without `{name}`", shown(&key.text)),
                        match name {
                            "window" => "write `window: 1y`",
                            _ => "write `of:` and the attribute that is ranked",
                        },
                    ),
                    (Some(n), false) if measure.is_some() => self.report.at(
                        n.at,
                        Code::Conflict,
                        format!("`{name}` of a measure `{word}`"),
                        "leave it out",
                    ),
                    _ => {}
                }
            }
            let kind = match measure {
                Some(Measure::NavAt | Measure::FirstNavAt) => ValueType::Time,
                Some(Measure::AgeDays | Measure::DaysDown | Measure::Rank { .. }) => {
                    ValueType::Integer
                }
                _ => ValueType::Number,
            };
            attributes.push(Field {
                name: key.text.clone(),
                kind,
                required: false,
                personal: false,
                currency: None,
                one_of: Vec::new(),
                not_a_feature: None,
            });
            if let Some(measure) = measure {
                list.push(MeasurePlan {
                    attribute: at,
                    measure,
                });
            }
        }
        let ranked =
            |m: &MeasurePlan| matches!(m.measure, Measure::Rank { .. } | Measure::Quantile { .. });
        if list.iter().any(ranked) && !list.iter().any(|m| m.measure == Measure::NavAt) {
            self.report.at(
                node.at,
                Code::MissingKey,
                "ranks without the day of the newest NAV",
                "add `nav_at: {measure: nav_at}`: who has none of late is no peer",
            );
        }
        let days = node.get("longest_gap").and_then(super::duration);
        Some(MeasuresPlan {
            peer_group,
            trading_days: (node.get("trading_days").and_then(Node::integer))
                .map_or(TRADING_DAYS, |n| n.clamp(1, 366) as u16),
            risk_free_rate: node
                .get("risk_free_rate")
                .and_then(Node::number)
                .unwrap_or(0.0),
            longest_gap_days: days.map_or(LONGEST_GAP_DAYS, |us| {
                (us / DAY_US).clamp(1, i64::from(u16::MAX)) as u16
            }),
            largest_move: node
                .get("largest_move")
                .and_then(Node::number)
                .unwrap_or(LARGEST_MOVE),
            list,
        })
    }
}
