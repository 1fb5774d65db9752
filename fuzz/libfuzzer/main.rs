//! The binary that libFuzzer drives, for the target that `LUOPAN_FUZZ_TARGET` names.
#![no_main]

use luopan_fuzz::{TARGETS, Target, check};
use std::sync::OnceLock;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("LUOPAN_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|t| t.name == name);
        found.unwrap_or_else(|| panic!("LUOPAN_FUZZ_TARGET names no target: `{name}`"))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check(target(), bytes);
});
