//! What a [`Control`](crate::Control) must do.

use super::Subject;
use crate::control::{ApiKey, AuditRecord, NewRegistryEntry, NewScene, RegistryEntry};
use crate::error::Error;
use bytes::Bytes;
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::id::{PartitionId, SceneNo};
use luopan_kernel::time::Micros;

/// A scene for tests: hash, plan and files follow from `content`.
pub fn scene(name: &str, content: u8) -> NewScene {
    NewScene {
        name: name.into(),
        hash: [content; 32],
        plan: Bytes::from(vec![content, 0, 255]),
        files: vec![
            ("tags/b.yaml".into(), Bytes::from(vec![content])),
            ("scene.yaml".into(), Bytes::new()),
        ],
        at: Micros(-5 + i64::from(content)),
        by: "cli".into(),
    }
}

/// Versions ascend for each scene; the same hash as the newest gives that one, an older hash a new version.
pub async fn versions(s: &dyn Subject) {
    let control = s.open().await.control;
    assert!(control.scenes().await.unwrap().is_empty());
    let mut found = Vec::new();
    for (name, content) in [
        ("fund", 1),
        ("loan", 1),
        ("fund", 1),
        ("fund", 2),
        ("fund", 1),
        ("loan", 1),
    ] {
        let a = control.record_scene(scene(name, content)).await.unwrap();
        assert_eq!((a.name.as_str(), a.hash), (name, [content; 32]));
        found.push((a.scene.0, a.version));
    }
    assert_eq!(found, [(1, 1), (2, 1), (1, 1), (1, 2), (1, 3), (2, 1)]);
    let all = control.scenes().await.unwrap();
    let order: Vec<_> = all.iter().map(|a| (a.scene.0, a.version)).collect();
    assert_eq!(order, [(1, 1), (1, 2), (1, 3), (2, 1)]);
    let second = &all[1];
    let given = scene("fund", 2);
    assert_eq!(second.plan, given.plan);
    assert_eq!((second.at, &second.by), (given.at, &given.by));
    control.mark_announced(SceneNo(1), 2).await.unwrap();
    control.mark_announced(SceneNo(2), 1).await.unwrap();
    let newest = control.newest_scenes().await.unwrap();
    assert_eq!(newest, [(SceneNo(1), 3, false), (SceneNo(2), 1, true)]);
}

/// Artifacts come back by their hash, once kept for ever as they were first.
pub async fn artifacts(s: &dyn Subject) {
    let control = s.open().await.control;
    assert_eq!(control.artifact([1; 32]).await.unwrap(), None);
    let large = Bytes::from(vec![7; 5 << 20]);
    let both = vec![
        ([1; 32], Bytes::from_static(b"a")),
        ([2; 32], large.clone()),
    ];
    control.put_artifacts(both).await.unwrap();
    control
        .put_artifacts(vec![([1; 32], Bytes::from_static(b"other"))])
        .await
        .unwrap();
    control.put_artifacts(Vec::new()).await.unwrap();
    let first = control.artifact([1; 32]).await.unwrap();
    assert_eq!(first, Some(Bytes::from_static(b"a")));
    assert_eq!(control.artifact([2; 32]).await.unwrap(), Some(large));
    assert_eq!(control.artifacts().await.unwrap(), [[1; 32], [2; 32]]);
}

/// A line of the registry for tests.
pub fn registered(model: &str, version: Option<u32>, n: u8) -> NewRegistryEntry {
    NewRegistryEntry {
        model: model.into(),
        version,
        act: if version.is_none() {
            "registered"
        } else {
            "promoted"
        }
        .into(),
        artifact: version.is_none().then_some([n; 32]),
        detail: format!("{{\"n\":{n}}}"),
        at: Micros(i64::from(n) - 2),
        by: "cli".into(),
    }
}

/// Lines of the registry stand in their order; versions ascend for each model, and one that is not there is refused.
pub async fn registry(s: &dyn Subject) {
    let control = s.open().await.control;
    assert!(control.registry().await.unwrap().is_empty());
    let mut wanted: Vec<RegistryEntry> = Vec::new();
    for (n, (model, version, made)) in [
        ("churn", None, 1),
        ("Churn", None, 1),
        ("churn", None, 2),
        ("churn", Some(1), 1),
        ("churn", Some(2), 2),
        ("churn", Some(1), 1),
        ("churn", None, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let given = registered(model, version, n as u8);
        let found = control.register(given.clone()).await.unwrap();
        assert_eq!(found, given.numbered(n as u64 + 1, made));
        wanted.push(found);
    }
    for (model, version) in [("churn", 4), ("churn", 0), ("nobody", 1)] {
        let refused = control.register(registered(model, Some(version), 9)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(control.registry().await.unwrap(), wanted);
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let control = control.clone();
            tokio::spawn(
                async move { control.register(registered("many", None, i)).await.unwrap() },
            )
        })
        .collect();
    let mut made = Vec::new();
    for t in tasks {
        made.push(t.await.unwrap());
    }
    made.sort_by_key(|e| e.number);
    let order: Vec<_> = made.iter().map(|e| (e.number, e.version)).collect();
    let wanted: Vec<_> = (1..=12).map(|v| (u64::from(v) + 7, v)).collect();
    assert_eq!(order, wanted);
}

/// Files come back as given; a version is announced once marked, and that survives recording it again.
pub async fn files_and_announcements(s: &dyn Subject) {
    let control = s.open().await.control;
    let a = control.record_scene(scene("fund", 1)).await.unwrap();
    control.record_scene(scene("fund", 2)).await.unwrap();
    assert!(!a.announced);
    let files = control.scene_files(a.scene, a.version).await.unwrap();
    assert_eq!(files, scene("fund", 1).files);
    control.mark_announced(a.scene, 2).await.unwrap();
    control.mark_announced(a.scene, 2).await.unwrap();
    let all = control.scenes().await.unwrap();
    let announced: Vec<_> = all.iter().map(|a| a.announced).collect();
    assert_eq!(announced, [false, true]);
    let again = control.record_scene(scene("fund", 2)).await.unwrap();
    assert!(again.announced);
    // The same plan with other files (a mapping was added): the version has the files given last, and others keep theirs.
    let mut more = scene("fund", 2);
    more.files
        .push(("mappings/c.yaml".into(), Bytes::from_static(b"c")));
    let again = control.record_scene(more.clone()).await.unwrap();
    assert_eq!((again.version, again.announced), (2, true));
    let files = control.scene_files(a.scene, 2).await.unwrap();
    assert_eq!(files, more.files);
    let files = control.scene_files(a.scene, 1).await.unwrap();
    assert_eq!(files, scene("fund", 1).files);
    let none = control.mark_announced(a.scene, 3).await;
    assert!(matches!(none, Err(Error::Invalid(_))));
    let none = control.scene_files(SceneNo(9), 1).await;
    assert!(matches!(none, Err(Error::Invalid(_))));
}

/// Streams are numbered above the environment partition without a gap, and keep their number.
pub async fn streams(s: &dyn Subject) {
    let control = s.open().await.control;
    assert!(control.streams().await.unwrap().is_empty());
    let mut found = Vec::new();
    for name in ["b", "a", "b", "c", "a"] {
        found.push(control.stream(name).await.unwrap().0 - ENVIRONMENT_PARTITION);
    }
    assert_eq!(found, [1, 2, 1, 3, 2]);
    let tasks: Vec<_> = (0..20)
        .map(|i| {
            let control = control.clone();
            tokio::spawn(async move { control.stream(&format!("n{}", i % 4)).await.unwrap() })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    let all = control.streams().await.unwrap();
    let first = ENVIRONMENT_PARTITION + 1;
    let numbers: Vec<_> = all.iter().map(|s| s.1).collect();
    let wanted: Vec<_> = (first..first + 7).map(PartitionId).collect();
    assert_eq!(numbers, wanted);
    assert_eq!((all[0].0.as_str(), all[2].0.as_str()), ("b", "c"));
}

/// Keys come by name; the same name replaces, and a removed one is gone.
pub async fn api_keys(s: &dyn Subject) {
    let control = s.open().await.control;
    let key = |name: &str, n: u8| ApiKey {
        name: name.into(),
        hash: [n; 32],
        at: Micros(i64::from(n)),
    };
    for k in [key("b", 1), key("a", 2), key("b", 3)] {
        control.put_api_key(k).await.unwrap();
    }
    let found = control.api_keys().await.unwrap();
    assert_eq!(found, [key("a", 2), key("b", 3)]);
    assert!(control.remove_api_key("b").await.unwrap());
    assert!(!control.remove_api_key("b").await.unwrap());
    assert_eq!(control.api_keys().await.unwrap(), [key("a", 2)]);
}

/// The newest audit records come first, in order of arrival and not of their time.
pub async fn audits(s: &dyn Subject) {
    let control = s.open().await.control;
    let record = |n: i64| AuditRecord {
        at: Micros(-n),
        by: "cli".into(),
        action: "scene.apply".into(),
        detail: format!("{{\"n\":{n}}}"),
    };
    for n in 0..5 {
        control.audit(record(n)).await.unwrap();
    }
    let newest = control.audits(2).await.unwrap();
    assert_eq!(newest, [record(4), record(3)]);
    assert_eq!(control.audits(100).await.unwrap().len(), 5);
    assert!(control.audits(0).await.unwrap().is_empty());
}

/// Concurrent records of different plans get different versions, without a gap.
pub async fn concurrent_versions(s: &dyn Subject) {
    let control = s.open().await.control;
    let tasks: Vec<_> = (0..20)
        .map(|i| {
            let control = control.clone();
            tokio::spawn(async move { control.record_scene(scene("fund", i)).await.unwrap() })
        })
        .collect();
    let mut found = Vec::new();
    for t in tasks {
        found.push(t.await.unwrap().version);
    }
    found.sort_unstable();
    assert_eq!(found, (1..=20).collect::<Vec<u32>>());
}
