//! Implicit-feedback factors: the numbers of `implicit`, the laws of least squares, and what is refused.

mod laws;
mod reference;
mod refused;

use luopan_learning::als::{Interactions, Settings, Solver};
use proptest::prelude::*;

/// Settings of small models.
fn small(solver: Solver) -> Settings {
    Settings {
        factors: 3,
        regularization: 0.1,
        alpha: 2.0,
        iterations: 3,
        solver,
        seed: 7,
    }
}

/// Users, items, and who took what how much; at least one strength is above zero.
fn taken() -> impl Strategy<Value = (usize, usize, Vec<(u32, u32, f32)>)> {
    (1usize..9, 1usize..9).prop_flat_map(|(users, items)| {
        let one = (0..users as u32, 0..items as u32, 0u8..9);
        let one = one.prop_map(|(user, item, r)| (user, item, f32::from(r) / 2.0));
        let some = proptest::collection::vec(one, 1..40).prop_map(|mut of| {
            of[0].2 += 1.0;
            of
        });
        (Just(users), Just(items), some)
    })
}

fn gathered(of: &(usize, usize, Vec<(u32, u32, f32)>)) -> Interactions {
    Interactions::gathered(of.0, of.1, &of.2).expect("sound")
}
