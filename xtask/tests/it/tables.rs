//! The bench table is the one that the results give: no figure in it was typed by hand.

use xtask::{results, tree};

#[test]
fn the_bench_table_is_drawn_from_the_results() {
    let root = tree::root();
    let path = results::readme(root);
    let page = results::page(root).expect("draw the page");
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == page,
        "{} differs from bench/results: run `cargo run --release -p xtask -- bench-table`",
        path.display()
    );
}
