//! What the system tells of this process and of the disk under the data folder. Read when somebody asks; where the system does not
//! tell, there is no figure rather than a wrong one.

use std::path::Path;

/// What the system tells of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Resident memory in bytes.
    pub(super) memory: Option<u64>,
    /// Processor time in whole seconds.
    pub(super) cpu_s: Option<u64>,
    /// Seconds since 1970 at its start.
    pub(super) started_s: Option<f64>,
    /// Open files.
    pub(super) files: Option<u64>,
    /// Open files that it may have.
    pub(super) files_max: Option<u64>,
}

/// Ticks a second in which the kernel counts processor time, on every architecture that this is built for.
const TICKS: f64 = 100.0;

/// This process, from `/proc`.
pub(super) fn this() -> Process {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let status = read("self/status");
    let stat = read("self/stat");
    // The name in parentheses may hold anything; fields are counted behind it, from the third on.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let boot = read("stat");
    let boot = (boot.lines())
        .find_map(|l| l.strip_prefix("btime "))
        .and_then(|s| s.trim().parse::<f64>().ok());
    let limits = read("self/limits");
    Process {
        memory: (status.lines())
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok())
            .map(|kib| kib << 10),
        cpu_s: ticks(14)
            .zip(ticks(15))
            .map(|(user, system)| ((user + system) as f64 / TICKS) as u64),
        started_s: boot
            .zip(ticks(22))
            .map(|(boot, at)| boot + at as f64 / TICKS),
        files: std::fs::read_dir("/proc/self/fd")
            .ok()
            .map(|dir| dir.count() as u64),
        files_max: (limits.lines())
            .find_map(|l| l.strip_prefix("Max open files"))
            .and_then(|l| l.split_whitespace().next()?.parse().ok()),
    }
}

/// Free bytes (for an ordinary user) and size of the disk that holds `path`.
pub(super) fn disk(path: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(path).ok()?;
    let block = found.f_frsize;
    Some((
        found.f_bavail.saturating_mul(block),
        found.f_blocks.saturating_mul(block),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let this = this();
        assert!(this.memory.unwrap() > 1 << 20, "{this:?}");
        assert!(this.files.unwrap() >= 3 && this.files_max.unwrap() >= 3);
        let now = crate::env::now().0 as f64 / 1e6;
        let age = now - this.started_s.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "{age}");
        let (free, size) = disk(Path::new("/")).unwrap();
        assert!(free <= size && size > 0);
        assert_eq!(disk(Path::new("/there/is/nothing")), None);
    }
}
