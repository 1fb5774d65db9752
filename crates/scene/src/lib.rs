//! Scene packs: YAML and CEL to compiled, type-checked plans.
