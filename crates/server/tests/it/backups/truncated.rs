//! A log that was truncated: it is backed up, put back and moved like any other, and truncated while nodes of a cluster run.

use super::load::{Acked, Load, apply};
use super::servers::Servers;
use super::{folder, look, of_config};
use crate::command_line::luopan;
use luopan_engine::api::RetainReport;
use luopan_engine::{Engine, Env, Limits};
use luopan_server::backup;
use luopan_server::data::{Opened, Opening, open};
use std::path::Path;
use std::time::Duration;

/// Lets go of all that was received until now: the least that is kept is a day, unless an engine is told otherwise.
async fn retain(opened: &Opened) -> RetainReport {
    let limits = Limits {
        retained_us_min: 0,
        ..Limits::default()
    };
    let engine = Engine::open(opened.stores.clone(), opened.env.clone(), limits);
    let engine = engine.await.expect("another engine");
    engine.retain(opened.env.now()).await.expect("retained")
}

/// A data folder whose log was truncated between two loads.
async fn filled(data: &Path) -> (Opened, Acked) {
    let opened = open(data, Opening::Create).await.expect("open");
    opened.engine.start().await.expect("start");
    apply(&opened).await;
    let mut acked = Acked::default();
    for round in 0..2 {
        let load = Load::begin(&opened.engine, round, 3, acked);
        tokio::time::sleep(Duration::from_millis(600)).await;
        acked = load.end().await;
        opened.settle().await.expect("settled");
        if round == 0 {
            let done = retain(&opened).await;
            assert!(done.entries > 100 && done.parts > 0, "{done:?}");
        }
    }
    (opened, acked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_truncated_log_is_backed_up_and_put_back() {
    let at = folder();
    let (opened, acked) = filled(&at.path().join("data")).await;
    let from = at.path().join("backup");
    backup::take(&opened.source(), &from)
        .await
        .expect("a backup");
    look(opened, &acked, &acked, 10).await;
    let data = at.path().join("restored");
    backup::into_folder(&from, &data, &[])
        .await
        .expect("restored");
    let found = luopan(&data, &["verify", "--format", "json"]).json();
    assert!(found["truncated"].as_u64() > Some(100), "{found}");
    assert_eq!(found["differences_count"], 0);
    let opened = open(&data, Opening::Existing).await.expect("open");
    look(opened, &acked, &acked, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_truncated_log_is_moved_into_a_cluster_and_truncated_there() {
    let Some(servers) = Servers::start().await else {
        return;
    };
    let at = folder();
    let data = at.path().join("data");
    let (opened, acked) = filled(&data).await;
    opened.close().await;
    let config = servers.config(at.path(), "target");
    let to = config.display().to_string();
    let moved = luopan(&data, &["migrate", "--to", &to, "--format", "json"]).json();
    assert_eq!(moved["verified"]["differences_count"], 0, "{moved}");
    assert!(
        moved["verified"]["truncated"].as_u64() > Some(100),
        "{moved}"
    );

    let (one, two) = (of_config(&config).await, of_config(&config).await);
    one.engine.start().await.expect("start");
    two.engine.start().await.expect("start");
    let load = Load::begin(&one.engine, 5, 3, acked.clone());
    let beside = Load::begin(&two.engine, 6, 3, Acked::default());
    let mut entries = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        // While both fold and decide, by a third that does neither.
        let other = of_config(&config).await;
        entries += retain(&other).await.entries;
        other.close().await;
    }
    let (first, second) = (load.end().await, beside.end().await);
    let sent = Acked::both(&first, &second);
    assert!(entries > 100, "{entries}");
    let from = at.path().join("backup");
    backup::take(&one.source(), &from).await.expect("a backup");
    two.close().await;
    look(one, &first, &sent, 20).await;
    // Opened anew, it counts from where the log begins.
    let again = of_config(&config).await;
    let report = again.verify().await.expect("verify");
    assert_eq!(report.differences, Vec::<String>::new());
    assert!(report.truncated >= entries, "{report:?}");
    again.close().await;

    let back = at.path().join("back");
    backup::into_folder(&from, &back, &[])
        .await
        .expect("restored");
    let opened = open(&back, Opening::Existing).await.expect("open");
    look(opened, &first, &sent, 22).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_command_line_keeps_as_much_as_it_is_told_to() {
    let at = folder();
    let data = at.path().join("data");
    let (opened, _) = filled(&data).await;
    opened.close().await;
    for (keep, word) in [
        ("90", "has no unit"),
        ("1h", "at least 1d"),
        ("soon", "30d"),
    ] {
        let refused = luopan(&data, &["retain", "--keep", keep]);
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains(word), "{}", refused.err);
    }
    let kept = luopan(&data, &["retain", "--keep", "1d", "--format", "json"]).json();
    assert_eq!(kept["entries"], 0, "{kept}");
    assert!(kept["left"].as_u64() > Some(10), "{kept}");
    let out = at.path().join("out").display().to_string();
    let export = ["export", "checks", "--scene", "store", "--output", &out];
    let refused = luopan(&data, &export);
    assert!(
        refused.refused().contains("log retention"),
        "{}",
        refused.err
    );
    let opened = open(&data, Opening::Existing).await.expect("open");
    let busy = luopan(&data, &["retain", "--keep", "1d"]);
    assert!(busy.refused().contains("--keep-log"), "{}", busy.err);
    opened.close().await;
}
