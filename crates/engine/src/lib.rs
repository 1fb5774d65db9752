//! The loop: intake, fold workers, identity, decisions, outcomes, segments.
