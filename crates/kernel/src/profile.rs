//! The state of one identifier in one scene: what its tags have seen.
