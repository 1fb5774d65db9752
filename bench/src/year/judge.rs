//! The independent checker, one process a part of the customers, fed through a pipe while the year is played. It must stay a
//! program of its own: what it says is read from its report, and nothing of it is computed here.

use crate::Fault;
use crate::process::memory;
use luopan_simulator::fund::TradingDays;
use luopan_simulator::fund::days::date_of;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Slots that declared rules of the pack read beside those that the checker takes for declared by itself: consents, the
/// cooling-off, and what the request says.
const DECLARED: [&str; 7] = [
    "assessed_at",
    "consent_marketing",
    "consent_sms",
    "experience_years",
    "request.*",
    "since_private_ordered",
    "since_private_signed",
];
/// What the checker takes for declared unless told otherwise (`crates/checker/src/config.rs`).
const DECLARED_ANYWAY: [&str; 9] = [
    "item.*",
    "env.*",
    "held.*",
    "age",
    "appetite_expires_at",
    "personalisation",
    "professional",
    "qualified",
    "risk_appetite",
];

/// Looks at one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Looks {
    /// Kept.
    pub kept: u64,
    /// Broken.
    pub violated: u64,
    /// Not to be known.
    pub unknown: u64,
    /// First violations, as the checker words them.
    #[serde(default)]
    pub violations: Vec<serde_json::Value>,
    /// First unknowns.
    #[serde(default)]
    pub unknowns: Vec<serde_json::Value>,
}

/// What the checkers found, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// Lines read.
    pub records: u64,
    /// Customers.
    pub customers: u64,
    /// Products, of one checker.
    pub products: u64,
    /// By number of the rule.
    pub rules: BTreeMap<u8, Looks>,
}

impl Found {
    /// Adds what another checker found of other customers.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.customers += other.customers;
        self.products = self.products.max(other.products);
        for (rule, looks) in other.rules {
            let mine = self.rules.entry(rule).or_default();
            mine.kept += looks.kept;
            mine.violated += looks.violated;
            mine.unknown += looks.unknown;
            mine.violations.extend(looks.violations);
            mine.unknowns.extend(looks.unknowns);
        }
    }

    /// Violations of all rules.
    pub fn violated(&self) -> u64 {
        self.rules.values().map(|l| l.violated).sum()
    }
}

/// Writes the settings of a check: the calendar, and what the pack's declared rules read.
///
/// # Errors
/// A folder that cannot be written.
pub fn settings(folder: &Path, calendar: &TradingDays) -> Result<(), Fault> {
    let date = |day: i64| {
        let (y, m, d) = date_of(day);
        format!("{y:04}-{m:02}-{d:02}")
    };
    let (from, to) = calendar.span();
    let days: Vec<String> = calendar.days().iter().map(|d| date(*d)).collect();
    let calendar = json!({"from": date(from), "to": date(to), "days": days});
    let reads: Vec<&str> = DECLARED_ANYWAY.into_iter().chain(DECLARED).collect();
    let config = json!({"declared_reads": reads});
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("calendar.json"), calendar.to_string())?;
    std::fs::write(folder.join("config.json"), config.to_string())?;
    Ok(())
}

/// A checker that is running. Dropping it kills it.
#[derive(Debug)]
pub struct Judge {
    child: Child,
    input: Option<ChildStdin>,
    /// Most memory seen, bytes.
    peak: u64,
}

impl Judge {
    /// Starts the program with settings of this folder; it reads from a pipe.
    ///
    /// # Errors
    /// A program that does not start.
    pub fn start(program: &Path, settings: &Path) -> Result<Self, Fault> {
        let mut child = Command::new(program)
            .arg("--json")
            .arg(settings)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        Ok(Self {
            input: child.stdin.take(),
            child,
            peak: 0,
        })
    }

    /// What the program finds in a folder of files, with its most memory as far as it was seen.
    ///
    /// # Errors
    /// As [`Judge::verdict`].
    pub fn of_folder(program: &Path, folder: &Path) -> Result<(Found, u64), Fault> {
        let child = Command::new(program)
            .arg("--json")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let judge = Self {
            input: None,
            child,
            peak: 0,
        };
        judge.verdict()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Hands it lines.
    ///
    /// # Errors
    /// A checker that ended, with what it said.
    pub fn tell(&mut self, lines: &[u8]) -> Result<(), Fault> {
        let written = match &mut self.input {
            Some(input) => input.write_all(lines),
            None => Ok(()),
        };
        match written {
            Ok(()) => Ok(()),
            Err(e) => {
                Err(format!("the checker stopped reading ({e}): {}", self.complaint()).into())
            }
        }
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut said) = self.child.stderr.take() {
            let _ = said.read_to_string(&mut text);
        }
        text
    }

    /// Notes how much memory it takes now.
    pub fn weigh(&mut self) {
        // A process that has just ended has no memory to be read.
        self.peak = self.peak.max(memory(self.child.id(), "VmHWM").unwrap_or(0));
    }

    /// Ends its input and reads what it found, with the most memory seen.
    ///
    /// # Errors
    /// A checker that could not read a line, in its words.
    pub fn verdict(mut self) -> Result<(Found, u64), Fault> {
        self.weigh();
        drop(self.input.take());
        let mut text = String::new();
        if let Some(mut said) = self.child.stdout.take() {
            said.read_to_string(&mut text)?;
        }
        let status = self.child.wait()?;
        match status.code() {
            Some(0 | 1) => Ok((serde_json::from_str(&text)?, self.peak)),
            _ => Err(format!("the checker ended with {status}: {}", self.complaint()).into()),
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The looks as a table, with the first examples of what was not kept.
#[must_use]
pub fn table(found: &Found) -> String {
    let mut out = String::from("rule         kept     violated      unknown\n");
    for (rule, l) in &found.rules {
        let _ = writeln!(
            out,
            "{rule:>4} {:>12} {:>12} {:>12}",
            l.kept, l.violated, l.unknown
        );
    }
    for (rule, l) in &found.rules {
        for (word, examples) in [("violated", &l.violations), ("unknown", &l.unknowns)] {
            for example in examples.iter().take(5) {
                let _ = writeln!(out, "rule {rule} {word}: {example}");
            }
        }
    }
    out
}
