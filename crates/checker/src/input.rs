//! Reading: files of JSON lines, each in order of time, merged into one stream and looked at once. No file is held in memory.
//! A line that cannot be read ends the check with its file and number; nothing is skipped.

use crate::calendar::Calendar;
use crate::check::Checker;
use crate::config::Config;
use crate::record::Record;
use crate::report::Report;
use serde::de::DeserializeOwned;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";
/// Most files read at once.
pub const FILES_MAX: usize = 4_096;

/// Why a check could not be carried to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line or a settings file is not what it must be.
    #[error("{path}:{line}: {found}")]
    Line {
        /// Path.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What was found.
        found: String,
    },
    /// Nothing to read.
    #[error("{0}: no file that ends in .jsonl")]
    Empty(PathBuf),
    /// Too many files.
    #[error("{0} files; give at most {FILES_MAX}")]
    TooMany(usize),
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

struct Lines {
    path: PathBuf,
    reader: BufReader<Box<dyn Read>>,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self, Error> {
        let opened: Box<dyn Read> = if path == Path::new(STANDARD_INPUT) {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(File::open(&path).map_err(|e| file(&path, e))?)
        };
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, opened),
            path,
            line: 0,
            text: Vec::new(),
        })
    }

    fn fault(&self, found: String) -> Error {
        Error::Line {
            path: self.path.clone(),
            line: self.line,
            found,
        }
    }

    /// The next record; empty lines are passed over.
    fn next(&mut self) -> Result<Option<Record>, Error> {
        loop {
            self.text.clear();
            let mut limited = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.text);
            let read = read.map_err(|e| file(&self.path, e))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read > LINE_BYTES_MAX {
                return Err(self.fault(format!("a line of more than {LINE_BYTES_MAX} bytes")));
            }
            if self.text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return match serde_json::from_slice(&self.text) {
                Ok(record) => Ok(Some(record)),
                Err(e) => Err(self.fault(e.to_string())),
            };
        }
    }
}

/// The head of a file, ordered by time, rank and file.
struct Head {
    key: (jiff::Timestamp, u8, usize),
    record: Record,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

fn settings<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(file(path, e)),
    };
    (serde_json::from_slice(&bytes).map(Some)).map_err(|e| Error::Line {
        path: path.to_owned(),
        line: e.line() as u64,
        found: e.to_string(),
    })
}

/// Checks everything in `paths`: files of JSON lines, `-` for standard input, or folders whose `.jsonl` files are read.
/// `config.json` and `calendar.json` of the first folder that has one are the settings; beside files that are named, a folder
/// may hold these alone.
///
/// # Errors
/// [`Error`], at the first thing that cannot be read.
pub fn check_paths(paths: &[PathBuf]) -> Result<Report, Error> {
    let mut files = Vec::new();
    let (mut config, mut calendar) = (None::<Config>, None::<Calendar>);
    let bad = |path: &Path, found| Error::Line {
        path: path.to_owned(),
        line: 1,
        found,
    };
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in std::fs::read_dir(path).map_err(|e| file(path, e))? {
            let found = entry.map_err(|e| file(path, e))?.path();
            if found.extension().is_some_and(|e| e == "jsonl") {
                files.push(found);
            }
        }
        files[before..].sort();
        let is_named = |p: &PathBuf| !p.is_dir();
        if files.len() == before && !paths.iter().any(is_named) {
            return Err(Error::Empty(path.clone()));
        }
        let (at_config, at_calendar) = (path.join("config.json"), path.join("calendar.json"));
        if config.is_none()
            && let Some(c) = settings::<Config>(&at_config)?
        {
            config = Some(c.checked().map_err(|found| bad(&at_config, found))?);
        }
        if calendar.is_none()
            && let Some(c) = settings::<Calendar>(&at_calendar)?
        {
            calendar = Some(c.checked().map_err(|found| bad(&at_calendar, found))?);
        }
    }
    if files.len() > FILES_MAX {
        return Err(Error::TooMany(files.len()));
    }
    let config = match config {
        Some(config) => config,
        None => (Config::default().checked()).map_err(|found| bad(Path::new("defaults"), found))?,
    };
    let mut checker = Checker::new(config, calendar);
    let mut open = (files.into_iter().map(Lines::open)).collect::<Result<Vec<_>, _>>()?;
    let mut heads = BinaryHeap::new();
    for (i, lines) in open.iter_mut().enumerate() {
        if let Some(record) = lines.next()? {
            let key = (record.at(), record.rank(), i);
            heads.push(Reverse(Head { key, record }));
        }
    }
    while let Some(Reverse(Head { key, record })) = heads.pop() {
        let lines = &mut open[key.2];
        checker.take(record).map_err(|found| lines.fault(found))?;
        if let Some(record) = lines.next()? {
            let key = (record.at(), record.rank(), key.2);
            heads.push(Reverse(Head { key, record }));
        }
    }
    Ok(checker.finish())
}
