//! What is drawn for a tree: rows and columns, ascending (Knuth's algorithm S). This room must never see a value.

use luopan_kernel::random::Random;

/// A share of the rows, and those left out, both ascending.
pub(super) fn draw(rows: &[u32], share: f64, random: &mut Random) -> (Vec<u32>, Vec<u32>) {
    let wanted = (rows.len() as f64 * share) as usize;
    choose(rows, wanted.max(1), random)
}

pub(super) fn choose(from: &[u32], wanted: usize, random: &mut Random) -> (Vec<u32>, Vec<u32>) {
    let (mut chosen, mut rest) = (Vec::with_capacity(wanted), Vec::new());
    for (at, place) in from.iter().enumerate() {
        let left = (from.len() - at) as f64;
        if random.uniform() * left < (wanted - chosen.len()) as f64 {
            chosen.push(*place);
        } else {
            rest.push(*place);
        }
    }
    (chosen, rest)
}
