//! The products that the population knows: those of the shipped `fund` scene, by the same keys. It must never hold more
//! than the pack's own catalogue says of them; what customers think of them is in [`crate::hidden`](self).

/// A product that may be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its place in [`OFFERS`].
    pub number: usize,
    /// Key in the catalogue.
    pub key: &'static str,
    /// Kind of fund.
    pub kind: &'static str,
    /// Risk level, 1..=5.
    pub risk_level: u8,
    /// Days for which the money is bound.
    pub term_days: u16,
}

const fn offer(
    number: usize,
    key: &'static str,
    kind: &'static str,
    risk_level: u8,
    term_days: u16,
) -> Offer {
    Offer {
        number,
        key,
        kind,
        risk_level,
        term_days,
    }
}

/// Every product of the scene, in the order of its catalogue.
pub const OFFERS: [Offer; 12] = [
    offer(0, "cash-daily", "money_market", 1, 0),
    offer(1, "cash-plus", "money_market", 1, 7),
    offer(2, "short-bond", "bond", 2, 30),
    offer(3, "pure-bond", "bond", 2, 90),
    offer(4, "credit-bond", "bond", 3, 180),
    offer(5, "balanced", "mixed", 3, 90),
    offer(6, "target-2040", "mixed", 3, 365),
    offer(7, "index-300", "index", 4, 0),
    offer(8, "index-500", "index", 4, 0),
    offer(9, "growth", "equity", 4, 180),
    offer(10, "technology", "equity", 5, 0),
    offer(11, "overseas", "equity", 5, 365),
];

/// The product with this key.
pub fn find(key: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|o| o.key == key)
}
