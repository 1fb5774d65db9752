//! The laws, looked at after a start: nothing acknowledged is missing, nothing was folded or learned twice, no cap or budget
//! is exceeded, a repeated key has one decision, segments are what their rules say, and `verify` finds no difference.
//!
//! The clock must be held and the engine settled; nothing else may use the engine meanwhile.

use crate::lines::{Said, Tie};
use crate::oracle::{self, Sums, Told};
use crate::scene::{CAP, SCENE, over};
use futures::future::BoxFuture;
use luopan_engine::api::CustomerView;
use luopan_engine::dataset::{DatasetRow, DatasetSpec};
use luopan_engine::{Engine, Refusal, RefusalKind, Stores};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, PartitionId, Position};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most faults of one kind told in words.
const TOLD_MAX: usize = 5;
/// Most tries at finding the engine quiet.
const TRIES: usize = 20;

/// Laws that [`lies`] break, and that anybody who looks must then find broken.
pub const BROKEN_BY_LIES: [&str; 5] = [
    "every event is folded once",
    "no acknowledged decision is missing",
    "rewards are exact",
    "a sample is made of what the decision saw",
    "the ledger is what decisions spent",
];

/// Lies about what the stores hold, one for each of [`BROKEN_BY_LIES`]: a visit more, no decisions that spent and taught nothing, another reward, an arm that
/// nobody chose, money that was given back.
pub fn lies(told: &mut Told) {
    if let Some(sums) = told.sums.values_mut().next() {
        sums.visits += 1;
    }
    let spends = |r: &DecisionRecord| !r.decision.debits.is_empty();
    let holds = |(id, r): &(&DecisionId, &DecisionRecord)| spends(r) && !told.voided.contains(id);
    let held = told.records.iter().find(holds).map(|(id, _)| *id);
    told.voided.extend(held);
    let rewards = &told.rewards;
    (told.records).retain(|id, r| spends(r) || rewards.contains_key(id));
    let sure = (told.rewards.iter())
        .find(|(_, r)| !r.near)
        .map(|(d, _)| *d);
    for ((decision, _), sample) in &mut told.samples {
        if Some(*decision) == sure {
            sample.reward += 1.0;
            sample.arm = Some("nothing that there is".into());
        }
    }
}

struct Faults(BTreeMap<&'static str, (usize, Vec<String>)>);

impl Faults {
    fn add(&mut self, law: &'static str, words: impl FnOnce() -> String) {
        let (n, told) = self.0.entry(law).or_default();
        *n += 1;
        if told.len() < TOLD_MAX {
            told.push(words());
        }
    }

    fn unless(&mut self, holds: bool, law: &'static str, words: impl FnOnce() -> String) {
        if !holds {
            self.add(law, words);
        }
    }
}

/// Milliseconds between two looks at whether something moves.
const LOOK_MS: u64 = 40;

/// What is looked at.
pub struct Looked<'l> {
    /// Every engine over the stores; the first is asked.
    pub engines: &'l [Arc<Engine>],
    /// The stores themselves.
    pub stores: &'l Stores,
    /// What was said by those who used them.
    pub said: &'l Said,
    /// The moment at which every clock is held.
    pub now: Micros,
    /// Waits so many milliseconds, whether or not the clocks move.
    pub pause: &'l (dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync),
    /// Decisions made again to compare.
    pub explained: usize,
    /// Changes what the stores are read to hold, so that the laws are seen to notice.
    pub lie: Option<&'l (dyn Fn(&mut Told) + Send + Sync)>,
}

/// What was found, when every law stands.
#[derive(Debug)]
pub struct Checked {
    /// What was looked at, in words.
    pub words: String,
    /// What the stores hold.
    pub told: Told,
}

/// Checks everything.
///
/// # Errors
/// One text for each law that is broken, or for what could not be read.
pub async fn check(look: &Looked<'_>) -> Result<Checked, Vec<String>> {
    let one = |e: String| vec![e];
    for _ in 0..TRIES {
        // Timers due by now fire, and what follows from them is folded.
        let before = rest(look).await.map_err(one)?;
        let mut faults = Faults(BTreeMap::new());
        let mut told = oracle::read(look.stores, look.now).await.map_err(one)?;
        if let Some(lie) = look.lie {
            lie(&mut told);
        }
        let words = laws(look, &told, &mut faults).await.map_err(one)?;
        if before
            != oracle::heads(&*look.stores.log)
                .await
                .map_err(|e| one(e.to_string()))?
        {
            continue;
        }
        if faults.0.is_empty() {
            return Ok(Checked { words, told });
        }
        return Err((faults.0.into_iter())
            .map(|(law, (n, told))| format!("{law}: {n} times: {}", told.join("; ")))
            .collect());
    }
    Err(one(
        "the engine does not come to rest while the clock stands".into(),
    ))
}

/// Waits until nothing moves any more; gives the heads.
async fn rest(look: &Looked<'_>) -> Result<Vec<(PartitionId, Position)>, String> {
    let mut before = Vec::new();
    let mut why = String::new();
    for _ in 0..1_000 {
        (look.pause)(LOOK_MS).await;
        // The engines' clocks stand, so they wait no time by them: `not_yet` means look again.
        let mut settled = true;
        for engine in look.engines {
            match engine.settle(0).await {
                Ok(()) => {}
                Err(e) if e.kind == RefusalKind::Timeout => {
                    settled = false;
                    why = e.to_string();
                }
                Err(e) => return Err(format!("the engine does not settle: {e}")),
            }
        }
        if settled {
            let heads = oracle::heads(&*look.stores.log).await;
            let heads = heads.map_err(|e| e.to_string())?;
            let due = due(look.stores, look.now).await?;
            if heads == before && due.is_none() {
                return Ok(heads);
            }
            why = match due {
                Some(partition) => format!("a timer of partition {partition} is due and not fired"),
                None => "the log grows".to_owned(),
            };
            before = heads;
        }
    }
    let mut differs = Vec::new();
    if let Some(engine) = look.engines.first() {
        differs = (engine.verify().await).map_or_else(|e| vec![e.to_string()], |r| r.differences);
    }
    Err(format!(
        "the engine did not settle within {LOOK_MS} seconds: {why}; what differs from a replay: {differs:?}"
    ))
}

/// A partition with a timer that is due and was not fired. A timer's key starts with its time, ordered as a signed number.
async fn due(stores: &Stores, now: Micros) -> Result<Option<u16>, String> {
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let first = stores.state.scan(Table::Timer, p, &[], None, 1).await;
        let first = first.map_err(|e| e.to_string())?;
        let time = (first.first())
            .and_then(|row| row.key.first_chunk::<8>())
            .map(|k| (u64::from_be_bytes(*k) ^ (1 << 63)) as i64);
        if time.is_some_and(|t| t <= now.0) {
            return Ok(Some(p.0));
        }
    }
    Ok(None)
}

async fn laws(look: &Looked<'_>, told: &Told, faults: &mut Faults) -> Result<String, String> {
    let (stores, said) = (look.stores, look.said);
    let engine = look.engines.first().ok_or("there is no engine to ask")?;
    for broken in &told.broken {
        faults.add("the log is sound", || broken.clone());
    }
    let plan = engine.plan(SCENE).map_err(|e| e.to_string())?;
    let names = names(stores, said, told).await?;
    events(said, told, &names, faults);
    let customers = customers(engine, said, told, &names, faults).await?;
    decisions(said, told, &names, faults);
    ledger(engine, told, &plan, faults).await?;
    learned(engine, told, faults).await?;
    let rows = training_sets(engine, told, &plan, faults).await?;
    segments(engine, &plan, faults).await?;
    quarantine(engine, said, faults).await?;
    explanations(engine, told, look.explained, faults).await?;
    let report = engine.verify().await.map_err(|e| e.to_string())?;
    for d in &report.differences {
        faults.add("verify agrees", || d.clone());
    }
    let halted = engine.stats().await.map_err(|e| e.to_string())?.halted;
    faults.unless(halted.is_empty(), "no partition is halted", || {
        format!("{halted:?}")
    });
    Ok(format!(
        "{} entries, {} events ({} acknowledged), {customers} customers, {} decisions ({} acknowledged keys), {} posted, {} voided, {} receipts overtook, {} samples ({} repeated on the way), {rows} rows of training sets, {} quarantined, {} rows verified",
        told.entries,
        told.events.len(),
        said.events_taken.len(),
        told.records.len(),
        said.decided.len(),
        told.posted.len(),
        told.voided.len(),
        told.receipts_that_overtook,
        told.samples.len(),
        told.samples_repeated,
        said.quarantined.len(),
        report.rows,
    ))
}

/// Foreign ids of all identifiers that the log and State name.
async fn names(
    stores: &Stores,
    said: &Said,
    told: &Told,
) -> Result<BTreeMap<IdentifierId, String>, String> {
    let ids: BTreeSet<IdentifierId> = (told.sums.keys().copied())
        .chain(told.records.values().map(|r| r.identifier))
        .collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let found = stores.keys.reveal(DEFAULT_TENANT, &ids).await;
    let found = found.map_err(|e| e.to_string())?;
    // A linked identifier has entries of its own, though nobody sent it anything: outcomes are forwarded to it.
    let known: BTreeSet<&String> = (said.events_sent.values())
        .chain(said.decisions_sent.values())
        .map(|(customer, _)| customer)
        .chain(said.ties.keys().flat_map(|(a, b)| [a, b]))
        .collect();
    let mut out = BTreeMap::new();
    for (id, name) in ids.into_iter().zip(found) {
        match name {
            Some(name) if known.contains(&name) => {
                out.insert(id, name);
            }
            other => {
                return Err(format!(
                    "identifier {id} is in the log and named {other:?}, whom nobody sent"
                ));
            }
        }
    }
    Ok(out)
}

/// Acknowledged ⊆ in the log ⊆ sent, and each of whom it was sent for.
fn events(said: &Said, told: &Told, names: &BTreeMap<IdentifierId, String>, faults: &mut Faults) {
    for id in &said.events_taken {
        faults.unless(
            told.events.contains_key(id),
            "no acknowledged event is missing",
            || id.clone(),
        );
    }
    for (id, identifier) in &told.events {
        let sent = said.events_sent.get(id).map(|(customer, _)| customer);
        let found = names.get(identifier);
        faults.unless(
            sent.is_some() && sent == found,
            "every event was sent, for its customer",
            || format!("{id} is of {found:?}, sent for {sent:?}"),
        );
    }
}

fn number(view: &CustomerView, tag: &str) -> i64 {
    match view.tags.iter().find(|(n, _)| n == tag) {
        Some((_, Value::Int(n))) => *n,
        _ => 0,
    }
}

/// Each customer's tags are the sums over the events of the linked identifiers, each once; ties are as acknowledged.
async fn customers(
    engine: &Engine,
    said: &Said,
    told: &Told,
    names: &BTreeMap<IdentifierId, String>,
    faults: &mut Faults,
) -> Result<usize, String> {
    let ids: BTreeMap<&String, IdentifierId> = names.iter().map(|(i, n)| (n, *i)).collect();
    let mut views: BTreeMap<String, CustomerView> = BTreeMap::new();
    for name in names.values() {
        let view = engine.customer(SCENE, name).await;
        let view = view.map_err(|e| format!("customer {name}: {e}"))?;
        let mut sums = Sums::default();
        for identifier in &view.identifiers {
            let own = ids.get(identifier).and_then(|i| told.sums.get(i));
            let own = own.copied().unwrap_or_default();
            sums.visits += own.visits;
            sums.weight += own.weight;
            sums.buys += own.buys;
        }
        let found = Sums {
            visits: number(&view, "visits"),
            weight: number(&view, "weight"),
            buys: number(&view, "buys"),
        };
        faults.unless(found == sums, "every event is folded once", || {
            format!(
                "{name} ({:?}): tags {found:?}, log {sums:?}",
                view.identifiers
            )
        });
        views.insert(name.clone(), view);
    }
    for ((a, b), tie) in &said.ties {
        let Some(view) = views.get(a) else { continue };
        let linked = view.identifiers.contains(b);
        let holds = match tie {
            Tie::Linked => linked,
            Tie::Apart => !linked,
            Tie::Either => true,
        };
        faults.unless(holds, "ties are as acknowledged", || {
            format!("{a} and {b} are {tie:?}, found {:?}", view.identifiers)
        });
        faults.unless(
            view.identifiers.len() <= 2,
            "ties are as acknowledged",
            || format!("{a} is {:?}", view.identifiers),
        );
    }
    Ok(views.len())
}

/// Keys, records, the log and caps.
fn decisions(
    said: &Said,
    told: &Told,
    names: &BTreeMap<IdentifierId, String>,
    faults: &mut Faults,
) {
    let mut keys_of: BTreeMap<&String, &String> = BTreeMap::new();
    for (key, answers) in &said.decided {
        faults.unless(answers.len() == 1, "a key has one decision", || {
            format!("{key}: {answers:?}")
        });
        for (decision, choice) in answers {
            if let Some(other) = keys_of.insert(decision, key) {
                faults.add("a key has one decision", || {
                    format!("{decision} has keys {key} and {other}")
                });
            }
            let record = decision
                .parse::<DecisionId>()
                .ok()
                .and_then(|d| told.records.get(&d));
            let Some(record) = record else {
                faults.add("no acknowledged decision is missing", || {
                    format!("{key}: {decision}")
                });
                continue;
            };
            let chosen = record.decision.choices.first();
            let chosen = chosen.map_or("-", |c| c.item.as_str());
            faults.unless(chosen == choice, "a decision stays what it was", || {
                format!("{decision}: {choice} was answered, {chosen} is stored")
            });
            let asked = said.decisions_sent.get(key);
            let found = names.get(&record.identifier);
            faults.unless(
                asked.is_some_and(|(c, p)| found == Some(c) && *p == record.policy),
                "a decision is for whom it was asked",
                || format!("{decision}: asked {asked:?}, found {found:?}"),
            );
        }
    }
    let mut contacts: BTreeMap<(String, &str, Origin), usize> = BTreeMap::new();
    for (id, record) in &told.records {
        faults.unless(
            told.decisions_in_log.contains(id),
            "the log tells of every decision",
            || id.to_string(),
        );
        if record.decision.choices.is_empty() || record.policy == "learned" {
            continue;
        }
        let Some(name) = names.get(&record.identifier) else {
            continue;
        };
        // Pairs called t are linked before anything is decided for them: their contacts count together.
        let name = match name.strip_prefix('t') {
            Some(_) => name.trim_end_matches(['a', 'b']).to_owned(),
            None => name.clone(),
        };
        let origin = record.request.origin;
        *contacts.entry((name, &record.policy, origin)).or_default() += 1;
    }
    for ((name, policy, origin), n) in contacts {
        faults.unless(n <= CAP, "no cap is exceeded", || {
            let origin = origin.word();
            format!("{name} has {n} {origin} contacts by {policy}, {CAP} are allowed")
        });
    }
}

/// The ledger is what decisions spent less what was given back, and within its limits.
async fn ledger(
    engine: &Engine,
    told: &Told,
    plan: &ScenePlan,
    faults: &mut Faults,
) -> Result<(), String> {
    let stats = engine.stats().await.map_err(|e| e.to_string())?;
    // What was sent is paid, however late the receipt comes: the one way over a limit.
    let mut retaken: BTreeMap<usize, i64> = BTreeMap::new();
    for id in &told.retaken {
        for debit in told.records.get(id).map_or(&[][..], |r| &r.decision.debits) {
            *retaken.entry(usize::from(debit.budget)).or_default() += debit.amount;
        }
    }
    for (name, spent) in over(plan, &stats.budgets) {
        let named = name.split('/').nth(1).unwrap_or_default();
        let budget = plan.budgets.iter().position(|b| b.name == named);
        let most = budget.map_or(0, |i| {
            plan.budgets[i].limit + retaken.get(&i).copied().unwrap_or_default()
        });
        faults.unless((0..=most).contains(&spent), "no budget is exceeded", || {
            format!("{name}: {spent}, with receipts that came late {most}")
        });
    }
    let mut wanted: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (id, record) in &told.records {
        let origin = match record.request.origin {
            Origin::Live => "",
            other => other.word(),
        };
        for debit in &record.decision.debits {
            let budget = plan.budgets.get(usize::from(debit.budget));
            let budget = budget.ok_or_else(|| format!("decision {id} debits no budget"))?;
            let spent = wanted.entry((origin, &budget.name)).or_default();
            if !told.voided.contains(id) {
                *spent += debit.amount;
            }
        }
    }
    // `load/points/total`, of other origins `simulated:load/points/total`.
    let mut found: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (name, spent) in &stats.budgets {
        let origin = name.split_once(':').map_or("", |(origin, _)| origin);
        let budget = name.split('/').nth(1).unwrap_or_default();
        *found.entry((origin, budget)).or_default() += spent;
    }
    for budget in wanted.keys().chain(found.keys()) {
        let (w, f) = (wanted.get(budget), found.get(budget));
        faults.unless(w == f, "the ledger is what decisions spent", || {
            format!("{budget:?}: decisions spent {w:?}, the ledger says {f:?}")
        });
    }
    Ok(())
}

/// Every settled reward was learned once, and nothing else was.
async fn learned(engine: &Engine, told: &Told, faults: &mut Faults) -> Result<(), String> {
    for ((decision, _), sample) in &told.samples {
        let value = sample.reward;
        match told.rewards.get(decision) {
            None => faults.add("only what happened is learned", || {
                format!("{decision} has reward {value} and is not settled")
            }),
            Some(r) => faults.unless(r.near || r.value == value, "rewards are exact", || {
                format!("{decision}: learned {value}, the log says {}", r.value)
            }),
        }
        let wanted = told.records.get(decision).and_then(oracle::learned);
        let is_of_it = wanted.is_some_and(|(arm, features, propensity)| {
            sample.arm.as_deref() == arm
                && sample.features == features
                && sample.propensity == propensity
        });
        faults.unless(
            is_of_it,
            "a sample is made of what the decision saw",
            || format!("{decision}: {wanted:?} is recorded, {sample:?} was learned"),
        );
    }
    let samples: BTreeSet<_> = told.samples.keys().map(|(d, _)| *d).collect();
    for decision in told.rewards.keys() {
        faults.unless(
            samples.contains(decision),
            "every settled reward is learned",
            || decision.to_string(),
        );
    }
    let models = engine.stats().await.map_err(|e| e.to_string())?.models;
    for (name, n) in models {
        faults.unless(
            n == told.samples.len() as u64,
            "nothing is learned twice",
            || {
                format!(
                    "model {name} has {n} samples, its stream {}",
                    told.samples.len()
                )
            },
        );
    }
    Ok(())
}

/// Training sets have what decisions saw, and the rewards that the log tells of.
async fn training_sets(
    engine: &Engine,
    told: &Told,
    plan: &ScenePlan,
    faults: &mut Faults,
) -> Result<u64, String> {
    let mut rows = 0;
    // Of the policies that something is learned from.
    for policy in plan.policies.iter().filter(|p| !p.rewards.is_empty()) {
        let set = engine.dataset(SCENE, &policy.name).map_err(words)?;
        let mut rewards = BTreeMap::new();
        let spec = DatasetSpec::default();
        let mut note = |row: DatasetRow<'_>| {
            if let [found] = row.rewards {
                rewards.insert(row.decision, found.map(|o| o.value));
            }
            Ok(())
        };
        let read = set.read(&spec, &mut note).await.map_err(words)?;
        rows += read.rows;
        for d in &read.differences {
            faults.add("a training set is made of what decisions saw", || d.clone());
        }
        for (decision, found) in rewards {
            let wanted = told.rewards.get(&decision);
            let same = match wanted {
                Some(wanted) => found.is_some() && (wanted.near || found == Some(wanted.value)),
                None => found.is_none(),
            };
            faults.unless(same, "a training set has exact rewards", || {
                format!("{decision}: {found:?} is in it, the log says {wanted:?}")
            });
        }
    }
    Ok(rows)
}

fn words(e: Refusal) -> String {
    e.to_string()
}

/// Live counts equal a recompute.
async fn segments(engine: &Engine, plan: &ScenePlan, faults: &mut Faults) -> Result<(), String> {
    let live = engine.segments(SCENE).await.map_err(|e| e.to_string())?;
    for segment in &plan.segments {
        let counted = engine.count_rule(SCENE, &segment.rule.expr).await;
        let counted = counted.map_err(|e| e.to_string())?.matched;
        let kept = live.iter().find(|s| s.name == segment.name);
        faults.unless(
            kept.is_some_and(|k| k.members == counted),
            "segments are what their rules say",
            || format!("{}: kept {kept:?}, counted {counted}", segment.name),
        );
    }
    Ok(())
}

async fn quarantine(engine: &Engine, said: &Said, faults: &mut Faults) -> Result<(), String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = engine.quarantine(Some(SCENE), after.as_deref(), 500).await;
        let page = page.map_err(|e| e.to_string())?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        found.extend(page.into_iter().map(|q| q.id));
    }
    for id in &said.quarantined {
        faults.unless(
            found.contains(id),
            "no acknowledged quarantine is missing",
            || id.clone(),
        );
    }
    Ok(())
}

/// Some decisions of the model, the newest, made again.
async fn explanations(
    engine: &Engine,
    told: &Told,
    most: usize,
    faults: &mut Faults,
) -> Result<(), String> {
    let learned = (told.records.iter().rev()).filter(|(_, r)| r.policy == "learned");
    for (id, _) in learned.take(most) {
        let made = engine.explain(*id).await.map_err(|e| e.to_string())?;
        faults.unless(
            made.differences.is_empty() && made.not_recomputed.is_none(),
            "decisions can be made again",
            || format!("{id}: {:?} {:?}", made.differences, made.not_recomputed),
        );
    }
    Ok(())
}
