//! What the folder refuses: a second process, a newer or other program's data, State ahead of the log.

use crate::{Disk, options};
use luopan_embedded::Embedded;
use luopan_kernel::id::PartitionId;
use luopan_store::{Append, Error};

async fn open(disk: &Disk) -> Result<Embedded, Error> {
    Embedded::open(disk.0.path(), options()).await
}

#[tokio::test]
async fn a_second_opener_is_refused_with_the_holder() {
    let disk = Disk::new();
    let first = open(&disk).await.unwrap();
    let Err(Error::InUse(text)) = open(&disk).await else {
        panic!("opened twice");
    };
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    drop(first);
    // SQLite closes behind the drop.
    for _ in 0..100 {
        if open(&disk).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the folder stayed in use");
}

#[tokio::test]
async fn other_formats_are_refused() {
    let disk = Disk::new();
    let format = disk.0.path().join("FORMAT");
    std::fs::write(&format, r#"{"format":7,"all":"else changed"}"#).unwrap();
    assert!(matches!(
        open(&disk).await,
        Err(Error::Newer {
            found: 7,
            known: 1,
            ..
        })
    ));
    std::fs::write(
        &format,
        r#"{"format":1,"partitions":64,"mark":"0","whole":true}"#,
    )
    .unwrap();
    assert!(matches!(
        open(&disk).await,
        Err(Error::Mismatch {
            found: 64,
            wanted: 256,
            ..
        })
    ));
    std::fs::write(&format, "{").unwrap();
    assert!(matches!(open(&disk).await, Err(Error::Corrupt { .. })));
    std::fs::remove_file(&format).unwrap();
    drop(open(&disk).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    std::fs::remove_file(&format).unwrap();
    assert!(matches!(open(&disk).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_newer_control_plane_is_refused() {
    let disk = Disk::new();
    drop(open(&disk).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let path = disk.0.path().join("control.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, '', 1, x'00', 0)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let found = open(&disk).await;
    assert!(
        matches!(found, Err(Error::Newer { found: 99, .. })),
        "{found:?}"
    );
}

/// Message and state of one partition, then the log's part of it taken away.
#[tokio::test]
async fn state_ahead_of_the_log_is_refused() {
    use luopan_kernel::id::Position;
    use luopan_store::{Advance, Commit, Durability};
    let disk = Disk::new();
    {
        let stores = open(&disk).await.unwrap();
        let message = Append {
            partition: PartitionId(5),
            count: 2,
            message: bytes::Bytes::from_static(b"m"),
        };
        stores.log.append(vec![message]).await.unwrap();
        let advance = |to| Commit {
            advance: Some(Advance {
                partition: PartitionId(5),
                from: Position(0),
                to: Position(to),
            }),
            ..Commit::new(Durability::Durable)
        };
        let beyond = stores.state.commit(vec![advance(3)]).await;
        assert!(matches!(beyond, Err(Error::Invalid(_))), "{beyond:?}");
        let out = stores.state.commit(vec![advance(2)]).await.unwrap();
        assert!(out[0].is_ok());
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    {
        let db =
            luopan_embedded::layout::database(&disk.0.path().join("main"), 1 << 20, 1).unwrap();
        let log = luopan_embedded::layout::log(&db).unwrap();
        let key = log.first_key_value().unwrap().key().unwrap();
        log.remove(key).unwrap();
        db.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    let found = open(&disk).await;
    let Err(Error::Corrupt { at, cause, .. }) = found else {
        panic!("{found:?}");
    };
    assert!(
        at.contains('5') && cause.contains("up to 2"),
        "{at}: {cause}"
    );
}

async fn closed(disk: &Disk) {
    // SQLite closes behind the drop.
    for _ in 0..100 {
        if !disk.0.path().join("control.sqlite-wal").exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_store_that_was_lost_is_not_taken_for_an_empty_one() {
    type Lose = fn(&std::path::Path) -> std::io::Result<()>;
    let losses: [(&str, Lose); 6] = [
        ("log and state", |p| std::fs::remove_dir_all(p.join("main"))),
        ("log and state", |p| {
            std::fs::remove_file(p.join("main/0.jnl"))
        }),
        ("key store", |p| std::fs::remove_dir_all(p.join("keys"))),
        ("key store", |p| std::fs::remove_file(p.join("keys/0.jnl"))),
        ("control plane", |p| {
            std::fs::remove_file(p.join("control.sqlite"))
        }),
        ("control plane", |p| {
            std::fs::write(p.join("control.sqlite"), "")
        }),
    ];
    for (store, lose) in losses {
        let disk = Disk::new();
        drop(open(&disk).await.unwrap());
        closed(&disk).await;
        lose(disk.0.path()).unwrap();
        for _ in 0..2 {
            let opened = open(&disk).await;
            let Err(Error::Corrupt {
                store: found,
                cause,
                ..
            }) = opened
            else {
                panic!("{store}: {opened:?}");
            };
            assert_eq!(found, store);
            assert!(cause.contains("missing or was emptied"), "{cause}");
        }
    }
}

#[tokio::test]
async fn a_store_of_another_folder_is_refused() {
    let (one, other) = (Disk::new(), Disk::new());
    for disk in [&one, &other] {
        drop(open(disk).await.unwrap());
        closed(disk).await;
    }
    let keys = one.0.path().join("keys");
    std::fs::remove_dir_all(&keys).unwrap();
    std::fs::rename(other.0.path().join("keys"), &keys).unwrap();
    let Err(e) = open(&one).await else {
        panic!("another folder's key store was taken");
    };
    assert!(e.to_string().contains("another data folder"), "{e}");
}
