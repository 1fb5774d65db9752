//! The gates of the customer: what must hold before any item is looked at. All of them are asked, so that a refusal names
//! everything that stood in the way.

use super::decision::Gate;
use super::situation::{Contact, Request, Situation};
use crate::catalogue::Rows;
use crate::id::DecisionId;
use crate::plan::ScenePlan;
use crate::plan::policy::{CapPlan, CapScope, PolicyPlan, QuietHours};
use crate::plan::rule::{NamedRule, Truth};
use crate::rule::{Lookup, truth};
use crate::time::Micros;
use std::borrow::Cow;

/// What refused, still pointing into the plan.
#[derive(Debug, Clone)]
pub(crate) struct Refuser<'p> {
    pub(crate) gate: Gate,
    pub(crate) name: Cow<'p, str>,
    /// The rule, when the gate is one.
    pub(crate) rule: Option<&'p NamedRule>,
    /// True when something was not known.
    pub(crate) unknown: bool,
}

impl<'p> Refuser<'p> {
    fn named(gate: Gate, name: impl Into<Cow<'p, str>>, unknown: bool) -> Self {
        Self {
            gate,
            name: name.into(),
            rule: None,
            unknown,
        }
    }
}

/// The gates of the customer that refuse, in order.
pub(crate) fn refusing<'p>(
    scene: &'p ScenePlan,
    policy: &'p PolicyPlan,
    situation: &Situation<'_>,
    request: &Request,
) -> Vec<Refuser<'p>> {
    let mut out = Vec::new();
    for rule in &policy.eligibility {
        let t = truth(&rule.expr, situation.customer);
        if t != Truth::True {
            out.push(Refuser {
                gate: Gate::Eligibility,
                name: Cow::Borrowed(&rule.name),
                rule: Some(rule),
                unknown: t == Truth::Unknown,
            });
        }
    }
    if let Some(slot) = policy.consent {
        let t = Truth::of(situation.customer.slot(slot));
        if t != Truth::True {
            let name = scene
                .slots
                .get(usize::from(slot.0))
                .map_or("consent", |s| s.name.as_str());
            out.push(Refuser::named(Gate::Consent, name, t == Truth::Unknown));
        }
    }
    if policy
        .quiet_hours
        .is_some_and(|q| is_quiet(q, request.moment.minute_of_day()))
    {
        out.push(Refuser::named(Gate::QuietHours, "quiet_hours", false));
    }
    let now = request.moment.now;
    if let Some(period) = policy.quiet_period_us
        && situation
            .contacts
            .iter()
            .any(|c| c.channel == policy.channel && is_within(c, Some(period), now))
    {
        out.push(Refuser::named(Gate::QuietPeriod, "quiet_period", false));
    }
    let mut decisions = Vec::new();
    for cap in policy.caps.iter().filter(|c| c.scope != CapScope::Item) {
        if count(cap, policy, situation.contacts, now, &mut decisions) >= cap.limit as usize {
            out.push(Refuser::named(Gate::Cap, cap.name.as_str(), false));
        }
    }
    out
}

/// True in the quiet minutes `from_minute..to_minute` of the local day, over midnight when the end is before the start.
/// Equal ends are no quiet at all.
fn is_quiet(quiet: QuietHours, minute: i64) -> bool {
    let (from, to) = (i64::from(quiet.from_minute), i64::from(quiet.to_minute));
    if from <= to {
        (from..to).contains(&minute)
    } else {
        minute >= from || minute < to
    }
}

/// True when the contact is less than `window_us` ago, or in the future of `now` (another node's clock may be ahead).
fn is_within(contact: &Contact, window_us: Option<i64>, now: Micros) -> bool {
    window_us.is_none_or(|w| now.since(contact.at) < w)
}

/// Contacts that a cap of customer, policy or channel counts: different decisions within its window.
fn count(
    cap: &CapPlan,
    policy: &PolicyPlan,
    contacts: &[Contact],
    now: Micros,
    decisions: &mut Vec<DecisionId>,
) -> usize {
    decisions.clear();
    decisions.extend(
        contacts
            .iter()
            .filter(|c| counts(cap, policy, c, now))
            .map(|c| c.decision),
    );
    decisions.sort_unstable();
    decisions.dedup();
    decisions.len()
}

fn counts(cap: &CapPlan, policy: &PolicyPlan, contact: &Contact, now: Micros) -> bool {
    let in_scope = match &cap.scope {
        CapScope::Customer | CapScope::Item => true,
        CapScope::Policy => contact.policy == policy.name,
        CapScope::Channel(channel) => contact.channel == *channel,
    };
    in_scope && is_within(contact, cap.window_us, now)
}

/// The contacts that any gate of `policy` could count at `now`: all that a record needs. Deciding from these alone gives
/// the same decision.
pub fn considered(policy: &PolicyPlan, contacts: &[Contact], now: Micros) -> Vec<Contact> {
    let matters = |c: &&Contact| {
        policy.caps.iter().any(|cap| counts(cap, policy, c, now))
            || policy
                .quiet_period_us
                .is_some_and(|p| c.channel == policy.channel && is_within(c, Some(p), now))
    };
    contacts.iter().filter(matters).cloned().collect()
}

/// The rows that each item cap refuses, by the cap's index, in order; none for a cap that no item passes.
pub(crate) fn capped_rows(
    policy: &PolicyPlan,
    situation: &Situation<'_>,
    now: Micros,
) -> Vec<(usize, Option<Rows>)> {
    let of_items = |(_, c): &(usize, &CapPlan)| c.scope == CapScope::Item;
    let mut out = Vec::new();
    for (index, cap) in policy.caps.iter().enumerate().filter(of_items) {
        if cap.limit == 0 {
            out.push((index, None));
            continue;
        }
        let mut keys: Vec<&str> = situation
            .contacts
            .iter()
            .filter(|c| counts(cap, policy, c, now))
            .map(|c| c.item.as_str())
            .collect();
        keys.sort_unstable();
        let mut rows: Option<Rows> = None;
        for same in keys.chunk_by(|a, b| a == b) {
            if same.len() >= cap.limit as usize
                && let Some(row) = situation.catalogue.row(same[0])
            {
                (rows.get_or_insert_with(|| Rows::none(situation.catalogue.len()))).insert(row);
            }
        }
        out.extend(rows.map(|rows| (index, Some(rows))));
    }
    out
}
