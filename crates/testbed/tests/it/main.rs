//! The engine on the embedded backend, killed and robbed of its power at random moments.

mod crash;
mod sim;
