//! The memory backend passes the suites.

luopan_store::conformance!(luopan_store::suite::Memory);

mod agree {
    //! The suite's own comparison: two memory backends fed the same.

    use luopan_store::memory;
    use luopan_store::suite::agree::{agree, batches};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn two_memories(all in batches()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(agree(&memory::stores(), &all));
        }
    }
}
