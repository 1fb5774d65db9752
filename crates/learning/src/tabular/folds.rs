//! Which rows are learned from and which are judged.

use super::roles::Roles;
use super::{Error, Settings};
use luopan_kernel::random::Random;

/// Sets the draw of rows that are set aside apart from the draw of folds.
const ASIDE: u64 = 0xa51d_e000;
/// Most folds.
pub const FOLDS_MAX: usize = 100;

/// Places of rows, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fold {
    /// Learned from.
    pub(super) train: Vec<u32>,
    /// Set aside to end training early.
    pub(super) valid: Vec<u32>,
    /// Judged.
    pub(super) test: Vec<u32>,
}

/// Without a time every row is judged once. With one, rows are cut into one part more than there are folds, in order of time (rows
/// of one moment stay together), and each part but the first is judged by a model of those before.
pub(super) fn folds(roles: &Roles, settings: &Settings) -> Result<Vec<Fold>, Error> {
    let rows = roles.rows.len();
    let parts = match (&roles.times, &roles.groups) {
        (Some(times), groups) => by_time(times, groups.as_deref(), settings.folds + 1)?,
        (None, Some(groups)) => by_group(groups, settings)?,
        (None, None) => shuffled(roles, settings),
    };
    let first = u32::from(roles.times.is_some());
    let mut out = Vec::with_capacity(settings.folds);
    for part in first..first + settings.folds as u32 {
        let in_train = |p: u32| match roles.times {
            Some(_) => p < part,
            None => p != part,
        };
        let of = |keep: &dyn Fn(u32) -> bool| -> Vec<u32> {
            (0..rows as u32)
                .filter(|r| keep(parts[*r as usize]))
                .collect()
        };
        let (train, test) = (of(&in_train), of(&|p| p == part));
        if train.is_empty() || test.is_empty() {
            return Err(Error::Rows {
                found: rows,
                least: settings.folds + 1,
                of: "different moments or groups for that many folds",
            });
        }
        let (train, valid) = aside(train, roles, settings);
        out.push(Fold { train, valid, test });
    }
    Ok(out)
}

/// Divides rows that are learned from: those that stay, and those set aside.
pub(super) fn aside(train: Vec<u32>, roles: &Roles, settings: &Settings) -> (Vec<u32>, Vec<u32>) {
    let most = (train.len() as f64 * settings.valid_fraction) as usize;
    if most == 0 {
        return (train, Vec::new());
    }
    let mut order = train;
    match (&roles.times, &roles.groups) {
        // The latest; rows of the moment at the cut are learned from.
        (Some(times), _) => order.sort_by_key(|r| times[*r as usize]),
        (None, Some(groups)) => {
            let salt = Random::new(settings.seed ^ ASIDE).bits();
            order.sort_by_key(|r| (mixed(groups[*r as usize], salt), *r));
        }
        (None, None) => shuffle(&mut order, settings.seed ^ ASIDE),
    }
    let mut cut = order.len() - most;
    let together = |a: u32, b: u32| {
        let same =
            |v: &Option<Vec<u32>>| v.as_ref().is_some_and(|v| v[a as usize] == v[b as usize]);
        same(&roles.times)
            || roles
                .groups
                .as_ref()
                .is_some_and(|g| g[a as usize] == g[b as usize])
    };
    while cut > 0 && cut < order.len() && together(order[cut - 1], order[cut]) {
        cut += 1;
    }
    let mut valid = order.split_off(cut);
    order.sort_unstable();
    valid.sort_unstable();
    (order, valid)
}

fn mixed(value: u64, salt: u64) -> u64 {
    luopan_kernel::id::hash64(&[value.to_le_bytes(), salt.to_le_bytes()].concat())
}

pub(super) fn shuffle(order: &mut [u32], seed: u64) {
    let mut random = Random::new(seed);
    for i in (1..order.len()).rev() {
        // Multiply and shift (Lemire 2019); what it favours is below one in 2^32.
        let at = (u128::from(random.bits()) * (i as u128 + 1)) >> 64;
        order.swap(i, at as usize);
    }
}

/// Rows dealt out at random; of classes each alike.
fn shuffled(roles: &Roles, settings: &Settings) -> Vec<u32> {
    let rows = roles.rows.len();
    let mut order: Vec<u32> = (0..rows as u32).collect();
    shuffle(&mut order, settings.seed);
    if settings.task.has_classes() {
        order.sort_by(|a, b| roles.targets[*a as usize].total_cmp(&roles.targets[*b as usize]));
    }
    let mut parts = vec![0; rows];
    for (at, row) in order.into_iter().enumerate() {
        parts[row as usize] = (at % settings.folds) as u32;
    }
    parts
}

fn by_group(groups: &[u64], settings: &Settings) -> Result<Vec<u32>, Error> {
    let mut different: Vec<u64> = groups.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() < settings.folds {
        return Err(Error::Rows {
            found: different.len(),
            least: settings.folds,
            of: "a group in each fold (rows are counted by group)",
        });
    }
    let mut order: Vec<u32> = (0..different.len() as u32).collect();
    shuffle(&mut order, settings.seed);
    let mut part = vec![0; different.len()];
    for (at, group) in order.into_iter().enumerate() {
        part[group as usize] = (at % settings.folds) as u32;
    }
    Ok((groups.iter())
        .map(|g| part[different.partition_point(|d| d < g)])
        .collect())
}

/// Parts of about equal size in order of time. A group belongs to the part of its first row.
pub(super) fn by_time(
    times: &[u32],
    groups: Option<&[u64]>,
    parts: usize,
) -> Result<Vec<u32>, Error> {
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    order.sort_by_key(|r| times[*r as usize]);
    let mut out = vec![0; times.len()];
    let mut part = 0;
    for (at, row) in order.iter().enumerate() {
        let is_new = at > 0 && times[*row as usize] != times[order[at - 1] as usize];
        if is_new && at * parts >= (part + 1) * times.len() {
            part = (at * parts / times.len()).min(parts - 1);
        }
        out[*row as usize] = part as u32;
    }
    let mut used = out.clone();
    used.sort_unstable();
    used.dedup();
    if used.len() < parts {
        return Err(Error::Rows {
            found: used.len(),
            least: parts,
            of: "that many folds in order of time (counted are parts of different moments)",
        });
    }
    if let Some(groups) = groups {
        let mut first = std::collections::HashMap::new();
        for row in &order {
            let part = out[*row as usize];
            out[*row as usize] = *first.entry(groups[*row as usize]).or_insert(part);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_by_time_hold_moments_together_and_ascend() {
        let times = [3, 0, 0, 1, 5, 5, 5, 2, 4, 0];
        let parts = by_time(&times, None, 3).unwrap();
        for (a, x) in times.iter().enumerate() {
            for (b, y) in times.iter().enumerate() {
                assert!(x != y || parts[a] == parts[b]);
                assert!(x >= y || parts[a] <= parts[b]);
            }
        }
        assert!(by_time(&[1, 1, 1, 2], None, 3).is_err());
    }
}
