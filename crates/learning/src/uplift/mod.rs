//! Uplift: how much a treatment changes an outcome, for whom, how well a ranking by it holds on rows not seen, and how many are
//! worth treating.
//!
//! A [`Trial`] is columns, outcomes and the arm of each row, with what is known of how arms were drawn ([`Propensities`]).
//! [`fit`] learns the effect of every treatment against the control from it by a [`Learner`] over the crate's own trees. A
//! ranking is judged by [`Ranking`] (Qini, uplift curve, uplift at k, table by bins, all with bootstrap intervals), and
//! [`targeting`] says what treating a share of everybody brings after costs.
//!
//! ```
//! use luopan_learning::uplift::{Arms, Bootstrap, Ranking, Rows};
//! let arms = Arms::of_texts(&["mail", "none", "mail", "none"], Some("none"))?;
//! assert_eq!(arms.names(), ["none", "mail"]);
//! let outcomes = [1.0, 0.0, 0.0, 1.0];
//! let rows = Rows { scores: &[0.4, 0.3, 0.2, 0.1], outcomes: &outcomes, treated: &arms.against(1), weights: None };
//! let ranking = Ranking::new(&rows)?;
//! let measures = ranking.measures();
//! // the row that answered to the mail is ranked first, the one that answered without it last
//! assert_eq!(measures.qini_coefficient, Some(1.0));
//! let sure = ranking.intervals(&Bootstrap { resamples: 100, seed: 1, level: 0.9 })?;
//! assert!(sure.qini_area.is_some_and(|found| found.lower <= found.upper));
//! # Ok::<(), luopan_learning::uplift::Error>(())
//! ```
//!
//! This room must never judge a ranking by rows that the caller's model has learned from without being told to, nor guess which
//! arm is the control.

mod arms;
mod bootstrap;
mod curve;
mod error;
mod learners;
mod measures;
mod model;
mod nuisance;
mod ordered;
mod propensities;
mod settings;
mod table;
mod targeting;
mod trial;

pub use arms::Arms;
pub use bootstrap::{Bootstrap, Interval};
pub use curve::{Curve, Point};
pub use error::Error;
pub use learners::fit;
pub use measures::{Intervals, Measures, Ranking, Rows};
pub use model::{Effects, Model};
pub use propensities::Propensities;
pub use settings::{Learner, Settings};
pub use table::{Bin, Strategy};
pub use targeting::{Economics, Offers, Share, Targeting, best, net_scores, targeting};
pub use trial::Trial;

/// Most arms, the control among them.
pub const ARMS_MAX: usize = 256;
/// Most folds.
pub const FOLDS_MAX: usize = 1_000;
/// Most resamples of a bootstrap.
pub const RESAMPLES_MAX: usize = 100_000;
/// Most bins of a table, and most steps of a curve that is asked for.
pub const BINS_MAX: usize = 10_000;
/// How far from one the propensities of a row may add up.
pub const SUM_TOLERANCE: f64 = 1e-6;
