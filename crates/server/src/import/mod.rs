//! Files into the loop: bytes ([`source`]), rows ([`rows`]), a scene's mapping ([`mapped`]), the engine ([`load`]). A file is
//! never read whole into memory, and a row that cannot be read goes to quarantine with its number while the rest goes
//! through.

pub mod lines;
pub mod load;
pub mod mapped;
pub mod rows;
pub mod source;
