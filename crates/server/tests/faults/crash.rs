//! The faults, one test each.

use crate::installation::{
    AGAIN_MAX, broken, found_broken, goes_on, laws_stand, load, plan, start,
};
use luopan_embedded::Embedded;
use luopan_testbed::power::SHIM;
use luopan_testbed::servers::node::{Node, command};
use luopan_testbed::traffic::{Shape, Traffic};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn sleep(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// `kill -9` of one of three nodes: the others take over what it folded, and it comes back.
#[test]
fn a_node_that_is_killed_under_load_is_replaced() {
    let Some(mut whole) = start(|_| {}) else {
        return;
    };
    let load = load(&whole, Shape::default());
    for round in 0..2 {
        load.watch();
        let at = Instant::now();
        whole.nodes[1].kill();
        load.ask(vec![whole.nodes[0].url.clone(), whole.nodes[2].url.clone()]);
        let folded = load.folded_everywhere(0, &format!("{round}"));
        assert!(folded.is_some(), "its partitions are not folded on");
        eprintln!(
            "takeover: all partitions fold again {:.1?} after the kill",
            at.elapsed()
        );
        goes_on(&load, "one of three nodes killed");
        whole.nodes[1].restart();
        load.ask(whole.urls());
        goes_on(&load, "the node is back");
    }
    laws_stand(whole, load);
}

/// The test itself can fail: a load that takes for acknowledged what it has only sent is found out.
#[test]
fn a_lie_about_what_was_acknowledged_is_noticed() {
    let Some(mut whole) = start(|plan| plan.nodes = 2) else {
        return;
    };
    let shape = Shape {
        acknowledge_early: true,
        ..Shape::default()
    };
    let load = load(&whole, shape);
    whole.nodes[1].kill();
    sleep(1);
    let missing = "no acknowledged event is missing";
    let broken = broken(whole, load);
    assert!(
        broken.iter().any(|b| b.starts_with(missing)),
        "the lie was not noticed: {broken:?}"
    );
}

/// `kill -9` of PostgreSQL, which is started again after a while.
#[test]
fn postgres_is_killed_under_load() {
    let Some(mut whole) = start(|_| {}) else {
        return;
    };
    let load = load(&whole, Shape::default());
    for _ in 0..2 {
        load.watch();
        whole.postgres.kill();
        sleep(3);
        let at = Instant::now();
        whole.postgres.restart();
        eprintln!("PostgreSQL needed {:.1?} to start again", at.elapsed());
        goes_on(&load, "PostgreSQL killed, 3 s away");
    }
    laws_stand(whole, load);
}

/// One of three NATS servers dies, then two at once, which stops appends until they are back.
#[test]
fn nats_servers_are_killed_under_load() {
    let Some(mut whole) = start(|_| {}) else {
        return;
    };
    let load = load(&whole, Shape::default());
    for victim in [0, 1] {
        load.watch();
        whole.nats[victim].kill();
        goes_on(&load, "one of three NATS servers killed");
        whole.nats[victim].restart();
        whole.nats[victim].ready();
        // Back in step before the next one goes.
        sleep(4);
    }
    load.watch();
    whole.nats[1].kill();
    whole.nats[2].kill();
    sleep(5);
    for victim in [1, 2] {
        whole.nats[victim].restart();
    }
    goes_on(&load, "two of three NATS servers killed, 5 s away");
    laws_stand(whole, load);
}

/// The first node loses its servers in every way that a network has; it may be taken for dead while it lives.
#[test]
fn connections_are_cut_stopped_and_slowed() {
    let Some(whole) = start(|plan| plan.first_proxied = true) else {
        return;
    };
    let load = load(&whole, Shape::default());
    let postgres: Vec<_> = whole.to_postgres.iter().collect();
    let nats: Vec<_> = whole.to_nats.iter().collect();
    for (what, ways) in [("PostgreSQL", &postgres), ("NATS", &nats)] {
        load.watch();
        ways.iter().for_each(|p| p.cut());
        sleep(3);
        ways.iter().for_each(|p| p.mend());
        goes_on(&load, &format!("a node was cut off from {what} for 3 s"));
        for _ in 0..5 {
            ways.iter().for_each(|p| p.drop_all());
            std::thread::sleep(Duration::from_millis(200));
        }
        load.watch();
        // Longer than a node may be silent.
        ways.iter().for_each(|p| p.stop());
        sleep(6);
        ways.iter().for_each(|p| p.mend());
        goes_on(
            &load,
            &format!("what a node said to {what} went nowhere for 6 s"),
        );
        load.watch();
        ways.iter().for_each(|p| p.slow(Duration::from_millis(15)));
        goes_on(
            &load,
            &format!("15 ms more on each piece to and from {what}"),
        );
        ways.iter().for_each(|p| p.mend());
    }
    laws_stand(whole, load);
}

/// The clock of one node steps ahead and back, by less than an event may be ahead.
#[test]
fn the_clock_of_a_node_steps() {
    let Some(mut whole) = start(|_| {}) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (shim, step) = (folder.path().join("clock.so"), folder.path().join("step"));
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(Path::new(SHIM).join("clock.c"))
        .status();
    assert!(built.expect("cc").success());
    std::fs::write(&step, "0").expect("a file");
    let text = |path: &PathBuf| path.to_str().expect("text").to_owned();
    whole.nodes[0].kill();
    whole.nodes[0].set("LD_PRELOAD", &text(&shim));
    whole.nodes[0].set("LUOPAN_CLOCK_FILE", &text(&step));
    whole.nodes[0].restart();
    let load = load(&whole, Shape::default());
    for seconds in ["120", "-120", "30", "0"] {
        load.watch();
        // In one piece, so that no half of it is read.
        let new = folder.path().join("new");
        std::fs::write(&new, seconds).expect("a file");
        std::fs::rename(&new, &step).expect("a rename");
        sleep(2);
        goes_on(&load, &format!("the clock of a node is {seconds} s off"));
    }
    laws_stand(whole, load);
}

/// A small file system of its own, which goes with it; none where this is not root.
struct Small(tempfile::TempDir);

impl Small {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0755"),
                "tmpfs",
            ])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|m| m.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: full disks: a small file system cannot be mounted here (root can)");
        None
    }

    /// Writes until nothing more fits; dropping what it gives makes room again.
    fn fill(&self) -> Ballast {
        let path = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut piece = 1 << 20;
        while piece > 0 {
            if std::io::Write::write_all(&mut file, &vec![7; piece]).is_err() {
                piece /= 2;
            }
        }
        Ballast(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// PostgreSQL's disk is full for a while.
#[test]
fn the_disk_of_postgres_is_full() {
    let Some(small) = Small::new("300m") else {
        return;
    };
    let data = small.0.path().join("in/data");
    std::fs::create_dir(small.0.path().join("in")).expect("a folder");
    let Some(mut whole) = start(|plan| plan.postgres_data = Some(data)) else {
        return;
    };
    let load = load(&whole, Shape::default());
    load.watch();
    let ballast = small.fill();
    sleep(5);
    let (_, meanwhile) = load.longest();
    eprintln!("the disk is full: {meanwhile:.1?} without a decision so far");
    drop(ballast);
    // PostgreSQL gives up when it cannot write its log; whoever runs it starts it again.
    if whole.postgres.ask("SELECT 1").is_err() {
        eprintln!("PostgreSQL had ended, and is started again");
        whole.postgres.kill();
        whole.postgres.restart();
    }
    goes_on(&load, "PostgreSQL's disk was full for 5 s");
    laws_stand(whole, load);
}

/// The disk of a data folder is full for a while.
#[test]
fn the_disk_of_a_data_folder_is_full() {
    let Some(small) = Small::new("400m") else {
        return;
    };
    let (_scene, plan) = plan();
    let data = small.0.path().join("data");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let apply = ["--data", &text(&data), "scene", "apply", &text(&plan.scene)];
    command(&plan.program, &apply).expect("a scene");
    let errors = tempfile::NamedTempFile::new().expect("a file");
    let mut node = Node::embedded(&plan.program, &data, errors.path());
    let key = std::fs::read_to_string(data.join("api-key")).expect("a key");
    let load = Traffic::start(vec![node.url.clone()], key.trim(), Shape::default());
    let load = load.expect("a load");
    load.more(100, AGAIN_MAX).expect("the load flows");
    load.watch();
    let ballast = small.fill();
    sleep(5);
    let (_, meanwhile) = load.longest();
    eprintln!("the disk is full: {meanwhile:.1?} without a decision so far");
    drop(ballast);
    // Stores that could not sync may want to be opened anew, as the answers say.
    if load.more(20, Duration::from_secs(10)).is_err() {
        eprintln!("the program is started again");
        node.kill();
        node.restart();
        load.ask(vec![node.url.clone()]);
    }
    goes_on(&load, "the disk of a data folder was full for 5 s");
    eprintln!("{:?}", load.counts());
    let said = load.stop();
    node.stop();
    let broken = found_broken(&said, async || {
        let opened = Embedded::open(&data, luopan_embedded::Options::default()).await;
        opened.map(|e| e.stores()).map_err(|e| e.to_string())
    });
    assert_eq!(broken, Vec::<String>::new());
}

/// Most memory that a node may have taken, in MiB: bodies, queues and rows on their way are bounded.
const MEMORY_MAX_MIB: u64 = 1_500;

fn memory_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("VmHWM") / 1024
}

/// Far more is asked than can be done: what is refused is refused properly, what is taken is kept, memory stays within bounds.
#[test]
fn ten_times_more_is_asked_than_can_be_done() {
    let Some(whole) = start(|_| {}) else {
        return;
    };
    let mut load = load(&whole, Shape::default());
    let timed = |load: &Traffic, what: &str| {
        let before = load.counts();
        let (_, begun) = (load.times(), Instant::now());
        sleep(8);
        load.more(50, AGAIN_MAX).expect(what);
        let (times, after) = (load.times(), load.counts());
        let seconds = begun.elapsed().as_secs().max(1);
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        eprintln!(
            "{what}: {} requests of events and {} decisions a second, a decision takes {:.1?} at the median, {:.1?} at p99",
            (after.events - before.events) / seconds,
            (after.decisions - before.decisions) / seconds,
            at(50),
            at(99),
        );
        at(99)
    };
    timed(&load, "usual load");
    load.flood(60, 200);
    let p99 = timed(&load, "flooded");
    let counts = load.counts();
    assert_eq!(counts.busy_without_retry_after, 0, "{counts:?}");
    // Everything else that was refused would have been a failure of the nodes; which kind it was is in the words of it.
    let failures = (counts.put_off, counts.refused, counts.unanswered);
    assert_eq!(failures, (0, 0, 0), "{counts:?}");
    assert!(p99 < AGAIN_MAX / 3, "accepted decisions took {p99:?}");
    for node in &whole.nodes {
        let found = memory_mib(node.pid().expect("it runs"));
        eprintln!("a node took {found} MiB at most");
        assert!(found < MEMORY_MAX_MIB, "{found} MiB");
    }
    laws_stand(whole, load);
}
