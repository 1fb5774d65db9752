//! State, the control plane and the key store on PostgreSQL.
