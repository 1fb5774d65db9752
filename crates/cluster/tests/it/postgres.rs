//! PostgreSQL as State, control plane and key store.
