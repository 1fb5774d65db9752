//! What becomes of an order, by the pack: the day for which it counts, on which it is confirmed and from which it earns; what a
//! redemption may take and what it costs. The events of a case are told one after the other; before each the pack is asked, and
//! what the case says must be what the pack says.

use super::*;
use luopan_kernel::plan::orders::HeldTag;

/// What one line of a case comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Refused,
    Unknown,
}

const HOUR_US: i64 = 3_600_000_000;
/// What a purchase of a case costs where it does not say.
const PAID: i64 = 100_000;

fn day(text: &str) -> Value<'static> {
    Value::Time(micros(&format!("{text}T00:00:00+08:00")))
}

/// The day told against the one that the pack gives.
fn days(told: &str, found: &Value<'_>) -> Verdict {
    match found {
        Value::Missing => Verdict::Unknown,
        found if *found == day(told) => Verdict::Allowed,
        _ => Verdict::Refused,
    }
}

impl World<'_> {
    /// What `held` tells of the product at a moment, by the tag.
    fn held(&self, tag: HeldTag, now: Micros) -> Value<'static> {
        let plan = self.plan;
        let number = (plan.catalogues.iter().position(|c| c.name == "funds")).unwrap();
        let declared = &plan.catalogues[number];
        let empty = CataloguePlan {
            items: vec![],
            ..declared.clone()
        };
        let catalogue = Catalogue::new(&empty, 1, [self.item(declared, "app")]).unwrap();
        let moment = Moment {
            now,
            utc_offset_s: 28_800,
        };
        let all = SlotSet::all(plan);
        let mut slots = CustomerSlots::read(plan, &[&self.profile], moment, &[]);
        slots.hold(
            plan,
            &all,
            number as u16,
            &catalogue,
            &[&self.profile],
            moment,
        );
        let id = plan.slot(&format!("held.{}", tag.word())).unwrap();
        match slots.held.get("p", id) {
            Some(v) => v.clone(),
            None => slots.values[usize::from(id.0)].clone().into_owned(),
        }
    }

    /// Tells of a step of an order; what a shop tells and the case leaves out is filled in.
    fn order(&mut self, line: &Facts) {
        let at = micros(text(line, "at"));
        let mut facts = line.clone();
        facts.insert("order_id".into(), line["id"].clone());
        facts.insert("item".into(), json!("p"));
        if text(line, "side") == "buy" {
            facts.entry("amount").or_insert(json!(PAID));
        } else if text(line, "step") == "submitted" {
            facts.entry("amount").or_insert(json!(PAID));
            facts.entry("shares").or_insert(json!(1.0));
        }
        for odd in [
            "at",
            "type",
            "id",
            "step",
            "channel",
            "trail",
            "trade_day",
            "earning_changes_on",
        ] {
            facts.remove(odd);
        }
        self.event(&format!("order_{}", text(line, "step")), at, &facts);
    }

    /// What the pack says of a step before it is told.
    fn judged(&self, line: &Facts, refusing: &mut Vec<String>) -> Vec<Verdict> {
        let now = micros(text(line, "at"));
        let told = |name: &str| line.get(name).and_then(Json::as_str);
        let mut out = Vec::new();
        if let Some(trade_day) = told("trade_day") {
            let moment = Moment {
                now,
                utc_offset_s: 28_800,
            };
            let slots = CustomerSlots::read(self.plan, &[], moment, &[]);
            let found = self.plan.slot("env.order_day_example").unwrap();
            out.push(days(trade_day, &slots.values[usize::from(found.0)]));
        }
        if line.get("fast") == Some(&json!(true)) {
            let d = self.redemption(line, now);
            out.push(verdict(&d));
            refusing.extend(d.refusals.into_iter().map(|r| r.rule));
        }
        if text(line, "step") == "confirmed" {
            // The case writes times by the clock of the exchange.
            assert!(text(line, "at").ends_with("+08:00"));
            let found = self.held(HeldTag::ConfirmationDay, now);
            out.push(days(&text(line, "at")[..10], &found));
            if let Some(told) = told("earning_changes_on") {
                out.push(days(told, &self.held(HeldTag::EarningDay, now)));
            }
            if let Some(fee) = line.get("fee").and_then(Json::as_f64) {
                let worth =
                    line["shares"].as_f64().unwrap() * line["nav"].as_f64().unwrap() * 100.0;
                out.push(match self.held(HeldTag::RedeemingFee, now) {
                    Value::Number(rate) if fee + 1e-6 >= rate * worth => Verdict::Allowed,
                    Value::Number(_) => Verdict::Refused,
                    _ => Verdict::Unknown,
                });
            }
        }
        out
    }

    /// Whether the pack lets a redemption through.
    fn redemption(&self, line: &Facts, now: Micros) -> Decision {
        let one = json!(1.0);
        let fields = [
            ("fast", line.get("fast")),
            ("redeem_amount", line.get("amount")),
            ("redeem_shares", Some(line.get("shares").unwrap_or(&one))),
        ];
        decided(self, "own_redemption", "app", &fields, now, "Asia/Shanghai").unwrap()
    }

    fn redeems(&self, line: &Facts, now: Micros) -> Verdict {
        verdict(&self.redemption(line, now))
    }
}

fn verdict(d: &Decision) -> Verdict {
    match d.refusals.iter().find(|r| r.unknown > 0) {
        _ if !d.null => Verdict::Allowed,
        Some(_) => Verdict::Unknown,
        None => Verdict::Refused,
    }
}

/// None when the pack has no way to ask; else whether it says what the case expects.
pub(super) fn outcome(plan: &ScenePlan, case: &Case) -> Option<Result<(), String>> {
    let mut world = known(plan, case);
    let lines = list(case.body.get("before"));
    if lines.iter().any(|l| text(l, "type") != "order") {
        return None;
    }
    if lines.iter().any(|l| l.contains_key("fast")) {
        // She holds plenty of it, for long.
        let plenty = json!({"at": "2026-01-05T10:00:00+08:00", "id": "plenty", "step": "confirmed", "side": "buy", "shares": 1e9});
        world.order(&object(Some(&plenty)));
    }
    let (mut found, mut refusing) = (Vec::new(), Vec::new());
    for line in &lines {
        found.extend(world.judged(line, &mut refusing));
        world.order(line);
    }
    let with = object(case.body.get("with"));
    match (text(&case.body, "purpose"), with.get("switch_from")) {
        ("", _) => {}
        ("show", Some(from)) if from == "p" => {
            let fields = [("redemption_fee_shown", with.get("redemption_fee_shown"))];
            let now = micros(text(&case.body, "at"));
            let d = decided(
                &world,
                "switch_advice",
                "app",
                &fields,
                now,
                "Asia/Shanghai",
            )?;
            // Advice that shows no fee shows too little.
            found.push(match verdict(&d) {
                Verdict::Unknown => Verdict::Refused,
                other => other,
            });
            refusing.extend(d.refusals.into_iter().map(|r| r.rule));
        }
        _ => return None,
    }
    let said = if found.is_empty() {
        return None;
    } else if found.contains(&Verdict::Refused) {
        "refused"
    } else if found.contains(&Verdict::Unknown) {
        "unknown"
    } else {
        "allowed"
    };
    let expect = text(&case.body, "expect");
    let named = (case.body.get("pack")).is_none_or(|by| refusing.iter().any(|r| by["rule"] == **r));
    Some(match said == expect && named {
        true => Ok(()),
        false => Err(format!(
            "{said} ({found:?}, {refusing:?}) instead of {expect}"
        )),
    })
}

/// More than is held, or than is left beside what is already being redeemed, is refused by name; so is what is held no more.
#[test]
fn a_redemption_of_more_than_is_held_is_refused_by_name() {
    let plan = pack(None, &[]);
    let case = cases().into_iter().find(|c| c.rule == 14).unwrap();
    let mut world = known(&plan, &case);
    let line = |id: &str, step: &str, side: &str, shares: f64, day: u32| {
        let at = format!("2026-03-{day:02}T10:00:00+08:00");
        object(Some(
            &json!({"at": at, "id": id, "step": step, "side": side, "shares": shares}),
        ))
    };
    world.order(&line("b", "confirmed", "buy", 100.0, 3));
    let now = micros("2026-03-09T10:00:00+08:00");
    let ask = |world: &World<'_>, shares: f64| {
        let shares = json!(shares);
        let fields = [("redeem_shares", Some(&shares))];
        let d = decided(
            world,
            "own_redemption",
            "app",
            &fields,
            now,
            "Asia/Shanghai",
        )
        .unwrap();
        let named = d.refusals.iter().any(|r| r.rule == "redeem_what_is_held");
        assert_eq!(d.null, named);
        !d.null
    };
    assert!(ask(&world, 100.0) && !ask(&world, 100.5));
    world.order(&line("r", "submitted", "redeem", 60.0, 5));
    assert!(ask(&world, 40.0) && !ask(&world, 40.5));
    world.order(&line("r", "confirmed", "redeem", 60.0, 6));
    assert!(ask(&world, 40.0) && !ask(&world, 41.0));
    // Without a number of shares nothing is known, and nothing goes through.
    let d = decided(&world, "own_redemption", "app", &[], now, "Asia/Shanghai").unwrap();
    assert_eq!(verdict(&d), Verdict::Unknown);
}

/// The limit of a day is one for all fast redemptions of the fund, and a cancelled one gives its part back.
#[test]
fn a_cancelled_fast_redemption_gives_the_day_its_limit_back() {
    let plan = pack(None, &[]);
    let case = cases()
        .into_iter()
        .find(|c| c.name == "fast redemptions up to the limit");
    let case = case.unwrap();
    let mut world = known(&plan, &case);
    let at = |hours: i64| Micros(micros("2026-11-20T08:00:00+08:00").0 + hours * HOUR_US);
    let line = |id: &str, step: &str, hours: i64, amount: i64| {
        let at = jiff::Timestamp::from_microsecond(at(hours).0)
            .unwrap()
            .to_string();
        let line = json!({"at": at, "id": id, "step": step, "side": "redeem", "amount": amount, "shares": 1.0, "fast": true});
        object(Some(&line))
    };
    let mut plenty = line("b", "confirmed", 0, 1_000);
    plenty.insert("side".into(), json!("buy"));
    plenty.insert("shares".into(), json!(1e6));
    world.order(&plenty);
    world.order(&line("r1", "submitted", 1, 700_000));
    assert_eq!(
        world.redeems(&line("r2", "submitted", 2, 400_000), at(2)),
        Verdict::Refused
    );
    assert_eq!(
        world.redeems(&line("r2", "submitted", 2, 300_000), at(2)),
        Verdict::Allowed
    );
    world.order(&line("r1", "cancelled", 3, 0));
    assert_eq!(
        world.redeems(&line("r2", "submitted", 4, 1_000_000), at(4)),
        Verdict::Allowed
    );
    assert_eq!(world.held(HeldTag::FastToday, at(4)), Value::Int(0));
}
