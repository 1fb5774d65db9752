//! Drift as an event: what a monitor found to have changed is told to the log, on the environment's partition, so that whoever follows the
//! log hears of it in its order. Nothing folds it, and no decision depends on it.

use crate::Inner;
use crate::api::Result;
use crate::environment::fold::ENVIRONMENT;
use luopan_kernel::event::{DRIFT_TYPE, Entry, Event, Origin};
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, PartitionId};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::borrow::Cow;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// Something that a monitor found to have changed beyond its limit and beyond chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Monitor.
    pub monitor: String,
    /// Policy that it watches.
    pub policy: String,
    /// `psi`, `calibration` or `reward`.
    pub measure: String,
    /// Of what: a feature's name, `score`, `arm`, or the reward's name.
    pub of: String,
    /// How much it changed, in the measure's unit.
    pub value: f64,
    /// How much is let through.
    pub limit: f64,
    /// When it was looked at.
    pub at: Micros,
}

fn told(value: &Value<'_>) -> String {
    match value {
        Value::Text(t) => t.clone().into_owned(),
        _ => String::new(),
    }
}

impl Inner {
    /// Tells the log.
    pub(crate) async fn raise_drift(&self, scene: &str, found: &[Drift]) -> Result<()> {
        let scene = self.scenes.newest(scene)?;
        let received_at = self.log_time();
        let text = |of: &str| Value::text(crate::intake::cut(of));
        let events: Vec<(usize, Event<'static>)> = (found.iter().enumerate())
            .map(|(i, f)| {
                let event = Event {
                    id: Cow::Owned(DecisionId(self.env.fresh_id()).to_string()),
                    tenant: DEFAULT_TENANT,
                    scene: scene.no,
                    identifier: IdentifierId([0; 16]),
                    kind: Cow::Borrowed(DRIFT_TYPE),
                    occurred_at: f.at,
                    received_at,
                    origin: Origin::Live,
                    // Ascending by name.
                    properties: vec![
                        (Cow::Borrowed("limit"), Value::Number(f.limit)),
                        (Cow::Borrowed("measure"), text(&f.measure)),
                        (Cow::Borrowed("monitor"), text(&f.monitor)),
                        (Cow::Borrowed("of"), text(&f.of)),
                        (Cow::Borrowed("policy"), text(&f.policy)),
                        (Cow::Borrowed("value"), Value::Number(f.value)),
                    ],
                    context: Vec::new(),
                    corrects: None,
                    sealed: Vec::new(),
                };
                (i, event)
            })
            .collect();
        let mut outcomes = vec![None; events.len()];
        self.append_events(events, &mut outcomes, |_| ENVIRONMENT)
            .await?;
        Ok(())
    }

    /// What monitors of a scene found at `from` and later, in the order of the log.
    pub(crate) async fn drifts(&self, scene: &str, from: Micros) -> Result<Vec<Drift>> {
        let no = self.scenes.newest(scene)?.no;
        let partition: PartitionId = ENVIRONMENT;
        let until = self.reflected(&[partition]).await?[0];
        let mut next = crate::snapshot::position(self, partition).await?;
        let mut out = Vec::new();
        while next < until {
            let messages = self.log.read(partition, next, READ_BYTES).await?;
            let Some(last) = messages.last() else { break };
            next = last.end();
            for message in &messages {
                for entry in crate::replay::decode(partition, message)? {
                    let Entry::Event(e) = entry else { continue };
                    if e.kind != DRIFT_TYPE || e.scene != no || e.occurred_at < from {
                        continue;
                    }
                    let number = |name| match e.property(name) {
                        Value::Number(v) => *v,
                        _ => f64::NAN,
                    };
                    out.push(Drift {
                        monitor: told(e.property("monitor")),
                        policy: told(e.property("policy")),
                        measure: told(e.property("measure")),
                        of: told(e.property("of")),
                        value: number("value"),
                        limit: number("limit"),
                        at: e.occurred_at,
                    });
                }
            }
        }
        Ok(out)
    }
}
