//! Monitors at work: a sample of a policy's recent decisions is read from the log as a training set and compared with the time before.
//! What changed beyond its limit and beyond chance is told to the log, in a figure, and in a line of the program's own log.
//!
//! Numerics are `luopan_learning::drift`. Of several nodes one looks: that to which the environment's partition falls.

use crate::metrics::Metrics;
use crate::problem::Result;
use luopan_engine::dataset::{DatasetRow, DatasetSpec};
use luopan_engine::drift::Drift;
use luopan_engine::{Engine, Env};
use luopan_kernel::id::CustomerId;
use luopan_kernel::plan::{MonitorPlan, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{Value, ValueType};
use luopan_learning::drift;
use parking_lot::RwLock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Decisions that one look reads, about: whole partitions of the log, until there are so many.
pub const DECISIONS: u64 = 20_000;
/// Between two rounds of asking which monitor is due.
const ROUND: Duration = Duration::from_secs(60);
/// Of how many looks one may raise something by chance alone.
const FALSE_ALARMS: f64 = 1e-3;

/// A measure of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Measure {
    /// `psi`, `calibration` or `reward`.
    pub measure: &'static str,
    /// Of what: a feature, `score`, `arm`, or the reward.
    pub of: String,
    /// How much it changed: an index, units of the reward, or a share of the mean before.
    pub value: f64,
    /// How much is let through.
    pub limit: f64,
    /// How much chance alone may make of it.
    pub chance: f64,
    /// True beyond both.
    pub is_drift: bool,
    /// What changed, in words.
    pub words: String,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Look {
    /// Scene.
    pub scene: String,
    /// Monitor.
    pub monitor: String,
    /// Policy that it watches.
    pub policy: String,
    /// When it looked, RFC 3339.
    pub at: String,
    /// Decisions of the time before, and of the recent time, that features were compared of.
    pub reference: usize,
    /// See `reference`.
    pub recent: usize,
    /// Decisions whose reward was known, likewise.
    pub reference_settled: usize,
    /// See `reference_settled`.
    pub recent_settled: usize,
    /// What was measured, what changed first, then the largest by its share of the limit.
    pub measures: Vec<Measure>,
    /// True where anything changed.
    pub is_drift: bool,
    /// What could not be measured, and why.
    pub not_measured: Vec<String>,
}

impl Look {
    fn events(&self, at: Micros) -> Vec<Drift> {
        (self.measures.iter())
            .filter(|m| m.is_drift)
            .map(|m| Drift {
                monitor: self.monitor.clone(),
                policy: self.policy.clone(),
                measure: m.measure.to_owned(),
                of: m.of.clone(),
                value: m.value,
                limit: m.limit,
                at,
            })
            .collect()
    }
}

/// A column of what was known: the time before, and the recent time.
enum Column {
    Numbers([Vec<f64>; 2]),
    Texts([Vec<Option<String>>; 2]),
}

impl Column {
    fn of(kind: ValueType) -> Option<Self> {
        match kind {
            ValueType::Integer | ValueType::Number | ValueType::Money | ValueType::Duration => {
                Some(Self::Numbers([Vec::new(), Vec::new()]))
            }
            ValueType::Text | ValueType::Boolean => Some(Self::Texts([Vec::new(), Vec::new()])),
            // A time is always later than before.
            ValueType::Time => None,
        }
    }

    fn push(&mut self, side: usize, value: &Value<'_>) {
        match self {
            Self::Numbers(of) => of[side].push(match value {
                Value::Int(v) => *v as f64,
                Value::Number(v) => *v,
                _ => f64::NAN,
            }),
            Self::Texts(of) => of[side].push(match value {
                Value::Text(v) => Some(v.clone().into_owned()),
                Value::Bool(v) => Some(v.to_string()),
                _ => None,
            }),
        }
    }

    fn shift(&self, worth: [f64; 2], surely: f64) -> Option<drift::Shift> {
        match self {
            Self::Numbers([before, now]) => drift::numbers(before, now, worth, surely),
            Self::Texts(of) => {
                let [before, now] = [0, 1].map(|side: usize| -> Vec<Option<&str>> {
                    of[side].iter().map(Option::as_deref).collect()
                });
                drift::texts(&before, &now, worth, surely)
            }
        }
    }
}

/// What is gathered of the decisions.
struct Gathered {
    columns: BTreeMap<String, Column>,
    counts: [usize; 2],
    by: [ByCustomer; 2],
    /// Rewards before and now.
    rewards: [Vec<f64>; 2],
    rewarded: [ByCustomer; 2],
    /// Of the recent ones whose reward is known: scores, and their rewards.
    scored: (Vec<f64>, Vec<f64>),
    scored_by: ByCustomer,
}

/// How many rows each customer has.
#[derive(Default)]
struct ByCustomer(BTreeMap<CustomerId, u64>);

impl ByCustomer {
    fn push(&mut self, customer: CustomerId) {
        *self.0.entry(customer).or_default() += 1;
    }

    /// How many independent rows they are worth.
    fn worth(&self) -> f64 {
        drift::worth(self.0.values().copied())
    }
}

/// The two times: from, between, until.
#[derive(Clone, Copy)]
struct Times {
    from: Micros,
    between: Micros,
    until: Micros,
}

impl Times {
    fn new(of: &MonitorPlan, until: Micros) -> Self {
        let back = |from: Micros, us: i64| Micros(from.0.saturating_sub(us));
        let between = back(until, of.recent_us);
        Self {
            from: back(between, of.reference_us),
            between,
            until,
        }
    }

    /// 0 of the time before, 1 of the recent time.
    fn side(&self, at: Micros) -> Option<usize> {
        (at >= self.from && at < self.until).then(|| usize::from(at >= self.between))
    }
}

/// Looks once, as of `at`.
///
/// # Errors
/// As [`luopan_engine::dataset::Dataset::read`].
pub async fn look(engine: &Engine, plan: &ScenePlan, of: &MonitorPlan, at: Micros) -> Result<Look> {
    let policy = &plan.policies[usize::from(of.policy)];
    let dataset = engine.dataset(&plan.name, &policy.name)?;
    let reward = of.reward.and_then(|r| plan.rewards.get(usize::from(r)));
    let place = reward.and_then(|r| dataset.rewards().iter().position(|d| d.name == r.name));
    let times = Times::new(of, at);
    // Rewards are known once their window is over.
    let settled = Times::new(
        of,
        Micros(at.0.saturating_sub(reward.map_or(0, |r| r.window_us))),
    );
    let mut gathered = Gathered {
        columns: (dataset.features().iter())
            // The hour and the market are what they are.
            .filter(|f| !f.name.starts_with("env."))
            .filter_map(|f| Some((f.name.clone(), Column::of(f.kind)?)))
            .chain([
                (
                    "score".to_owned(),
                    Column::Numbers([Vec::new(), Vec::new()]),
                ),
                ("arm".to_owned(), Column::Texts([Vec::new(), Vec::new()])),
            ])
            .collect(),
        counts: [0, 0],
        by: Default::default(),
        rewards: [Vec::new(), Vec::new()],
        rewarded: Default::default(),
        scored: (Vec::new(), Vec::new()),
        scored_by: ByCustomer::default(),
    };
    let names: Vec<String> = dataset.features().iter().map(|f| f.name.clone()).collect();
    let spec = DatasetSpec {
        from: Some(settled.from),
        until: Some(at),
        most: Some(DECISIONS),
        ..DatasetSpec::default()
    };
    let mut see = |row: DatasetRow<'_>| {
        // Of a slate the first place; what whoever asked imposed is not the policy's.
        if row.position > 0 || row.is_forced {
            return Ok(());
        }
        if let Some(side) = times.side(row.at) {
            gathered.counts[side] += 1;
            gathered.by[side].push(row.customer);
            for (name, value) in names.iter().zip(row.features) {
                if let Some(column) = gathered.columns.get_mut(name) {
                    column.push(side, value);
                }
            }
            let score = row.score.map_or(Value::Missing, Value::Number);
            for (name, value) in [("score", score), ("arm", Value::text(row.arm.to_owned()))] {
                if let Some(column) = gathered.columns.get_mut(name) {
                    column.push(side, &value);
                }
            }
        }
        if let Some(side) = settled.side(row.at)
            && let Some(Some(outcome)) = place.and_then(|p| row.rewards.get(p))
        {
            gathered.rewards[side].push(outcome.value);
            gathered.rewarded[side].push(row.customer);
            if let (1, Some(score)) = (side, row.score) {
                gathered.scored.0.push(score);
                gathered.scored.1.push(outcome.value);
                gathered.scored_by.push(row.customer);
            }
        }
        Ok(())
    };
    dataset.read(&spec, &mut see).await?;
    Ok(judged(
        plan,
        of,
        &policy.name,
        reward.map_or("", |r| &r.name),
        at,
        &gathered,
    ))
}

fn judged(
    plan: &ScenePlan,
    of: &MonitorPlan,
    policy: &str,
    reward: &str,
    at: Micros,
    gathered: &Gathered,
) -> Look {
    let mut measures = Vec::new();
    let mut not_measured = Vec::new();
    let few = |what: &str, n: [usize; 2], worth: [f64; 2]| {
        format!(
            "{what}: {} decisions before and {} lately, worth {:.0} and {:.0} of different customers; at least {} each are wanted",
            n[0],
            n[1],
            worth[0],
            worth[1],
            drift::ROWS_LEAST
        )
    };
    let least = drift::ROWS_LEAST as f64;
    let worth = [0, 1].map(|side: usize| gathered.by[side].worth());
    // All things that are looked at share the false alarms.
    let looks = gathered.columns.len() + 2;
    let surely = 1.0 - FALSE_ALARMS / looks as f64;
    if let Some(limit) = of.limits.psi {
        if worth.iter().any(|w| *w < least) {
            not_measured.push(few("psi", gathered.counts, worth));
        }
        for (name, column) in &gathered.columns {
            let Some(found) = column.shift(worth, surely) else {
                continue;
            };
            measures.push(Measure {
                measure: "psi",
                of: name.clone(),
                value: found.psi,
                limit,
                chance: found.chance,
                is_drift: found.psi > limit && found.psi > found.chance,
                words: format!(
                    "`{}` was {:.1} % of the decisions and is {:.1} %",
                    found.most,
                    100.0 * found.shares.0,
                    100.0 * found.shares.1
                ),
            });
        }
    }
    let settled = [gathered.rewards[0].len(), gathered.rewards[1].len()];
    if let Some(limit) = of.limits.calibration {
        let worth = gathered.scored_by.worth();
        match drift::calibration(&gathered.scored.0, &gathered.scored.1, worth) {
            None => not_measured.push(format!(
                "calibration: {} recent decisions have a score and a reward, worth {worth:.0} of different customers; at least {} are wanted",
                gathered.scored.0.len(),
                drift::ROWS_LEAST
            )),
            Some(found) => measures.push(Measure {
                measure: "calibration",
                of: reward.to_owned(),
                value: found.error,
                limit,
                // It is taken off already.
                chance: 0.0,
                is_drift: found.error > limit,
                words: format!("{:.6} was foretold, {:.6} came", found.foretold, found.observed),
            }),
        }
    }
    if let Some(limit) = of.limits.reward {
        let worth = [0, 1].map(|side: usize| gathered.rewarded[side].worth());
        match drift::rewards(&gathered.rewards[0], &gathered.rewards[1], worth, surely) {
            None => not_measured.push(few("reward", settled, worth)),
            Some(found) => {
                let before = found.means.0.abs();
                // Where nothing came before, the change itself, in units of the reward.
                let unit = if before > 0.0 { before } else { 1.0 };
                measures.push(Measure {
                    measure: "reward",
                    of: reward.to_owned(),
                    value: found.change / unit,
                    limit,
                    chance: found.chance / unit,
                    is_drift: found.change.abs() > limit * before
                        && found.change.abs() > found.chance,
                    words: format!(
                        "it was {:.6} a decision and is {:.6}",
                        found.means.0, found.means.1
                    ),
                });
            }
        }
    }
    let over = |m: &Measure| (m.is_drift, m.value.abs() / m.limit);
    measures.sort_by(|a, b| {
        let ((a_drift, a_over), (b_drift, b_over)) = (over(a), over(b));
        (b_drift.cmp(&a_drift))
            .then(b_over.total_cmp(&a_over))
            .then(a.of.cmp(&b.of))
    });
    Look {
        scene: plan.name.clone(),
        monitor: of.name.clone(),
        policy: policy.to_owned(),
        at: crate::time::write(at),
        reference: gathered.counts[0],
        recent: gathered.counts[1],
        reference_settled: settled[0],
        recent_settled: settled[1],
        is_drift: measures.iter().any(|m| m.is_drift),
        measures,
        not_measured,
    }
}

/// The last look of each monitor, by scene and name.
#[derive(Debug, Default)]
pub struct Looks(RwLock<BTreeMap<(String, String), Look>>);

impl Looks {
    /// All, by scene and monitor.
    pub fn all(&self) -> Vec<Look> {
        self.0.read().values().cloned().collect()
    }
}

/// Monitors at work on a thread of their own: a look computes for long, and whoever asks the server must not wait for it.
#[derive(Debug)]
pub struct Watching {
    stop: tokio::sync::watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watching {
    /// Begins.
    ///
    /// # Errors
    /// When there is no thread to be had.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn begin(
        engine: Arc<Engine>,
        env: Arc<dyn Env>,
        metrics: Arc<Metrics>,
        looks: Arc<Looks>,
    ) -> std::io::Result<Self> {
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("monitors".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = watch(engine, env, metrics, looks) => {}
                    _ = stopped.changed() => {}
                }
            });
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends, in the middle of a look as well; then nothing of the engine is held any more.
    pub async fn end(self) {
        let _ = self.stop.send(true);
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

/// Looks at every monitor when it is due, as long as the server runs. A failure is told and tried again; it never stops the server.
async fn watch(engine: Arc<Engine>, env: Arc<dyn Env>, metrics: Arc<Metrics>, looks: Arc<Looks>) {
    let mut next: BTreeMap<(String, String), Micros> = BTreeMap::new();
    loop {
        tokio::time::sleep(ROUND).await;
        if engine.is_keeper() {
            round(&engine, env.now(), &metrics, &looks, &mut next).await;
        } else {
            // Another node looks now.
            for (scene, monitor) in std::mem::take(&mut next).keys() {
                metrics.looked(scene, monitor, 0);
            }
            looks.0.write().clear();
        }
    }
}

/// Looks at every monitor that is due.
pub async fn round(
    engine: &Engine,
    now: Micros,
    metrics: &Metrics,
    looks: &Looks,
    next: &mut BTreeMap<(String, String), Micros>,
) {
    let mut known = Vec::new();
    for plan in engine.plans() {
        for monitor in &plan.monitors {
            let name = (plan.name.clone(), monitor.name.clone());
            known.push(name.clone());
            if next.get(&name).is_some_and(|at| now < *at) {
                continue;
            }
            let found = match look(engine, &plan, monitor, now).await {
                Ok(found) => found,
                Err(e) => {
                    tracing::warn!(target: "luopan", scene = plan.name, monitor = monitor.name, error = %e, "a monitor could not look; it tries again");
                    continue;
                }
            };
            let events = found.events(now);
            if !events.is_empty()
                && let Err(e) = engine.raise_drift(&plan.name, &events).await
            {
                tracing::warn!(target: "luopan", scene = plan.name, monitor = monitor.name, error = %e, "what a monitor found could not be told to the log; it looks again");
                continue;
            }
            for m in found.measures.iter().filter(|m| m.is_drift) {
                tracing::warn!(
                    target: "luopan",
                    scene = plan.name,
                    monitor = monitor.name,
                    policy = found.policy,
                    measure = m.measure,
                    of = m.of,
                    value = m.value,
                    limit = m.limit,
                    "drift"
                );
            }
            metrics.looked(&plan.name, &monitor.name, events.len());
            next.insert(name.clone(), now.plus(monitor.every_us));
            looks.0.write().insert(name, found);
        }
    }
    next.retain(|name, _| known.contains(name));
    looks.0.write().retain(|name, _| known.contains(name));
}
