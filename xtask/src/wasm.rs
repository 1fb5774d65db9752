//! Builds `luopan-edge` for `wasm32-unknown-unknown` and runs the conformance cases through it under Node. Which compiler
//! can do that here is found by `scripts/wasm-toolchain.sh`, which says so in words when none can.

use std::path::PathBuf;
use std::process::Command;

use crate::{Error, succeed, tree};

const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler that can build for wasm.
#[derive(Debug, PartialEq, Eq)]
enum Toolchain {
    /// The target's standard library is installed beside the ordinary compiler.
    Rustup,
    /// Debian's newer compiler, which builds the standard library from its own sources.
    Debian,
}

/// Builds the module and returns where it lies, or `None` where no toolchain can be had and skipping is allowed.
pub fn build() -> Result<Option<PathBuf>, Error> {
    let Some(toolchain) = toolchain()? else {
        return Ok(None);
    };
    // A folder of its own: two compilers in one would rebuild each other's work.
    let folder = tree::workspace()?.target_directory.join("wasm");
    let mut command = match toolchain {
        Toolchain::Rustup => Command::new(tree::cargo()),
        Toolchain::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            command
                .env("RUSTC", "/usr/bin/rustc")
                // The standard library is built from source, which a released compiler allows only when told.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("RUSTDOC");
            command
        }
    };
    command.args([
        "build",
        "--release",
        "--locked",
        "--target",
        TARGET,
        "-p",
        "luopan-edge",
    ]);
    if toolchain == Toolchain::Debian {
        command.args(["-Z", "build-std=std,panic_abort"]);
    }
    command
        .env("CARGO_TARGET_DIR", &folder)
        .current_dir(tree::root());
    succeed(command)?;
    Ok(Some(folder.join(TARGET).join("release/luopan_edge.wasm")))
}

/// Builds the module and runs every case of `conformance/` through it.
pub fn conformance() -> Result<(), Error> {
    let Some(module) = build()? else {
        return Ok(());
    };
    let mut command = Command::new("node");
    command
        .arg(tree::root().join("edge/run-conformance.mjs"))
        .arg(module)
        .arg(tree::root().join("conformance"));
    succeed(command)
}

/// Asks the script. Its standard error is the person's; its last line of output is the answer.
fn toolchain() -> Result<Option<Toolchain>, Error> {
    let script = tree::root().join("scripts/wasm-toolchain.sh");
    let output = Command::new("bash")
        .arg(&script)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|source| Error::Start {
            program: script.display().to_string(),
            source,
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), said.lines().last()) {
        (true, Some("rustup")) => Ok(Some(Toolchain::Rustup)),
        (true, Some("debian")) => Ok(Some(Toolchain::Debian)),
        (true, Some("none")) => Ok(None),
        _ => Err(Error::Failed {
            command: "scripts/wasm-toolchain.sh".to_owned(),
            status: output.status.to_string(),
        }),
    }
}
