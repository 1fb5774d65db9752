//! Proofs of suitability: a file that says of every decision and every order of a period why it was allowed, and that anyone
//! can verify without the server. A line is `{"hash":"...","body":{...}}`; the hash is SHA-256 over the hash of the line before
//! and the body, so no line can be changed, taken out or put in unseen by who knows the last hash.
//!
//! This room must never take a stored reason for one: making and verifying both evaluate every rule anew.

use crate::problem::{Problem, Result};
use luopan_engine::proof::{Evidence, OrderSeen};
use luopan_engine::{Engine, Refusal, RefusalKind};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::proof::{Allowed, grounds};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

/// Format of a proof file.
const FORMAT: u32 = 1;
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
    /// Why it is not proved; none when the decision that it names allowed the item to this customer, or it is a redemption.
    unproved: Option<String>,
}

/// What a proof holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Decisions that offered something.
    pub decisions: u64,
    /// Decisions that offered nothing, and so need no reason.
    pub silent: u64,
    /// Decisions that cannot be proved.
    pub failed: u64,
    /// Orders.
    pub orders: u64,
    /// Purchases that no decision allowed.
    pub unproved: u64,
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
    /// What is wrong, the first of it.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub faults_count: u64,
}

/// What a decision allowed, to whom and for how long.
struct Permit {
    origin: Origin,
    from: Micros,
    until: Micros,
    whose: BTreeSet<IdentifierId>,
    items: BTreeSet<String>,
}

/// By decision.
type Known = BTreeMap<DecisionId, Permit>;

/// Why an order is not proved by the decisions so far.
fn unproved(order: &OrderSeen, known: &Known) -> Option<String> {
    // Nobody is protected from her own money: a redemption needs no suitability.
    if order.side == "redeem" {
        return None;
    }
    let Some(decision) = order.decision else {
        return Some("it names no decision".to_owned());
    };
    let Some(permit) = known.get(&decision) else {
        return Some(format!("decision {decision} allowed nothing"));
    };
    let is_of = |item: &String| permit.items.contains(item);
    let why = if !permit.whose.contains(&order.identifier) {
        "was of another customer"
    } else if !order.item.as_ref().is_some_and(is_of) {
        "did not allow this item"
    } else if !permit.origin.is_answered_by(order.origin) {
        "was of another origin"
    } else if order.at < permit.from {
        "was made after it"
    } else if order.at > permit.until {
        // What was suitable then need not be any more: the product or the customer may have been rated anew.
        "was no longer valid"
    } else {
        return None;
    };
    Some(format!("decision {decision} {why}"))
}

fn remember(known: &mut Known, record: &DecisionRecord, allowed: &[Allowed]) {
    let whose = (record.identifiers.iter().copied()).chain([record.identifier]);
    let permit = Permit {
        origin: record.request.origin,
        from: record.request.moment.now,
        until: record.valid_until,
        whose: whose.collect(),
        items: allowed.iter().map(|a| a.item.clone()).collect(),
    };
    known.insert(record.request.decision, permit);
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

/// Writes the proof of `from..to` to `out`, and gives what it holds with the last hash.
///
/// # Errors
/// An unknown scene, a store or a writer that failed.
pub async fn write<W: Write + Send>(
    engine: &Engine,
    scene: &str,
    from: Micros,
    to: Micros,
    out: W,
) -> Result<(Tally, String)> {
    let mut chain = Chain {
        out,
        last: String::new(),
    };
    let io = |e: std::io::Error| Refusal {
        code: "file_unreadable",
        kind: RefusalKind::Unavailable,
        message: format!("writing the proof failed: {e}"),
    };
    chain
        .put(&Body::Head(Head {
            format: FORMAT,
            scene: scene.to_owned(),
            from,
            to,
        }))
        .map_err(io)?;
    let mut plans: BTreeMap<u32, std::sync::Arc<ScenePlan>> = BTreeMap::new();
    let mut known = Known::new();
    let mut tally = Tally::default();
    engine
        .evidence(scene, from, to, &mut |evidence| {
            match evidence {
                Evidence::Decision(record) if record.decision.choices.is_empty() => {
                    tally.silent += 1;
                }
                Evidence::Decision(mut record) => {
                    if known.contains_key(&record.request.decision) {
                        return Ok(());
                    }
                    let version = record.scene_version;
                    if let std::collections::btree_map::Entry::Vacant(place) = plans.entry(version)
                    {
                        let plan = engine.plan_of_version(scene, version)?;
                        let body = Body::Plan {
                            hash: hex::encode(plan.hash()),
                            plan: String::from_utf8_lossy(&plan.encode()).into_owned(),
                        };
                        chain.put(&body).map_err(io)?;
                        place.insert(plan);
                    }
                    record.decision.trace.clear();
                    let proof = grounds(&plans[&version], &record);
                    tally.decisions += 1;
                    let (allowed, failed) = match proof {
                        Ok(allowed) => (allowed, None),
                        Err(e) => {
                            tally.failed += 1;
                            (Vec::new(), Some(e.to_string()))
                        }
                    };
                    remember(&mut known, &record, &allowed);
                    let proved = Proved {
                        record: *record,
                        allowed,
                        failed,
                    };
                    chain.put(&Body::Decision(Box::new(proved))).map_err(io)?;
                }
                Evidence::Order(order) => {
                    let unproved = unproved(&order, &known);
                    tally.orders += 1;
                    tally.unproved += u64::from(unproved.is_some());
                    chain
                        .put(&Body::Order(Placed { order, unproved }))
                        .map_err(io)?;
                }
            }
            Ok(())
        })
        .await?;
    chain.put(&Body::End(tally.clone())).map_err(io)?;
    chain.out.flush().map_err(io)?;
    Ok((tally, chain.last))
}

/// Verifies a proof from its file alone: the chain of hashes, the plans, and every rule of every decision.
///
/// # Errors
/// A file that is no proof, or of a newer format; what is wrong within a proof is in [`Verified::faults`].
pub fn verify(mut file: impl BufRead) -> Result<Verified> {
    let broken = |line: u64, why: &str| {
        Problem::new(
            "file_unreadable",
            format!(
                "line {line} is no line of a proof: {why}; give a file that `luopan proof` wrote"
            ),
        )
    };
    let mut last = String::new();
    let mut head: Option<Head> = None;
    let mut end: Option<Tally> = None;
    let mut tally = Tally::default();
    let mut faults: (Vec<String>, u64) = (Vec::new(), 0);
    let mut plans: BTreeMap<String, ScenePlan> = BTreeMap::new();
    let mut known = Known::new();
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
        let mut fault = |text: String| {
            faults.1 += 1;
            if faults.0.len() < TOLD_MAX {
                faults.0.push(format!("line {number}: {text}"));
            }
        };
        let text = std::str::from_utf8(&line).map_err(|_| broken(number, "it is not utf-8"))?;
        let parts = (text.trim_end_matches('\n').strip_prefix("{\"hash\":\""))
            .and_then(|rest| rest.split_once("\",\"body\":"))
            .and_then(|(hash, body)| Some((hash, body.strip_suffix('}')?)));
        let (hash, body) = parts.ok_or_else(|| broken(number, "it has no hash and body"))?;
        let expected = chained(&last, body);
        if hash != expected {
            fault(format!(
                "its hash is {hash}, and what stands there has {expected}: it or a line before was changed"
            ));
        }
        last = hash.to_owned();
        let body: Body = serde_json::from_str(body).map_err(|e| broken(number, &e.to_string()))?;
        if end.is_some() {
            fault("it stands behind the end".to_owned());
        }
        match body {
            Body::Head(found) if number == 1 => {
                if found.format != FORMAT {
                    let words = format!(
                        "it has format {}, this program reads {FORMAT}",
                        found.format
                    );
                    return Err(broken(number, &words));
                }
                head = Some(found);
            }
            _ if number == 1 => return Err(broken(number, "a proof begins with its head")),
            Body::Head(_) => fault("a second head".to_owned()),
            Body::Plan { hash, plan } => match ScenePlan::decode(plan.as_bytes()) {
                Ok(plan) if hex::encode(plan.hash()) == hash => {
                    plans.insert(hash, plan);
                }
                Ok(_) => fault(format!("the plan is not the one with the hash {hash}")),
                Err(e) => fault(e.to_string()),
            },
            Body::Decision(proved) => {
                tally.decisions += 1;
                let id = proved.record.request.decision;
                let again = match plans.get(&proved.record.plan_hash) {
                    Some(plan) => grounds(plan, &proved.record).map_err(|e| e.to_string()),
                    None => Err("its plan does not stand before it".to_owned()),
                };
                match again {
                    Ok(allowed) if allowed == proved.allowed && proved.failed.is_none() => {
                        remember(&mut known, &proved.record, &allowed);
                    }
                    Ok(_) => fault(format!(
                        "decision {id}: the grounds are not those that its record gives"
                    )),
                    Err(e) => {
                        tally.failed += 1;
                        fault(format!("decision {id} was not allowed: {e}"));
                    }
                }
            }
            Body::Order(placed) => {
                tally.orders += 1;
                let again = unproved(&placed.order, &known);
                tally.unproved += u64::from(again.is_some());
                if again != placed.unproved {
                    fault(format!(
                        "order {}: {:?} is said, {again:?} is right",
                        placed.order.event, placed.unproved
                    ));
                }
            }
            Body::End(found) => {
                tally.silent = found.silent;
                if found != tally {
                    fault(format!("it counts {found:?}, the lines give {tally:?}"));
                }
                end = Some(found);
            }
        }
    }
    let Some(head) = head else {
        return Err(broken(1, "the file is empty"));
    };
    if end.is_none() {
        faults.1 += 1;
        faults
            .0
            .push("the proof has no end: it was cut off".to_owned());
    }
    Ok(Verified {
        scene: head.scene,
        from: crate::time::write(head.from),
        to: crate::time::write(head.to),
        tally,
        head: last,
        faults: faults.0,
        faults_count: faults.1,
    })
}
