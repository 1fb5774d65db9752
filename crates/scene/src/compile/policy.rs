//! Segments, shared rules, budgets and policies.

use super::scoring::models_of;
use super::{Compiler, Want, duration};
use crate::cel::{Place, Scope, Ty, Typed};
use crate::fault::{Code, listed, nearest, shown};
use crate::node::{Data, Key, Node};
use crate::shape::check;
use crate::tables::{POLICY_MUSTS, WHOLE_POLICY};
use crate::unit;
use luopan_kernel::plan::policy::Permits;
use luopan_kernel::plan::{
    BinaryOp, BudgetPeriod, BudgetPlan, BudgetUse, CapPlan, CapScope, Expr, Horizon, NamedRule,
    NullAction, PolicyPlan, PricePlan, QuietHours, SEGMENTS_MAX, SegmentPlan, SlotId,
};
use luopan_kernel::time::{HOUR_US, Micros};
use luopan_kernel::value::Value;

/// Most policies of a scene.
pub const POLICIES_MAX: usize = 256;
/// Most budgets of a scene.
pub const BUDGETS_MAX: usize = 256;
/// Most rules, caps or budgets of one policy.
pub const POLICY_PARTS_MAX: usize = 64;
/// Most slots of one scene: items' attributes included.
pub const SLOTS_MAX: usize = u16::MAX as usize;

impl<'d> Compiler<'d, '_> {
    pub(super) fn segments(&mut self) {
        if self.plan.slots.len() > SLOTS_MAX {
            let at = self.section("catalogues").first().map(|(k, _)| k.at);
            if let Some(at) = at {
                self.report.at(
                    at,
                    Code::Limit,
                    format!("the scene has {} slots", self.plan.slots.len()),
                    format!("declare at most {SLOTS_MAX} tags and attributes"),
                );
            }
        }
        let section = self.section("segments");
        for (i, (key, node)) in section.iter().enumerate() {
            if i == SEGMENTS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    format!("{} segments", section.len()),
                    format!("write at most {SEGMENTS_MAX}"),
                );
                break;
            }
            if let Some(rule) = self.rule(&key.text, node, &self.scope(Place::Segment)) {
                let at = node.get("rule").map_or(node.at, |n| n.at);
                for found in crate::rule::foreseen(&self.plan, &rule) {
                    self.report.at(at, Code::NotHere, found, "");
                }
                self.plan.segments.push(SegmentPlan {
                    name: key.text.clone(),
                    rule,
                });
            }
        }
    }

    /// A condition written as CEL or as `{rule, version}`.
    pub(super) fn rule(&mut self, name: &str, node: &Node, scope: &Scope<'_>) -> Option<NamedRule> {
        let source = node.get("rule").unwrap_or(node);
        let typed = self.expression(source, scope, Want::Condition)?;
        Some(NamedRule {
            name: name.to_owned(),
            source: source.scalar()?.trim().to_owned(),
            expr: typed.expr,
            version: node.get("version").and_then(Node::text).map(str::to_owned),
            authority: (node.get("authority").and_then(Node::text)).map(str::to_owned),
            effective: None,
        })
    }

    pub(super) fn budgets(&mut self) {
        for (key, node) in self.section("budgets") {
            if self.plan.budgets.len() == BUDGETS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more budgets than are kept",
                    format!("write at most {BUDGETS_MAX}"),
                );
                break;
            }
            if let Some(budget) = self.budget(key, node) {
                self.plan.budgets.push(budget);
            }
        }
    }

    fn budget(&mut self, key: &Key, node: &Node) -> Option<BudgetPlan> {
        let limit = node.get("limit")?;
        let (limit, currency) = match limit.get("amount") {
            None => (limit.integer()?, None),
            Some(amount) => {
                let currency = limit.get("currency")?.text()?;
                let digits = unit::minor_digits(currency)?;
                match unit::minor_units(amount.scalar()?, digits) {
                    Ok(v) if v >= 0 => (v, Some(currency.to_owned())),
                    Ok(_) => {
                        self.report.at(
                            amount.at,
                            Code::OutOfRange,
                            "a budget below zero",
                            "write an amount of zero or more",
                        );
                        return None;
                    }
                    Err(write) => {
                        self.report.at(
                            amount.at,
                            Code::WrongType,
                            format!("here stands {}", amount.described()),
                            write,
                        );
                        return None;
                    }
                }
            }
        };
        let period = match node.get("period")?.text()? {
            "daily" => BudgetPeriod::Daily,
            _ => BudgetPeriod::Total,
        };
        let lasts = match node.get("lasts") {
            Some(lasts) => Some(self.lasts(lasts, period)?),
            None => None,
        };
        Some(BudgetPlan {
            name: key.text.clone(),
            limit,
            currency,
            period,
            lasts,
            rows: node
                .get("rows")
                .and_then(Node::integer)
                .and_then(|v| u16::try_from(v).ok())
                .unwrap_or(16),
        })
    }

    fn lasts(&mut self, node: &Node, period: BudgetPeriod) -> Option<(Micros, Micros)> {
        if period == BudgetPeriod::Daily {
            self.report.at(
                node.at,
                Code::Conflict,
                "a daily budget that lasts for another time",
                "leave `lasts` out: a daily budget lasts for the day; or declare it with `period: total`",
            );
            return None;
        }
        let mut at = |name: &str| {
            let found = node.get(name)?;
            match unit::timestamp(found.text()?) {
                Ok(us) => Some(Micros(us)),
                Err(write) => {
                    let here = format!("here stands {}", found.described());
                    self.report.at(found.at, Code::WrongType, here, write);
                    None
                }
            }
        };
        let (from, until) = (at("from")?, at("until")?);
        if from >= until {
            self.report.at(
                node.at,
                Code::OutOfRange,
                "a budget that lasts until it begins",
                "write `until` after `from`",
            );
            return None;
        }
        Some((from, until))
    }

    pub(super) fn policies(&mut self) {
        // Shared rules are compiled where they are used; one that nothing uses is compiled for its faults alone.
        let mut used = std::collections::BTreeSet::new();
        for (i, (key, _)) in self.section("policies").iter().enumerate() {
            if i == POLICIES_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more policies than are kept",
                    format!("write at most {POLICIES_MAX}"),
                );
                break;
            }
            let Some(node) = self.inherited(i) else {
                continue;
            };
            if node.get("like").is_some() {
                // What is written and what is inherited together must be whole; what the policy at the end of the row
                // leaves out was reported there.
                let mut whole = node.clone();
                if let Data::Map(entries) = &mut whole.data {
                    entries.retain(|(k, _)| k.text != "like");
                }
                let blank = |name: &str| {
                    whole
                        .entries()
                        .iter()
                        .any(|(k, v)| k.text == name && v.is_null())
                };
                if POLICY_MUSTS.iter().any(|name| blank(name)) {
                    check(&whole, &WHOLE_POLICY, &mut self.report);
                }
            }
            if let Some(policy) = self.policy(key, &node, &mut used) {
                self.plan.policies.push(policy);
            }
        }
        self.rule_sets();
        for (key, node) in self.section("rules") {
            if !used.contains(&key.text) {
                let scope = match self.plan.catalogues.len() {
                    1 => self.scope(Place::Item(0)),
                    _ => self.item_scope(None),
                };
                self.rule(&key.text, node, &scope);
            }
        }
    }

    /// The policy of this position with what it inherits through `like`.
    fn inherited(&mut self, index: usize) -> Option<Node> {
        let section = self.section("policies");
        let (key, node) = section.get(index)?;
        let mut merged = node.clone();
        let mut seen = vec![key.text.as_str()];
        let mut next = node.get("like");
        while let Some(like) = next {
            let name = like.text()?;
            let Some((parent_key, parent)) = section.iter().find(|(k, _)| k.text == name) else {
                self.unknown(like.at, "policies", "policy", name);
                break;
            };
            if seen.contains(&parent_key.text.as_str()) {
                self.report.at(
                    like.at,
                    Code::Cycle,
                    format!("`{}` is like itself", key.text),
                    "let one policy be written out",
                );
                return None;
            }
            seen.push(&parent_key.text);
            if let Data::Map(entries) = &mut merged.data {
                for (k, v) in parent.entries() {
                    if !entries.iter().any(|(mine, _)| mine.text == k.text) {
                        entries.push((k.clone(), v.clone()));
                    }
                }
            }
            next = parent.get("like");
        }
        Some(merged)
    }

    fn policy(
        &mut self,
        key: &Key,
        node: &Node,
        used: &mut std::collections::BTreeSet<String>,
    ) -> Option<PolicyPlan> {
        let catalogue = node.get("catalogue").and_then(|n| self.catalogue_index(n));
        let item = self.item_scope(catalogue);
        let eligibility = self.rules(node, "eligibility", &self.scope(Place::Customer), used);
        let suitability = self.rules(node, "suitability", &item, used);
        let exclusions = self.rules(node, "exclusions", &item, used);
        self.distinct(node, &[&eligibility, &suitability, &exclusions]);
        let consent = node.get("consent").and_then(|n| self.consent(n));
        let scored = self.scored_scope(catalogue, node);
        let retrieval = node.get("retrieval").map(|n| self.retrieval(n, &scored));
        let ranking = node.get("ranking").map(|n| self.ranking(n, &scored));
        let scorer = self.scorer(node, catalogue, &scored);
        let exploration = node.get("exploration").and_then(|n| self.exploration(n));
        self.explorable(node, scorer.as_ref(), exploration.as_ref());
        let diversity = node.get("diversity").map(|n| self.diversity(n, &item));
        let null = node.get("null_action");
        let null_name = null.and_then(|n| n.get("name")?.text()).map(str::to_owned);
        if let (Some(c), Some(null), Some(null_name)) = (catalogue, null, &null_name)
            && self.plan.catalogues[usize::from(c)]
                .items
                .iter()
                .any(|i| i.key == *null_name)
        {
            self.report.at(
                null.at,
                Code::DuplicateName,
                format!("`{null_name}` is an item too"),
                "give silence a name of its own",
            );
        }
        let slots = node.get("slots").and_then(Node::integer).unwrap_or(1);
        let caps = self.caps(node);
        let budgets = self.budget_uses(node, &item);
        let quiet_hours = node.get("quiet_hours").and_then(|n| {
            let minute = |k: &str| unit::clock(n.get(k)?.scalar()?).ok();
            let (from_minute, to_minute) = (minute("from")?, minute("to")?);
            if from_minute == to_minute {
                self.report.at(
                    n.at,
                    Code::OutOfRange,
                    "quiet hours that begin and end at the same minute",
                    "leave them out, or write different times",
                );
            }
            Some(QuietHours {
                from_minute,
                to_minute,
            })
        });
        let mut rewards = Vec::new();
        // With a reward that is not known it may be the right one, by another name.
        let mut all_known = !(node.entries().iter())
            .any(|(k, _)| k.text != "rewards" && nearest(&k.text, ["rewards"]).is_some());
        for n in node.get("rewards").map_or(&[][..], Node::elements) {
            let index = self.reward_index(n);
            all_known &= index.is_some();
            if let Some(i) = index {
                if rewards.contains(&i) {
                    self.report.at(
                        n.at,
                        Code::DuplicateName,
                        format!("`{}` stands twice", n.scalar().unwrap_or_default()),
                        "keep one of them",
                    );
                }
                rewards.push(i);
            }
        }
        if all_known {
            for name in scorer.iter().flat_map(models_of) {
                self.awaited(key, name, &rewards);
            }
        }
        Some(PolicyPlan {
            name: key.text.clone(),
            catalogue: catalogue?,
            channel: node.get("channel")?.text()?.to_owned(),
            eligibility,
            suitability,
            exclusions,
            consent,
            retrieval: match retrieval {
                None => None,
                Some(found) => Some(found?),
            },
            ranking: match ranking {
                None => None,
                // What trees read is known with the trees.
                _ if self.trained.to_train => None,
                Some(found) => Some(found?),
            },
            scorer: scorer?,
            exploration: exploration?,
            slots: u32::try_from(slots).ok()?,
            diversity: match diversity {
                None => None,
                Some(found) => Some(found?),
            },
            null_action: NullAction {
                name: null_name?,
                is_arm: null?.get("arm").and_then(Node::boolean).unwrap_or(false),
                score: null?.get("score").and_then(Node::number).unwrap_or(0.0),
            },
            caps,
            quiet_period_us: node.get("quiet_period").and_then(duration),
            quiet_hours,
            budgets,
            valid_for_us: node.get("valid_for").and_then(duration).unwrap_or(HOUR_US),
            receipts_within_us: (node.get("receipts_within").and_then(duration))
                .unwrap_or(luopan_kernel::plan::policy::receipts_within_us()),
            rewards,
            permits: match node.get("permits").and_then(Node::text) {
                Some("buy") => Some(Permits::Buy),
                Some("redeem") => Some(Permits::Redeem),
                _ => None,
            },
        })
    }

    /// Reports a model of the policy for whose reward its decisions do not wait.
    fn awaited(&mut self, key: &Key, name: &str, rewards: &[u16]) {
        let Some(model) = self.plan.models.iter().find(|m| m.name == *name) else {
            return;
        };
        if rewards.contains(&model.reward) {
            return;
        }
        let reward = self
            .section("rewards")
            .get(usize::from(model.reward))
            .map_or("", |(k, _)| k.text.as_str());
        self.report.at(
            key.at,
            Code::Conflict,
            format!(
                "`{}` is scored by `{name}` and does not wait for its reward `{reward}`",
                key.text
            ),
            format!("write `rewards: [{reward}]`, or the model never learns"),
        );
    }

    /// The rules of one list of a policy.
    fn rules(
        &mut self,
        node: &Node,
        list: &str,
        scope: &Scope<'_>,
        used: &mut std::collections::BTreeSet<String>,
    ) -> Vec<NamedRule> {
        let is_exclusion = list == "exclusions";
        let Some(list) = node.get(list) else {
            return Vec::new();
        };
        self.bounded(list);
        let mut out = Vec::new();
        for n in list.elements() {
            let meant = match n.get("use") {
                None => vec![(n.get("name").and_then(Node::text), n)],
                Some(named) => (self.used_rules(named).into_iter())
                    .map(|(key, rule)| {
                        used.insert(key.text.clone());
                        (Some(key.text.as_str()), rule)
                    })
                    .collect(),
            };
            for (name, rule) in meant {
                let compiled = self.rule(name.unwrap_or_default(), rule, scope);
                if let (Some(mut compiled), Some(_)) = (compiled, name) {
                    self.date(&mut compiled, rule, is_exclusion);
                    out.push(compiled);
                }
            }
        }
        if out.len() > POLICY_PARTS_MAX && list.elements().len() <= POLICY_PARTS_MAX {
            self.report.at(
                list.at,
                Code::Limit,
                format!("{} rules, those of sets counted", out.len()),
                format!("write at most {POLICY_PARTS_MAX}"),
            );
        }
        out
    }

    /// The rules that a name means: a rule, or those of a set in its order.
    fn used_rules(&mut self, named: &Node) -> Vec<&'d (Key, Node)> {
        let Some(name) = named.text() else {
            return Vec::new();
        };
        let is_set = |found: &&&(Key, Node)| found.0.text == name;
        match self.section("rule_sets").iter().find(is_set) {
            Some((_, set)) => (set.elements().iter())
                .filter_map(|n| self.rule_of_scene(n))
                .collect(),
            None => {
                let found = self.rule_named(name);
                let is_declared =
                    self.declared.has("rules", name) || self.declared.has("rule_sets", name);
                if found.is_none() && !is_declared {
                    let all = (self.section("rules").iter()).chain(self.section("rule_sets"));
                    let names: Vec<&str> = all.map(|(k, _)| k.text.as_str()).collect();
                    self.report.unknown(named.at, "rule", name, names);
                }
                found.into_iter().collect()
            }
        }
    }

    fn rule_named(&self, name: &str) -> Option<&'d (Key, Node)> {
        let rules = self.section("rules");
        rules.iter().find(|(k, _)| k.text == name).copied()
    }

    fn rule_of_scene(&mut self, named: &Node) -> Option<&'d (Key, Node)> {
        let name = named.text()?;
        let found = self.rule_named(name);
        if found.is_none() {
            self.unknown(named.at, "rules", "rule", name);
        }
        found
    }

    /// Sets of rules: what they name must be declared, and a name must mean one thing.
    fn rule_sets(&mut self) {
        for (key, set) in self.section("rule_sets") {
            self.bounded(set);
            for named in set.elements() {
                self.rule_of_scene(named);
            }
            if self.rule_named(&key.text).is_some() {
                self.report.at(
                    key.at,
                    Code::DuplicateName,
                    format!("`{}` is a rule and a set of rules", key.text),
                    "give one of them another name: `use` names either",
                );
            }
        }
    }

    /// Lets a rule hold from its effective day on: before it, it neither refuses nor excludes.
    fn date(&self, rule: &mut NamedRule, node: &Node, is_exclusion: bool) {
        let Some(day) = node.get("effective").and_then(Node::text) else {
            return;
        };
        rule.effective = Some(day.to_owned());
        let (Some(begins), Some(now)) = (
            unit::midnight(day, &self.plan.default_zone),
            self.plan.slot("env.now"),
        ) else {
            return;
        };
        let slot = || Box::new(Expr::Slot(now));
        let begins = || Box::new(Expr::Const(Value::Time(begins)));
        let own = Box::new(core::mem::replace(
            &mut rule.expr,
            Expr::Const(Value::Missing),
        ));
        rule.expr = if is_exclusion {
            let holds = Expr::Binary(BinaryOp::Ge, slot(), begins());
            Expr::Binary(BinaryOp::And, Box::new(holds), own)
        } else {
            let not_yet = Expr::Binary(BinaryOp::Lt, slot(), begins());
            Expr::Binary(BinaryOp::Or, Box::new(not_yet), own)
        };
    }

    pub(super) fn bounded(&mut self, list: &Node) {
        if list.elements().len() > POLICY_PARTS_MAX {
            self.report.at(
                list.at,
                Code::Limit,
                format!("a list of {}", list.elements().len()),
                format!("write at most {POLICY_PARTS_MAX}"),
            );
        }
    }

    fn distinct(&mut self, node: &Node, lists: &[&Vec<NamedRule>]) {
        let mut seen = std::collections::BTreeSet::new();
        for rule in lists.iter().flat_map(|l| l.iter()) {
            if !seen.insert(rule.name.as_str()) {
                self.report.at(
                    node.at,
                    Code::DuplicateName,
                    format!("two rules of this policy are called `{}`", rule.name),
                    "names tell refusals apart: give one of them another",
                );
            }
        }
    }

    fn consent(&mut self, node: &Node) -> Option<SlotId> {
        let scope = self.scope(Place::Customer);
        let typed = self.expression(node, &scope, Want::Condition)?;
        match typed.expr {
            Expr::Slot(slot) => Some(slot),
            _ => {
                self.report.at(
                    node.at,
                    Code::WrongType,
                    "consent is an expression",
                    "name a boolean tag",
                );
                None
            }
        }
    }

    fn caps(&mut self, node: &Node) -> Vec<CapPlan> {
        let Some(list) = node.get("caps") else {
            return Vec::new();
        };
        self.bounded(list);
        let mut out: Vec<CapPlan> = Vec::new();
        for n in list.elements() {
            let cap = || {
                let window = n.get("window")?;
                Some(CapPlan {
                    name: n.get("name")?.text()?.to_owned(),
                    limit: u32::try_from(n.get("limit")?.integer()?).ok()?,
                    window_us: match window.text() {
                        Some("lifetime") => None,
                        _ => Some(duration(window)?),
                    },
                    scope: match n.get("scope") {
                        None => CapScope::Customer,
                        Some(s) => match (s.text(), s.get("channel")) {
                            (_, Some(channel)) => CapScope::Channel(channel.text()?.to_owned()),
                            (Some("policy"), _) => CapScope::Policy,
                            (Some("item"), _) => CapScope::Item,
                            _ => CapScope::Customer,
                        },
                    },
                })
            };
            if let Some(channel) = n.get("scope").and_then(|s| s.get("channel")) {
                self.channel(channel);
            }
            let Some(cap) = cap() else { continue };
            if out.iter().any(|c| c.name == cap.name) {
                self.report.at(
                    n.at,
                    Code::DuplicateName,
                    format!("two caps are called `{}`", shown(&cap.name)),
                    "give one of them another name",
                );
            }
            out.push(cap);
        }
        out
    }

    /// A channel through which no policy decides would never be counted.
    fn channel(&mut self, node: &Node) {
        let (Some(name), Some(known)) = (node.text(), self.channels()) else {
            return;
        };
        if !known.contains(name) {
            self.report.near(
                node.at,
                Code::UnknownName,
                format!("no policy has the channel `{}`", shown(name)),
                format!("there are {}", listed(known.iter().map(String::as_str))),
                nearest(name, known.iter().map(String::as_str)),
            );
        }
    }

    fn budget_uses(&mut self, node: &Node, scope: &Scope<'_>) -> Vec<BudgetUse> {
        let Some(list) = node.get("budgets") else {
            return Vec::new();
        };
        self.bounded(list);
        let mut out = Vec::new();
        for n in list.elements() {
            let index = n.get("budget").and_then(|b| {
                let name = b.text()?;
                let section = self.section("budgets");
                let index = section.iter().position(|(k, _)| k.text == name);
                if index.is_none() {
                    self.unknown(b.at, "budgets", "budget", name);
                }
                index
            });
            let Some(cost) = n.get("cost") else { continue };
            let Some(typed) = self.expression(cost, scope, Want::Anything) else {
                continue;
            };
            let name = n.get("budget").and_then(Node::text).unwrap_or_default();
            let plan = self.plan.budgets.iter().find(|b| b.name == name);
            if let Some((code, found, write)) = plan.and_then(|b| misfit(&typed, b)) {
                self.report.at(cost.at, code, found, write);
                continue;
            }
            let price = n.get("price").and_then(|p| {
                let paced = |b: &BudgetPlan| b.period == BudgetPeriod::Daily || b.lasts.is_some();
                if plan.is_some_and(|b| !paced(b)) {
                    self.report.at(
                        p.at,
                        Code::Conflict,
                        format!(
                            "a price of `{name}`, of which it is not said how long it is to last: there is no pace to keep"
                        ),
                        "declare the budget with `period: daily` or with `lasts: {from: …, until: …}`, or leave the price out",
                    );
                }
                Some(PricePlan {
                    base: p.get("base").map_or(Some(0.0), Node::number)?,
                    rate: p.get("rate")?.number()?,
                    horizon: match p.get("horizon").and_then(Node::text) {
                        Some("receding") => Horizon::Receding,
                        _ => Horizon::Fixed,
                    },
                })
            });
            if let Some(index) = index {
                out.push(BudgetUse {
                    budget: index as u16,
                    cost: typed.expr,
                    price,
                });
            }
        }
        out
    }
}

/// Why a cost does not go with its budget: what was found and what to write.
fn misfit(cost: &Typed, budget: &BudgetPlan) -> Option<(Code, String, String)> {
    let of_type = |found: String, write: String| Some((Code::ExpressionType, found, write));
    match (&cost.ty, &budget.currency) {
        (Ty::Integer, None) => {}
        (Ty::Money { currency, exact }, Some(c)) if currency.as_ref().is_none_or(|x| x == c) => {
            if !exact {
                return of_type(
                    format!(
                        "the cost may be a part of the smallest unit of {c}, and a budget is kept in whole ones"
                    ),
                    format!(
                        "write an exact amount such as `money(\"12.50\", \"{c}\")`, or money times an integer"
                    ),
                );
            }
        }
        (ty, Some(c)) => {
            let amount = match &cost.expr {
                Expr::Const(Value::Int(v)) if *ty == Ty::Integer => Some(v.to_string()),
                Expr::Const(Value::Number(v)) => Some(v.to_string()),
                Expr::Const(Value::Text(t)) => Some(t.clone().into_owned()),
                _ => None,
            };
            let digits = unit::minor_digits(c).unwrap_or(2);
            let amount = amount
                .filter(|a| unit::minor_units(a, digits).is_ok())
                .unwrap_or_else(|| "0.05".to_owned());
            return of_type(
                format!("the cost is {}", ty.word()),
                format!(
                    "the budget is in {c}: write an amount such as `money(\"{amount}\", \"{c}\")`"
                ),
            );
        }
        (ty, None) => {
            return of_type(
                format!("the cost is {}", ty.word()),
                "the budget counts things: write an integer such as `1`".to_owned(),
            );
        }
    }
    match &cost.expr {
        Expr::Const(Value::Int(v)) if *v < 0 => Some((
            Code::OutOfRange,
            "a cost below zero, with which nothing is ever chosen".to_owned(),
            "write zero or more".to_owned(),
        )),
        _ => None,
    }
}
