//! What a decision is: the choice, the distribution it was sampled from, what was refused and why, and what the commit has
//! to validate. All numbers here are exactly the ones that were used.

use crate::plan::rule::Truth;
use crate::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which gate refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// An eligibility rule was false or unknown.
    Eligibility,
    /// Consent was not given, or is not known.
    Consent,
    /// It is a quiet hour at the customer's.
    QuietHours,
    /// The last contact through the channel is too recent.
    QuietPeriod,
    /// A frequency cap of the customer, policy or channel is reached.
    Cap,
    /// More candidates than one decision looks at.
    CandidatesMax,
    /// A suitability rule was false or unknown of the item.
    Suitability,
    /// An exclusion was true or unknown of the item.
    Exclusion,
    /// A frequency cap of the item is reached.
    ItemCap,
    /// A budget does not cover the item's cost, or the cost is unknown or negative.
    Budget,
    /// An objective says less of the item than its floor.
    Floor,
    /// The item's score is unknown.
    Score,
    /// The imposed item is not in the catalogue or was refused by another gate.
    Forced,
    /// The commit refused what was decided.
    Commit,
}

impl Gate {
    /// True for the gates of the customer, behind which no item is looked at.
    pub fn is_of_customer(self) -> bool {
        matches!(
            self,
            Self::Eligibility | Self::Consent | Self::QuietHours | Self::QuietPeriod | Self::Cap
        )
    }
}

/// How often a rule refused in one decision. A gate of the customer counts once, a gate of items once an item: an item is
/// counted at the first gate that refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Gate.
    pub gate: Gate,
    /// Name of the rule, cap or budget.
    pub rule: String,
    /// Version or effective date of the rule, when the pack gives one.
    #[serde(default)]
    pub version: Option<String>,
    /// Refusals.
    pub count: u32,
    /// Of these, refusals because something was not known.
    pub unknown: u32,
}

/// What the commit validates of a budget: that `amount` is still (or still not) covered by what remains.
///
/// Coverage only falls as the amount grows, so the largest amount found covered and the smallest found not covered answer
/// for every amount that was asked: while both stand, the whole availability mask stands, whatever was drawn under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BudgetCheck {
    /// Index of the budget in the scene.
    pub budget: u16,
    /// Amount asked for.
    pub amount: i64,
    /// True when it was covered.
    pub available: bool,
}

/// What a decision spends of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Debit {
    /// Index of the budget in the scene.
    pub budget: u16,
    /// Amount, above zero.
    pub amount: i64,
}

/// One chosen item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Position in the slate, from 0.
    pub position: u32,
    /// Item key.
    pub item: String,
    /// Probability of this item at this position, given the earlier ones.
    pub propensity: f64,
    /// Score (expected reward for a model).
    pub score: f64,
    /// Cost per budget of the policy, in its order.
    pub costs: Vec<Debit>,
    /// Slots of the item that the policy reads, with their values when it was decided, in slot order: a training row is
    /// made of these, for the catalogue may have changed since.
    pub reads: Vec<(String, Value<'static>)>,
}

/// A set of catalogue rows, written as hexadecimal digits: byte k holds rows 8k (lowest bit) to 8k+7.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowSet {
    bytes: Vec<u8>,
}

impl RowSet {
    /// The set of `rows`, ascending.
    pub fn new(rows: impl IntoIterator<Item = u32>) -> Self {
        let mut out = Self::default();
        for row in rows {
            let k = row as usize / 8;
            if k >= out.bytes.len() {
                out.bytes.resize(k + 1, 0);
            }
            out.bytes[k] |= 1 << (row % 8);
        }
        out
    }

    /// True when `row` is in the set.
    pub fn contains(&self, row: u32) -> bool {
        self.bytes
            .get(row as usize / 8)
            .is_some_and(|b| b >> (row % 8) & 1 == 1)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.bytes.iter().map(|b| b.count_ones() as usize).sum()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|b| *b == 0)
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.bytes.iter().enumerate().flat_map(|(k, b)| {
            (0..8)
                .filter(move |bit| b >> bit & 1 == 1)
                .map(move |bit| k as u32 * 8 + bit)
        })
    }
}

impl Serialize for RowSet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let text: String = self
            .bytes
            .iter()
            .flat_map(|b| {
                [
                    DIGITS[usize::from(b >> 4)] as char,
                    DIGITS[usize::from(b & 15)] as char,
                ]
            })
            .collect();
        s.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for RowSet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        let fault = || serde::de::Error::custom("rows are written as pairs of hexadecimal digits");
        let digit = |b: u8| (b as char).to_digit(16).map(|v| v as u8);
        let pairs = text.as_bytes().chunks(2);
        let bytes = pairs
            .map(|p| Some(digit(p[0])? << 4 | digit(*p.get(1)?)?))
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(fault)?;
        Ok(Self { bytes })
    }
}

/// Probability of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Item key; none for the null action.
    pub item: Option<String>,
    /// Its catalogue row; none for the null action.
    pub row: Option<u32>,
    /// Probability at the first position.
    pub probability: f64,
}

/// The distribution that the first position was sampled from. Every available item has a probability: the one in `listed`
/// where it stands there, else `base`. Nothing else can be chosen. The probabilities sum to one within 1e-12.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Distribution {
    /// Rows of the available items in the catalogue of the recorded version: the availability mask.
    pub available: RowSet,
    /// Probability of each available item that is not listed.
    pub base: f64,
    /// The others, ascending by row; last the null action, where it could be drawn.
    pub listed: Vec<Share>,
}

impl Distribution {
    /// All probability on the null action.
    pub fn null() -> Self {
        Self {
            available: RowSet::default(),
            base: 0.0,
            listed: vec![Share {
                item: None,
                row: None,
                probability: 1.0,
            }],
        }
    }

    /// Probability of the item in `row`, or of the null action.
    pub fn probability(&self, row: Option<u32>) -> f64 {
        match (self.listed.iter().find(|s| s.row == row), row) {
            (Some(s), _) => s.probability,
            (None, Some(row)) if self.available.contains(row) => self.base,
            _ => 0.0,
        }
    }

    /// Sum of all probabilities.
    pub fn total(&self) -> f64 {
        let items = self.listed.iter().filter(|s| s.row.is_some()).count();
        let rest = self.available.len().saturating_sub(items);
        self.listed.iter().map(|s| s.probability).sum::<f64>() + self.base * rest as f64
    }
}

/// What one feature adds to a candidate's linear score: weight times value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Feature position, as [`crate::features::names`] names it.
    pub feature: String,
    /// Contribution to the linear score (log-odds for a logistic model).
    pub value: f64,
}

/// Why a candidate, or the customer, was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Gate.
    pub gate: Gate,
    /// Name of the rule, cap or budget.
    pub rule: String,
    /// The clause that failed, written out.
    #[serde(default)]
    pub clause: Option<String>,
    /// What the clause was.
    #[serde(default)]
    pub truth: Option<Truth>,
    /// The slots that the clause read.
    #[serde(default)]
    pub reads: Vec<(String, Value<'static>)>,
}

/// One line of a decision's trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Item key; none for the null action, or for the customer when `refusal` is of the customer.
    pub item: Option<String>,
    /// Score, of an available candidate.
    #[serde(default)]
    pub score: Option<f64>,
    /// Probability at the first position.
    pub probability: f64,
    /// Largest contributions to the score, of a model.
    #[serde(default)]
    pub contributions: Vec<Contribution>,
    /// Why it was refused.
    #[serde(default)]
    pub refusal: Option<Refusal>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// True when nothing was chosen.
    pub null: bool,
    /// What was chosen, in order of position.
    pub choices: Vec<Choice>,
    /// Probability of the whole outcome: the product over the positions, and over the null action that ended the slate.
    pub propensity: f64,
    /// Probability of the null action at the position where it was drawn and ended the slate; none when it was not drawn.
    pub null_propensity: Option<f64>,
    /// Positions that could be filled: the slate's, cut so that whatever is drawn can be paid.
    pub slots: u32,
    /// What the first position was sampled from.
    pub distribution: Distribution,
    /// Items of the catalogue.
    pub candidates: u32,
    /// Of these, available: those that the choice was drawn from.
    pub available: u32,
    /// Of a policy that retrieves or ranks: the items that passed every gate, of which `available` were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible: Option<u32>,
    /// Refusals per rule, in order of gates and rules.
    pub refusals: Vec<RuleCount>,
    /// What the commit validates.
    pub checks: Vec<BudgetCheck>,
    /// What is spent, one a budget, ascending.
    pub debits: Vec<Debit>,
    /// The best candidates, then refused ones.
    pub trace: Vec<Candidate>,
    /// Slots of customer, environment and request that were read, in slot order: those of the whole policy, or of the gates
    /// alone where one of the customer refused.
    pub slots_read: Vec<(String, Value<'static>)>,
    /// Slots of customer and item together that were read, for each item of the catalogue that the customer holds,
    /// held or has ordered, ascending by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_read: Vec<HeldRead>,
}

/// What the slots of a customer and one item together held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldRead {
    /// Key of the item.
    pub item: String,
    /// Names and values, in slot order.
    pub reads: Vec<(String, Value<'static>)>,
}

impl Decision {
    /// The decision after the commit refused it for good (`reason` names what changed): the null action, with certainty.
    /// The commit's checks do not depend on what was drawn, so neither does this.
    pub fn withheld(mut self, reason: &str) -> Self {
        self.null = true;
        self.choices.clear();
        self.debits.clear();
        self.propensity = 1.0;
        self.null_propensity = None;
        self.distribution = Distribution::null();
        self.refusals.push(RuleCount {
            gate: Gate::Commit,
            rule: reason.to_owned(),
            version: None,
            count: 1,
            unknown: 0,
        });
        self
    }
}
