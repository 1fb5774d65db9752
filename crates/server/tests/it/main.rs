//! The server held to its word: the real engine over a temporary folder, asked over HTTP and from the command line.

mod access;
mod backups;
mod bad_input;
mod campaign;
mod command_line;
mod decisions;
mod events;
mod examples;
mod files;
mod health;
mod intention;
mod matching;
mod meanwhile;
mod pages;
mod products;
mod proof;
mod server;
mod simulate;
mod tasks;
mod train;
mod trained;
