//! Why nothing can be learned or said, and why what is said should be trusted less. This room must never know how a value is
//! fitted.

use crate::{gbdt, glm, ope};

/// Why nothing was learned or told. Rows are counted from 0, and told from 1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// A column that is not as long as it must be.
    #[error("{column}: {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        column: String,
        /// Its length.
        found: usize,
        /// What it must be.
        wanted: usize,
    },
    /// A value that cannot be used.
    #[error("row {}, {column}: {found} where {wanted}", row + 1)]
    Value {
        /// Of which column.
        column: String,
        /// Its row.
        row: usize,
        /// The value.
        found: f64,
        /// What is wanted, as the end of a sentence.
        wanted: &'static str,
    },
    /// A propensity that is missing, zero or no probability.
    #[error(
        "row {}: the propensity is {found}: write the probability, above 0 and at most 1, with which the action was logged; \
         without one nothing can be said of another policy",
        row + 1
    )]
    Propensity {
        /// Its row.
        row: usize,
        /// What was found; not a number where it is missing.
        found: f64,
    },
    /// An action that there is not.
    #[error("row {}: action {found}: there are {count}, counted from 0", row + 1)]
    Action {
        /// Its row.
        row: usize,
        /// The action.
        found: u32,
        /// How many there are.
        count: usize,
    },
    /// The action that was taken is not among the candidates.
    #[error(
        "row {}: {action:?} was taken, but is not among the actions that could be: name it there",
        row + 1
    )]
    NotAllowed {
        /// Its row.
        row: usize,
        /// The action's name.
        action: String,
    },
    /// A customer has two rows of one step.
    #[error("customer {customer:?} has step {step} twice: a customer does one thing at a step")]
    Duplicate {
        /// Who.
        customer: String,
        /// Which.
        step: i64,
    },
    /// A customer's steps do not follow each other.
    #[error(
        "customer {customer:?} has no row between steps {before} and {after}: write a row for every step, with the action that \
         stands for doing nothing"
    )]
    Gap {
        /// Who.
        customer: String,
        /// The step before the gap.
        before: i64,
        /// The one behind it.
        after: i64,
    },
    /// A row behind the end of a customer.
    #[error("customer {customer:?} has a row behind step {step}, which is marked as her end")]
    AfterEnd {
        /// Who.
        customer: String,
        /// Her end.
        step: i64,
    },
    /// Logs that end before the horizon does.
    #[error(
        "the logs of customer {customer:?} end after {found} of {wanted} steps: look at most {found} steps ahead, leave her out, or \
         mark her last row as her end if nothing can come behind it"
    )]
    Cut {
        /// Who.
        customer: String,
        /// Steps that there are.
        found: usize,
        /// The horizon.
        wanted: usize,
    },
    /// One action only.
    #[error("every row has the action {action:?}: there is nothing to choose between")]
    OneAction {
        /// Its name.
        action: String,
    },
    /// Fewer customers than are needed.
    #[error("{customers} customers: {what} needs at least {least}")]
    Few {
        /// Customers there are.
        customers: usize,
        /// What needs more.
        what: &'static str,
        /// How many it needs.
        least: usize,
    },
    /// Actions of a policy of which the learned-from customers say nothing.
    #[error(
        "row {}: the policy may take {action:?}, which no customer that the values are learned from was given: log it, or leave \
         it out of the policy",
        row + 1
    )]
    Untried {
        /// A row where it may.
        row: usize,
        /// The action's name.
        action: String,
    },
    /// Every weight is zero.
    #[error(
        "the policy does with none of the {customers} customers what was logged at the first step: nothing in these logs tells its value"
    )]
    NoOverlap {
        /// Customers looked at.
        customers: usize,
    },
    /// A setting out of its range.
    #[error("{what} is {found}: write {wanted}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// The trees' own refusal.
    #[error("{model}: {source}")]
    Trees {
        /// Which of the models.
        model: String,
        /// What it said.
        source: gbdt::Error,
    },
    /// Trees beyond the kernel's limits.
    #[error("{model}: {source}")]
    Ensemble {
        /// Which of the models.
        model: String,
        /// What it said.
        source: luopan_kernel::trees::Error,
    },
    /// The linear model's own refusal.
    #[error("{model}: {source}")]
    Linear {
        /// Which of the models.
        model: String,
        /// What it said.
        source: glm::Error,
    },
    /// Folds that cannot be made.
    #[error(transparent)]
    Folds(#[from] ope::Error),
}

/// Why what was told should be trusted less, with the numbers. Steps are counted from 1, the first of a customer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// Every customer has one row.
    #[error(
        "every customer has one step: nothing follows from an action, so this is a bandit's question; `luopan learn evaluate` and \
         `luopan learn uplift` answer it with more"
    )]
    Bandit,
    /// Few effective customers.
    #[error(
        "from step {step} on the weights of {customers} customers are worth fewer than {least:.0} (there {found:.1}): estimates by \
         importance weights rest on so few; look fewer steps ahead, or at a policy nearer to the logged one"
    )]
    FewEffective {
        /// The first such step.
        step: usize,
        /// Customers.
        customers: usize,
        /// Effective customers there.
        found: f64,
        /// The limit.
        least: f64,
    },
    /// No customer was treated as the policy would for so long.
    #[error(
        "with no customer does the policy what was logged through step {step}: per-decision importance sampling counts what comes \
         from there on as nothing, and the others leave it to the fitted values"
    )]
    NoWeight {
        /// The first such step.
        step: usize,
    },
    /// Weights that do not add up at the first step.
    #[error(
        "the mean weight of the first step is {mean:.4} +- {error:.4}, but must be 1: propensities are wrong, or the policy takes \
         what was never logged"
    )]
    MeanWeight {
        /// Mean.
        mean: f64,
        /// Standard error.
        error: f64,
    },
    /// Fitted values without an interval.
    #[error(
        "fitted Q evaluation has no interval: how far its values may be off is only told by fitting them anew to customers drawn \
         again (refits)"
    )]
    NoRefits,
}

pub(super) fn setting(what: &'static str, found: f64, wanted: &'static str) -> Error {
    Error::Setting {
        what,
        found,
        wanted,
    }
}
