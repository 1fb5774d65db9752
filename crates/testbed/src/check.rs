//! The laws, looked at after a start: nothing acknowledged is missing, nothing was folded or learned twice, no cap or budget
//! is exceeded, a repeated key has one decision, segments are what their rules say, and `verify` finds no difference.
//!
//! The clock must be held and the engine settled; nothing else may use the engine meanwhile.

use crate::lines::{Said, Tie};
use crate::load::over;
use crate::oracle::{self, Sums, Told};
use crate::scene::{CAP, LIMITS, SCENE};
use luopan_engine::api::CustomerView;
use luopan_engine::{Engine, RefusalKind, Stores};
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, PartitionId, Position};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::Table;
use std::collections::{BTreeMap, BTreeSet};

/// Most faults of one kind told in words.
const TOLD_MAX: usize = 5;
/// Decisions made again to compare.
const EXPLAINED: usize = 3;
/// Most tries at finding the engine quiet.
const TRIES: usize = 20;

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

/// Checks everything; gives what was looked at in words, or the laws that are broken.
///
/// # Errors
/// One text for each law that is broken, or for what could not be read.
pub async fn check(
    engine: &Engine,
    stores: &Stores,
    said: &Said,
    now: Micros,
) -> Result<String, Vec<String>> {
    let one = |e: String| vec![e];
    for _ in 0..TRIES {
        // Timers due by now fire, and what follows from them is folded.
        let before = rest(engine, stores, now).await.map_err(one)?;
        let mut faults = Faults(BTreeMap::new());
        let told = oracle::read(stores, now).await.map_err(one)?;
        let words = laws(engine, stores, said, &told, &mut faults)
            .await
            .map_err(one)?;
        if before
            != oracle::heads(&*stores.log)
                .await
                .map_err(|e| one(e.to_string()))?
        {
            continue;
        }
        if faults.0.is_empty() {
            return Ok(words);
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
async fn rest(
    engine: &Engine,
    stores: &Stores,
    now: Micros,
) -> Result<Vec<(PartitionId, Position)>, String> {
    let mut before = Vec::new();
    for _ in 0..1_000 {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        // The engine's clock stands, so it waits no time by it: `not_yet` means look again.
        match engine.settle(0).await {
            Ok(()) => {
                let heads = oracle::heads(&*stores.log).await;
                let heads = heads.map_err(|e| e.to_string())?;
                if heads == before && !due(stores, now).await? {
                    return Ok(heads);
                }
                before = heads;
            }
            Err(e) if e.kind == RefusalKind::Timeout => {}
            Err(e) => return Err(format!("the engine does not settle: {e}")),
        }
    }
    Err("the engine did not settle within 40 seconds".into())
}

/// True when some timer is due and was not fired. A timer's key starts with its time, ordered as a signed number.
async fn due(stores: &Stores, now: Micros) -> Result<bool, String> {
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let first = stores.state.scan(Table::Timer, p, &[], None, 1).await;
        let first = first.map_err(|e| e.to_string())?;
        let time = (first.first())
            .and_then(|row| row.key.first_chunk::<8>())
            .map(|k| (u64::from_be_bytes(*k) ^ (1 << 63)) as i64);
        if time.is_some_and(|t| t <= now.0) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn laws(
    engine: &Engine,
    stores: &Stores,
    said: &Said,
    told: &Told,
    faults: &mut Faults,
) -> Result<String, String> {
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
    segments(engine, &plan, faults).await?;
    quarantine(engine, said, faults).await?;
    explanations(engine, told, faults).await?;
    let report = engine.verify().await.map_err(|e| e.to_string())?;
    for d in &report.differences {
        faults.add("verify agrees", || d.clone());
    }
    let halted = engine.stats().await.map_err(|e| e.to_string())?.halted;
    faults.unless(halted.is_empty(), "no partition is halted", || {
        format!("{halted:?}")
    });
    Ok(format!(
        "{} entries, {} events ({} acknowledged), {customers} customers, {} decisions ({} acknowledged keys), {} posted, {} voided, {} receipts overtook, {} samples ({} repeated on the way), {} quarantined, {} rows verified",
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
    let mut contacts: BTreeMap<(String, &str), usize> = BTreeMap::new();
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
        *contacts.entry((name, &record.policy)).or_default() += 1;
    }
    for ((name, policy), n) in contacts {
        faults.unless(n <= CAP, "no cap is exceeded", || {
            format!("{name} has {n} contacts by {policy}, {CAP} are allowed")
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
    // What was given back may be spent by others before a late receipt takes it again.
    let mut late: BTreeMap<&str, i64> = BTreeMap::new();
    for record in told.paid_late.iter().filter_map(|id| told.records.get(id)) {
        for debit in &record.decision.debits {
            let budget = plan.budgets.get(usize::from(debit.budget));
            let budget = budget.map_or("", |b| b.name.as_str());
            *late.entry(budget).or_default() += debit.amount;
        }
    }
    for (name, spent) in over(&stats.budgets) {
        let budget = name.split('/').nth(1).unwrap_or_default();
        let limit = LIMITS.iter().find(|(b, _)| *b == budget);
        let allowed = limit.map_or(0, |(_, l)| *l) + late.get(budget).copied().unwrap_or_default();
        faults.unless(
            (0..=allowed).contains(&spent),
            "no budget is exceeded",
            || format!("{name}: {spent}, and {late:?} was paid late"),
        );
    }
    let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
    for (id, record) in &told.records {
        for debit in &record.decision.debits {
            let budget = plan.budgets.get(usize::from(debit.budget));
            let budget = budget.ok_or_else(|| format!("decision {id} debits no budget"))?;
            let spent = wanted.entry(&budget.name).or_default();
            if !told.voided.contains(id) {
                *spent += debit.amount;
            }
        }
    }
    let mut found: BTreeMap<&str, i64> = BTreeMap::new();
    for (name, spent) in &stats.budgets {
        let budget = name.split('/').nth(1).unwrap_or_default();
        *found.entry(budget).or_default() += spent;
    }
    for budget in wanted.keys().chain(found.keys()) {
        let (w, f) = (wanted.get(budget), found.get(budget));
        faults.unless(w == f, "the ledger is what decisions spent", || {
            format!("{budget}: decisions spent {w:?}, the ledger says {f:?}")
        });
    }
    Ok(())
}

/// Every settled reward was learned once, and nothing else was.
async fn learned(engine: &Engine, told: &Told, faults: &mut Faults) -> Result<(), String> {
    for ((decision, _), value) in &told.samples {
        match told.rewards.get(decision) {
            None => faults.add("only what happened is learned", || {
                format!("{decision} has reward {value} and is not settled")
            }),
            Some(r) => faults.unless(r.near || r.value == *value, "rewards are exact", || {
                format!("{decision}: learned {value}, the log says {}", r.value)
            }),
        }
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
async fn explanations(engine: &Engine, told: &Told, faults: &mut Faults) -> Result<(), String> {
    let learned = (told.records.iter().rev()).filter(|(_, r)| r.policy == "learned");
    for (id, _) in learned.take(EXPLAINED) {
        let made = engine.explain(*id).await.map_err(|e| e.to_string())?;
        faults.unless(
            made.differences.is_empty() && made.not_recomputed.is_none(),
            "decisions can be made again",
            || format!("{id}: {:?} {:?}", made.differences, made.not_recomputed),
        );
    }
    Ok(())
}
