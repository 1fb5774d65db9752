//! What the simulated world says, handed to the engine as an application and a fund list would hand it over. It must never
//! tell the engine what such senders could not know.

use super::pack::{CATALOGUE, SCENE};
use crate::import::load::patiently;
use crate::problem::Result;
use luopan_engine::Engine;
use luopan_engine::api::{Incoming, ProductInput, Raw};
use luopan_kernel::event::{Origin, RECEIPT_TYPE};
use luopan_kernel::id::DecisionId;
use luopan_kernel::time::Micros;
use luopan_simulator::SimEvent;
use luopan_simulator::fund::{Change, Listing, Values};
use std::borrow::Cow;

/// Events handed to the engine in one call.
const EVENTS_PER_CALL: usize = 2_000;
/// Things said of products in one call.
const LISTINGS_PER_CALL: usize = 5_000;

/// An event as intake takes it.
fn incoming<'e>(event: &'e SimEvent, names: &'e [String]) -> Incoming<'e> {
    Incoming {
        id: Cow::Owned(event.id()),
        customer: Cow::Borrowed(&names[event.customer as usize]),
        kind: Cow::Borrowed(event.kind),
        occurred_at: Some(event.at),
        properties: (event.properties.iter())
            .map(|(n, v)| (Cow::Borrowed(*n), Raw::from(v.clone())))
            .collect(),
        context: Vec::new(),
        corrects: None,
        raw: Cow::Owned(format!("{} {:?}", event.kind, event.properties)),
    }
}

/// The receipt of a contact that was shown.
fn receipt(customer: &str, decision: DecisionId, at: Micros) -> Incoming<'_> {
    let text = |v: String| Raw::Text(Cow::Owned(v));
    Incoming {
        id: Cow::Owned(format!("receipt-{decision}")),
        customer: Cow::Borrowed(customer),
        kind: Cow::Borrowed(RECEIPT_TYPE),
        occurred_at: Some(at),
        properties: vec![
            (Cow::Borrowed("decision_id"), text(decision.to_string())),
            (Cow::Borrowed("status"), text("delivered".to_owned())),
        ],
        context: Vec::new(),
        corrects: None,
        raw: Cow::Owned(format!("receipt of {decision}")),
    }
}

/// Hands over receipts of contacts at `at`, then events. Waits while the engine is full.
pub(super) async fn events(
    engine: &Engine,
    names: &[String],
    receipts: &[(u32, DecisionId)],
    at: Micros,
    events: &[SimEvent],
) -> Result<()> {
    let receipts = (receipts.iter()).map(|(who, id)| receipt(&names[*who as usize], *id, at));
    let mut inputs = receipts
        .chain(events.iter().map(|e| incoming(e, names)))
        .map(Ok)
        .peekable();
    while inputs.peek().is_some() {
        let batch: Vec<_> = inputs.by_ref().take(EVENTS_PER_CALL).collect();
        patiently(|| engine.ingest(SCENE, Origin::Simulated, &batch)).await?;
    }
    Ok(())
}

fn owned(values: &Values) -> Vec<(String, Raw<'static>)> {
    (values.iter())
        .map(|(name, value)| ((*name).to_owned(), Raw::from(value.clone())))
        .collect()
}

fn said(listing: &Listing) -> ProductInput {
    let key = listing.key.clone();
    match &listing.what {
        Change::Set(values) => ProductInput::Set {
            key,
            values: owned(values),
        },
        Change::Changed(values) => ProductInput::Change {
            key,
            values: owned(values),
        },
        Change::Withdrawn(successor) => ProductInput::Withdraw {
            key,
            at: Some(listing.at),
            successor: successor.clone(),
            restored: false,
        },
        Change::Nav { day, nav } => ProductInput::Nav {
            key,
            day: i32::try_from(*day).unwrap_or(i32::MAX),
            nav: Raw::Number(*nav),
            accumulated: Raw::Null,
        },
        Change::Announced { kind, text } => ProductInput::Announce {
            key,
            kind: (*kind).to_owned(),
            title: text.clone(),
            at: Some(listing.at),
        },
    }
}

/// Tells the catalogue of funds. Waits while the engine is full.
pub(super) async fn listings(engine: &Engine, listings: &[Listing]) -> Result<()> {
    for some in listings.chunks(LISTINGS_PER_CALL) {
        let inputs: Vec<ProductInput> = some.iter().map(said).collect();
        patiently(|| engine.change_products(SCENE, CATALOGUE, &inputs)).await?;
    }
    Ok(())
}
