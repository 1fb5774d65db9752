//! Contests: which policy decides in the place of which, and for how many.

use super::Compiler;
use crate::fault::Code;
use crate::node::{Key, Node};
use luopan_kernel::assign::BUCKETS;
use luopan_kernel::plan::contest::{CONTESTS_MAX, ContestPlan};

impl Compiler<'_, '_> {
    pub(super) fn contests(&mut self) {
        for (i, (key, node)) in self.section("contests").iter().enumerate() {
            if i == CONTESTS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more contests than are kept",
                    format!("write at most {CONTESTS_MAX}"),
                );
                break;
            }
            if let Some(contest) = self.contest(key, node) {
                self.plan.contests.push(contest);
            }
        }
    }

    fn contestant(&mut self, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let found = self.plan.policies.iter().position(|p| p.name == name);
        if found.is_none() {
            self.unknown(node.at, "policies", "policy", name);
        }
        found.and_then(|i| u16::try_from(i).ok())
    }

    fn contest(&mut self, key: &Key, node: &Node) -> Option<ContestPlan> {
        let of = node.get("champion")?;
        let by = node.get("challenger")?;
        let (champion, challenger) = (self.contestant(of), self.contestant(by));
        let (champion, challenger) = (champion?, challenger?);
        let share = node.get("share")?;
        // What lies outside 0 to 1 was told where it was read.
        let of_one = share.number().filter(|s| (0.0..=1.0).contains(s))?;
        let buckets = (of_one * f64::from(BUCKETS)).round();
        if !(1.0..=f64::from(BUCKETS)).contains(&buckets) {
            self.report.at(
                share.at,
                Code::OutOfRange,
                format!("a share of {}", share.scalar().unwrap_or_default()),
                "write 0.0001 to 1",
            );
            return None;
        }
        if champion == challenger {
            self.report.at(
                by.at,
                Code::Conflict,
                "a policy cannot challenge itself",
                "name another policy",
            );
            return None;
        }
        let policy = |i: u16| &self.plan.policies[usize::from(i)];
        let (mine, its) = (policy(champion), policy(challenger));
        if mine.catalogue != its.catalogue || mine.slots != its.slots {
            let found = format!(
                "`{}` does not answer like `{}`: it chooses from another catalogue, or fills another number of places",
                its.name, mine.name
            );
            self.report.at(
                by.at,
                Code::Conflict,
                found,
                "name a policy of the same catalogue and `slots`",
            );
            return None;
        }
        let clash = (self.plan.contests.iter())
            .find(|c| [c.champion, c.challenger].contains(&champion) || c.champion == challenger);
        if let Some(other) = clash {
            let found = format!("contest `{}` has a policy of this one", other.name);
            self.report.at(
                key.at,
                Code::Conflict,
                found,
                "let a policy have one challenger, and a challenger none",
            );
            return None;
        }
        Some(ContestPlan {
            name: key.text.clone(),
            champion,
            challenger,
            share: buckets as u32,
        })
    }
}
