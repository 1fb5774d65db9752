//! What a kept model makes of its features on the whole, by asking it about rows with some of their columns changed.
//!
//! | what | question | by |
//! |---|---|---|
//! | [`first_order`] | what does this feature add, moved to its neighbouring values where it lies | Apley and Zhu 2020 |
//! | [`second_order`] | what do two add together beyond that | the same |
//! | [`partial_dependence`] | what is predicted, on average and by row, if all had this value | Friedman 2001; Goldstein and others 2015 |
//! | [`interaction`] | how much of what two do together is not what each does alone | Friedman and Popescu 2008 |
//! | [`permutation`] | how much worse are predictions with the feature shuffled | Fisher, Rudin and Dominici 2019 |
//!
//! Accumulated local effects hold where features go together; partial dependence asks about rows that may never be (old customers
//! without history), and says so by differing from them. A feature that a model never uses is 0 in all of them, exactly.
//!
//! This room must never learn from a row: it asks a model that is done.

mod axis;
mod dependence;
mod local;
mod look;
mod order;
mod pair;
mod permute;
mod rows;
mod settings;
mod told;

pub use axis::Axis;
pub use dependence::{BANDS, Dependence, Interaction, interaction, partial_dependence};
pub use local::{Local, first_order};
pub use look::effects;
pub use order::alike;
pub use pair::{Second, second_order};
pub use permute::{Judge, Permuted, permutation, shuffles};
pub use rows::{Predict, Rows, drawn};
pub use settings::{PAIRS_MAX, ROWS_LEAST, Settings};
pub use told::{
    Contributed, Effects, FeatureEffect, Importances, PairEffect, Point, Shuffled, Value,
};
