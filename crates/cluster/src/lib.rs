//! The backends for many machines: the event log on NATS JetStream; State, the control plane and the key store on
//! PostgreSQL. Nodes hold nothing beside them. This room knows servers, tables and subjects; it never knows what a tag, a
//! policy or an HTTP request is.

pub mod jetstream;
pub mod postgres;
