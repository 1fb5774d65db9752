//! The moment: quantiles of one's own, sequences, the market, the clock at an event; and what the fund pack makes of them,
//! decided through its compiled plan with a calendar made up here (weekdays less a few days).

use crate::support::{faults, lines, root};
use luopan_kernel::artifact;
use luopan_kernel::catalogue::{Catalogue, Laid, row};
use luopan_kernel::decide::{Decision, Request, Situation, decide};
use luopan_kernel::event::{CUSTOMER_TYPE, Event, Origin};
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::id::{DecisionId, IdentifierId, SceneNo, TenantId};
use luopan_kernel::market;
use luopan_kernel::plan::{Aggregate, EnvironmentTag, MarketOf, ScenePlan};
use luopan_kernel::profile::Profile;
use luopan_kernel::segment::SegmentSet;
use luopan_kernel::slots::{Around, CustomerSlots, SlotSet};
use luopan_kernel::time::{Micros, Moment};
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

const WHO: IdentifierId = IdentifierId([3; 16]);

fn micros(text: &str) -> Micros {
    let at: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    Micros(at.as_microsecond())
}

/// The fund pack with a calendar for November and December 2026: weekdays, but Monday 30 November, made up as a holiday.
/// Funds, which the pack leaves to imports.
const FUNDS: &str = r#"    items:
      cash-daily: {name: Cash Daily, kind: money_market, risk_level: 1, term_days: 0, least_order: "1", on_sale: true}
      cash-plus: {name: Cash Plus, kind: money_market, risk_level: 1, term_days: 7, least_order: "100", on_sale: true}
      short-bond: {name: Short Bond, kind: bond, risk_level: 2, term_days: 30, least_order: "100", on_sale: true}
      pure-bond: {name: Pure Bond, kind: bond, risk_level: 2, term_days: 90, least_order: "100", on_sale: true}
      credit-bond: {name: Credit Bond, kind: bond, risk_level: 3, term_days: 180, least_order: "1000", on_sale: true}
      balanced: {name: Balanced, kind: mixed, risk_level: 3, term_days: 90, least_order: "100", on_sale: true}
      target-2040: {name: Target 2040, kind: mixed, risk_level: 3, term_days: 365, least_order: "100", on_sale: true}
      index-300: {name: Index 300, kind: index, risk_level: 4, term_days: 0, least_order: "10", on_sale: true}
      index-500: {name: Index 500, kind: index, risk_level: 4, term_days: 0, least_order: "10", on_sale: true}
      growth: {name: Growth, kind: equity, risk_level: 4, term_days: 180, least_order: "100", on_sale: true}
      technology: {name: Technology, kind: equity, risk_level: 5, term_days: 0, least_order: "100", on_sale: true}
      overseas: {name: Overseas, kind: equity, risk_level: 5, term_days: 365, least_order: "1000", on_sale: true}
"#;

fn pack() -> ScenePlan {
    let mut files = luopan_scene::load_folder(&root().join("scenes/fund")).unwrap();
    let day = |n: i64| jiff::civil::date(2026, 11, 1) + jiff::Span::new().days(n);
    let trades = |d: &jiff::civil::Date| {
        d.weekday().to_monday_one_offset() <= 5 && *d != jiff::civil::date(2026, 11, 30)
    };
    let days: Vec<String> = (0..61)
        .map(day)
        .filter(trades)
        .map(|d| d.to_string())
        .collect();
    for (name, text) in &mut files.files {
        match name.as_str() {
            "the-moment/calendar.yaml" => {
                *text = text
                    .replace("from: 1970-01-01", "from: 2026-11-01")
                    .replace("to: 1970-01-01", "to: 2026-12-31");
            }
            "calendars/market.txt" => *text = days.join("\n"),
            "products/funds.yaml" => text.push_str(FUNDS),
            _ => {}
        }
    }
    luopan_scene::compile(files)
        .unwrap_or_else(|f| panic!("{}", lines(&f)))
        .plan
}

/// One customer and the catalogues around her.
struct World {
    plan: ScenePlan,
    fold: FoldPlan,
    profile: Profile,
    said: u32,
    /// What differs from the pack, by item and attribute.
    items: BTreeMap<(&'static str, &'static str, &'static str), Value<'static>>,
}

impl World {
    fn new() -> Self {
        let plan = pack();
        let fold = FoldPlan::new(&plan);
        let profile = Profile::new(WHO, fold.layout(), micros("2025-01-01T00:00:00+08:00"));
        let mut world = Self {
            plan,
            fold,
            profile,
            said: 0,
            items: BTreeMap::new(),
        };
        let expires = Value::Time(micros("2027-06-01T00:00:00+08:00"));
        world.say(
            CUSTOMER_TYPE,
            "2026-01-01T09:00:00+08:00",
            &[
                ("age", Value::Int(35)),
                ("appetite_expires_at", expires),
                ("consent_marketing", Value::Bool(true)),
                ("risk_appetite", Value::Int(5)),
            ],
        );
        world
    }

    fn say(&mut self, kind: &str, at: &str, properties: &[(&'static str, Value<'static>)]) {
        self.said += 1;
        let at = micros(at);
        let mut properties: Vec<_> = (properties.iter())
            .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
            .collect();
        properties.sort_by(|a, b| a.0.cmp(&b.0));
        let event = Event {
            id: Cow::Owned(self.said.to_string()),
            tenant: TenantId(1),
            scene: SceneNo(1),
            identifier: WHO,
            kind: Cow::Owned(kind.to_owned()),
            occurred_at: at,
            received_at: at,
            origin: Origin::Live,
            properties,
            context: vec![],
            corrects: None,
            sealed: vec![],
        };
        assert!(self.plan.event(kind).is_some(), "{kind}");
        fold(&self.fold, &mut self.profile, &event);
    }

    fn catalogues(&self) -> Vec<Catalogue> {
        let of = |plan: &luopan_kernel::plan::CataloguePlan| {
            let base = Catalogue::new(plan, 1, []).unwrap();
            let mut changed = BTreeMap::new();
            for i in 0..base.len() {
                let mut values = base.values(i).to_vec();
                for ((catalogue, key, attribute), v) in &self.items {
                    if *catalogue == plan.name && *key == base.key(i) {
                        let at = plan.attributes.iter().position(|a| a.name == *attribute);
                        values[at.unwrap_or_else(|| panic!("{attribute}"))] = v.clone();
                    }
                }
                let laid = Laid {
                    row: row(base.key(i), values),
                    withdrawal: None,
                };
                changed.insert(base.key(i).to_owned(), laid);
            }
            base.revised(plan, 1, changed).0
        };
        self.plan.catalogues.iter().map(of).collect()
    }

    /// What `policy` decides at `at`, on a page.
    fn decide(&self, policy: &str, at: &str, context: &[(&'static str, &'static str)]) -> Decision {
        let plan = &self.plan;
        let policy = plan.policy(policy).unwrap();
        let catalogues = self.catalogues();
        let told = market::values(plan, |n| catalogues.get(usize::from(n)));
        let moment = Moment {
            now: micros(at),
            utc_offset_s: 28_800,
        };
        let context: Vec<_> = (context.iter())
            .map(|(n, v)| (Cow::Borrowed(*n), Value::text(*v)))
            .collect();
        let set = SlotSet::of_policy(plan, policy);
        let around = Around {
            market: &told,
            ..Around::default()
        };
        let profiles = [&self.profile];
        let mut slots = CustomerSlots::read_within(plan, &set, &profiles, moment, &context, around);
        let catalogue = &catalogues[usize::from(policy.catalogue)];
        slots.hold(plan, &set, policy.catalogue, catalogue, &profiles, moment);
        let situation = Situation {
            customer: &slots,
            catalogue,
            prepared: None,
            contacts: &[],
            spent: &[],
            elapsed: &[],
            model: None,
            objective_models: &[],
            artifacts: &artifact::NONE,
        };
        let request = Request {
            decision: DecisionId([7; 16]),
            customer: WHO,
            moment,
            slots: None,
            origin: Origin::Live,
            forced: None,
        };
        decide(plan, policy, &situation, &request, 1)
    }

    fn available(&self, decision: &Decision, policy: &str) -> Vec<String> {
        let catalogue =
            &self.catalogues()[usize::from(self.plan.policy(policy).unwrap().catalogue)];
        (decision.distribution.available.iter())
            .map(|row| catalogue.key(row as usize).to_owned())
            .collect()
    }
}

fn chosen(decision: &Decision) -> &str {
    decision.choices.first().map_or("", |c| c.item.as_str())
}

/// How often each rule refused, by name, with its version.
fn refused(decision: &Decision) -> Vec<String> {
    let customer = decision.refusals.iter().map(|r| (&r.rule, &r.version));
    customer
        .map(|(rule, version)| format!("{rule} {}", version.as_deref().unwrap_or_default()))
        .collect()
}

const THURSDAY: &str = "2026-11-26T14:30:00+08:00";

#[test]
fn before_a_closure_who_wants_a_gain_every_day_is_offered_what_earns_on_closed_days() {
    let mut world = World::new();
    let cash = ["cash-daily", "cash-plus"];
    // Nobody said so: everything suitable is there.
    let plain = world.decide("moment_offer", THURSDAY, &[]);
    assert!(world.available(&plain, "moment_offer").len() > 8);
    // She parks money on Thursdays before the line, from which an order earns over the weekend.
    for day in ["05", "12", "19"] {
        let item = ("item", Value::text("cash-daily"));
        let amount = ("amount", Value::Int(100_000));
        world.say(
            "order_submitted",
            &format!("2026-11-{day}T14:00:00+08:00"),
            &[item, amount],
        );
    }
    let eve = world.decide("moment_offer", THURSDAY, &[]);
    assert_eq!(world.available(&eve, "moment_offer"), cash);
    assert!(cash.contains(&chosen(&eve)));
    assert!(
        refused(&eve).contains(&"earns_while_closed 2026-11".to_owned()),
        "{:?}",
        refused(&eve)
    );
    assert_eq!(
        chosen(&world.decide("moment_story", THURSDAY, &[])),
        "every-day"
    );
    // A minute after the line an order counts for Friday, is confirmed after the closure and earns nothing over it.
    for after in ["2026-11-26T15:00:00+08:00", "2026-11-27T10:00:00+08:00"] {
        let late = world.decide("moment_offer", after, &[]);
        assert!(world.available(&late, "moment_offer").len() > 8, "{after}");
    }
    // What she says herself counts more than what was inferred.
    world.say(
        CUSTOMER_TYPE,
        "2026-11-26T09:00:00+08:00",
        &[("wants_daily_gain", Value::Bool(false))],
    );
    let told = world.decide("moment_offer", THURSDAY, &[]);
    assert!(world.available(&told, "moment_offer").len() > 8);
    // Past the calendar's end nothing is known, and nothing is done.
    let unknown = world.decide("moment_offer", "2027-01-07T14:30:00+08:00", &[]);
    assert!(world.available(&unknown, "moment_offer").len() > 8);
}

#[test]
fn purchases_on_other_days_do_not_say_that_she_wants_a_gain_every_day() {
    let mut world = World::new();
    for day in ["03", "04", "05", "10", "11", "12", "17", "19"] {
        let item = ("item", Value::text("cash-daily"));
        let amount = ("amount", Value::Int(100_000));
        world.say(
            "order_submitted",
            &format!("2026-11-{day}T14:00:00+08:00"),
            &[item, amount],
        );
    }
    let found = world.decide("moment_offer", THURSDAY, &[]);
    assert!(world.available(&found, "moment_offer").len() > 8);
}

#[test]
fn while_the_market_falls_who_sells_on_falls_gets_a_story_and_no_aggressive_offer() {
    let mut world = World::new();
    let at = "2026-11-24T10:00:00+08:00";
    let fell = |world: &mut World, by: f64| {
        let name = ("indexes", "shares", "return_1d");
        world.items.insert(name, Value::Number(by));
    };
    fell(&mut world, -0.05);
    // Others are offered what they are offered on any day.
    let calm = world.decide("moment_offer", at, &[]);
    assert!(
        world
            .available(&calm, "moment_offer")
            .contains(&"growth".to_owned())
    );
    world.say(
        CUSTOMER_TYPE,
        "2026-11-01T09:00:00+08:00",
        &[("sells_on_falls", Value::Bool(true))],
    );
    let afraid = world.decide("moment_offer", at, &[]);
    let left = world.available(&afraid, "moment_offer");
    assert_eq!(left, ["cash-daily", "cash-plus", "pure-bond", "short-bond"]);
    assert!(refused(&afraid).contains(&"calm_on_falls 2026-11".to_owned()));
    assert_eq!(
        chosen(&world.decide("moment_story", at, &[])),
        "falls-and-time"
    );
    // The market's value stands in what the decision read, so that it is explained by it.
    let read = afraid
        .slots_read
        .iter()
        .find(|(n, _)| n == "env.market_shares_1d");
    assert_eq!(read.map(|(_, v)| v.clone()), Some(Value::Number(-0.05)));
    fell(&mut world, -0.01);
    let ordinary = world.decide("moment_offer", at, &[]);
    assert!(
        world
            .available(&ordinary, "moment_offer")
            .contains(&"growth".to_owned())
    );
    assert_eq!(
        chosen(&world.decide("moment_story", at, &[])),
        "how-funds-work"
    );
    // An index without levels says nothing, and nothing is done for it.
    world.items.clear();
    let unknown = world.decide("moment_offer", at, &[]);
    assert!(
        world
            .available(&unknown, "moment_offer")
            .contains(&"growth".to_owned())
    );
}

#[test]
fn a_holding_that_fell_three_days_running_is_explained_once_it_is_held() {
    let mut world = World::new();
    let at = "2026-11-24T10:00:00+08:00";
    for (key, days) in [("growth", 3), ("index-300", 5), ("technology", 2)] {
        world
            .items
            .insert(("funds", key, "days_down"), Value::Int(days));
    }
    let nothing = world.decide("fallen_holding", at, &[]);
    assert!(nothing.null);
    assert!(refused(&nothing).contains(&"held_and_down 2026-11".to_owned()));
    let mut buy = |id: &'static str, key: &'static str| {
        world.say(
            "order_confirmed",
            "2026-11-10T10:00:00+08:00",
            &[
                ("amount", Value::Int(100_000)),
                ("item", Value::text(key)),
                ("order_id", Value::text(id)),
                ("shares", Value::Number(100.0)),
                ("nav", Value::Number(10.0)),
            ],
        );
    };
    buy("a", "growth");
    buy("b", "technology");
    let one = world.decide("fallen_holding", at, &[]);
    assert_eq!(chosen(&one), "growth");
    assert_eq!(world.available(&one, "fallen_holding"), ["growth"]);
}

#[test]
fn more_money_than_usual_opens_the_offer_and_the_usual_money_does_not() {
    let mut world = World::new();
    let deposit = |world: &mut World, at: &str, fen: i64| {
        world.say("deposit", at, &[("amount", Value::Int(fen))]);
    };
    for month in 2..=9 {
        deposit(
            &mut world,
            &format!("2026-{month:02}-10T09:00:00+08:00"),
            800_000,
        );
    }
    let at = "2026-11-10T12:00:00+08:00";
    deposit(&mut world, "2026-11-10T09:00:00+08:00", 800_000);
    let usual = world.decide("inflow_offer", at, &[]);
    assert!(usual.null);
    assert_eq!(refused(&usual), ["more_than_usual 2026-11"]);
    assert_eq!(
        chosen(&world.decide("moment_story", at, &[])),
        "how-funds-work"
    );
    deposit(&mut world, "2026-11-10T10:00:00+08:00", 1_300_000);
    let above = world.decide("inflow_offer", at, &[]);
    assert!(!above.null, "{:?}", refused(&above));
    assert_eq!(
        chosen(&world.decide("moment_story", at, &[])),
        "money-arrived"
    );
    // The moment passes.
    let later = world.decide("inflow_offer", "2026-11-14T12:00:00+08:00", &[]);
    assert!(later.null);
}

#[test]
fn what_is_offered_fits_the_page() {
    let world = World::new();
    let at = "2026-11-24T10:00:00+08:00";
    let home = world.decide("moment_offer", at, &[("page", "home")]);
    assert!(world.available(&home, "moment_offer").len() > 8);
    let bond = world.decide(
        "moment_offer",
        at,
        &[("page", "fund"), ("page_kind", "bond")],
    );
    assert_eq!(
        world.available(&bond, "moment_offer"),
        ["credit-bond", "pure-bond", "short-bond"]
    );
    assert!(refused(&bond).contains(&"fits_page 2026-11".to_owned()));
    let service = world.decide("moment_offer", at, &[("page", "service")]);
    assert!(service.null);
    assert_eq!(refused(&service), ["page_sells 2026-11"]);
}

#[test]
fn after_a_page_failed_nothing_is_sold_for_half_an_hour_and_help_comes_first() {
    let mut world = World::new();
    let before = "2026-11-24T10:00:00+08:00";
    assert!(!world.decide("moment_offer", before, &[]).null);
    assert_eq!(
        chosen(&world.decide("moment_story", before, &[])),
        "how-funds-work"
    );
    world.say(
        "page_failed",
        "2026-11-24T10:01:00+08:00",
        &[
            ("page", Value::text("order")),
            ("reason", Value::text("stuck")),
        ],
    );
    let at = "2026-11-24T10:30:59+08:00";
    let failing = world.decide("moment_offer", at, &[]);
    assert!(failing.null);
    assert!(refused(&failing).contains(&"nothing_sold_while_failing 2026-11".to_owned()));
    let help = world.decide("moment_story", at, &[]);
    assert_eq!(chosen(&help), "help-now");
    assert!(refused(&help).contains(&"help_first 2026-11".to_owned()));
    let over = "2026-11-24T10:31:00+08:00";
    assert!(!world.decide("moment_offer", over, &[]).null);
    assert_eq!(
        chosen(&world.decide("moment_story", over, &[])),
        "how-funds-work"
    );
}

#[test]
fn the_pack_as_shipped_knows_no_calendar_and_does_nothing_by_it() {
    let files = luopan_scene::load_folder(&root().join("scenes/fund")).unwrap();
    let plan = luopan_scene::compile(files).unwrap().plan;
    let moment = Moment {
        now: micros(THURSDAY),
        utc_offset_s: 28_800,
    };
    let slots = CustomerSlots::read(&plan, &[], moment, &[]);
    let value = |name: &str| slots.values[usize::from(plan.slot(name).unwrap().0)].clone();
    for name in [
        "env.trading_phase_market",
        "env.closed_after_t1_market",
        "env.order_day_market",
    ] {
        assert_eq!(value(name), Value::Missing, "{name}");
    }
    assert_eq!(value("closure_can_be_earned"), Value::Bool(false));
    assert_eq!(value("last_acts"), Value::Missing);
}

#[test]
fn what_she_did_last_is_told_in_words_with_pauses() {
    let mut world = World::new();
    let view = |page: &'static str| ("page", Value::text(page));
    world.say("page_view", "2026-11-20T10:00:00+08:00", &[view("home")]);
    world.say("page_view", "2026-11-20T10:00:10+08:00", &[view("fund")]);
    world.say("page_view", "2026-11-20T10:00:20+08:00", &[view("fund")]);
    world.say(
        "deposit",
        "2026-11-21T10:00:00+08:00",
        &[("amount", Value::Int(5))],
    );
    let order = [("amount", Value::Int(5)), ("item", Value::text("growth"))];
    world.say("order_submitted", "2026-11-21T10:01:00+08:00", &order);
    let redeem = [
        order[0].clone(),
        order[1].clone(),
        ("side", Value::text("redeem")),
    ];
    world.say("order_submitted", "2026-11-21T10:02:00+08:00", &redeem);
    let told = |at: &str| {
        let moment = Moment {
            now: micros(at),
            utc_offset_s: 0,
        };
        let slots = CustomerSlots::read(&world.plan, &[&world.profile], moment, &[]);
        slots.values[usize::from(world.plan.slot("last_acts").unwrap().0)]
            .clone()
            .into_owned()
    };
    let words = "look look | deposit buy redeem";
    assert_eq!(told("2026-11-21T10:31:59+08:00"), Value::text(words));
    assert_eq!(
        told("2026-11-21T10:32:00+08:00"),
        Value::text(format!("{words} |"))
    );
}

const SMALL: &str = r#"
scene: a
events:
  deposit: {fields: {amount: {type: money, currency: CNY}, text: text, x: number, ok: boolean}}
tags:
  usual: {event: deposit, aggregate: quantile, of: amount, q: 0.9, without_latest: true}
  late: {event: deposit, aggregate: count, where: 'event.trading_phase_sse == "after_close" && ok'}
  eves: {event: deposit, aggregate: count, where: event.days_closed_ahead_sse >= 2}
sequences:
  acts: {keep: 4, words: {good: {event: deposit, where: ok}, other: {event: deposit}}}
calendars:
  sse: {from: 2026-11-02, to: 2026-11-27, weekdays: [1, 2, 3, 4, 5], utc_offset: "+08:00", cutoff: "15:00", sessions: ["09:30-15:00"]}
catalogues:
  funds:
    attributes: {kind: text, risk: integer, move: number, name: text}
    items: {a: {kind: bond, move: 0.1}, b: {kind: bond, move: 0.3}, c: {kind: share, move: -0.5}, d: {kind: bond}}
market:
  one: {catalogue: funds, of: move, item: c}
  bonds: {catalogue: funds, of: move, median_where: 'item.kind == "bond"'}
  all: {catalogue: funds, of: move}
  gone: {catalogue: funds, of: move, item: nobody}
derived: {down: env.market_bonds < 0.0 || double(usual) > 5.0}
"#;

#[test]
fn the_market_is_an_item_or_a_median() {
    let plan = luopan_scene::compile(vec![("scene.yaml".into(), SMALL.into())])
        .unwrap_or_else(|f| panic!("{}", lines(&f)))
        .plan;
    assert_eq!(plan.market[0].of, MarketOf::Item("c".into()));
    let funds = Catalogue::new(&plan.catalogues[0], 1, []).unwrap();
    let told = market::values(&plan, |n| (n == 0).then_some(&funds));
    assert_eq!(
        told,
        [
            Value::Number(-0.5),
            Value::Number(0.2),
            Value::Number(0.1),
            Value::Missing
        ]
    );
    assert!(
        market::values(&plan, |_| None)
            .iter()
            .all(Value::is_missing)
    );
    // What conditions read of the clock is named by the tag alone, and its id is of the calendar's days.
    let tag =
        |plan: &ScenePlan, name: &str| plan.tags.iter().find(|t| t.name == name).unwrap().clone();
    assert_eq!(tag(&plan, "late").clock, [EnvironmentTag::TradingPhase(0)]);
    assert_eq!(
        tag(&plan, "eves").clock,
        [EnvironmentTag::DaysClosedAhead(0)]
    );
    assert!(tag(&plan, "usual").clock.is_empty());
    let compiled = |text: String| {
        luopan_scene::compile(vec![("scene.yaml".into(), text)])
            .unwrap()
            .plan
    };
    let longer = compiled(SMALL.replace("to: 2026-11-27", "to: 2026-12-31"));
    assert_ne!(tag(&plan, "eves").id, tag(&longer, "eves").id);
    assert_eq!(tag(&plan, "usual").id, tag(&longer, "usual").id);
    // A pack that does not name what came later has no slot of it, so its numbers stay.
    assert_eq!(plan.slot("env.closed_after_t1_sse"), None);
    let named = compiled(format!(
        "{SMALL}segments: {{}}\n# env.closed_after_t1_sse\n"
    ));
    assert!(named.slot("env.closed_after_t1_sse").is_some());
    assert_eq!(named.slot("env.closed_after_t2_sse"), None);
    let other = compiled(SMALL.replace("keep: 4", "keep: 5"));
    assert_ne!(tag(&plan, "acts").id, tag(&other, "acts").id);
    let Aggregate::Quantile { millionths, .. } = tag(&plan, "usual").aggregate else {
        panic!("a quantile");
    };
    assert_eq!(millionths, 900_000);
    assert!(SegmentSet::new(&plan).is_ok());
}

#[test]
fn faults_of_the_moment_are_told_with_what_to_write() {
    let with = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        faults(&SMALL.replace(from, to))
    };
    for (from, to, told) in [
        (", q: 0.9", "", "a quantile without `q`"),
        ("q: 0.9", "q: 1.5", "1.5"),
        ("q: 0.9", "q: 0.12345678", "more than six digits"),
        (
            "of: amount, q",
            "of: text, q",
            "`quantile` of `text`, which is text",
        ),
        (
            "of: amount, q",
            "of: ok, q",
            "`quantile` of `ok`, which is boolean",
        ),
        ("aggregate: quantile", "aggregate: sum", "`q` of a sum"),
        (
            "event.days_closed_ahead_sse",
            "event.days_closed_ahead_see",
            "event.days_closed_ahead_sse",
        ),
        (
            "event.days_closed_ahead_sse",
            "env.days_closed_ahead_sse",
            "env.days_closed_ahead_sse",
        ),
        ("\"after_close\"", "\"afterwards\"", "afterwards"),
        ("keep: 4", "keep: 33", "33"),
        (
            "words: {good: {event: deposit, where: ok}, other: {event: deposit}}",
            "words: {}",
            "a sequence without words",
        ),
        (
            "other: {event: deposit}",
            "other: {event: deposed}",
            "deposed",
        ),
        (
            "acts: {keep",
            "usual: {keep",
            "is a tag or attribute already",
        ),
        ("of: move, item: c", "of: moved, item: c", "moved"),
        ("of: move, item: c", "of: name, item: c", "`name` is text"),
        (
            "of: move, item: c",
            "of: move, item: c, median_where: 'true'",
            "an item and a median",
        ),
        (
            "item.kind == \"bond\"",
            "item.kind == \"bond\" && late > 1",
            "asks more than the item",
        ),
        (
            "derived: {down",
            "segments: {s: 'acts.contains(\"good\")'}\nderived: {down",
            "pauses",
        ),
        (
            "derived: {down",
            "segments: {s: env.market_one > 0.0}\nderived: {down",
            "reads tags only",
        ),
    ] {
        let found = with(from, to);
        assert!(found.contains(told), "{from} as {to}: {found}");
    }
}

const FORESEEN: &str = r#"
scene: a
events:
  page_view: {fields: {page: text}}
  order: {}
sequences:
  acts: {keep: 8, pause: 30m, words: {look: {event: page_view}, buy: {event: order}}}
artifacts:
  next: {file: artifacts/next.bin, kind: sequence}
intentions:
  next: {sequence: acts, model: next}
catalogues:
  funds: {attributes: {hot: boolean}, items: {calm: {hot: false}, hot: {hot: true}}}
policies:
  offer:
    catalogue: funds
    channel: app
    score: 'item.hot ? intention.next.buy : 0.5'
    exploration: greedy
    null_action: {name: silent}
"#;

/// A model that says `buy` after `look look` and `leave` after all else.
fn foreseeing() -> Vec<u8> {
    use luopan_kernel::sequence::{SequenceModel, Vocabulary};
    let names = |all: [&str; 2]| all.map(str::to_owned).to_vec();
    let vocabulary = Vocabulary::new(2);
    let mut weights = vec![0.0; vocabulary.features() * 2];
    // The intercept is for leaving, the pair of looks for buying.
    weights[1] = 2.0;
    weights[2 * (1 + 4)] = 5.0;
    let (words, classes) = (names(["look", "buy"]), names(["buy", "leave"]));
    SequenceModel::new(words, classes, weights)
        .unwrap()
        .encode()
}

fn with_model(
    text: &str,
    bytes: Vec<u8>,
) -> Result<luopan_scene::Checked, Vec<luopan_scene::Fault>> {
    luopan_scene::compile(luopan_scene::Loaded {
        files: vec![("scene.yaml".into(), text.to_owned())],
        trained: [("artifacts/next.bin".to_owned(), bytes)].into(),
        ..luopan_scene::Loaded::default()
    })
}

#[test]
fn a_score_reads_what_she_is_about_to_do_and_the_record_foretells_it_again() {
    use luopan_kernel::artifact::Artifacts;
    use luopan_kernel::record::{DecisionRecord, Known, compare, plan_hash, recompute};
    let checked = with_model(FORESEEN, foreseeing()).unwrap_or_else(|f| panic!("{}", lines(&f)));
    let (plan, artifacts) = (checked.plan, Artifacts::of(checked.artifacts));
    let fold_plan = FoldPlan::new(&plan);
    let catalogue = Catalogue::new(&plan.catalogues[0], 1, []).unwrap();
    let policy = plan.policy("offer").unwrap();
    let set = SlotSet::of_policy(&plan, policy);
    let decided = |acts: &[&'static str], artifacts: &Artifacts| {
        let start = micros("2026-11-24T10:00:00+08:00");
        let mut profile = Profile::new(WHO, fold_plan.layout(), start);
        for (i, kind) in acts.iter().enumerate() {
            let at = start.plus(i as i64 * 1_000_000);
            let event = Event {
                id: Cow::Owned(i.to_string()),
                tenant: TenantId(1),
                scene: SceneNo(1),
                identifier: WHO,
                kind: Cow::Borrowed(*kind),
                occurred_at: at,
                received_at: at,
                origin: Origin::Live,
                properties: vec![],
                context: vec![],
                corrects: None,
                sealed: vec![],
            };
            fold(&fold_plan, &mut profile, &event);
        }
        let moment = Moment {
            now: start.plus(60_000_000),
            utc_offset_s: 0,
        };
        let around = Around {
            artifacts,
            ..Around::default()
        };
        let profiles = [&profile];
        let slots = CustomerSlots::read_within(&plan, &set, &profiles, moment, &[], around);
        let situation = Situation {
            customer: &slots,
            catalogue: &catalogue,
            prepared: None,
            contacts: &[],
            spent: &[],
            elapsed: &[],
            model: None,
            objective_models: &[],
            artifacts,
        };
        let request = Request {
            decision: DecisionId([7; 16]),
            customer: WHO,
            moment,
            slots: None,
            origin: Origin::Live,
            forced: None,
        };
        let decision = decide(&plan, policy, &situation, &request, 1);
        (decision, request)
    };
    let (looked, request) = decided(&["page_view", "page_view"], &artifacts);
    assert_eq!(chosen(&looked), "hot");
    let (bought, _) = decided(&["page_view", "order"], &artifacts);
    assert_eq!(chosen(&bought), "calm");
    // Nothing done yet, or no model: what is not known scores nothing, and the item that needs it is not there.
    for found in [
        decided(&[], &artifacts).0,
        decided(&["page_view", "page_view"], &Artifacts::default()).0,
    ] {
        assert_eq!((chosen(&found), found.available), ("calm", 1));
    }
    let read: Vec<(&str, bool)> = (looked.slots_read.iter())
        .map(|(name, value)| (name.as_str(), value.is_missing()))
        .collect();
    assert_eq!(read, [("acts", false), ("intention.next.buy", false)]);
    let record = DecisionRecord {
        semantics: luopan_kernel::SEMANTICS,
        tenant: TenantId(1),
        scene: SceneNo(1),
        scene_version: 1,
        plan_hash: plan_hash(&plan),
        policy: "offer".to_owned(),
        catalogue_version: 1,
        model: None,
        objective_models: vec![],
        request,
        identifier: WHO,
        identifiers: vec![WHO],
        context: vec![],
        idempotency: None,
        seed: 1,
        positions: vec![],
        contacts: vec![],
        spent: vec![],
        elapsed: vec![],
        attempt: 1,
        withheld: None,
        contest: None,
        valid_until: micros("2026-11-24T11:00:00+08:00"),
        decision: looked,
    };
    let again = |record: &DecisionRecord| {
        let known = Known {
            catalogue: &catalogue,
            model: None,
            objective_models: &[],
            artifacts: &artifacts,
        };
        compare(record, &recompute(record, &plan, &known).unwrap())
    };
    assert_eq!(again(&record), []);
    // A recorded probability that the recorded acts do not give is told.
    let mut changed = record;
    changed.decision.slots_read[1].1 = Value::Number(0.25);
    let differences = again(&changed);
    assert!(
        differences
            .iter()
            .any(|d| d.path.starts_with("slots_read/1")),
        "{differences:?}"
    );
}

#[test]
fn a_prediction_allows_and_forbids_nothing_and_knows_its_words() {
    let found = |from: &str, to: &str| {
        assert!(FORESEEN.contains(from), "{from}");
        let compiled = with_model(&FORESEEN.replace(from, to), foreseeing());
        compiled.map_or_else(|f| lines(&f), |_| String::new())
    };
    for (from, to, told) in [
        (
            "    score:",
            "    eligibility: [{name: a, rule: intention.next.buy > 0.5}]\n    score:",
            "a prediction allows and forbids nothing",
        ),
        (
            "catalogues:",
            "derived: {soon: intention.next.buy > 0.5}\ncatalogues:",
            "intention.next.buy",
        ),
        (
            "intention.next.buy : 0.5",
            "intention.next.by : 0.5",
            "intention.next.buy",
        ),
        (
            "buy: {event: order}",
            "bought: {event: order}",
            "train the model again with its words",
        ),
        ("sequence: acts, model", "sequence: deeds, model", "deeds"),
        ("model: next", "model: soon", "soon"),
        ("kind: sequence", "kind: factors", "cannot be read"),
    ] {
        let faults = found(from, to);
        assert!(faults.contains(told), "{from} as {to}: {faults}");
    }
    // A word that the model knows and the sequence does not say does no harm.
    assert_eq!(found(", buy: {event: order}", ""), "");
}
