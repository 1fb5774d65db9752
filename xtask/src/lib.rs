//! The repository's chores, apart from the product: running the measurements, keeping the bench table, building the kernel
//! for wasm and running the conformance cases through it. No crate of the product may depend on this one, and this one
//! depends on none of them: it must build when they do not.

pub mod bench;
pub mod results;
pub mod tree;
pub mod wasm;

/// What a chore could not do, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{action} {path}: {source}")]
    File {
        /// What was being done, such as `reading`.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A program could not be started at all.
    #[error("starting {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A program ran and ended in failure.
    #[error("{command} ended with {status}")]
    Failed {
        /// The command as it was run.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A file does not hold what it should.
    #[error("{path}: {found}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong in it.
        found: String,
    },
    /// A check found a difference, or something asked for is absent.
    #[error("{0}")]
    Refused(String),
}

/// A [`Error::File`] for `path`, with what was being tried.
pub fn file_error(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::File {
        action,
        path,
        source,
    }
}

/// Runs `command` to its end with the terminal's own output, and turns a bad end into an error.
pub(crate) fn succeed(mut command: std::process::Command) -> Result<(), Error> {
    let shown = format!("{command:?}");
    let status = command.status().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed {
            command: shown,
            status: status.to_string(),
        }),
    }
}
