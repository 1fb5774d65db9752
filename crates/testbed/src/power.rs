//! The power-loss shim from Rust: builds it with `cc`, starts programs under it, and puts a folder into the state that a
//! power loss would have left. What it models is written at the top of `shim/powerloss.c`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the shim's sources are.
pub const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shim");

/// When a new name is durable: once its file or its folder was synced, as ext4, xfs and btrfs keep it. By POSIX alone
/// (`strict`) only the folder's sync counts, which fjall leaves out for files of separated values; see
/// `docs/decisions/0006-fjall.md`.
const NAMES: &str = "with-file";

/// What of the writes that were not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing.
    DropAll,
    /// The first so many of each file, the last of them perhaps torn.
    KeepPrefix,
    /// Any of them, some with lost sectors.
    KeepRandom,
}

impl Loss {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::DropAll, Self::KeepPrefix, Self::KeepRandom];

    fn word(self) -> &'static str {
        match self {
            Self::DropAll => "drop-all",
            Self::KeepPrefix => "keep-prefix",
            Self::KeepRandom => "keep-random",
        }
    }
}

/// The built shim.
#[derive(Debug, Clone)]
pub struct Power {
    library: PathBuf,
    apply: PathBuf,
    liar: PathBuf,
    journal: PathBuf,
    /// While this file exists, syncs of programs started with [`Power::lie`] do nothing.
    pub switch: PathBuf,
}

fn run(mut command: Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let out = command
        .output()
        .map_err(|e| format!("{shown}: {e}; is it installed?"))?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(format!(
            "{shown} ended with {}: {}{}",
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        ))
    }
}

impl Power {
    /// Builds the shim into a folder on the file system of the data that it is to watch; the undo journal lies there too.
    ///
    /// # Errors
    /// What the compiler said.
    pub fn build(folder: &Path) -> Result<Self, String> {
        let power = Self {
            library: folder.join("powerloss.so"),
            apply: folder.join("powerloss-apply"),
            liar: folder.join("liar.so"),
            journal: folder.join("journal"),
            switch: folder.join("lie"),
        };
        let compile = |source: &str, out: &Path, shared: bool| {
            let mut cc = Command::new("cc");
            cc.args(["-O2", "-o"]).arg(out);
            cc.arg(Path::new(SHIM).join(source));
            if shared {
                cc.args(["-shared", "-fPIC", "-ldl", "-lpthread"]);
            }
            run(cc)
        };
        compile("powerloss.c", &power.library, true)?;
        compile("powerloss-apply.c", &power.apply, false)?;
        compile("liar.c", &power.liar, true)?;
        Ok(power)
    }

    /// Lets a program run under the shim, which watches `root`.
    pub fn watch(&self, command: &mut Command, root: &Path) {
        command
            .env("LUOPAN_POWERLOSS_ROOT", root)
            .env("LUOPAN_POWERLOSS_JOURNAL", &self.journal)
            .env("LUOPAN_POWERLOSS_CREATE", NAMES);
        preload(command, &self.library);
    }

    /// Planted fault: the program's syncs do nothing while [`Power::switch`] exists.
    pub fn lie(&self, command: &mut Command) {
        command.env("LUOPAN_LIAR_SWITCH", &self.switch);
        preload(command, &self.liar);
    }

    /// Takes from the folder what a power loss takes; gives the counts in words.
    ///
    /// # Errors
    /// What the tool said: an error, or that something could not be restored.
    pub fn lose(&self, loss: Loss, seed: u64) -> Result<String, String> {
        let mut apply = Command::new(&self.apply);
        apply.args(["--mode", loss.word(), "--seed", &seed.to_string()]);
        apply.arg(&self.journal);
        run(apply)
    }
}

fn preload(command: &mut Command, library: &Path) {
    let mut all = OsString::from(library);
    let before = command
        .get_envs()
        .find(|(name, _)| *name == "LD_PRELOAD")
        .and_then(|(_, value)| value.map(OsString::from));
    if let Some(before) = before {
        all.push(" ");
        all.push(before);
    }
    command.env("LD_PRELOAD", all);
}
