//! One customer as the kernel knows her: a profile, contacts, orders that are open. Between her days her profile lies stored, as
//! the engine keeps it. It must never hold what the platform could not know.

use super::scene::{Scene, Way};
use super::shop::Shop;
use crate::Fault;
use luopan_kernel::decide::{Contact, Decision, Forced, Gate, Request, Situation, decide};
use luopan_kernel::event::{DECISION_TYPE, Event, Origin};
use luopan_kernel::fold::fold;
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, SceneNo};
use luopan_kernel::profile::{Layout, Profile};
use luopan_kernel::rule::truth;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, NO_STAGES, tag_value};
use luopan_kernel::time::{Micros, Moment};
use luopan_kernel::value::Value;
use luopan_simulator::fund::Side;
use std::borrow::Cow;
use std::sync::Arc;

/// A contact, packed.
#[derive(Debug, Clone, Copy)]
struct Contacted {
    at: Micros,
    decision: DecisionId,
    policy: u16,
    item: u32,
}

/// An order that has not come to its end.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) order: u32,
    pub(super) product: u32,
    pub(super) side: Side,
    pub(super) fast: bool,
    pub(super) decision: Option<Arc<str>>,
}

/// A customer.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) number: u32,
    /// Of no tags while she sleeps.
    profile: Profile,
    /// Her profile's stored form while she sleeps.
    stored: Option<Box<[u8]>>,
    contacts: Vec<Contacted>,
    pub(super) open: Vec<Open>,
    /// Orders that the platform did not take and the world may still speak of.
    pub(super) untaken: Vec<u32>,
    pub(super) told: u32,
    pub(super) decisions: u32,
    extra: u32,
}

/// What a decision is made over.
#[derive(Clone, Copy)]
pub(super) struct Over<'a> {
    pub(super) scene: &'a Scene,
    pub(super) shop: &'a Shop,
    pub(super) spent: &'a [i64],
}

/// A context of a request.
pub(super) type Context<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

fn identifier(number: u32) -> IdentifierId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    IdentifierId(id)
}

impl Person {
    pub(super) fn new(scene: &Scene, number: u32, at: Micros) -> Self {
        Self {
            number,
            profile: Profile::new(identifier(number), scene.fold.layout(), at),
            stored: None,
            contacts: Vec::new(),
            open: Vec::new(),
            untaken: Vec::new(),
            told: 0,
            decisions: 0,
            extra: 0,
        }
    }

    /// Stores her profile. A decoded one takes several times the memory, and most customers do nothing on most days.
    pub(super) fn sleep(&mut self) {
        if self.stored.is_none() {
            self.stored = Some(self.profile.encode().into_boxed_slice());
            let (identifier, at) = (self.profile.identifier, self.profile.last_log_time);
            self.profile = Profile::new(identifier, &Layout::new(&[]), at);
        }
    }

    /// Reads her profile again; true when she slept.
    ///
    /// # Errors
    /// A stored profile that cannot be read.
    pub(super) fn wake(&mut self, scene: &Scene) -> Result<bool, Fault> {
        let Some(stored) = self.stored.take() else {
            return Ok(false);
        };
        self.profile = Profile::decode_for(&stored, scene.fold.layout())?;
        Ok(true)
    }

    /// Folds an event. Without an id of the sender's it gets one of its own.
    pub(super) fn fold(
        &mut self,
        scene: &Scene,
        kind: &str,
        at: Micros,
        id: Option<String>,
        properties: Context<'_>,
    ) {
        assert!(self.stored.is_none(), "who is heard of was woken before");
        let id = id.unwrap_or_else(|| {
            self.extra += 1;
            format!("x-{}", self.extra)
        });
        let event = Event {
            id: Cow::Owned(id),
            tenant: DEFAULT_TENANT,
            scene: SceneNo(1),
            identifier: self.profile.identifier,
            kind: Cow::Borrowed(kind),
            occurred_at: at,
            received_at: at,
            origin: Origin::Live,
            properties,
            context: Vec::new(),
            corrects: None,
            sealed: Vec::new(),
        };
        fold(&scene.fold, &mut self.profile, &event);
    }

    /// When it is at her place, as the engine finds it: by the zone in her profile.
    fn moment(&self, scene: &Scene, at: Micros) -> Moment {
        let plan = &scene.plan;
        let own = scene.zone_tag.and_then(|i| {
            match tag_value(plan, i, &plan.tags[i], &[&self.profile], at) {
                Value::Text(zone) => scene.zones.get(zone.as_ref()).copied(),
                _ => None,
            }
        });
        let usual = scene.zones.get(&plan.default_zone).copied().unwrap_or(0);
        Moment {
            now: at,
            utc_offset_s: own.unwrap_or(usual),
        }
    }

    /// Decides by one of the ways. `but` is a decision whose own contacts are not counted.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn decide(
        &self,
        over: Over<'_>,
        way: Way,
        at: Micros,
        context: &[(Cow<'_, str>, Value<'_>)],
        item: Option<&str>,
        but: Option<DecisionId>,
        seed: u64,
    ) -> Decision {
        assert!(
            self.stored.is_none(),
            "whom a decision is about was woken before"
        );
        let plan = &over.scene.plan;
        let (used, policy) = over.scene.way(way);
        let catalogue = &over.shop.catalogue;
        let moment = self.moment(over.scene, at);
        let profiles = [&self.profile];
        let mut slots = CustomerSlots::read_only(plan, &used.slots, &profiles, moment, context);
        slots.hold(
            plan,
            &used.slots,
            policy.catalogue,
            catalogue,
            &profiles,
            moment,
        );
        let kept = over.scene.contacts_kept_us;
        let counts = |c: &&Contacted| at.since(c.at) <= kept && Some(c.decision) != but;
        let contact = |c: &Contacted| {
            let by = &plan.policies[usize::from(c.policy)];
            Contact {
                at: c.at,
                decision: c.decision,
                policy: by.name.clone(),
                channel: by.channel.clone(),
                item: over.shop.products()[c.item as usize].code.clone(),
            }
        };
        let contacts: Vec<Contact> = self.contacts.iter().filter(counts).map(contact).collect();
        let elapsed: Vec<f64> = match policy.budgets.iter().any(|b| b.price.is_some()) {
            true => {
                let day = luopan_kernel::time::DAY_US;
                let usual = over
                    .scene
                    .zones
                    .get(&plan.default_zone)
                    .copied()
                    .unwrap_or(0);
                let local = at.plus(i64::from(usual) * luopan_kernel::time::SECOND_US);
                vec![local.0.rem_euclid(day) as f64 / day as f64; plan.budgets.len()]
            }
            false => Vec::new(),
        };
        let situation = Situation {
            customer: &slots,
            catalogue,
            prepared: Some(&over.shop.prepared[way as usize]),
            contacts: &contacts,
            spent: over.spent,
            elapsed: &elapsed,
            model: None,
            objective_models: &[],
            artifacts: &over.scene.artifacts,
        };
        let request = Request {
            decision: self.next_decision(),
            customer: self.profile.identifier,
            moment,
            slots: None,
            origin: Origin::Live,
            forced: item.map(|item| Forced {
                item: Some(item.to_owned()),
                reason: "asked for".to_owned(),
            }),
        };
        decide(plan, policy, &situation, &request, seed)
    }

    /// Why an item that was asked for was refused: the first of the customer's gates, else the first rule that is not true of
    /// it, else what the record counts last.
    pub(super) fn why(
        &self,
        over: Over<'_>,
        way: Way,
        at: Micros,
        context: &[(Cow<'_, str>, Value<'_>)],
        item: &str,
        decision: &Decision,
    ) -> String {
        let plan = &over.scene.plan;
        let (used, policy) = over.scene.way(way);
        let catalogue = &over.shop.catalogue;
        let Some(row) = catalogue.row(item) else {
            return "not offered any more".to_owned();
        };
        let first = decision.refusals.first();
        if let Some(refusal) = first.filter(|r| matches!(r.gate, Gate::Eligibility | Gate::Consent))
        {
            return refusal.rule.clone();
        }
        let profiles = [&self.profile];
        let moment = self.moment(over.scene, at);
        let slots = CustomerSlots::read_only(plan, &used.slots, &profiles, moment, context);
        let of_item = ItemSlots::new(plan, policy.catalogue);
        let lookup = ItemLookup::new(
            &slots,
            &of_item,
            catalogue.key_value(row),
            catalogue.values(row),
            NO_STAGES,
        );
        let broken = (policy.suitability.iter()).find(|r| !truth(&r.expr, &lookup).is_true());
        broken.map_or_else(|| "another gate".to_owned(), |r| r.name.clone())
    }

    /// The id of the decision that is made next.
    pub(super) fn next_decision(&self) -> DecisionId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.number.to_be_bytes());
        id[12..].copy_from_slice(&self.decisions.to_be_bytes());
        DecisionId(id)
    }

    /// Notes a decision as the engine does: its contacts, and the event that tells of it.
    pub(super) fn decided(
        &mut self,
        scene: &Scene,
        way: Way,
        at: Micros,
        decision: &Decision,
        numbers: impl Iterator<Item = u32>,
    ) {
        let (used, policy) = scene.way(way);
        let id = self.next_decision();
        self.decisions += 1;
        self.contacts
            .retain(|c| at.since(c.at) <= scene.contacts_kept_us);
        self.contacts.extend(numbers.map(|item| Contacted {
            at,
            decision: id,
            policy: used.policy as u16,
            item,
        }));
        let action = (decision.choices.first())
            .map_or(policy.null_action.name.as_str(), |c| c.item.as_str());
        let properties = vec![
            (Cow::Borrowed("action"), Value::text(action)),
            (
                Cow::Borrowed("channel"),
                Value::text(policy.channel.as_str()),
            ),
            (Cow::Borrowed("null"), Value::Bool(decision.null)),
            (Cow::Borrowed("policy"), Value::text(policy.name.as_str())),
        ];
        self.fold(scene, DECISION_TYPE, at, Some(id.to_string()), properties);
    }
}
