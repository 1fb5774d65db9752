//! The server held to its word: the real engine over a temporary folder, asked over HTTP and from the command line.

mod access;
mod bad_input;
mod campaign;
mod command_line;
mod decisions;
mod deploy;
mod events;
mod examples;
mod figures;
mod files;
mod health;
mod intention;
mod matching;
mod meanwhile;
mod pages;
mod process;
mod products;
mod proof;
mod ready;
mod server;
mod silence;
mod simulate;
mod tasks;
mod traces;
mod train;
mod trained;
