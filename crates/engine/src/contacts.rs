//! The contact ledger's row: which contacts of an identifier are kept, so that every cap of the scene can be counted for as
//! long as it reaches back. It must never forget a contact that some cap still needs; whoever would need more of them than
//! a row may hold is not contacted.

use luopan_kernel::codec::{Reader, Result, Writer};
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::policy::CapScope;
use luopan_kernel::plan::{PolicyPlan, ScenePlan};
use luopan_kernel::time::Micros;
use std::collections::BTreeMap;

/// Format of the row.
const FORMAT: u8 = 1;
/// Newest contacts that are kept whether any cap needs them or not, for people who ask what happened.
const SHOWN: usize = 50;

/// One contact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContactEntry {
    pub(crate) at: Micros,
    pub(crate) decision: DecisionId,
    pub(crate) policy: String,
    pub(crate) channel: String,
    pub(crate) item: String,
}

/// What a cap or a quiet period needs to know: the newest so many contacts in its scope, within its window.
#[derive(Debug, Clone, PartialEq)]
struct Need {
    /// Name of the cap, and the policy that has it; none for a quiet period.
    cap: Option<(String, String)>,
    scope: CapScope,
    policy: String,
    limit: usize,
    window_us: Option<i64>,
}

impl Need {
    fn counts(&self, contact: &ContactEntry) -> bool {
        match &self.scope {
            CapScope::Customer | CapScope::Item => true,
            CapScope::Policy => contact.policy == self.policy,
            CapScope::Channel(channel) => contact.channel == *channel,
        }
    }

    fn is_within(&self, at: Micros, last: Micros) -> bool {
        self.window_us.is_none_or(|w| last.since(at) < w)
    }
}

/// What all policies of a scene need to know of a customer's contacts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ContactNeeds(Vec<Need>);

impl ContactNeeds {
    /// The needs of a scene.
    pub(crate) fn new(plan: &ScenePlan) -> Self {
        let quiet = |p: &PolicyPlan| {
            p.quiet_period_us.map(|window| Need {
                cap: None,
                scope: CapScope::Channel(p.channel.clone()),
                policy: String::new(),
                limit: 1,
                window_us: Some(window),
            })
        };
        let mut out = Vec::new();
        for policy in &plan.policies {
            out.extend(quiet(policy));
            out.extend(policy.caps.iter().map(|cap| Need {
                cap: Some((policy.name.clone(), cap.name.clone())),
                scope: cap.scope.clone(),
                policy: match cap.scope {
                    CapScope::Policy => policy.name.clone(),
                    _ => String::new(),
                },
                limit: cap.limit as usize,
                window_us: cap.window_us,
            }));
        }
        Self(out)
    }

    /// The cap of `policy` that was reached already when `contact` was made, going by the contacts before it.
    pub(crate) fn exceeded<'c>(
        &self,
        policy: &str,
        contact: &ContactEntry,
        all: impl Iterator<Item = &'c ContactEntry> + Clone,
    ) -> Option<&str> {
        self.0.iter().find_map(|need| {
            let (_, name) = need.cap.as_ref().filter(|(of, _)| of == policy)?;
            let mut before: Vec<DecisionId> = (all.clone())
                .take_while(|c| (c.at, c.decision) < (contact.at, contact.decision))
                .filter(|c| need.counts(c) && need.is_within(c.at, contact.at))
                .filter(|c| need.scope != CapScope::Item || c.item == contact.item)
                .map(|c| c.decision)
                .collect();
            before.dedup();
            (before.len() >= need.limit).then_some(name.as_str())
        })
    }

    /// Which of `contacts` (ascending) are kept. One that is not kept is not kept either when more contacts are there, so
    /// it does not matter in which order they came.
    fn kept(&self, contacts: &[ContactEntry]) -> Vec<bool> {
        let mut kept = vec![false; contacts.len()];
        let shown = contacts.len().saturating_sub(SHOWN);
        kept[shown..].fill(true);
        let last = contacts.last().map_or(Micros(0), |c| c.at);
        for need in &self.0 {
            let in_scope = (contacts.iter().enumerate().rev())
                .filter(|(_, c)| need.counts(c) && need.is_within(c.at, last));
            if need.scope == CapScope::Item {
                let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
                for (i, contact) in in_scope {
                    let n = seen.entry(&contact.item).or_default();
                    kept[i] |= *n < need.limit;
                    *n += 1;
                }
                continue;
            }
            // Contacts of one decision count once.
            let mut decisions: Vec<DecisionId> = Vec::new();
            for (i, contact) in in_scope {
                if !decisions.contains(&contact.decision) {
                    if decisions.len() >= need.limit {
                        break;
                    }
                    decisions.push(contact.decision);
                }
                kept[i] = true;
            }
        }
        kept
    }
}

/// Contacts of an identifier, ascending by time and decision. The content does not depend on the order in which contacts
/// were added, so it can be rebuilt from decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ContactsRow {
    pub(crate) contacts: Vec<ContactEntry>,
}

impl ContactsRow {
    /// Adds contacts and forgets those that nobody needs any more.
    pub(crate) fn add(
        &mut self,
        new: impl IntoIterator<Item = ContactEntry>,
        needs: &ContactNeeds,
    ) {
        self.contacts.extend(new);
        self.contacts.sort_unstable();
        self.contacts.dedup();
        let mut kept = needs.kept(&self.contacts).into_iter();
        self.contacts.retain(|_| kept.next().unwrap_or(true));
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(FORMAT);
        w.uint(self.contacts.len() as u64);
        for c in &self.contacts {
            w.int(c.at.0);
            w.raw(&c.decision.0);
            w.str(&c.policy);
            w.str(&c.channel);
            w.str(&c.item);
        }
        w.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("contacts row", FORMAT)?;
        let n = r.count(20)?;
        let mut contacts = Vec::with_capacity(n);
        for _ in 0..n {
            contacts.push(ContactEntry {
                at: Micros(r.int()?),
                decision: DecisionId(r.array()?),
                policy: r.str()?.to_owned(),
                channel: r.str()?.to_owned(),
                item: r.str()?.to_owned(),
            });
        }
        r.done()?;
        Ok(Self { contacts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contact(at: i64, n: u8, policy: &str, item: u8) -> ContactEntry {
        ContactEntry {
            at: Micros(at),
            decision: DecisionId([n; 16]),
            policy: policy.into(),
            channel: "app".into(),
            item: format!("item {item}"),
        }
    }

    fn needs() -> ContactNeeds {
        let need = |scope, policy: &str, limit, window_us| Need {
            cap: None,
            scope,
            policy: policy.into(),
            limit,
            window_us,
        };
        ContactNeeds(vec![
            need(CapScope::Policy, "gift", 1, None),
            need(CapScope::Customer, "", 3, Some(100)),
            need(CapScope::Item, "", 2, Some(400)),
        ])
    }

    #[test]
    fn a_lifetime_cap_is_not_forgotten_for_a_thousand_others() {
        let mut row = ContactsRow::default();
        row.add([contact(0, 1, "gift", 0)], &needs());
        for n in 0..2_000 {
            let others = [contact(1_000 + n, (n % 200) as u8 + 2, "feed", 7)];
            row.add(others, &needs());
        }
        assert!(row.contacts.iter().any(|c| c.policy == "gift"));
        assert!(row.contacts.len() <= SHOWN + 5, "{}", row.contacts.len());
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_every_cap_can_be_counted(
            all in proptest::collection::vec((0i64..1_000, 0u8..60, any::<bool>(), 0u8..4), 0..120),
            seed in any::<u64>(),
        ) {
            let entry = |(at, n, gift, item): &(i64, u8, bool, u8)| {
                contact(*at, *n, if *gift { "gift" } else { "feed" }, *item)
            };
            let mut whole = ContactsRow::default();
            whole.add(all.iter().map(entry), &needs());
            let mut order: Vec<usize> = (0..all.len()).collect();
            order.sort_by_key(|i| luopan_kernel::id::hash64(&(seed ^ *i as u64).to_le_bytes()));
            let mut one_by_one = ContactsRow::default();
            for i in &order {
                one_by_one.add([entry(&all[*i])], &needs());
            }
            prop_assert_eq!(&one_by_one, &whole);
            let last = all.iter().map(|c| c.0).max().unwrap_or(0);
            for need in &needs().0 {
                if need.scope == CapScope::Item {
                    continue;
                }
                let count = |contacts: &mut dyn Iterator<Item = ContactEntry>| {
                    let mut ids: Vec<_> = contacts
                        .filter(|c| need.counts(c) && need.is_within(c.at, Micros(last)))
                        .map(|c| c.decision)
                        .collect();
                    ids.sort_unstable();
                    ids.dedup();
                    ids.len().min(need.limit)
                };
                let all = count(&mut all.iter().map(entry));
                prop_assert_eq!(count(&mut whole.contacts.iter().cloned()), all);
            }
        }
    }
}
