//! What must hold of every decision, over random worlds, against a slow oracle of availability.

use super::world::{World, world};
use luopan_kernel::decide::{Contact, Decision, Gate, considered, decide};
use luopan_kernel::plan::{CapPlan, CapScope, Truth};
use luopan_kernel::rule::{eval, truth};
use luopan_kernel::slots::{ItemLookup, ItemSlots, NO_STAGES};
use luopan_kernel::value::Value;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn counted<'w>(w: &'w World, cap: &CapPlan) -> Vec<&'w Contact> {
    let now = w.request.moment.now.0;
    let scoped = |c: &&Contact| match &cap.scope {
        CapScope::Customer | CapScope::Item => true,
        CapScope::Policy => c.policy == "reach",
        CapScope::Channel(name) => c.channel == *name,
    };
    w.contacts
        .iter()
        .filter(scoped)
        .filter(|c| cap.window_us.is_none_or(|win| c.at.0 > now - win))
        .collect()
}

/// True when a gate of the customer stands in the way.
pub(super) fn customer_refused(w: &World) -> bool {
    let p = w.policy();
    let now = w.request.moment.now.0;
    let minute = w.request.moment.minute_of_day() as u16;
    let mut refused = p
        .eligibility
        .iter()
        .any(|r| truth(&r.expr, &w.customer) != Truth::True);
    refused |= p
        .consent
        .is_some_and(|s| w.customer.values[usize::from(s.0)] != Value::Bool(true));
    refused |= p.quiet_hours.is_some_and(|q| {
        let mut quiet = BTreeSet::new();
        let mut m = q.from_minute;
        while m != q.to_minute {
            quiet.insert(m);
            m = (m + 1) % 1440;
        }
        quiet.contains(&minute)
    });
    refused |= p.quiet_period_us.is_some_and(|q| {
        w.contacts
            .iter()
            .any(|c| c.channel == p.channel && c.at.0 > now - q)
    });
    for cap in p.caps.iter().filter(|c| c.scope != CapScope::Item) {
        let decisions: BTreeSet<_> = counted(w, cap).into_iter().map(|c| c.decision).collect();
        refused |= decisions.len() as u32 >= cap.limit;
    }
    refused
}

/// What the item in `row` costs each budget, when it is available.
pub(super) fn item_costs(w: &World, row: usize) -> Option<Vec<(u16, i64)>> {
    let p = w.policy();
    let slots = ItemSlots::new(&w.scene, 0);
    let lookup = ItemLookup::new(
        &w.customer,
        &slots,
        w.catalogue.key_value(row),
        w.catalogue.values(row),
        NO_STAGES,
    );
    if p.suitability
        .iter()
        .any(|r| truth(&r.expr, &lookup) != Truth::True)
        || p.exclusions
            .iter()
            .any(|r| truth(&r.expr, &lookup) != Truth::False)
    {
        return None;
    }
    for cap in p.caps.iter().filter(|c| c.scope == CapScope::Item) {
        if counted(w, cap)
            .into_iter()
            .filter(|c| c.item == w.catalogue.key(row))
            .count() as u32
            >= cap.limit
        {
            return None;
        }
    }
    let mut costs = Vec::new();
    for b in &p.budgets {
        match eval(&b.cost, &lookup) {
            Value::Int(amount)
                if amount >= 0
                    && w.scene.budgets[usize::from(b.budget)].limit
                        - w.spent[usize::from(b.budget)]
                        >= amount =>
            {
                costs.push((b.budget, amount))
            }
            _ => return None,
        }
    }
    if let luopan_kernel::plan::Scorer::Expression(e) = &p.scorer
        && eval(e, &lookup).is_missing()
    {
        return None;
    }
    Some(costs)
}

fn check(w: &World, d: &Decision) {
    let n = w.catalogue.len();
    let refused = customer_refused(w);
    let mask: Vec<u32> = (0..n)
        .filter(|r| !refused && item_costs(w, *r).is_some())
        .map(|r| r as u32)
        .collect();
    assert_eq!(
        d.distribution.available.iter().collect::<Vec<_>>(),
        mask,
        "the availability mask"
    );
    assert_eq!(d.available as usize, mask.len());
    assert_eq!(d.candidates as usize, n);
    let counts: u32 = d.refusals.iter().map(|r| r.count).sum();
    if refused {
        assert!(d.null && counts > 0 && d.checks.is_empty());
        assert!(d.refusals.iter().all(|r| r.gate <= Gate::Cap));
    } else {
        assert_eq!(
            counts + d.available,
            d.candidates,
            "every item is available or counted at one gate"
        );
    }
    // The distribution.
    assert!(
        (d.distribution.total() - 1.0).abs() < 1e-12,
        "{}",
        d.distribution.total()
    );
    assert!(d.distribution.base >= 0.0);
    for share in &d.distribution.listed {
        assert!((0.0..=1.0 + 1e-12).contains(&share.probability));
        assert!(
            share.row.is_none_or(|r| mask.contains(&r)),
            "only what is available has a probability"
        );
        assert_eq!(
            share.row.map(|r| w.catalogue.key(r as usize)),
            share.item.as_deref()
        );
    }
    // The choice.
    assert_eq!(d.null, d.choices.is_empty());
    let mut seen = BTreeSet::new();
    let mut spent = [0i64; 2];
    for (i, c) in d.choices.iter().enumerate() {
        let row = w.catalogue.row(&c.item).unwrap();
        assert!(
            mask.contains(&(row as u32)),
            "nothing refused is ever chosen"
        );
        assert!(seen.insert(&c.item), "a slate never repeats");
        assert!(c.propensity > 0.0 && c.propensity <= 1.0 + 1e-12);
        assert_eq!(c.position as usize, i);
        for (name, value) in &c.reads {
            let attribute = ["item.risk", "item.fee", "item.kind"]
                .iter()
                .position(|n| n == name);
            match attribute {
                Some(a) => assert_eq!(value, &w.catalogue.values(row)[a]),
                None => assert_eq!(
                    (name.as_str(), value),
                    ("item.key", &Value::text(c.item.as_str()))
                ),
            }
        }
        let costs: Vec<(u16, i64)> = c.costs.iter().map(|c| (c.budget, c.amount)).collect();
        assert_eq!(costs, item_costs(w, row).unwrap());
        for (b, amount) in costs {
            spent[usize::from(b)] += amount;
        }
    }
    if let Some(first) = d.choices.first() {
        let row = w.catalogue.row(&first.item).map(|r| r as u32);
        assert_eq!(
            first.propensity.to_bits(),
            d.distribution.probability(row).to_bits(),
            "what is recorded was sampled from"
        );
        match d.null_propensity {
            None => assert_eq!(
                d.choices.len() as u32,
                d.slots.min(d.available),
                "every position that can be is filled"
            ),
            Some(_) => assert!((d.choices.len() as u32) < d.slots && w.policy().null_action.is_arm),
        }
    }
    let product: f64 = d
        .choices
        .iter()
        .fold(d.null_propensity.unwrap_or(1.0), |p, c| p * c.propensity);
    assert_eq!(product.to_bits(), d.propensity.to_bits());
    // Money.
    for (b, amount) in spent.iter().enumerate() {
        let debit = d
            .debits
            .iter()
            .find(|x| usize::from(x.budget) == b)
            .map_or(0, |x| x.amount);
        assert_eq!(debit, *amount);
        assert!(
            *amount == 0 || w.spent[b] + amount <= w.scene.budgets[b].limit,
            "a slate never overspends"
        );
    }
    for c in &d.checks {
        let remaining =
            w.scene.budgets[usize::from(c.budget)].limit - w.spent[usize::from(c.budget)];
        assert_eq!(remaining >= c.amount, c.available);
    }
    assert!(d.trace.len() <= 50);
    assert!(
        d.choices
            .iter()
            .all(|c| d.trace.iter().any(|t| t.item.as_ref() == Some(&c.item)))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_decision_keeps_the_laws(seed: u64, draw: u64) {
        let w = world(seed);
        check(&w, &w.decide(draw));
    }

    #[test]
    fn what_the_commit_validates_does_not_depend_on_the_draw(seed: u64, a: u64, b: u64) {
        let w = world(seed);
        let (a, b) = (w.decide(a), w.decide(b));
        prop_assert_eq!(a.checks, b.checks);
        prop_assert_eq!(a.refusals, b.refusals);
        prop_assert_eq!(a.slots, b.slots);
        prop_assert_eq!(a.distribution.available, b.distribution.available);
    }

    #[test]
    fn while_the_checks_stand_the_mask_stands(seed: u64, draw: u64, spent in proptest::collection::vec(0i64..25, 2)) {
        // Another spend under which every check has the same answer gives the same decision: what the commit validates is
        // enough.
        let w = world(seed);
        let d = w.decide(draw);
        let mut other = w.clone();
        other.spent = spent;
        let stands = d.checks.iter().all(|c| {
            let b = usize::from(c.budget);
            (other.scene.budgets[b].limit - other.spent[b] >= c.amount) == c.available
        });
        if stands {
            prop_assert_eq!(other.decide(draw), d);
        }
    }

    #[test]
    fn contacts_that_no_gate_counts_change_nothing(seed: u64, draw: u64) {
        let w = world(seed);
        let kept = considered(w.policy(), &w.contacts, w.request.moment.now);
        let mut situation = w.situation(&[]);
        situation.contacts = &kept;
        prop_assert_eq!(decide(&w.scene, w.policy(), &situation, &w.request, draw), w.decide(draw));
    }

    #[test]
    fn the_same_arguments_give_the_same_decision(seed: u64, draw: u64) {
        prop_assert_eq!(world(seed).decide(draw), world(seed).decide(draw));
    }
}

#[test]
fn the_worlds_cover_what_matters() {
    // A test of the tests: the random worlds reach every gate, null and not, slates cut by budgets, every explorer.
    let mut gates = BTreeSet::new();
    let (mut null, mut chosen, mut cut, mut long) = (0, 0, 0, 0);
    for seed in 0..3000 {
        let w = world(seed);
        let d = w.decide(seed);
        gates.extend(d.refusals.iter().map(|r| r.gate));
        null += u32::from(d.null);
        chosen += u32::from(!d.null);
        long += u32::from(d.choices.len() > 1);
        cut += u32::from(d.slots < w.request.slots.unwrap_or(9).min(w.policy().slots));
    }
    use Gate::*;
    for gate in [
        Eligibility,
        Consent,
        QuietHours,
        QuietPeriod,
        Cap,
        Suitability,
        Exclusion,
        ItemCap,
        Budget,
        Score,
    ] {
        assert!(gates.contains(&gate), "no world met {gate:?}");
    }
    assert!(
        null > 300 && chosen > 600 && long > 200 && cut > 20,
        "{null} {chosen} {long} {cut}"
    );
}
