//! The one binary `luopan`.
