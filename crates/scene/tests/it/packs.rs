//! The shipped packs: they compile, and their meaning changes only when somebody says so.

use crate::support::{SHIPPED, shipped};
use luopan_kernel::plan::ScenePlan;

#[test]
fn shipped_packs_have_no_faults_and_survive_storage() {
    for name in SHIPPED {
        let checked = shipped(name);
        assert_eq!(checked.plan.name, name);
        let bytes = checked.plan.encode();
        let back = ScenePlan::decode(&bytes).unwrap();
        assert_eq!(back, checked.plan);
        assert_eq!(back.hash(), checked.plan.hash());
    }
}
