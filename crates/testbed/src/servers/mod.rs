//! Real servers for tests and measurements of several nodes: PostgreSQL, NATS, `luopan serve`, and proxies that cut and slow the
//! connections between them. Started on free ports of this machine in temporary folders, killed when they are dropped. This
//! room must never know what is asked of them.

pub mod nats;
pub mod node;
pub mod postgres;
pub mod proxy;
pub mod whole;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// Longest time for a server to be there, or to be gone.
pub const READY_MAX: Duration = Duration::from_secs(60);

/// A port that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A child process, killed with SIGKILL when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Process(Option<Child>);

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.0.as_ref().map(Child::id)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        (self.0.as_mut()).is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal by name, such as `-STOP`.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(id) = self.id() {
            let sent = Command::new("kill").args([name, &id.to_string()]).status();
            assert!(sent.is_ok_and(|s| s.success()), "kill {name} {id}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a test says that needs a program which is not at hand: nothing is tried, unless everything must be.
pub(crate) fn missing(what: &str) {
    assert!(
        std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
        "{what}"
    );
    eprintln!("SKIPPED: {what}");
}

/// Folders in which programs are looked for.
pub(crate) fn path() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}
