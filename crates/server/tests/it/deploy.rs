//! What stands in `deploy/` can be read by what it is for, and agrees with what the documentation says. Containers are not run here.

use crate::command_line::program;
use crate::pages::root;
use saphyr_parser::{Event, Parser};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A YAML document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Map(Vec<(String, Yaml)>),
    List(Vec<Yaml>),
    Text(String),
}

impl Yaml {
    /// The value under a key.
    pub(crate) fn at(&self, key: &str) -> &Yaml {
        self.find(key)
            .unwrap_or_else(|| panic!("no `{key}` in {self:?}"))
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Yaml> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Yaml] {
        match self {
            Self::List(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }
}

/// Reads YAML with the parser that packs are read with; anchors are followed.
pub(crate) fn yaml(text: &str) -> Yaml {
    let events: Vec<Event<'_>> = Parser::new_from_str(text)
        .map(|event| event.unwrap_or_else(|e| panic!("{e}")).0)
        .filter(|e| {
            !matches!(
                e,
                Event::StreamStart
                    | Event::StreamEnd
                    | Event::DocumentStart(..)
                    | Event::DocumentEnd
                    | Event::Nothing
            )
        })
        .collect();
    let mut anchors = Vec::new();
    node(&mut events.into_iter().peekable(), &mut anchors)
}

fn node<'e>(
    events: &mut std::iter::Peekable<impl Iterator<Item = Event<'e>>>,
    anchors: &mut Vec<(usize, Yaml)>,
) -> Yaml {
    match events.next().expect("a node") {
        Event::Scalar(text, _, anchor, _) => {
            let value = Yaml::Text(text.into_owned());
            anchors.push((anchor, value.clone()));
            value
        }
        Event::Alias(id) => {
            let known = anchors.iter().rev().find(|(a, _)| *a == id);
            known.map(|(_, v)| v.clone()).expect("an anchor")
        }
        Event::SequenceStart(anchor, _) => {
            let mut items = Vec::new();
            while events.next_if_eq(&Event::SequenceEnd).is_none() {
                items.push(node(events, anchors));
            }
            let value = Yaml::List(items);
            anchors.push((anchor, value.clone()));
            value
        }
        Event::MappingStart(anchor, _) => {
            let mut pairs: Vec<(String, Yaml)> = Vec::new();
            while events.next_if_eq(&Event::MappingEnd).is_none() {
                let key = node(events, anchors).text().to_owned();
                let value = node(events, anchors);
                match (key.as_str(), value) {
                    ("<<", Yaml::Map(merged)) => pairs.extend(merged),
                    (_, value) => {
                        pairs.retain(|(k, _)| *k != key);
                        pairs.push((key, value));
                    }
                }
            }
            let value = Yaml::Map(pairs);
            anchors.push((anchor, value.clone()));
            value
        }
        other => panic!("{other:?} is not looked for"),
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The row of docs/cluster.md that tells of a part.
fn told(part: &str) -> String {
    let page = read("docs/cluster.md");
    let row = (page.lines()).find(|l| l.starts_with(&format!("| {part} |")));
    row.unwrap_or_else(|| panic!("docs/cluster.md does not tell of {part}"))
        .to_owned()
}

/// Paths in the container of what is mounted.
fn mounts(service: &Yaml) -> Vec<String> {
    (service.at("volumes").items().iter())
        .map(|v| {
            v.text()
                .split(':')
                .nth(1)
                .expect("a path in the container")
                .to_owned()
        })
        .collect()
}

#[test]
fn the_compose_file_agrees_with_itself_and_with_the_page() {
    let compose = yaml(&read("deploy/compose.yaml"));
    let services = compose.at("services");
    let Yaml::Map(all) = services else {
        panic!("no services")
    };
    let names: BTreeSet<&str> = all.iter().map(|(n, _)| n.as_str()).collect();
    let wanted = [
        "luopan-1", "luopan-2", "luopan-3", "nats-1", "nats-2", "nats-3", "postgres",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
    let (mut ports, mut built) = (BTreeSet::new(), 0);
    for (name, service) in all {
        let part = match name.split('-').next() {
            Some("postgres") => told("PostgreSQL"),
            Some("nats") => told("NATS"),
            _ => told("luopan"),
        };
        let image = service.at("image").text();
        assert!(part.contains(&format!("`{image}`")), "{name}: {image}");
        for path in mounts(service) {
            assert!(
                part.contains(&format!("`{path}`")),
                "{name} mounts {path}: {part}"
            );
        }
        // What is mounted from here is here.
        for volume in service.at("volumes").items() {
            if let Some(file) = volume.text().strip_prefix("./") {
                let file = file.split(':').next().expect("a file");
                assert!(root().join("deploy").join(file).is_file(), "{file}");
            }
        }
        if name.starts_with("luopan") {
            assert_eq!(service.at("hostname").text(), name);
            for port in service.at("ports").items() {
                let (outside, inside) = port.text().rsplit_once(':').expect("two ports");
                assert_eq!(inside, "7700");
                assert!(outside.starts_with("127.0.0.1:"), "{outside}");
                assert!(ports.insert(outside.to_owned()), "{outside} twice");
            }
            built += usize::from(service.find("build").is_some());
            let Yaml::Map(needs) = service.at("depends_on") else {
                panic!("{name} depends on nothing")
            };
            assert_eq!(needs.len(), 4);
            assert!(needs.iter().all(|(n, _)| names.contains(n.as_str())));
        }
        if name.starts_with("nats") {
            assert_eq!(service.at("environment").at("NATS_NAME").text(), name);
            let own = format!("{name}:/var/lib/nats");
            let volumes = service.at("volumes").items();
            assert!(volumes.iter().any(|v| v.text() == own), "{name}");
        }
    }
    assert_eq!((ports.len(), built), (3, 1));
    let secret = services.at("postgres").at("environment");
    let config = read("deploy/luopan.toml");
    let url = format!(
        "postgres://{}:{}@postgres:5432/{}",
        secret.at("POSTGRES_USER").text(),
        secret.at("POSTGRES_PASSWORD").text(),
        secret.at("POSTGRES_DB").text()
    );
    assert!(config.contains(&url), "{url}");
}

#[test]
fn the_configuration_of_a_node_is_read_by_our_own_reader() {
    let path = root().join("deploy/luopan.toml");
    let config = luopan_server::cluster::read(&path).expect("a configuration");
    let cluster = config.cluster;
    assert_eq!(cluster.replicas, 3);
    assert_eq!(cluster.nats.len(), 3);
    let nats = read("deploy/nats.conf");
    for address in &cluster.nats {
        let host = (address.strip_prefix("nats://")).and_then(|a| a.strip_suffix(":4222"));
        let host = host.expect("a server");
        assert!(nats.contains(&format!("nats://{host}:6222")), "{host}");
    }
    // The example of the page is one too.
    let page = read("docs/cluster.md");
    let example: String = (page.lines())
        .skip_while(|l| *l != "    [cluster]")
        .take_while(|l| l.is_empty() || l.starts_with("    "))
        .take_while(|l| !l.trim_start().starts_with("luopan "))
        .map(|l| format!("{}\n", l.trim_start()))
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &example).expect("written");
    let read = luopan_server::cluster::read(file.path()).expect(&example);
    assert!(read.cluster.keys.is_some() && read.traces.is_some());
    // And the page of traces.
    let traces: String = (read_page("docs/traces.md", "    [traces]"))
        + "[cluster]\npostgres = \"x\"\nnats = []\nreplicas = 1\n";
    std::fs::write(file.path(), &traces).expect("written");
    let read = luopan_server::cluster::read(file.path()).expect(&traces);
    let read = read.traces.expect("traces");
    assert!(read.endpoint.is_some() && read.service.is_some() && read.share == Some(0.1));
}

/// The example of a page that begins with this line.
fn read_page(page: &str, begins: &str) -> String {
    (read(page).lines())
        .skip_while(|l| *l != begins)
        .take_while(|l| l.starts_with("    "))
        .map(|l| format!("{}\n", l.trim_start()))
        .collect()
}

#[test]
fn the_configuration_of_nats_is_read_by_nats() {
    let conf = read("deploy/nats.conf");
    for line in [
        "sync_interval: always",
        "max_payload: 8MB",
        "store_dir: /var/lib/nats",
        "0.0.0.0:4222",
        "0.0.0.0:6222",
        "0.0.0.0:8222",
    ] {
        assert!(conf.contains(line), "`{line}`");
    }
    for port in ["4222", "6222", "8222"] {
        assert!(told("NATS").contains(port));
    }
    let Some(server) = std::env::var_os("LUOPAN_NATS_SERVER") else {
        assert!(
            std::env::var_os("LUOPAN_REQUIRE_ALL").is_none(),
            "LUOPAN_NATS_SERVER names no server"
        );
        return;
    };
    let said = Command::new(server)
        .arg("-t")
        .arg("-c")
        .arg(root().join("deploy/nats.conf"))
        .env("NATS_NAME", "nats-1")
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && words.contains("is valid"),
        "{words}"
    );
}

#[test]
fn what_the_image_starts_is_a_command_and_the_sizes_are_those_of_the_page() {
    let docker = read("deploy/Dockerfile");
    for line in [
        "USER 10001:10001",
        "EXPOSE 7700",
        "ENTRYPOINT [\"/usr/bin/luopan\"]",
        "HEALTHCHECK",
        "/healthz",
        "LUOPAN_DATA=/var/lib/luopan",
        "FROM debian:bookworm-slim",
    ] {
        assert!(docker.contains(line), "`{line}`");
    }
    // The compiler is one that the workspace says it needs.
    let needs = read("Cargo.toml");
    let needs = (needs.lines()).find_map(|l| l.strip_prefix("rust-version = \""));
    let needs = needs.expect("a version").trim_end_matches('"');
    assert!(docker.contains(&format!("FROM rust:{needs}-slim-bookworm AS build")));
    let sizes = read("docs/sizing.md");
    let postgres = read("deploy/postgresql.conf");
    let set = |name: &str| {
        let line = (postgres.lines()).find_map(|l| l.strip_prefix(&format!("{name} = ")));
        line.unwrap_or_else(|| panic!("{name} is not set"))
            .to_owned()
    };
    let (connections, locks) = (set("max_connections"), set("max_locks_per_transaction"));
    assert!(sizes.contains(&format!("{connections} for three nodes")));
    assert!(sizes.contains(&format!("{locks} x {connections}")));
    let all: u64 =
        locks.parse::<u64>().expect("a number") * connections.parse::<u64>().expect("one");
    let node = 2
        * (u64::from(luopan_cluster::postgres::limits::PARTITION_LOCKS)
            + u64::from(luopan_cluster::postgres::limits::BUDGET_LOCKS));
    assert!(
        all > 11 * node && sizes.contains("320 a transaction"),
        "{all} {node}"
    );
    let options = luopan_cluster::postgres::PostgresOptions::new(String::new());
    let each = options.read_connections
        + options.commit_connections
        + options.key_connections
        + luopan_cluster::postgres::CONTROL_CONNECTIONS
        + 1;
    assert!(sizes.contains(&format!("| {each}: ")), "{each} connections");
    for name in ["fsync", "synchronous_commit"] {
        assert_eq!(set(name), "on");
    }
}

#[test]
fn units_start_commands_that_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["luopan.service", "luopan@.service"] {
        let unit = read(&format!("deploy/systemd/{name}"));
        let start = (unit.lines()).find_map(|l| l.strip_prefix("ExecStart=/usr/bin/luopan "));
        let words: Vec<&str> = start.expect("what is started").split(' ').collect();
        // The words are read as they stand, and answered with help instead.
        let said = program(folder.path(), &[&words[..], &["--help"]].concat())
            .output()
            .expect("it runs");
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{name}: {err}");
        verified(folder.path(), name, &unit);
    }
}

/// Has systemd read a unit, where there is one.
fn verified(folder: &Path, name: &str, unit: &str) {
    let name = name.replace("@.", "@n1.");
    let path = folder.join(&name);
    std::fs::write(&path, unit.replace("/usr/bin/luopan", "/bin/true")).expect("written");
    let ran = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output();
    match ran {
        Ok(said) => {
            let words = String::from_utf8_lossy(&said.stderr);
            // Its user is made when it is installed.
            assert!(
                said.status.success() && words.trim().is_empty(),
                "{name}: {words}"
            );
        }
        Err(_) => eprintln!("SKIPPED: systemd-analyze is not here"),
    }
}
