//! A row of a campaign as it was logged: who, what was known before, what was done, and what the declared rewards make of
//! what followed. It must never mix the two sides: what followed reaches the loop only after the decision.

use crate::import::mapped::{self, Mapper};
use crate::import::rows::{BadRow, Row};
use crate::problem::{Problem, Result};
use luopan_engine::api::{Incoming, Raw};
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::id::hash128;
use luopan_kernel::plan::{Combine, EventSchema, Join, PolicyPlan, RewardPlan, ScenePlan, SlotId};
use luopan_kernel::rule::{Lookup, eval, truth};
use luopan_kernel::value::Value;
use luopan_scene::MappedRow;
use luopan_scene::mapping::MappedOutcome;

/// The actions that may have been logged: the items that the pack declares, then the null action.
#[derive(Debug, Clone)]
pub(super) struct Actions {
    items: Vec<String>,
    null: String,
    null_is_arm: bool,
    break_even: Vec<Option<f64>>,
}

/// Attribute of an item from which its score pays.
const BREAK_EVEN: &str = "break_even";

impl Actions {
    /// Those of a policy.
    ///
    /// # Errors
    /// The pack declares no items of the policy's catalogue.
    pub(super) fn new(plan: &ScenePlan, policy: &PolicyPlan) -> Result<Self> {
        let catalogue = plan
            .catalogues
            .get(usize::from(policy.catalogue))
            .filter(|c| !c.items.is_empty());
        let Some(catalogue) = catalogue else {
            let words = format!(
                "the catalogue of policy `{}` has no items in the pack; declare the actions that were logged",
                policy.name
            );
            return Err(Problem::new("unknown_action", words));
        };
        let at = catalogue
            .attributes
            .iter()
            .position(|a| a.name == BREAK_EVEN);
        Ok(Self {
            items: catalogue.items.iter().map(|i| i.key.clone()).collect(),
            null: policy.null_action.name.clone(),
            null_is_arm: policy.null_action.is_arm,
            break_even: catalogue
                .items
                .iter()
                .map(|i| at.and_then(|a| i.values.get(a)?.as_number()))
                .collect(),
        })
    }

    /// Those that can be chosen.
    pub(super) fn names(&self) -> Vec<&str> {
        self.items
            .iter()
            .map(String::as_str)
            .chain(self.null_is_arm.then_some(self.null.as_str()))
            .collect()
    }

    /// Score from which an action pays, where its item declares `break_even`.
    pub(super) fn break_even(&self, action: &str) -> Option<f64> {
        let i = self.items.iter().position(|i| i == action)?;
        self.break_even[i]
    }

    fn known(&self, action: &str) -> std::result::Result<(), String> {
        let all = || {
            self.items
                .iter()
                .map(String::as_str)
                .chain([self.null.as_str()])
        };
        if all().any(|a| a == action) {
            return Ok(());
        }
        let near = luopan_scene::nearest(action, all())
            .map(|n| format!("did you mean `{n}`? "))
            .unwrap_or_default();
        let known: Vec<String> = all().map(|a| format!("`{a}`")).collect();
        let shown: String = action.chars().take(60).collect();
        Err(format!(
            "no action is called `{shown}`; {near}there are {}; `map` in the mapping turns words of the file into them",
            known.join(", ")
        ))
    }
}

/// What a policy's declared rewards make of the events that followed an action.
#[derive(Debug, Clone)]
pub(super) struct Reckoning<'p> {
    rewards: Vec<(&'p RewardPlan, &'p EventSchema)>,
}

/// The fields of an event that did not come in yet.
struct Fields<'e> {
    schema: &'e EventSchema,
    properties: &'e [(String, Value<'static>)],
}

impl Lookup for Fields<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        static MISSING: Value<'static> = Value::Missing;
        let name = self
            .schema
            .fields
            .get(usize::from(id.0))
            .map(|f| f.name.as_str());
        self.properties
            .iter()
            .find(|(n, _)| Some(n.as_str()) == name)
            .map_or(&MISSING, |(_, v)| v)
    }
}

/// A reward of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reward {
    pub(super) value: f64,
    /// True when an outcome said yes or no, false when it gave a number, none when there was no outcome.
    pub(super) boolean: Option<bool>,
}

impl<'p> Reckoning<'p> {
    /// The rewards of a policy, in its order.
    pub(super) fn new(plan: &'p ScenePlan, policy: &PolicyPlan) -> Self {
        let rewards = policy.rewards.iter().filter_map(|i| {
            let reward = plan.rewards.get(usize::from(*i))?;
            Some((reward, plan.events.get(usize::from(reward.event))?))
        });
        Self {
            rewards: rewards.collect(),
        }
    }

    /// Names of the rewards.
    pub(super) fn names(&self) -> impl Iterator<Item = &'p str> {
        self.rewards.iter().map(|(r, _)| r.name.as_str())
    }

    /// The field that names the decision in events of this type.
    pub(super) fn decision_field(&self, event: &str) -> Option<&'p str> {
        self.rewards
            .iter()
            .filter(|(_, schema)| schema.name == event)
            .find_map(|(reward, schema)| match reward.join {
                Join::Decision(field) => Some(schema.fields.get(usize::from(field))?.name.as_str()),
                Join::Customer | Join::Order(_) => None,
            })
    }

    /// One reward a declared one.
    fn of(&self, outcomes: &[MappedOutcome]) -> Vec<Reward> {
        (self.rewards.iter())
            .map(|(reward, schema)| {
                let mut sum: Option<f64> = None;
                let mut boolean = None;
                for outcome in outcomes.iter().filter(|o| o.event == schema.name) {
                    let fields = Fields {
                        schema,
                        properties: &outcome.properties,
                    };
                    if reward
                        .filter
                        .as_ref()
                        .is_some_and(|f| !truth(f, &fields).is_true())
                    {
                        continue;
                    }
                    let value = eval(&reward.value, &fields);
                    let Some(number) = value.as_number() else {
                        continue;
                    };
                    boolean = Some(matches!(value, Value::Bool(_)));
                    sum = Some(match (reward.combine, sum) {
                        (Combine::Sum, Some(sum)) => sum + number,
                        (Combine::Max, Some(greatest)) => f64::max(greatest, number),
                        (_, None) | (Combine::First, _) => number,
                    });
                    if reward.combine == Combine::First {
                        break;
                    }
                }
                Reward {
                    value: sum.unwrap_or(reward.default),
                    boolean,
                }
            })
            .collect()
    }
}

/// A row of the file.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) number: u64,
    pub(super) customer: String,
    /// What was known of the customer, as an event.
    pub(super) attributes: Incoming<'static>,
    /// What was known of the occasion.
    pub(super) request: Vec<(String, Raw<'static>)>,
    pub(super) action: String,
    pub(super) outcomes: Vec<MappedOutcome>,
    pub(super) rewards: Vec<Reward>,
}

/// Reads a row; none when the mapping passes over it.
pub(super) fn read(
    mapper: &mut Mapper<'_>,
    row: &Row,
    file: u128,
    actions: &Actions,
    reckoning: &Reckoning<'_>,
) -> std::result::Result<Option<Logged>, Box<BadRow>> {
    let (id, attributes, request, action, outcomes) = match mapper.mapped(row)? {
        MappedRow::Campaign {
            id,
            attributes,
            request,
            action,
            outcomes,
            ..
        } => (id, attributes, request, action, outcomes),
        MappedRow::Skipped => return Ok(None),
        _ => return Err(mapped::bad(row, "the mapping is not one into a campaign")),
    };
    let action = action.unwrap_or_default();
    actions.known(&action).map_err(|reason| {
        Box::new(BadRow {
            code: "unknown_action",
            ..*mapped::bad(row, &reason)
        })
    })?;
    // The same file again is the same events: a replay that was cut short goes on where it stopped.
    let event_id = format!(
        "replay-{:032x}",
        hash128(format!("{file:032x}/{}", row.number).as_bytes())
    );
    Ok(Some(Logged {
        number: row.number,
        attributes: mapped::event(
            id.clone(),
            event_id,
            CUSTOMER_TYPE.to_owned(),
            None,
            attributes,
        ),
        customer: id,
        request: request
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect(),
        action,
        rewards: reckoning.of(&outcomes),
        outcomes,
    }))
}
