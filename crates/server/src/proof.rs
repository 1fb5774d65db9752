//! Proofs of suitability: a file that says of every decision and every order of a period why it was allowed, and that anyone
//! can verify without the server. A line is `{"hash":"...","body":{...}}`; the hash is SHA-256 over the hash of the line before
//! and the body, so no line can be changed, taken out or put in unseen by who knows the last hash. Who does not know it cannot
//! tell a file from one that was written anew with lines left out, or with another plan.
//!
//! This room must never take a stored reason for one: making and verifying both evaluate every rule anew.

mod permit;

use crate::problem::{Problem, Result};
use luopan_engine::proof::{Evidence, OrderSeen};
use luopan_engine::{Engine, Refusal, RefusalKind};
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::{Permits, ScenePlan};
use luopan_kernel::proof::{Allowed, grounds, permitting};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use permit::{Permitted, Standing, Version, Versions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::io::{BufRead, Write};

/// Format of a proof file. In format 1, which no release wrote, an order counted at the time that its sender said.
const FORMAT: u32 = 2;
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Failures that are told one by one.
const TOLD_MAX: usize = 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Body {
    Head(Head),
    /// A scene version's plan, its canonical JSON.
    Plan {
        version: u32,
        hash: String,
        plan: String,
    },
    Decision(Box<Proved>),
    Order(Placed),
    End(Tally),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    scene: String,
    from: Micros,
    to: Micros,
}

/// A decision that offered something, its record without the trace, and why each item was allowed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proved {
    record: DecisionRecord,
    allowed: Vec<Allowed>,
    /// Why it cannot be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// An order, and whether a decision allowed it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    order: OrderSeen,
    /// The decision that permits it; none when it needs none, or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<DecisionId>,
    /// Why no decision permits it.
    unproved: Option<String>,
}

impl Placed {
    fn new(order: OrderSeen, standing: Standing) -> Self {
        let (by, unproved) = match standing {
            Standing::By(id) => (Some(id), None),
            Standing::NeedsNone => (None, None),
            Standing::Unproved(why) => (None, Some(why)),
        };
        Self {
            order,
            by,
            unproved,
        }
    }
}

/// What a proof holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Decisions that offered something.
    pub decisions: u64,
    /// Of these, made before the period and still valid when it began.
    pub earlier: u64,
    /// Decisions that offered nothing, and so need no reason.
    pub silent: u64,
    /// Decisions that cannot be proved.
    pub failed: u64,
    /// Orders.
    pub orders: u64,
    /// Orders that no decision permits and that need one.
    pub unproved: u64,
}

impl Tally {
    /// How the orders stand, in words.
    pub fn of_orders(&self) -> String {
        match (self.orders, self.unproved) {
            (0, _) => "no orders".to_owned(),
            (orders, unproved) => format!("{orders} orders, {unproved} orders without a permit"),
        }
    }
}

/// A plan that a proof holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanHeld {
    /// Its hash.
    pub hash: String,
    /// Name of its scene.
    pub scene: String,
    /// Version, as the file says.
    pub version: u32,
    /// Rules of its policies.
    pub rules: u64,
    /// What its policies permit, by catalogue that has orders.
    pub permits: Vec<String>,
}

impl PlanHeld {
    fn new(version: u32, hash: &str, plan: &ScenePlan) -> Self {
        let rules = |p: &luopan_kernel::plan::PolicyPlan| {
            p.eligibility.len() + p.suitability.len() + p.exclusions.len()
        };
        let catalogues = (plan.orders.iter())
            .filter_map(|o| plan.catalogues.get(usize::from(o.catalogue)))
            .map(|c| c.name.as_str());
        Self {
            hash: hash.to_owned(),
            scene: plan.name.clone(),
            version,
            rules: plan.policies.iter().map(|p| rules(p) as u64).sum(),
            permits: catalogues.map(|c| permits(plan, c)).collect(),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let Self {
            hash,
            scene,
            version,
            rules,
            permits,
        } = self;
        let permits = permits.iter().map(|p| format!("; {p}")).collect::<String>();
        format!("plan {hash}: scene {scene}, version {version}, {rules} rules{permits}")
    }
}

/// Which policies permit orders of a catalogue.
fn permits(plan: &ScenePlan, catalogue: &str) -> String {
    let listed = |side| {
        permitting(plan, catalogue, side).map(|names| {
            let names: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
            names.join(", ")
        })
    };
    match (listed(Permits::Buy), listed(Permits::Redeem)) {
        (Some(buy), Some(redeem)) => {
            let buy = if buy.is_empty() { "nothing" } else { &buy };
            let redeem = match redeem.as_str() {
                "" => "a redemption needs no permit".to_owned(),
                names => format!("a redemption by {names}"),
            };
            format!("{catalogue}: a purchase is permitted by {buy}, {redeem}")
        }
        _ => format!(
            "{catalogue}: no policy declares `permits`, so any decision that a purchase names permits it"
        ),
    }
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// What it holds.
    pub tally: Tally,
    /// The last hash.
    pub hash: String,
    /// Plans that it holds.
    pub plans: Vec<PlanHeld>,
}

/// What a proof must be, beside being true in itself.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The last hash, hexadecimal.
    pub hash: Option<String>,
    /// Hashes of the only plans that may be in it, hexadecimal; empty for any.
    pub plans: Vec<String>,
    /// Every order that needs a permit has one.
    pub permits: bool,
}

/// What verifying found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Scene.
    pub scene: String,
    /// Begin of the period.
    pub from: String,
    /// End of the period.
    pub to: String,
    /// What it holds.
    #[serde(flatten)]
    pub tally: Tally,
    /// The last hash: whoever keeps it apart can tell that nothing was changed.
    pub head: String,
    /// Plans that it holds.
    pub plans: Vec<PlanHeld>,
    /// What is wrong, the first of it.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub faults_count: u64,
}

/// Lines with their hashes.
struct Chain<W> {
    out: W,
    last: String,
}

fn chained(last: &str, body: &str) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(last)
            .chain_update(body)
            .finalize(),
    )
}

impl<W: Write> Chain<W> {
    fn put(&mut self, body: &Body) -> std::io::Result<()> {
        let body = serde_json::to_string(body)?;
        self.last = chained(&self.last, &body);
        writeln!(self.out, "{{\"hash\":\"{}\",\"body\":{body}}}", self.last)
    }
}

/// Holds the plan of a version, and writes it where it is new.
fn hold<W: Write>(
    chain: &mut Chain<W>,
    versions: &mut Versions,
    held: &mut Vec<PlanHeld>,
    version: u32,
    plan: impl FnOnce() -> std::result::Result<std::sync::Arc<ScenePlan>, Refusal>,
) -> std::result::Result<(), Refusal> {
    if let Entry::Vacant(place) = versions.entry(version) {
        let plan = plan()?;
        let hash = hex::encode(plan.hash());
        held.push(PlanHeld::new(version, &hash, &plan));
        let body = Body::Plan {
            version,
            hash: hash.clone(),
            plan: String::from_utf8_lossy(&plan.encode()).into_owned(),
        };
        chain.put(&body).map_err(unwritable)?;
        place.insert(Version {
            hash,
            plan: (*plan).clone(),
        });
    }
    Ok(())
}

fn unwritable(e: std::io::Error) -> Refusal {
    Refusal {
        code: "file_unreadable",
        kind: RefusalKind::Unavailable,
        message: format!("writing the proof failed: {e}"),
    }
}

/// Writes the proof of `from..to` to `out`.
///
/// # Errors
/// An unknown scene, a store or a writer that failed.
pub async fn write<W: Write + Send>(
    engine: &Engine,
    scene: &str,
    from: Micros,
    to: Micros,
    out: W,
) -> Result<Written> {
    let mut chain = Chain {
        out,
        last: String::new(),
    };
    chain
        .put(&Body::Head(Head {
            format: FORMAT,
            scene: scene.to_owned(),
            from,
            to,
        }))
        .map_err(unwritable)?;
    let mut versions = Versions::new();
    let mut held = Vec::new();
    let mut known = Permitted::default();
    let mut tally = Tally::default();
    engine
        .evidence(scene, from, to, &mut |evidence| {
            match evidence {
                Evidence::Decision(record) if record.decision.choices.is_empty() => {
                    tally.silent += 1;
                }
                Evidence::Decision(mut record) => {
                    if known.holds(record.request.decision) {
                        return Ok(());
                    }
                    let version = record.scene_version;
                    hold(&mut chain, &mut versions, &mut held, version, || {
                        engine.plan_of_version(scene, version)
                    })?;
                    let Some(Version { plan, .. }) = versions.get(&version) else {
                        return Ok(());
                    };
                    record.decision.trace.clear();
                    let proof = grounds(plan, &record);
                    tally.decisions += 1;
                    tally.earlier += u64::from(record.request.moment.now < from);
                    let (allowed, failed) = match proof {
                        Ok(allowed) => (allowed, None),
                        Err(e) => {
                            tally.failed += 1;
                            (Vec::new(), Some(e.to_string()))
                        }
                    };
                    known.remember(&record, &allowed, plan);
                    let proved = Proved {
                        record: *record,
                        allowed,
                        failed,
                    };
                    chain
                        .put(&Body::Decision(Box::new(proved)))
                        .map_err(unwritable)?;
                }
                Evidence::Order(order) => {
                    let version = order.version;
                    hold(&mut chain, &mut versions, &mut held, version, || {
                        engine.plan_of_version(scene, version)
                    })?;
                    let standing = known.standing(&order, &versions);
                    let placed = Placed::new(order, standing);
                    tally.orders += 1;
                    tally.unproved += u64::from(placed.unproved.is_some());
                    chain.put(&Body::Order(placed)).map_err(unwritable)?;
                }
            }
            Ok(())
        })
        .await?;
    chain.put(&Body::End(tally.clone())).map_err(unwritable)?;
    chain.out.flush().map_err(unwritable)?;
    Ok(Written {
        tally,
        hash: chain.last,
        plans: held,
    })
}

/// Verifies a proof from its file alone: the chain of hashes, the plans, every rule of every decision, and which decision
/// permits each order. That nothing was left out, and that the plans are those that were in force, only `expected` can tell.
///
/// # Errors
/// A file that is no proof, or of another format; what is wrong within a proof is in [`Verified::faults`].
pub fn verify(mut file: impl BufRead, expected: &Expected) -> Result<Verified> {
    let broken = |line: u64, why: &str| {
        Problem::new(
            "file_unreadable",
            format!(
                "line {line} is no line of a proof: {why}; give a file that `luopan proof` wrote"
            ),
        )
    };
    let mut last = String::new();
    let mut reading: Option<Reading<'_>> = None;
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let mut limited = std::io::Read::take(&mut file, LINE_BYTES_MAX as u64 + 1);
        let read = limited
            .read_until(b'\n', &mut line)
            .map_err(|e| Problem::new("file_unreadable", e.to_string()))?;
        if read == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|_| broken(number, "it is not utf-8"))?;
        let parts = (text.trim_end_matches('\n').strip_prefix("{\"hash\":\""))
            .and_then(|rest| rest.split_once("\",\"body\":"))
            .and_then(|(hash, body)| Some((hash, body.strip_suffix('}')?)));
        let (hash, body) = parts.ok_or_else(|| broken(number, "it has no hash and body"))?;
        let right = chained(&last, body);
        last = hash.to_owned();
        let Some(reading) = &mut reading else {
            // What a newer or older program wrote may not even be read: its format is looked at first.
            if let Some(found) = format_of(body)
                && found != FORMAT
            {
                let words = format!(
                    "it has format {found}, this program reads {FORMAT}; write the proof anew with `luopan proof`"
                );
                return Err(broken(number, &words));
            }
            match serde_json::from_str(body) {
                Ok(Body::Head(head)) => {
                    let mut begun = Reading::new(head, expected);
                    begun.chain(number, hash, &right);
                    reading = Some(begun);
                }
                Ok(_) => return Err(broken(number, "a proof begins with its head")),
                Err(e) => return Err(broken(number, &e.to_string())),
            }
            continue;
        };
        reading.chain(number, hash, &right);
        let body: Body = serde_json::from_str(body).map_err(|e| broken(number, &e.to_string()))?;
        reading.take(number, body);
    }
    let Some(reading) = reading else {
        return Err(broken(1, "the file is empty"));
    };
    Ok(reading.finish(last))
}

/// The format that a head names.
fn format_of(body: &str) -> Option<u32> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    u32::try_from(body.get("head")?.get("format")?.as_u64()?).ok()
}

/// A proof as far as it was read.
struct Reading<'e> {
    expected: &'e Expected,
    head: Head,
    ended: bool,
    tally: Tally,
    faults: (Vec<String>, u64),
    versions: Versions,
    held: Vec<PlanHeld>,
    known: Permitted,
    decisions: BTreeSet<DecisionId>,
    /// Orders by whose event, its id and its time.
    orders: BTreeSet<(luopan_kernel::id::IdentifierId, String, Micros)>,
}

impl<'e> Reading<'e> {
    fn new(head: Head, expected: &'e Expected) -> Self {
        Self {
            expected,
            head,
            ended: false,
            tally: Tally::default(),
            faults: (Vec::new(), 0),
            versions: Versions::new(),
            held: Vec::new(),
            known: Permitted::default(),
            decisions: BTreeSet::new(),
            orders: BTreeSet::new(),
        }
    }

    fn fault(&mut self, text: String) {
        self.faults.1 += 1;
        if self.faults.0.len() < TOLD_MAX {
            self.faults.0.push(text);
        }
    }

    fn chain(&mut self, number: u64, hash: &str, right: &str) {
        if hash != right {
            self.fault(format!(
                "line {number}: its hash is {hash}, and what stands there has {right}: it or a line before was changed"
            ));
        }
    }

    fn take(&mut self, number: u64, body: Body) {
        if self.ended {
            self.fault(format!("line {number}: it stands behind the end"));
        }
        let found = match body {
            Body::Head(_) => vec!["a second head".to_owned()],
            Body::Plan {
                version,
                hash,
                plan,
            } => self.plan(version, hash, &plan),
            Body::Decision(proved) => self.decision(&proved),
            Body::Order(placed) => self.order(placed),
            Body::End(found) => {
                self.ended = true;
                self.tally.silent = found.silent;
                match found == self.tally {
                    true => Vec::new(),
                    false => vec![format!(
                        "it counts {found:?}, the lines give {:?}",
                        self.tally
                    )],
                }
            }
        };
        for text in found {
            self.fault(format!("line {number}: {text}"));
        }
    }

    fn plan(&mut self, version: u32, hash: String, plan: &str) -> Vec<String> {
        let plan = match ScenePlan::decode(plan.as_bytes()) {
            Ok(plan) => plan,
            Err(e) => return vec![e.to_string()],
        };
        let mut faults = Vec::new();
        if hex::encode(plan.hash()) != hash {
            return vec![format!("the plan is not the one with the hash {hash}")];
        }
        if plan.name != self.head.scene {
            let (found, wanted) = (&plan.name, &self.head.scene);
            faults.push(format!(
                "a plan of scene `{found}`; the proof is of `{wanted}`"
            ));
        }
        let is_it = |wanted: &String| wanted.eq_ignore_ascii_case(&hash);
        if !self.expected.plans.is_empty() && !self.expected.plans.iter().any(is_it) {
            faults.push(format!("plan {hash} is none of those that --plan names"));
        }
        self.held.push(PlanHeld::new(version, &hash, &plan));
        match self.versions.entry(version) {
            Entry::Occupied(_) => faults.push(format!("a second plan of version {version}")),
            Entry::Vacant(place) => {
                place.insert(Version { hash, plan });
            }
        }
        faults
    }

    fn decision(&mut self, proved: &Proved) -> Vec<String> {
        let record = &proved.record;
        let (id, now) = (record.request.decision, record.request.moment.now);
        let mut faults = Vec::new();
        let is_earlier = now < self.head.from;
        self.tally.decisions += 1;
        self.tally.earlier += u64::from(is_earlier);
        if !self.decisions.insert(id) {
            return vec![format!("decision {id} stands a second time")];
        }
        if now >= self.head.to || (is_earlier && record.valid_until < self.head.from) {
            faults.push(format!(
                "decision {id} of {} is not of the period",
                crate::time::write(now)
            ));
        }
        let version = (self.versions.get(&record.scene_version))
            .filter(|version| version.hash == record.plan_hash);
        let again = match version {
            Some(version) => grounds(&version.plan, record)
                .map(|allowed| (allowed, &version.plan))
                .map_err(|e| e.to_string()),
            None => Err("its plan does not stand before it".to_owned()),
        };
        match again {
            Ok((allowed, plan)) if allowed == proved.allowed && proved.failed.is_none() => {
                self.known.remember(record, &allowed, plan);
            }
            Ok(_) => faults.push(format!(
                "decision {id}: the grounds are not those that its record gives"
            )),
            Err(e) => {
                self.tally.failed += 1;
                if let Some(version) = version {
                    self.known.remember(record, &[], &version.plan);
                }
                faults.push(format!("decision {id} was not allowed: {e}"));
            }
        }
        faults
    }

    fn order(&mut self, placed: Placed) -> Vec<String> {
        let mut faults = Vec::new();
        let (said, order) = ((placed.by, placed.unproved), placed.order);
        let event = order.event.clone();
        let name = (order.identifier, event.clone(), order.at);
        self.tally.orders += 1;
        if !self.orders.insert(name) {
            faults.push(format!("order {event} stands a second time"));
        }
        if order.at < self.head.from || order.at >= self.head.to {
            faults.push(format!(
                "order {event} of {} is not of the period",
                crate::time::write(order.at)
            ));
        }
        let standing = self.known.standing(&order, &self.versions);
        let again = Placed::new(order, standing);
        self.tally.unproved += u64::from(again.unproved.is_some());
        if let (Some(why), true) = (&again.unproved, self.expected.permits) {
            faults.push(format!("order {event} has no permit: {why}"));
        }
        let right = (again.by, again.unproved);
        if said != right {
            faults.push(format!(
                "order {event}: {said:?} is said, {right:?} is right"
            ));
        }
        faults
    }

    fn finish(mut self, last: String) -> Verified {
        if !self.ended {
            self.fault("the proof has no end: it was cut off".to_owned());
        }
        if let Some(kept) = &self.expected.hash
            && !kept.eq_ignore_ascii_case(&last)
        {
            self.fault(format!(
                "the proof has the hash {last}, the one that was kept is {kept}: it is another proof"
            ));
        }
        Verified {
            scene: self.head.scene,
            from: crate::time::write(self.head.from),
            to: crate::time::write(self.head.to),
            tally: self.tally,
            head: last,
            plans: self.held,
            faults: self.faults.0,
            faults_count: self.faults.1,
        }
    }
}
