//! What the population says: events in the words of the `fund` scene, with the kernel's values. It must never carry
//! anything hidden (types, tastes, chances): only what a real application would send.

use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;

/// An event of a simulated customer.
#[derive(Debug, Clone, PartialEq)]
pub struct SimEvent {
    /// Whose, `0..customers`.
    pub customer: u32,
    /// Number of the event among the customer's own, ascending from zero.
    pub number: u32,
    /// Declared type, or [`luopan_kernel::event::CUSTOMER_TYPE`] for attributes.
    pub kind: &'static str,
    /// When it happened.
    pub at: Micros,
    /// Properties, strictly ascending by name; money in fen.
    pub properties: Vec<(&'static str, Value<'static>)>,
}

impl SimEvent {
    /// The sender's id of the event, unique in its world.
    pub fn id(&self) -> String {
        format!("{}-{}", customer_name(self.customer), self.number)
    }

    /// The property `name`, or missing.
    pub fn property(&self, name: &str) -> &Value<'static> {
        static MISSING: Value<'static> = Value::Missing;
        self.properties
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(&MISSING, |(_, v)| v)
    }
}

/// The foreign id of customer `number`, as the platform would know it.
pub fn customer_name(number: u32) -> String {
    format!("c{number:07}")
}
