//! Backups: taken while a load runs, put back elsewhere, refused when they are not whole; and a data folder moved into a cluster.

mod load;
mod measure;
mod servers;
mod truncated;

use crate::command_line::luopan;
use crate::server::Server;
use load::{Acked, Load, apply, apply_with, holds};
use luopan_kernel::id::DEFAULT_TENANT;
use luopan_server::backup::{self, MANIFEST, Source};
use luopan_server::data::{Opened, Opening, open};
use luopan_server::{cluster, data};
use luopan_store::ForeignId;
use serde_json::{Value, json};
use servers::Servers;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn of_config(config: &Path) -> Opened {
    let cluster = cluster::read(config).expect("a configuration").cluster;
    cluster::open(cluster).await.expect("a node")
}

/// Opens what was put back, looks at everything, lets the loop go on, and compares all of it with its log.
async fn look(opened: Opened, acked: &Acked, all: &Acked, round: u32) {
    opened.settle().await.expect("settled");
    holds(&opened, acked, all).await;
    let load = Load::begin(&opened.engine, round, 3, Acked::default());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let more = load.end().await;
    assert!(more.count() > 0);
    // Again, and in their order: what was acknowledged before is not made new by what came since.
    opened.settle().await.expect("settled");
    for (key, value) in [("acknowledged before", acked), ("since", &more)] {
        assert!(value.count() > 0, "{key}");
    }
    let report = opened.verify().await.expect("verify");
    assert_eq!(report.differences, Vec::<String>::new());
    assert!(report.decisions > 0 && report.rows > 0);
    opened.close().await;
}

async fn under_load(opened: &Opened, at: &Path, times: u32) -> (Vec<(PathBuf, Acked)>, Acked) {
    let load = Load::begin(&opened.engine, 0, 8, Acked::default());
    let mut taken = Vec::new();
    for n in 0..times {
        tokio::time::sleep(Duration::from_millis(400)).await;
        // A version of a scene is recorded and announced while the backup is taken.
        let engine = opened.engine.clone();
        let applying = tokio::spawn(async move { apply_with(&engine, 8 + n).await });
        let before = load.acked.lock().clone();
        let to = at.join(format!("backup-{n}"));
        let manifest = backup::take(&opened.source(), &to).await.expect("a backup");
        assert!(manifest.entries() > 0);
        assert!(before.count() > 0);
        applying.await.expect("applied");
        taken.push((to, before));
    }
    (taken, load.end().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_has_all_that_was_acknowledged_before() {
    let at = folder();
    let opened = open(&at.path().join("data"), Opening::Create)
        .await
        .expect("open");
    opened.engine.start().await.expect("start");
    apply(&opened).await;
    let (taken, all) = under_load(&opened, at.path(), 3).await;
    opened.close().await;
    for (n, (from, acked)) in taken.iter().enumerate() {
        let data = at.path().join(format!("restored-{n}"));
        backup::into_folder(from, &data, &[])
            .await
            .expect("restored");
        let opened = open(&data, Opening::Existing).await.expect("open");
        look(opened, acked, &all, 10 + n as u32).await;
    }
}

/// A small backup, and what was acknowledged.
async fn small(at: &Path) -> (PathBuf, Acked) {
    let opened = open(&at.join("data"), Opening::Create).await.expect("open");
    opened.engine.start().await.expect("start");
    apply(&opened).await;
    let load = Load::begin(&opened.engine, 0, 2, Acked::default());
    tokio::time::sleep(Duration::from_millis(150)).await;
    let acked = load.end().await;
    let to = at.join("backup");
    backup::take(&opened.source(), &to).await.expect("a backup");
    opened.close().await;
    (to, acked)
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a backup") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_cut_or_changed_is_refused_and_nothing_is_made() {
    let at = folder();
    let (whole, _) = small(at.path()).await;
    let parts: Vec<PathBuf> = (std::fs::read_dir(&whole).expect("a backup"))
        .map(|e| e.expect("an entry").path())
        .collect();
    assert_eq!(parts.len(), 6, "{parts:?}");
    let data = at.path().join("restored");
    let mut tried = 0;
    for part in &parts {
        let name = part.file_name().expect("a name").to_string_lossy();
        let bytes = std::fs::read(part).expect("a part");
        let mut cases: Vec<(String, Option<Vec<u8>>)> = vec![("is missing".into(), None)];
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            cases.push((format!("is cut at {at}"), Some(bytes[..at].to_vec())));
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            cases.push((format!("has byte {at} flipped"), Some(flipped)));
        }
        cases.push(("is longer".into(), Some([&bytes[..], b"x"].concat())));
        for (what, content) in cases {
            tried += 1;
            let bad = at.path().join(format!("bad-{tried}"));
            copied(&whole, &bad);
            match content {
                Some(content) => std::fs::write(bad.join(&*name), content).expect("written"),
                None => std::fs::remove_file(bad.join(&*name)).expect("removed"),
            }
            let refused = backup::into_folder(&bad, &data, &[]).await;
            let refused = refused.expect_err(&format!("{name} {what}"));
            assert_eq!(refused.code, "bad_backup", "{name} {what}: {refused}");
            assert!(refused.detail.contains(&*name), "{name} {what}: {refused}");
            assert!(!data.exists(), "{name} {what}");
            assert!(!at.path().join("restored.restoring").exists());
            std::fs::remove_dir_all(&bad).expect("removed");
        }
    }
    // Cut short, it says what is missing.
    let bad = at.path().join("cut");
    copied(&whole, &bad);
    for file in [MANIFEST, "keys.part", "erased.part"] {
        std::fs::remove_file(bad.join(file)).expect("removed");
    }
    let refused = backup::into_folder(&bad, &data, &[])
        .await
        .expect_err("cut");
    for word in ["cut short", "keys.part, erased.part", MANIFEST] {
        assert!(refused.detail.contains(word), "{refused}");
    }
    // Of a newer program, and of another number of partitions: said with both numbers, whatever else stands there.
    let newer = json!({"manifest": {"format": 2, "things": []}, "sha256": "?"});
    std::fs::write(bad.join(MANIFEST), newer.to_string()).expect("written");
    let refused = backup::into_folder(&bad, &data, &[])
        .await
        .expect_err("newer");
    assert!(
        refused.detail.contains("format 2") && refused.detail.contains("up to 1"),
        "{refused}"
    );
    let mut sealed: Value =
        serde_json::from_slice(&std::fs::read(whole.join(MANIFEST)).expect("a manifest"))
            .expect("JSON");
    let mut other: backup::Manifest =
        serde_json::from_value(sealed["manifest"].take()).expect("a manifest");
    other.partitions = 64;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(serde_json::to_vec(&other).expect("JSON"));
    let text = json!({"manifest": other, "sha256": hex::encode(digest)}).to_string();
    std::fs::write(bad.join(MANIFEST), text).expect("written");
    let refused = backup::into_folder(&bad, &data, &[])
        .await
        .expect_err("other");
    assert!(
        refused.detail.contains("64 partitions") && refused.detail.contains("256"),
        "{refused}"
    );
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_backs_up_and_restores() {
    let at = folder();
    let (first, acked) = small(at.path()).await;
    let (data, copy) = (at.path().join("data"), at.path().join("copy"));
    let words = |p: &Path| p.display().to_string();

    // Not into a folder that holds something, and not over one.
    let refused = luopan(&data, &["backup", "--to", &words(&first)]);
    assert!(refused.refused().contains("holds"), "{}", refused.err);
    let refused = luopan(&data, &["restore", "--from", &words(&first)]);
    assert!(
        refused.refused().contains("is not empty"),
        "{}",
        refused.err
    );
    let refused = luopan(&at.path().join("none"), &["backup", "--to", &words(&copy)]);
    assert!(
        refused.refused().contains("no data folder"),
        "{}",
        refused.err
    );

    let said = luopan(
        &data,
        &["backup", "--to", &words(&copy), "--format", "json"],
    )
    .json();
    assert_eq!(said["manifest"]["format"], 1);
    let mark = std::fs::read_to_string(data.join("FORMAT")).expect("FORMAT");
    assert!(mark.contains(said["manifest"]["installation"].as_str().expect("an id")));

    // Two customers are erased after the backup: one is told by the key store itself, one by a list.
    let (stores, _) = data::stores(&data, Opening::Existing)
        .await
        .expect("stores");
    let foreign = |text: &str| ForeignId {
        tenant: DEFAULT_TENANT,
        text: text.into(),
    };
    let gone = ["hot-0", "hot-1"].map(foreign);
    let ids = stores.keys.resolve(&gone).await.expect("ids");
    let ids: Vec<_> = ids.into_iter().map(|id| id.expect("known")).collect();
    stores
        .keys
        .erase(DEFAULT_TENANT, &ids[..1])
        .await
        .expect("erased");
    drop(stores);
    let list = at.path().join("list");
    std::fs::write(&list, format!("{}\n\n", ids[1])).expect("written");
    let restored = at.path().join("restored");
    let said = luopan(
        &restored,
        &[
            "restore",
            "--from",
            &words(&copy),
            "--erasures",
            &words(&data),
            "--erasures",
            &words(&list),
            "--format",
            "json",
        ],
    )
    .json();
    assert_eq!(said["erased"], 2);
    luopan(&restored, &["verify"]).ok();
    let (stores, _) = data::stores(&restored, Opening::Existing)
        .await
        .expect("stores");
    assert_eq!(stores.keys.resolve(&gone).await.expect("ids"), [None, None]);
    assert_eq!(
        stores.keys.reveal(DEFAULT_TENANT, &ids).await.expect("ids"),
        [None, None]
    );
    drop(stores);
    // What was reapplied is told again by the next backup.
    let next = at.path().join("next");
    luopan(&restored, &["backup", "--to", &words(&next)]).ok();
    let told = backup::erasures(&next).await.expect("erasures");
    let told: Vec<_> = told.into_iter().map(|(_, id)| id).collect();
    let mut wanted = ids.clone();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    std::fs::write(&list, "138-0000\n").expect("written");
    let refused = luopan(
        &at.path().join("other"),
        &[
            "restore",
            "--from",
            &words(&copy),
            "--erasures",
            &words(&list),
        ],
    );
    assert!(refused.refused().contains("line 1"), "{}", refused.err);
    assert!(!at.path().join("other").exists());

    // What was begun and did not end is not gone on with.
    let other = at.path().join("other");
    std::fs::create_dir(at.path().join("other.restoring")).expect("a folder");
    let refused = luopan(&other, &["restore", "--from", &words(&copy)]);
    assert!(
        refused.refused().contains("other.restoring"),
        "{}",
        refused.err
    );
    std::fs::remove_dir(at.path().join("other.restoring")).expect("removed");
    std::fs::create_dir(&other).expect("a folder");
    luopan(&other, &["restore", "--from", &words(&copy)]).ok();
    let opened = open(&other, Opening::Existing).await.expect("open");
    look(opened, &acked, &acked, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_takes_backups() {
    let server = Server::start().await;
    let take = |name: &str| json!({ "name": name });
    let off = server.post("/v1/backups", &take("a")).await;
    assert!(off.refused(403, "backups_off").contains("--backups DIR"));
    let at = folder();
    let server = server.with_backups(at.path());
    for name in ["", ".", "..", "a/b", "../a", "\u{0}"] {
        let refused = server.post("/v1/backups", &take(name)).await;
        refused.refused(422, "malformed_request");
    }
    assert_eq!(std::fs::read_dir(at.path()).expect("a folder").count(), 0);
    let visit = json!({"id": "v1", "customer": "ann", "type": "visit"});
    server.post("/v1/events", &visit).await.ok();
    let taken = server.post("/v1/backups", &take("first")).await.ok();
    assert_eq!(taken["manifest"]["partitions"], 256);
    let again = server.post("/v1/backups", &take("first")).await;
    again.refused(409, "target_not_empty");
    // The server goes on, and what it took is whole.
    let visit = json!({"id": "v2", "customer": "ann", "type": "visit"});
    server.post("/v1/events", &visit).await.ok();
    let restored = at.path().join("restored");
    let first = at.path().join("first").display().to_string();
    luopan(&restored, &["restore", "--from", &first]).ok();
    luopan(&restored, &["verify"]).ok();
    let said = luopan(
        &restored,
        &["profile", "ann", "--scene", "shop", "--format", "json"],
    )
    .json();
    let tags = said["tags"].to_string();
    assert!(tags.contains("\"visits_30d\":1"), "{tags}");
    let busy = luopan(server.folder.path(), &["backup", "--to", &first]);
    assert!(busy.refused().contains("POST /v1/backups"), "{}", busy.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_is_moved_into_a_cluster_and_goes_on() {
    let Some(servers) = Servers::start().await else {
        return;
    };
    let at = folder();
    let (_, acked) = small(at.path()).await;
    let data = at.path().join("data");
    let words = |p: &Path| p.display().to_string();
    let config = servers.config(at.path(), "target");
    let before = luopan(&data, &["verify", "--format", "json"]).json();
    let moved = luopan(
        &data,
        &["migrate", "--to", &words(&config), "--format", "json"],
    )
    .json();
    for what in ["entries", "rows", "decisions", "samples"] {
        assert_eq!(moved["verified"][what], before[what], "{what}: {moved}");
    }
    assert_eq!(moved["verified"]["differences_count"], 0);

    // The folder is not gone on with, and the cluster not filled twice.
    let refused = luopan(&data, &["verify"]);
    assert!(
        refused.refused().contains("was moved to"),
        "{}",
        refused.err
    );
    std::fs::remove_file(data.join(backup::MOVED)).expect("removed");
    let refused = luopan(&data, &["migrate", "--to", &words(&config)]);
    // Lines of the log of connections come before the sentence.
    let sentence = refused.err.lines().last().unwrap_or_default();
    assert_eq!(refused.code, 1);
    assert!(sentence.contains("the cluster is not empty"), "{sentence}");
    luopan(&data, &["verify"]).ok();

    look(of_config(&config).await, &acked, &acked, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_that_was_killed_leaves_a_cluster_that_is_refused() {
    let Some(servers) = Servers::start().await else {
        return;
    };
    let at = folder();
    let data = at.path().join("data");
    let opened = open(&data, Opening::Create).await.expect("open");
    opened.engine.start().await.expect("start");
    apply(&opened).await;
    let load = Load::begin(&opened.engine, 0, 8, Acked::default());
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.end().await;
    opened.close().await;
    let config = servers.config(at.path(), "target");
    let to = config.display().to_string();
    let mut command = crate::command_line::program(&data, &["migrate", "--to", &to]);
    let mut child = (command.stdout(Stdio::null()).stderr(Stdio::null()))
        .spawn()
        .expect("the program runs");
    while !servers.is_filling("target").await {
        assert!(
            child.try_wait().expect("a look").is_none(),
            "it ended first"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    for words in [&["migrate", "--to", &to][..], &["--config", &to, "serve"]] {
        let refused = luopan(&data, words);
        let sentence = refused.refused();
        for word in ["moving the data folder", "did not end", "dropdb"] {
            assert!(sentence.contains(word), "{sentence}");
        }
    }
    // The folder is as it was, and another target takes it.
    let config = servers.config(at.path(), "another");
    luopan(&data, &["migrate", "--to", &config.display().to_string()]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_is_backed_up_under_load_and_put_back_on_either() {
    let Some(servers) = Servers::start().await else {
        return;
    };
    let at = folder();
    let config = servers.config(at.path(), "first");
    let (one, two) = (of_config(&config).await, of_config(&config).await);
    one.engine.start().await.expect("start");
    apply(&one).await;
    two.engine.start().await.expect("start");
    let load = Load::begin(&one.engine, 0, 4, Acked::default());
    let beside = Load::begin(&two.engine, 1, 4, Acked::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = [load.acked.lock().clone(), beside.acked.lock().clone()];
    // The command beside the nodes: stores of its own.
    let (stores, postgres) = cluster::stores(&cluster::read(&config).expect("read").cluster)
        .await
        .expect("stores");
    let source = Source {
        stores,
        installation: postgres.installation().to_owned(),
    };
    let from = at.path().join("backup");
    let engine = two.engine.clone();
    let applying = tokio::spawn(async move { apply_with(&engine, 8).await });
    backup::take(&source, &from).await.expect("a backup");
    applying.await.expect("applied");
    let all = [load.end().await, beside.end().await];
    one.close().await;
    two.close().await;

    let data = at.path().join("restored");
    backup::into_folder(&from, &data, &[])
        .await
        .expect("restored");
    let opened = open(&data, Opening::Existing).await.expect("open");
    opened.settle().await.expect("settled");
    let sent = Acked::both(&all[0], &all[1]);
    holds(&opened, &before[0], &sent).await;
    look(opened, &before[1], &sent, 30).await;

    let config = servers.config(at.path(), "second");
    let cluster = cluster::read(&config).expect("read").cluster;
    backup::into_cluster(&from, &cluster, &[])
        .await
        .expect("restored");
    let again = backup::into_cluster(&from, &cluster, &[]).await;
    assert_eq!(again.expect_err("twice").code, "target_not_empty");
    let opened = of_config(&config).await;
    opened.settle().await.expect("settled");
    holds(&opened, &before[1], &sent).await;
    look(opened, &before[0], &sent, 31).await;
}
