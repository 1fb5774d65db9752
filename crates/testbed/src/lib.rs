//! Fault injection and checkers for the laws (development only).
//!
//! A victim process ([`load`], the binary `loop_under_load`) runs the real engine on the embedded backend under load and
//! says on its stdout what it sends and what was acknowledged. A driver ([`rounds`]) kills it at random moments, may take the
//! power away ([`power`]), and starts it again; the victim then checks ([`check`]) that the laws stand. For several nodes there are
//! real servers and proxies ([`servers`]) and a load over HTTP ([`traffic`]), which the same checks are held against. No crate of the
//! product may depend on this one, and nothing here may know more of the engine than its public API and its stores.

pub mod check;
pub mod dice;
pub mod env;
pub mod lines;
pub mod load;
pub mod oracle;
pub mod power;
pub mod rounds;
pub mod scene;
pub mod servers;
pub mod sim;
pub mod traffic;
