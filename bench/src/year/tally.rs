//! What was counted while the year was played.

use std::collections::BTreeMap;

/// Counts of one part, added up over parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events of the world that were folded.
    pub events: u64,
    /// Events of all kinds that were folded: decisions, signatures and more attributes besides.
    pub folded: u64,
    /// By policy: decisions, and those that chose something.
    pub decisions: BTreeMap<&'static str, (u64, u64)>,
    /// Pushes that waited and then went out, and that were cancelled when they were asked for again.
    pub sent: (u64, u64),
    /// Offers put to customers.
    pub offers: u64,
    /// Purchases and redemptions placed.
    pub orders: (u64, u64),
    /// Purchases that answer an offer, of those placed.
    pub answers: u64,
    /// Purchases that were not placed, by the rules that refused them.
    pub refused: BTreeMap<String, u64>,
    /// Lines for the checker, without those of products.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    /// Adds another part.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.folded += other.folded;
        for (policy, (asked, chosen)) in &other.decisions {
            let mine = self.decisions.entry(policy).or_default();
            mine.0 += asked;
            mine.1 += chosen;
        }
        self.sent.0 += other.sent.0;
        self.sent.1 += other.sent.1;
        self.offers += other.offers;
        self.orders.0 += other.orders.0;
        self.orders.1 += other.orders.1;
        self.answers += other.answers;
        for (rule, n) in &other.refused {
            *self.refused.entry(rule.clone()).or_default() += n;
        }
        self.lines += other.lines;
        self.bytes += other.bytes;
    }

    /// All decisions.
    pub fn all_decisions(&self) -> u64 {
        self.decisions.values().map(|d| d.0).sum()
    }
}
