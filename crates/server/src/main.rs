//! `luopan`: the one binary. What it does is in the library; this file only picks the allocator.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    luopan_server::cli::main()
}
