//! What was found: for each rule, how often it was kept, broken, and not to be known, with the first examples. This room must
//! never count an unknown as anything else.

use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Examples kept of each kind and rule.
pub const EXAMPLES_MAX: usize = 5;

/// What one look at one rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The rule was kept.
    Kept,
    /// It was broken.
    Violated,
    /// It cannot be known.
    Unknown,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// When.
    pub at: Timestamp,
    /// Which record: `decision d1`, `order o1`.
    pub record: String,
    /// Customer; empty where there is none.
    pub customer: String,
    /// Product; empty where there is none.
    pub product: String,
    /// What was found.
    pub found: String,
}

/// Counts of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Looks at which the rule was kept.
    pub kept: u64,
    /// Looks at which it was broken.
    pub violated: u64,
    /// Looks at which it cannot be known.
    pub unknown: u64,
    /// First violations.
    pub violations: Vec<Example>,
    /// First unknowns.
    pub unknowns: Vec<Example>,
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lines read.
    pub records: u64,
    /// Customers seen.
    pub customers: u64,
    /// Products seen.
    pub products: u64,
    /// By number of the rule in `market-rules.md`, 1 to 16. A rule that nothing was looked at for stands with zeros.
    pub rules: BTreeMap<u8, Count>,
}

impl Report {
    /// Violations of all rules.
    pub fn violated(&self) -> u64 {
        self.rules.values().map(|c| c.violated).sum()
    }

    /// Unknowns of all rules.
    pub fn unknown(&self) -> u64 {
        self.rules.values().map(|c| c.unknown).sum()
    }

    pub(crate) fn note(&mut self, rule: u8, verdict: Verdict, example: impl FnOnce() -> Example) {
        let count = self.rules.entry(rule).or_default();
        let (number, examples) = match verdict {
            Verdict::Kept => {
                count.kept += 1;
                return;
            }
            Verdict::Violated => (&mut count.violated, &mut count.violations),
            Verdict::Unknown => (&mut count.unknown, &mut count.unknowns),
        };
        *number += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(example());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} records, {} customers, {} products",
            self.records, self.customers, self.products
        )?;
        writeln!(
            f,
            "{:>4} {:>12} {:>12} {:>12}",
            "rule", "kept", "violated", "unknown"
        )?;
        for (rule, c) in &self.rules {
            writeln!(
                f,
                "{rule:>4} {:>12} {:>12} {:>12}",
                c.kept, c.violated, c.unknown
            )?;
        }
        for (rule, c) in &self.rules {
            for (word, examples) in [("violated", &c.violations), ("unknown", &c.unknowns)] {
                for e in examples {
                    writeln!(
                        f,
                        "rule {rule} {word} at {}, {}, customer {}, product {}: {}",
                        e.at, e.record, e.customer, e.product, e.found
                    )?;
                }
            }
        }
        Ok(())
    }
}
