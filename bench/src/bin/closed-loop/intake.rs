//! The engine as an application reaches it: products and events handed over, and the wait until all of it is folded and learned. This room
//! must never drop an input, nor go on when one was not taken.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use luopan_bench::Fault;
use luopan_engine::Engine;
use luopan_engine::api::{
    Incoming, IngestReceipt, Outcome, ProductInput, Raw, RefusalKind, WAIT_US_MAX,
};
use luopan_kernel::event::Origin;
use luopan_simulator::{SimEvent, customer_name};

use super::scene::{CATALOGUE, SCENE, attributes, key};
use super::world::Platform;

/// Inputs of one call.
const INPUTS: usize = 2_000;
/// Longest wait for the engine to come to rest, in real time.
const REST_MAX: Duration = Duration::from_secs(60);

/// An engine, and how many events it was told of.
pub(crate) struct Intake {
    pub(crate) engine: Arc<Engine>,
    told: u64,
}

/// A fault that names the first input of a call that was not taken.
fn quarantined(receipt: &IngestReceipt) -> Result<(), Fault> {
    let is_taken = |o: &&Outcome| matches!(o, Outcome::Accepted { .. });
    match receipt.outcomes.iter().find(|o| !is_taken(o)) {
        Some(outcome) => Err(format!("an input went to quarantine: {outcome:?}").into()),
        None => Ok(()),
    }
}

impl Intake {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, told: 0 }
    }

    /// Puts the products into the catalogue.
    pub(crate) async fn list(&self, platform: &Platform) -> Result<(), Fault> {
        let of = |product: usize| ProductInput::Set {
            key: key(product),
            values: (attributes(platform, product).into_iter())
                .map(|(name, value)| (name.to_owned(), Raw::from(value)))
                .collect(),
        };
        let all: Vec<_> = (0..platform.ratings.len()).map(of).collect();
        let receipt = self.engine.change_products(SCENE, CATALOGUE, &all).await?;
        quarantined(&receipt)
    }

    /// Hands events to intake.
    pub(crate) async fn tell(&mut self, events: &[SimEvent]) -> Result<(), Fault> {
        for some in events.chunks(INPUTS) {
            let mut inputs = Vec::with_capacity(some.len());
            for event in some {
                self.told += 1;
                inputs.push(Ok(Incoming {
                    id: Cow::Owned(format!("e{}", self.told)),
                    customer: Cow::Owned(customer_name(event.customer)),
                    kind: Cow::Borrowed(event.kind),
                    occurred_at: Some(event.at),
                    properties: (event.properties.iter())
                        .map(|(n, v)| (Cow::Borrowed(*n), Raw::from(v.clone())))
                        .collect(),
                    context: Vec::new(),
                    corrects: None,
                    raw: Cow::Borrowed(""),
                }));
            }
            let receipt = self.engine.ingest(SCENE, Origin::Live, &inputs).await?;
            quarantined(&receipt)?;
        }
        Ok(())
    }

    /// Waits until everything is folded, due timers have fired, and models have learned. The engine's own waits are in a time that
    /// stands still.
    pub(crate) async fn rest(&self) -> Result<(), Fault> {
        let begun = Instant::now();
        loop {
            match self.engine.settle(WAIT_US_MAX).await {
                Ok(()) if self.engine.timers_idle() => break,
                Err(e) if e.kind != RefusalKind::Timeout => return Err(e.into()),
                _ if begun.elapsed() > REST_MAX => return Err("the engine finds no rest".into()),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        // What the timers made.
        Ok(self.engine.settle(WAIT_US_MAX).await?)
    }
}
