//! Which decision permits an order. Where a policy of the catalogue says which orders it permits, only a decision of such a
//! policy does: the one that the order names, or the newest other one. Elsewhere the decision that the order names does, of
//! whatever policy.
//!
//! This room must never take the sender's time for the log's: a decision permits an order that is said to be placed after it and
//! that the log took while it was valid.

use luopan_engine::proof::OrderSeen;
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::plan::{OrderStep, Permits, ScenePlan};
use luopan_kernel::proof::{Allowed, grounds_at, permitting};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// A version of the scene that the proof holds.
pub(super) struct Version {
    /// Hash of the plan, hexadecimal.
    pub(super) hash: String,
    pub(super) plan: ScenePlan,
}

/// By number.
pub(super) type Versions = BTreeMap<u32, Version>;

/// What a decision allowed, to whom and for how long.
struct Permit {
    policy: String,
    /// What its policy permits; none where no policy of the catalogue says so.
    permits: Option<Option<Permits>>,
    catalogue: String,
    version: u32,
    origin: Origin,
    from: Micros,
    until: Micros,
    whose: BTreeSet<IdentifierId>,
    items: BTreeSet<String>,
    /// To ask its rules again; kept of what may permit an order.
    record: Option<Box<DecisionRecord>>,
}

/// The decisions so far.
#[derive(Default)]
pub(super) struct Permitted {
    by_id: BTreeMap<DecisionId, Permit>,
    /// Decisions whose policies say that they permit something, by customer's identifier and item, the oldest first.
    of: BTreeMap<(IdentifierId, String), Vec<(Micros, DecisionId)>>,
}

/// Whether an order is proved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// By this decision.
    By(DecisionId),
    /// A redemption where no policy permits any: nobody is kept from her own money.
    NeedsNone,
    /// Why not.
    Unproved(String),
}

fn words(side: Permits) -> &'static str {
    match side {
        Permits::Buy => "a purchase",
        Permits::Redeem => "a redemption",
    }
}

impl Permitted {
    pub(super) fn holds(&self, id: DecisionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Takes a decision in, with what was allowed of it.
    pub(super) fn remember(
        &mut self,
        record: &DecisionRecord,
        allowed: &[Allowed],
        plan: &ScenePlan,
    ) {
        let policy = plan.policy(&record.policy);
        let catalogue = (policy.and_then(|p| plan.catalogues.get(usize::from(p.catalogue))))
            .map_or("", |c| c.name.as_str());
        let says = permitting(plan, catalogue, Permits::Buy).is_some();
        let permits = says.then(|| policy.and_then(|p| p.permits));
        let whose: BTreeSet<IdentifierId> = (record.identifiers.iter().copied())
            .chain([record.identifier])
            .collect();
        let items: BTreeSet<String> = allowed.iter().map(|a| a.item.clone()).collect();
        let (id, from) = (record.request.decision, record.request.moment.now);
        if let Some(Some(_)) = permits {
            for identifier in &whose {
                for item in &items {
                    let list = self.of.entry((*identifier, item.clone())).or_default();
                    let place = list.partition_point(|known| *known <= (from, id));
                    list.insert(place, (from, id));
                }
            }
        }
        let permit = Permit {
            policy: record.policy.clone(),
            permits,
            catalogue: catalogue.to_owned(),
            version: record.scene_version,
            origin: record.request.origin,
            from,
            until: record.valid_until,
            whose,
            items,
            record: (permits != Some(None)).then(|| Box::new(record.clone())),
        };
        self.by_id.insert(id, permit);
    }

    /// Whether a decision so far permits the order.
    pub(super) fn standing(&self, order: &OrderSeen, versions: &Versions) -> Standing {
        let side = match order.side.as_str() {
            "redeem" => Permits::Redeem,
            _ => Permits::Buy,
        };
        let Some(version) = versions.get(&order.version) else {
            let why = format!(
                "the plan of version {} does not stand before it",
                order.version
            );
            return Standing::Unproved(why);
        };
        // None where no policy of the catalogues says what it permits.
        let policies = (order.catalogues.iter())
            .filter_map(|c| permitting(&version.plan, c, side))
            .reduce(|mut all, more| {
                all.extend(more);
                all
            });
        if side == Permits::Redeem && policies.as_ref().is_none_or(Vec::is_empty) {
            return Standing::NeedsNone;
        }
        let named = order
            .decision
            .map(|id| (id, self.refuses(id, order, side, versions)));
        let mut why = match named {
            Some((id, None)) => return Standing::By(id),
            Some((id, Some(why))) => format!("decision {id} {why}"),
            None => "it names no decision".to_owned(),
        };
        if let Some(policies) = policies {
            let name = |item: &String| (order.identifier, item.clone());
            let others = (order
                .item
                .as_ref()
                .and_then(|item| self.of.get(&name(item))))
            .map_or(&[][..], Vec::as_slice);
            let mut newest = None;
            let placed = order.said.min(order.at);
            let of_side = |id: &DecisionId| {
                (self.by_id.get(id)).is_some_and(|permit| permit.permits == Some(Some(side)))
            };
            let before = (others.iter().rev())
                .filter(|(from, id)| *from <= placed && order.decision != Some(*id) && of_side(id));
            for (_, id) in before {
                match self.refuses(*id, order, side, versions) {
                    None => return Standing::By(*id),
                    Some(why) => newest = newest.or(Some((*id, why))),
                }
            }
            let permitting: Vec<String> = policies.iter().map(|p| format!("`{p}`")).collect();
            why.push_str(&match (newest, permitting.as_slice()) {
                (Some((id, why)), _) => format!("; decision {id} {why}"),
                (None, []) => format!("; no policy of the catalogue permits {}", words(side)),
                (None, names) => format!(
                    "; {} is permitted by {} alone, and no other such decision before it chose this item for this customer",
                    words(side),
                    names.join(" or ")
                ),
            });
        }
        if order.step == OrderStep::Confirmed {
            why = format!("it was confirmed and never submitted before; {why}");
        }
        Standing::Unproved(why)
    }

    /// Why a decision does not permit the order; none when it does.
    fn refuses(
        &self,
        id: DecisionId,
        order: &OrderSeen,
        side: Permits,
        versions: &Versions,
    ) -> Option<String> {
        let Some(permit) = self.by_id.get(&id) else {
            return Some("allowed nothing, or was over before the period".to_owned());
        };
        let item = order
            .item
            .as_ref()
            .filter(|item| permit.items.contains(*item));
        let why = if let Some(permits) = permit.permits
            && permits != Some(side)
        {
            let does = match permits {
                None => "no order".to_owned(),
                Some(other) => format!("{}, not {}", words(other), words(side)),
            };
            return Some(format!(
                "is of policy `{}`, which permits {does}",
                permit.policy
            ));
        } else if !permit.whose.contains(&order.identifier) {
            "was of another customer"
        } else if !order.catalogues.contains(&permit.catalogue) {
            "was of another catalogue"
        } else if item.is_none() {
            "did not allow this item"
        } else if !permit.origin.is_answered_by(order.origin) {
            "was of another origin"
        } else if order.said.min(order.at) < permit.from {
            "was made after it"
        } else if order.at > permit.until {
            // What was suitable then need not be any more: the product or the customer may have been rated anew.
            "was no longer valid when the log took the order"
        } else {
            let plan = versions.get(&permit.version).map(|v| &v.plan);
            let (Some(plan), Some(record), Some(item)) = (plan, &permit.record, item) else {
                return Some("cannot be asked again".to_owned());
            };
            let again = grounds_at(plan, record, item, order.at);
            return (again.err())
                .map(|e| format!("does not hold any more at the time of the order: {e}"));
        };
        Some(why.to_owned())
    }
}
