//! JetStream as the event log.
