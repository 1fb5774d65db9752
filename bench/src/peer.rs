//! Programs of others that a measurement stands beside: Python packages, installed once into an environment of the
//! measurements' own folder. This room must never install anything elsewhere, nor go on without what was asked for.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Fault, folder};

/// Names a Python that has the packages already; nothing is installed then.
const OWN_PYTHON: &str = "LUOPAN_BENCH_PYTHON";

/// A Python that has exactly `packages` (as `pip` writes them, with their versions) and what they need, in an environment called
/// `name`: made when it is not there, which needs `python3` and PyPI.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf, Fault> {
    if let Some(named) = std::env::var_os(OWN_PYTHON) {
        return Ok(named.into());
    }
    let place = folder::root()?.join("peers").join(name);
    let (python, mark) = (place.join("bin/python"), place.join("installed"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let failed = |why: Fault| -> Fault {
        format!(
            "installing {} into {} failed: {why}; {OWN_PYTHON} can name a Python that has them",
            packages.join(" "),
            place.display()
        )
        .into()
    };
    eprintln!("installing {} into {}", packages.join(" "), place.display());
    if let Some(above) = place.parent() {
        std::fs::create_dir_all(above)?;
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&place))
    .map_err(failed)?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(packages))
    .map_err(failed)?;
    std::fs::write(&mark, wanted)?;
    Ok(python)
}

/// What a program wrote to its standard output; anything but success is a fault with what it wrote besides.
pub fn run(command: &mut Command) -> Result<String, Fault> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8(done.stdout)?)
    } else {
        let told = String::from_utf8_lossy(&done.stderr);
        Err(format!("{program} ended with {}: {}", done.status, told.trim()).into())
    }
}

/// The number behind `name` in lines `name number`.
pub fn figure(said: &str, name: &str) -> Result<f64, Fault> {
    let found = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(found, _)| *found == name)
        .ok_or_else(|| format!("the other program did not tell {name:?} but {said:?}"))?;
    Ok(found.1.trim().parse()?)
}

/// The middle one of some figures; of an even number the lower of the two in the middle.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}
