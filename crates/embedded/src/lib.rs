//! One-machine backends: fjall for log and state, SQLite for the control plane.
