//! The kernel's laws, as one test binary.

mod customer;
mod decision;
mod log_message;
mod network;
mod trees;
