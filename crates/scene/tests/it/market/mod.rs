//! The market rules of the fund pack against the cases of `conformance/rules`, which the independent checker runs too: the same
//! customer, product and moment, decided by the shipped pack; a refusal must name the rule and version that the case names.

mod not_yet;
mod orders;

use crate::support::{lines, root};
use luopan_kernel::artifact;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Decision, Forced, Request, Situation, decide};
use luopan_kernel::event::{CUSTOMER_TYPE, Event, Origin};
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::id::{DecisionId, IdentifierId, SceneNo, TenantId};
use luopan_kernel::plan::{CataloguePlan, Field, ItemPlan, ScenePlan};
use luopan_kernel::profile::Profile;
use luopan_kernel::slots::{CustomerSlots, SlotSet};
use luopan_kernel::time::{Micros, Moment};
use luopan_kernel::value::{Value, ValueType};
use not_yet::{NOT_YET, NOT_YET_MOST};
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use std::collections::BTreeSet;

type Facts = Map<String, Json>;

struct Case {
    file: String,
    name: String,
    rule: u64,
    customer: Facts,
    product: Facts,
    body: Facts,
    calendar: Option<Json>,
}

fn object(v: Option<&Json>) -> Facts {
    v.and_then(Json::as_object).cloned().unwrap_or_default()
}

fn list(v: Option<&Json>) -> Vec<Facts> {
    let each = v.and_then(Json::as_array).into_iter().flatten();
    each.map(|x| object(Some(x))).collect()
}

fn over(below: Facts, above: Facts) -> Facts {
    let mut out = below;
    out.extend(above);
    out
}

fn text<'a>(of: &'a Facts, name: &str) -> &'a str {
    of.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<_> = std::fs::read_dir(root().join("conformance/rules"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        let read: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for body in list(read.get("cases")) {
            out.push(Case {
                file: path.file_name().unwrap().to_string_lossy().into_owned(),
                name: text(&body, "case").to_owned(),
                rule: body["rule"].as_u64().unwrap(),
                customer: over(object(read.get("customer")), object(body.get("customer"))),
                product: over(object(read.get("product")), object(body.get("product"))),
                calendar: read.get("calendar").cloned(),
                body,
            });
        }
    }
    out
}

/// What a case's settings of the checker are called in the pack; none for one that the pack does not have.
fn settings(config: &Facts) -> Option<Vec<(String, Json)>> {
    let mut out = Vec::new();
    for (name, v) in config {
        let each = |prefix: &str, out: &mut Vec<(String, Json)>| {
            for (of, v) in object(Some(v)) {
                out.push((format!("{prefix}{of}"), v));
            }
        };
        let same =
            |ours: &str, out: &mut Vec<(String, Json)>| out.push((ours.to_owned(), v.clone()));
        match name.as_str() {
            "professionals_exempt" => same("cn_professionals_exempt", &mut out),
            "push_to_professionals" => same("cn_push_to_professionals", &mut out),
            "warning_opens_own_purchase" => same("cn_warning_opens_purchase", &mut out),
            "online_needs_trail" => same("cn_online_needs_trail", &mut out),
            "oldest_by_risk" => each("cn_oldest_r", &mut out),
            "experience_by_risk" => each("cn_experience_r", &mut out),
            "longest_term_by_class" => each("cn_longest_term_c", &mut out),
            "raise_cancels" => {
                let passes = json!(v == "above_class");
                out.push(("cn_raise_within_class_passes".into(), passes));
            }
            // This pack is of funds: what another regime asks for says nothing to it.
            "assessment_days" => out.extend(v.get("fund").map(|days| {
                (
                    "cn_assessment_validity".to_owned(),
                    json!(format!("{days}d")),
                )
            })),
            "portfolio_licence" => same("cn_portfolio_licence", &mut out),
            _ => return None,
        }
    }
    Some(out)
}

/// The pack's files with settings as an operator would write them: the value at its place, nothing else.
fn set(files: &mut [(String, String)], settings: &[(String, Json)]) {
    let (_, text) = (files.iter_mut())
        .find(|(path, _)| path == "rules/cn-settings.yaml")
        .expect("the settings of the market");
    for (name, v) in settings {
        let begin = text
            .find(&format!("  {name}: {{type: "))
            .unwrap_or_else(|| panic!("{name}"));
        let end = begin + text[begin..].find('\n').unwrap();
        let line = &text[begin..end];
        let line = match line.split_once(", value: ") {
            Some((before, after)) => {
                let (_, rest) = after.split_once(", ").unwrap();
                format!("{before}, value: {v}, {rest}")
            }
            None => {
                let (before, rest) = line.split_once(", ").unwrap();
                format!("{before}, value: {v}, {rest}")
            }
        };
        text.replace_range(begin..end, &line);
    }
}

/// The shipped pack, with the example calendar of a file of cases and the settings of one.
fn pack(calendar: Option<&Json>, settings: &[(String, Json)]) -> ScenePlan {
    let mut files = luopan_scene::load_folder(&root().join("scenes/fund")).unwrap();
    set(&mut files.files, settings);
    if let Some(c) = calendar {
        // As a shop with a calendar writes it: its orders go by the exchange's days.
        let (_, orders) = (files.files.iter_mut())
            .find(|(path, _)| path == "events/orders.yaml")
            .unwrap();
        assert!(orders.contains("    utc_offset: \"+08:00\"\n"));
        *orders = orders.replace("    utc_offset: \"+08:00\"\n", "    calendar: example\n");
        // YAML holds JSON; days in it are texts.
        let written = json!({"calendars": {"example": {
            "from": c["from"], "to": c["to"], "weekdays": [1, 2, 3, 4, 5], "closed": c["closed"],
            "utc_offset": "+08:00", "cutoff": "15:00",
        }}});
        files
            .files
            .push(("example.yaml".into(), written.to_string()));
    }
    luopan_scene::compile(files)
        .unwrap_or_else(|f| panic!("{}", lines(&f)))
        .plan
}

fn micros(text: &str) -> Micros {
    let at: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    Micros(at.as_microsecond())
}

/// A fact as the field's type has it; a day is its beginning in China.
fn value(field: &Field, fact: &Json) -> Value<'static> {
    match (field.kind, fact) {
        (_, Json::Null) => Value::Missing,
        (ValueType::Boolean, v) => Value::Bool(v.as_bool().unwrap()),
        (ValueType::Integer | ValueType::Money, v) => Value::Int(v.as_i64().unwrap()),
        (ValueType::Number, v) => Value::Number(v.as_f64().unwrap()),
        (ValueType::Text, v) => Value::text(v.as_str().unwrap().to_owned()),
        (ValueType::Time, v) => Value::Time(match v.as_str().unwrap() {
            day if day.len() == 10 => micros(&format!("{day}T00:00:00+08:00")),
            at => micros(at),
        }),
        (kind, v) => panic!("{v} as {}", kind.word()),
    }
}

/// One customer's life as the pack's events, and the product as the pack's item.
struct World<'p> {
    plan: &'p ScenePlan,
    fold: FoldPlan,
    profile: Profile,
    product: Facts,
    said: u32,
}

const WHO: IdentifierId = IdentifierId([9; 16]);

impl World<'_> {
    fn event(&mut self, kind: &str, at: Micros, facts: &Facts) {
        let schema = self.plan.event(kind).unwrap_or_else(|| panic!("{kind}"));
        let mut properties: Vec<(Cow<'_, str>, Value<'_>)> = (schema.fields.iter())
            .filter_map(|f| {
                let v = value(f, facts.get(&f.name)?);
                (!v.is_missing()).then_some((Cow::Borrowed(f.name.as_str()), v))
            })
            .collect();
        properties.sort_by(|a, b| a.0.cmp(&b.0));
        self.said += 1;
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
        fold(&self.fold, &mut self.profile, &event);
    }

    /// Takes a line of a case; false when the pack has no event for it.
    fn line(&mut self, line: &Facts) -> bool {
        let at = micros(text(line, "at"));
        let item = json!(line.get("product").and_then(Json::as_str).unwrap_or("p"));
        let with = |more: &[(&str, &str)]| {
            let mut out = Facts::new();
            out.insert("item".into(), item.clone());
            for (name, of) in more {
                out.insert((*name).into(), line.get(*of).cloned().unwrap_or_default());
            }
            out
        };
        match text(line, "type") {
            "warning" => self.event("risk_warning_signed", at, &with(&[("rating", "rating")])),
            "acknowledgement" => {
                self.event("notice_acknowledged", at, &with(&[("version", "version")]))
            }
            "order" if text(line, "step") == "submitted" => {
                if self.product.get("private") == Some(&json!(true)) {
                    self.event("private_fund_signed", at, &with(&[]));
                }
            }
            "product" => self.product.extend(line.clone()),
            // What was decided before spends caps, which are the shop's and no market rule.
            "decision" => {}
            // The decision that is asked for.
            "use" => {}
            _ => return false,
        }
        true
    }

    /// The risk that counts now: the highest of the ratings.
    fn rating(&self) -> i64 {
        (["risk_level", "issuer_rating", "seller_rating"].iter())
            .filter_map(|name| self.product.get(*name)?.as_i64())
            .max()
            .unwrap_or(0)
    }

    fn item(&self, catalogue: &CataloguePlan, channel: &str) -> ItemPlan {
        let mut facts = self.product.clone();
        let own = json!({
            "name": "P", "kind": "bond", "term_days": 0, "least_order": 100, "on_sale": true,
            "title": "P", "partner": "P", "least_age": 18, "valid_until": "2099-12-31", "cost": 10,
        });
        for (name, v) in object(Some(&own)) {
            facts.entry(name).or_insert(v);
        }
        if let Some(classes) = facts.get("not_for_classes").and_then(Json::as_array) {
            let classes: String = classes.iter().map(Json::to_string).collect();
            facts.insert("not_for_classes".into(), json!(classes));
        }
        if facts.get("fee_exempt") == Some(&json!(true)) {
            facts.insert("redemption_fees".into(), json!(""));
        }
        if let Some(ladder) = facts.get("fee_ladder").and_then(Json::as_array) {
            let steps: Vec<String> = (ladder.iter())
                .map(|s| {
                    let percent = s["rate"].as_f64().unwrap() * 100.0;
                    format!("{}d {percent}%", s["under_days"])
                })
                .collect();
            facts.insert("redemption_fees".into(), json!(steps.join(", ")));
        }
        let recorded = facts.get("recording_channels").and_then(Json::as_array);
        if let Some(channels) = recorded {
            let required = channels.contains(&json!(channel));
            facts.insert("recording_required".into(), json!(required));
        }
        ItemPlan {
            key: "p".into(),
            values: (catalogue.attributes.iter())
                .map(|a| facts.get(&a.name).map_or(Value::Missing, |v| value(a, v)))
                .collect(),
        }
    }
}

/// The customer of a case, as the shop has known her for long.
fn known<'p>(plan: &'p ScenePlan, case: &Case) -> World<'p> {
    let begin = micros("2025-01-01T00:00:00+08:00");
    let fold = FoldPlan::new(plan);
    let mut world = World {
        plan,
        profile: Profile::new(WHO, fold.layout(), begin),
        fold,
        product: case.product.clone(),
        said: 0,
    };
    // What the shop asks beside the market.
    let mut customer = case.customer.clone();
    customer.entry("consent_marketing").or_insert(json!(true));
    world.event(CUSTOMER_TYPE, begin, &customer);
    if customer.get("opted_out") == Some(&json!(true)) {
        world.event("unsubscribed", begin, &Facts::new());
    }
    world
}

/// The policies that the pack has for a purpose: each of them keeps the rules of it.
fn policies_for(purpose: &str, channel: &str) -> &'static [&'static str] {
    match (purpose, channel) {
        ("push", "app") => &["learned", "random", "moment_offer"],
        ("push", "sms") => &["text_message"],
        ("show", "app") => &["shelf"],
        ("buy", "app") => &["own_purchase"],
        _ => &[],
    }
}

/// The policies that use what a customer must consent to apart from all else.
fn policies_using(of: &str) -> &'static [&'static str] {
    match of {
        "partners" => &["partner"],
        _ => &[],
    }
}

/// What a case is about that no purpose says: a use of what needs a consent of its own, and when.
fn used(case: &Case) -> Option<(String, String)> {
    let lines = list(case.body.get("before"));
    let of_use = lines.iter().find(|l| text(l, "type") == "use")?;
    Some((text(of_use, "of").to_owned(), text(of_use, "at").to_owned()))
}

fn channel_of(case: &Case) -> &str {
    match text(&case.body, "channel") {
        "" => "app",
        channel => channel,
    }
}

/// What a policy of the pack says of a case; none when it has no way to ask.
fn asked(plan: &ScenePlan, case: &Case, policy: &str) -> Option<Decision> {
    let channel = channel_of(case);
    let mut world = known(plan, case);
    let mut at = match used(case) {
        Some((_, at)) => at,
        None => text(&case.body, "at").to_owned(),
    };
    for line in list(case.body.get("before")) {
        if !world.line(&line) {
            return None;
        }
    }
    // A queued push is asked for again when it is sent, with the risk at which it was queued.
    let queued = world.rating();
    let mut with = object(case.body.get("with"));
    for line in list(case.body.get("then")) {
        if text(&line, "type") == "send" {
            if text(&line, "status") == "sent" || text(&line, "status") == "cancelled" {
                with.insert("queued_risk".into(), json!(queued));
            } else {
                return None;
            }
            at = text(&line, "at").to_owned();
            break;
        }
        if !world.line(&line) {
            return None;
        }
    }
    let shows = object(with.get("shows"));
    let own_initiative = json!(!with.contains_key("answers"));
    let context = [
        ("own_initiative", Some(&own_initiative)),
        ("recording_id", with.get("recording")),
        ("trail_id", with.get("trail")),
        ("shows_return", shows.get("return")),
        ("shows_annualised", shows.get("annualised")),
        ("shows_window_days", shows.get("window_days")),
        ("shows_volatility", shows.get("volatility")),
        ("advice", with.get("advice")),
        ("queued_risk", with.get("queued_risk")),
    ];
    let zone = match text(&case.customer, "zone") {
        "" => plan.default_zone.as_str(),
        zone => zone,
    };
    decided(&world, policy, channel, &context, micros(&at), zone)
}

/// What the pack decides of the product, asked for by name with these fields of the request.
fn decided(
    world: &World<'_>,
    policy: &str,
    channel: &str,
    fields: &[(&'static str, Option<&Json>)],
    now: Micros,
    zone: &str,
) -> Option<Decision> {
    let plan = world.plan;
    let policy = plan.policy(policy).unwrap();
    let mut context: Vec<(Cow<'_, str>, Value<'_>)> = Vec::new();
    for (name, v) in fields {
        let kind = plan.slots[usize::from(plan.slot(&format!("request.{name}")).unwrap().0)].kind;
        let v = match (kind, v) {
            (_, None | Some(Json::Null)) => continue,
            (ValueType::Boolean, Some(v)) => Value::Bool(v.as_bool().unwrap()),
            (ValueType::Integer | ValueType::Money, Some(v)) => Value::Int(v.as_i64().unwrap()),
            (ValueType::Number, Some(v)) => Value::Number(v.as_f64().unwrap()),
            (_, Some(v)) => Value::text(v.as_str().unwrap().to_owned()),
        };
        context.push((Cow::Borrowed(*name), v));
    }
    context.sort_by(|a, b| a.0.cmp(&b.0));
    let moment = Moment {
        now,
        utc_offset_s: jiff::tz::TimeZone::get(zone)
            .ok()?
            .to_offset(jiff::Timestamp::from_microsecond(now.0).unwrap())
            .seconds(),
    };
    let declared = &plan.catalogues[usize::from(policy.catalogue)];
    let empty = CataloguePlan {
        items: vec![],
        ..declared.clone()
    };
    let catalogue = Catalogue::new(&empty, 1, [world.item(declared, channel)]).unwrap();
    let profile = &world.profile;
    let mut slots = CustomerSlots::read(plan, &[profile], moment, &context);
    let all = SlotSet::all(plan);
    slots.hold(plan, &all, policy.catalogue, &catalogue, &[profile], moment);
    let situation = Situation {
        customer: &slots,
        catalogue: &catalogue,
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
        forced: Some(Forced {
            item: Some("p".into()),
            reason: "a case".into(),
        }),
    };
    Some(decide(plan, policy, &situation, &request, 1))
}

/// None when the pack has no way to ask; else whether it says what the case expects.
fn outcome(plan: &ScenePlan, case: &Case) -> Option<Result<(), String>> {
    if [12, 13, 14].contains(&case.rule) {
        return orders::outcome(plan, case);
    }
    let policies = match used(case) {
        Some((of, _)) => policies_using(&of),
        None => policies_for(text(&case.body, "purpose"), channel_of(case)),
    };
    let mut all = None;
    for policy in policies {
        let found = outcome_of(plan, case, policy)?;
        if !matches!(all, Some(Err(_))) {
            all = Some(found.map_err(|found| format!("{policy}: {found}")));
        }
    }
    all
}

fn outcome_of(plan: &ScenePlan, case: &Case, policy: &str) -> Option<Result<(), String>> {
    let d = asked(plan, case, policy)?;
    let expect = text(&case.body, "expect");
    // What was cancelled was rightly cancelled when it would have been refused.
    let cancelled = (list(case.body.get("then")).iter()).any(|l| text(l, "status") == "cancelled");
    if cancelled {
        return Some(match (d.null, expect) {
            (true, "allowed") => Ok(()),
            _ => Err("it was cancelled, and the pack would have sent it".into()),
        });
    }
    let refused: Vec<String> = (d.refusals.iter())
        .map(|r| format!("{:?} {} {:?}", r.gate, r.rule, r.version))
        .collect();
    Some(match (expect, case.body.get("pack")) {
        ("allowed", _) if !d.null => Ok(()),
        ("refused", Some(by)) => {
            let named = (d.refusals.iter()).any(|r| {
                by["rule"] == *r.rule && by["version"] == *r.version.as_deref().unwrap_or("")
            });
            match d.null && named {
                true => Ok(()),
                false => Err(format!("refused by {by} expected, but {refused:?}")),
            }
        }
        ("refused", None) if d.null => Ok(()),
        _ => Err(format!(
            "{expect} expected, but {} {refused:?}",
            if d.null { "refused by" } else { "allowed" }
        )),
    })
}

fn not_yet() -> BTreeSet<&'static str> {
    NOT_YET
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect()
}

#[test]
fn the_fund_pack_keeps_the_market_rules_case_by_case() {
    let (excused, plain) = (not_yet(), pack(None, &[]));
    let (mut run, mut wrong) = (0, Vec::new());
    for case in cases() {
        let label = format!("{}: {}", case.file, case.name);
        let config = object(case.body.get("config"));
        let Some(settings) = settings(&config) else {
            if !excused.contains(case.name.as_str()) {
                wrong.push(format!("{label}: the pack has no such setting"));
            }
            continue;
        };
        let own;
        let plan = if case.calendar.is_none() && settings.is_empty() {
            &plain
        } else {
            own = pack(case.calendar.as_ref(), &settings);
            &own
        };
        match (outcome(plan, &case), excused.contains(case.name.as_str())) {
            (Some(Ok(())), false) => run += 1,
            (Some(Err(found)), false) => wrong.push(format!("{label}: {found}")),
            (None, false) => wrong.push(format!("{label}: the pack has no way to ask")),
            (Some(Ok(())), true) if text(&case.body, "expect") == "refused" => {
                wrong.push(format!("{label}: is kept now; take it from the list"));
            }
            (_, true) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} run, {} wrong:\n{}",
        run,
        wrong.len(),
        wrong.join("\n")
    );
    assert!(run + NOT_YET_MOST >= cases().len(), "{run} cases were run");
}

#[test]
fn the_list_of_what_the_pack_cannot_say_only_shrinks() {
    let names: BTreeSet<String> = cases().into_iter().map(|c| c.name).collect();
    let listed: Vec<&str> = NOT_YET.iter().flat_map(|(_, n)| *n).copied().collect();
    for name in &listed {
        assert!(names.contains(*name), "no case is called `{name}`");
    }
    assert_eq!(not_yet().len(), listed.len(), "a name stands twice");
    assert!(listed.len() <= NOT_YET_MOST, "{} names", listed.len());
}

/// A case that passes whatever the pack says would be none: without the rule, the case it refuses is not refused by it.
#[test]
fn a_rule_that_is_taken_out_is_missed() {
    let mut plan = pack(None, &[]);
    for policy in &mut plan.policies {
        policy
            .suitability
            .retain(|r| r.name != "cn_no_push_above_class");
    }
    let missed = cases()
        .iter()
        .filter(|c| {
            c.body
                .get("pack")
                .is_some_and(|p| p["rule"] == "cn_no_push_above_class")
        })
        .map(|c| outcome(&plan, c).unwrap())
        .collect::<Vec<_>>();
    assert!(missed.len() > 20 && missed.iter().all(Result::is_err));
}

/// Every rule of the pack that is named for the market says which rule of the market it keeps, and in which version.
#[test]
fn rules_of_the_market_are_dated_and_named() {
    let plan = pack(None, &[]);
    let mut seen = BTreeSet::new();
    for policy in &plan.policies {
        let rules = (policy.eligibility.iter())
            .chain(&policy.suitability)
            .chain(&policy.exclusions);
        for rule in rules.filter(|r| r.name.starts_with("cn_")) {
            assert!(
                rule.version.is_some() && rule.effective.is_some(),
                "{}",
                rule.name
            );
            let authority = rule.authority.as_deref().unwrap_or("");
            assert!(authority.starts_with("market rule"), "{}", rule.name);
            seen.insert(rule.name.clone());
        }
    }
    let named: BTreeSet<String> = cases()
        .iter()
        .filter_map(|c| Some(c.body.get("pack")?["rule"].as_str()?.to_owned()))
        .filter(|n| n.starts_with("cn_"))
        .collect();
    assert_eq!(
        seen, named,
        "each rule has a case that it refuses, and each case a rule"
    );
}

/// Whoever adds a policy over funds must choose what the market asks of its purpose; what sells nothing is named here.
#[test]
fn every_policy_over_funds_holds_all_that_the_market_asks_of_its_purpose() {
    let plan = pack(None, &[]);
    let funds = plan.catalogues.iter().position(|c| c.name == "funds");
    let sells_nothing = ["own_redemption", "switch_advice", "fallen_holding"];
    let holds = |policy: &str| {
        let policy = plan.policy(policy).unwrap();
        (policy.eligibility.iter())
            .chain(&policy.suitability)
            .filter(|r| r.name.starts_with("cn_"))
            .map(|r| r.name.clone())
            .collect::<BTreeSet<_>>()
    };
    let purposes = ["learned", "shelf", "own_purchase"].map(&holds);
    assert!(purposes.iter().all(|p| p.len() > 10));
    for policy in &plan.policies {
        if Some(usize::from(policy.catalogue)) != funds
            || sells_nothing.contains(&policy.name.as_str())
        {
            continue;
        }
        let held = holds(&policy.name);
        assert!(
            purposes.iter().any(|p| p.is_subset(&held)),
            "`{}` holds {held:?}, which is not all that any purpose asks for",
            policy.name
        );
    }
}

/// Who has switched personalisation off is shown a shelf that reads nothing of her habits.
#[test]
fn the_shelf_reads_suitability_and_declared_rules_alone() {
    let plan = pack(None, &[]);
    let case = cases()
        .into_iter()
        .find(|c| c.name == "switched off, and only suitability was read")
        .unwrap();
    let read = asked(&plan, &case, "shelf").unwrap().slots_read;
    assert!(!read.is_empty());
    let declared = [
        "age",
        "appetite_expires_at",
        "assessed_at",
        "experience_years",
        "professional",
        "qualified",
        "risk_appetite",
    ];
    for (name, _) in &read {
        let is_declared = declared.contains(&name.as_str())
            || ["env.", "request.", "held."]
                .iter()
                .any(|p| name.starts_with(p));
        assert!(is_declared, "the shelf reads `{name}`");
    }
}
