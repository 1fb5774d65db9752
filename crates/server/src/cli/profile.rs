//! `luopan profile ID`: what is known of a customer.

use super::Common;
use super::output::{Said, table};
use crate::answer::Customer;
use crate::data::{Opening, open};
use crate::problem::Result;
use clap::Args;
use luopan_kernel::plan::{ScenePlan, SlotSource};
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
    let opened = open(&common.data, Opening::Existing).await?;
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
            amount(currency(plan, &slot.source), value)
        }
        (Some((_, slot)), value) if slot.kind == ValueType::Duration => value
            .as_i64()
            // To the second: nobody reads the rest.
            .map_or_else(
                || value.to_string(),
                |us| unit::duration_text(us / SECOND_US * SECOND_US),
            ),
        (_, other) => other.to_string(),
    }
}

fn amount(currency: Option<&str>, value: &Value) -> String {
    match (value.as_i64(), currency) {
        (Some(minor), Some(currency)) => unit::minor_digits(currency).map_or_else(
            || format!("{minor} minor units of {currency}"),
            |digits| format!("{} {currency}", unit::decimal(minor, digits)),
        ),
        // A mean, or an amount that an expression made: its currency is not kept.
        (_, Some(currency)) => format!("{value} minor units of {currency}"),
        (_, None) => format!("{value} minor units"),
    }
}

/// The currency of the field that a tag aggregates.
fn currency<'p>(plan: &'p ScenePlan, source: &SlotSource) -> Option<&'p str> {
    let SlotSource::Tag(tag) = source else {
        return None;
    };
    let tag = plan.tags.get(usize::from(*tag))?;
    let event = plan.events.get(usize::from(tag.event))?;
    let field = event.fields.get(usize::from(tag.measure.of?))?;
    field.currency.as_deref()
}
