//! Monitors: what is watched of policies.

use super::{Compiler, duration};
use crate::fault::Code;
use crate::node::{Key, Node};
use crate::unit::duration_text;
use luopan_kernel::plan::monitor::{DriftLimits, MONITORS_MAX, MonitorPlan};
use luopan_kernel::plan::{PolicyPlan, Scorer};
use luopan_kernel::time::{DAY_US, HOUR_US};

/// Shortest times.
const EVERY_US_MIN: i64 = HOUR_US;
/// Longest times.
const TIME_US_MAX: i64 = 366 * DAY_US;

/// Why a policy's scores are not what it expects of a reward, and what kind of policy has such scores.
fn foretells_nothing(policy: &PolicyPlan) -> Option<(&'static str, &'static str)> {
    if matches!(policy.scorer, Scorer::Objectives(_)) {
        return Some((
            "weighs several objectives",
            "that scores by what it expects of one reward",
        ));
    }
    (policy.budgets.iter().any(|b| b.price.is_some())).then_some((
        "takes the price of a budget off its scores",
        "whose budgets have no `price`",
    ))
}

impl Compiler<'_, '_> {
    pub(super) fn monitors(&mut self) {
        for (i, (key, node)) in self.section("monitors").iter().enumerate() {
            if i == MONITORS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more monitors than are kept",
                    format!("write at most {MONITORS_MAX}"),
                );
                break;
            }
            if let Some(monitor) = self.monitor(key, node) {
                self.plan.monitors.push(monitor);
            }
        }
    }

    fn monitor(&mut self, key: &Key, node: &Node) -> Option<MonitorPlan> {
        let mut time = |name: &str, usual: i64| {
            let Some(of) = node.get(name) else {
                return Some(usual);
            };
            let us = duration(of)?;
            if (EVERY_US_MIN..=TIME_US_MAX).contains(&us) {
                return Some(us);
            }
            self.report.at(
                of.at,
                Code::OutOfRange,
                format!("`{name}` is {}", duration_text(us)),
                format!(
                    "write {} to {}",
                    duration_text(EVERY_US_MIN),
                    duration_text(TIME_US_MAX)
                ),
            );
            None
        };
        let every_us = time("every", DAY_US);
        let recent_us = time("recent", 7 * DAY_US);
        let reference_us = time("reference", 28 * DAY_US);
        let given = node.get("limits")?;
        let limit = |name: &str| given.get(name).and_then(Node::number);
        let limits = DriftLimits {
            psi: limit("psi"),
            calibration: limit("calibration"),
            reward: limit("reward"),
        };
        if limits == DriftLimits::default() {
            self.report.at(
                given.at,
                Code::MissingKey,
                "no limit: nothing would be watched",
                "write at least one of `psi`, `calibration`, `reward`",
            );
            return None;
        }
        let named = node.get("policy")?;
        let name = named.text()?;
        let found = self.plan.policies.iter().position(|p| p.name == name);
        let Some(policy) = found else {
            self.unknown(named.at, "policies", "policy", name);
            return None;
        };
        let of = self.plan.policies[policy].clone();
        let reward = self.watched_reward(key, node, &of, &limits)?;
        if limits.calibration.is_some()
            && let Some((found, instead)) = foretells_nothing(&of)
        {
            self.report.at(
                given.get("calibration").map_or(given.at, |n| n.at),
                Code::Conflict,
                format!("policy `{name}` {found}: its scores foretell no reward"),
                format!("leave `calibration` out, or watch a policy {instead}"),
            );
            return None;
        }
        Some(MonitorPlan {
            name: key.text.clone(),
            policy: policy as u16,
            reward,
            every_us: every_us?,
            recent_us: recent_us?,
            reference_us: reference_us?,
            limits,
        })
    }

    /// The reward that is looked at; the outer none where something is wrong.
    fn watched_reward(
        &mut self,
        key: &Key,
        node: &Node,
        policy: &PolicyPlan,
        limits: &DriftLimits,
    ) -> Option<Option<u16>> {
        if let Some(of) = node.get("reward") {
            let index = self.reward_index(of)?;
            if policy.rewards.contains(&index) {
                return Some(Some(index));
            }
            self.report.at(
                of.at,
                Code::Conflict,
                format!(
                    "decisions of policy `{}` do not wait for reward `{}`",
                    policy.name,
                    of.text().unwrap_or_default()
                ),
                "name one of the policy's `rewards`",
            );
            return None;
        }
        if limits.calibration.is_none() && limits.reward.is_none() {
            return Some(None);
        }
        match policy.rewards[..] {
            [one] => Some(Some(one)),
            _ => {
                self.report.at(
                    key.at,
                    Code::MissingKey,
                    format!(
                        "policy `{}` has {} rewards, and none is named",
                        policy.name,
                        policy.rewards.len()
                    ),
                    "write `reward: NAME`, or leave out the limits that need one",
                );
                None
            }
        }
    }
}
