//! `luopan profile ID`: what is known of a customer.

use super::Common;
use super::output::{Said, table};
use crate::answer::Customer;
use crate::data::{Opening, open};
use crate::problem::Result;
use clap::Args;

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
            .map(|(name, value)| vec![name.clone(), shown(value)]),
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

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "unknown".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
