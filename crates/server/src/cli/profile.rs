//! `luopan profile ID`: what is known of a customer.

use super::Common;
use super::output::{Said, amount, table};
use crate::answer::Customer;
use crate::data::Opening;
use crate::problem::Result;
use clap::Args;
use luopan_kernel::plan::{Aggregate, ScenePlan, SlotSource};
use luopan_kernel::rule::visit_slots;
use luopan_kernel::time::SECOND_US;
use luopan_kernel::value::ValueType;
use luopan_scene::unit;
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Profile {
    /// The customer, as the sender of events names them
    id: String,
    /// Scene
    #[arg(long)]
    scene: String,
}

pub(super) async fn run(common: &Common, profile: Profile) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    let view = opened.engine.customer(&profile.scene, &profile.id).await;
    let plan = opened.engine.plan(&profile.scene).ok();
    opened.close().await;
    let customer = Customer::from(view?);
    let mut rows = vec![
        vec!["customer".to_owned(), customer.customer.clone()],
        vec!["identifiers".to_owned(), customer.identifiers.join(", ")],
        vec!["as of".to_owned(), customer.as_of.clone()],
        vec!["segments".to_owned(), customer.segments.join(", ")],
    ];
    rows.extend(
        customer
            .tags
            .iter()
            .map(|(name, value)| vec![name.clone(), shown(plan.as_deref(), name, value)]),
    );
    rows.extend(customer.contacts.iter().map(|c| {
        vec![
            format!("contact {}", c.at),
            format!("{} {} {}", c.policy, c.channel, c.item),
        ]
    }));
    let text = table(&["", ""], &rows);
    Said::new(&customer, text.trim_start_matches('\n'))
}

/// A tag for people: amounts with their currency, lengths of time with their units.
fn shown(plan: Option<&ScenePlan>, name: &str, value: &Value) -> String {
    let slot = plan.and_then(|p| Some((p, p.slots.iter().find(|s| s.name == name)?)));
    match (slot, value) {
        (_, Value::Null) => "unknown".to_owned(),
        (_, Value::String(text)) => text.clone(),
        (Some((plan, slot)), value) if slot.kind == ValueType::Money => {
            amount(currency(plan, &slot.source).as_deref(), value)
        }
        (Some((_, slot)), value) if slot.kind == ValueType::Duration => value
            .as_i64()
            // To the second: nobody reads the rest.
            .map_or_else(
                || value.to_string(),
                |us| unit::duration_text(us / SECOND_US * SECOND_US),
            ),
        (Some((plan, slot)), Value::Number(mean)) if is_mean_of_money(plan, &slot.source) => {
            let minor = mean.as_f64().unwrap_or(0.0).round();
            amount(
                currency(plan, &slot.source).as_deref(),
                &Value::from(minor as i64),
            )
        }
        (_, other) => other.to_string(),
    }
}

/// True of a mean of amounts: a number of minor units, which is shown to the minor unit.
fn is_mean_of_money(plan: &ScenePlan, source: &SlotSource) -> bool {
    let SlotSource::Tag(tag) = source else {
        return false;
    };
    (plan.tags.get(usize::from(*tag))).is_some_and(|tag| {
        let is_mean = matches!(
            tag.aggregate,
            Aggregate::Mean | Aggregate::Ewma { .. } | Aggregate::Quantile { .. }
        );
        let field = (plan.events.get(usize::from(tag.event)))
            .and_then(|e| e.fields.get(usize::from(tag.measure.of?)));
        is_mean && field.is_some_and(|f| f.currency.is_some())
    })
}

/// The currency of what a slot holds: that of the field that a tag aggregates, of the orders that a book is of, or of what an
/// expression is made of.
fn currency(plan: &ScenePlan, source: &SlotSource) -> Option<String> {
    match source {
        SlotSource::Tag(tag) => {
            let tag = plan.tags.get(usize::from(*tag))?;
            let event = plan.events.get(usize::from(tag.event))?;
            let field = event.fields.get(usize::from(tag.measure.of?))?;
            field.currency.clone()
        }
        SlotSource::Book(orders, _) => {
            Some(plan.orders.get(usize::from(*orders))?.currency.clone())
        }
        SlotSource::Derived(expr) => {
            let mut found = None;
            visit_slots(plan.derived.get(usize::from(*expr))?, &mut |id| {
                let read = plan.slots.get(usize::from(id.0));
                if let (None, Some(slot)) = (&found, read)
                    && slot.kind == ValueType::Money
                {
                    found = currency(plan, &slot.source);
                }
            });
            found
        }
        _ => None,
    }
}
