//! Folding, profiles, slots, rules and segments, against an oracle that keeps every event and recomputes from nothing.

pub(crate) mod book;
mod dedup;
mod fold;
mod oracle;
mod profile;
mod rule;
mod segment;
mod slots;
mod trading;
mod world;

use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::profile::Profile;
use luopan_kernel::time::Micros;

/// A scene without tags of its own.
pub(crate) fn bare_scene() -> ScenePlan {
    world::scene(vec![])
}

/// The profile of one identifier after these acts.
pub(crate) fn fold_of(plan: &FoldPlan, acts: &[world::Act]) -> Profile {
    let start = acts.first().map_or(0, |a| a.received_at);
    let mut profile = Profile::new(world::identifier(9), plan.layout(), Micros(start));
    for act in acts {
        fold(plan, &mut profile, &act.event());
    }
    profile
}
