//! Data sets that measurements read, from the folder that `LUOPAN_DATASETS` names, or from the one beside the project.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::Fault;

/// The folder of data sets.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("LUOPAN_DATASETS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// A file of that folder.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Where it lies.
    pub path: PathBuf,
}

impl DataFile {
    /// The file at this place in the folder.
    #[must_use]
    pub fn at(place: impl AsRef<Path>) -> Self {
        Self {
            path: folder().join(place),
        }
    }

    /// What is wrong with it, with where it was looked for.
    pub fn fault(&self, e: impl Display) -> Fault {
        let path = self.path.display();
        format!("{path}: {e}; LUOPAN_DATASETS names the folder of data sets").into()
    }

    /// What it holds, unzipped.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn unzipped(&self) -> Result<GzDecoder<File>, Fault> {
        let file = File::open(&self.path).map_err(|e| self.fault(e))?;
        Ok(GzDecoder::new(file))
    }

    /// Its text, unzipped.
    ///
    /// # Errors
    /// A file that is not there, not gzipped or not UTF-8.
    pub fn text(&self) -> Result<String, Fault> {
        let mut text = String::new();
        (self.unzipped()?.read_to_string(&mut text)).map_err(|e| self.fault(e))?;
        Ok(text)
    }
}
