//! What is refused when a database is opened, with what words, and that nothing was changed.

use super::{Server, options};
use luopan_cluster::postgres::{Postgres, PostgresOptions};
use luopan_kernel::id::DEFAULT_TENANT;
use luopan_store::suite::identifier;
use luopan_store::{Error, ForeignId};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};

async fn refusal(options: PostgresOptions) -> Error {
    match Postgres::connect(options).await {
        Ok(_) => panic!("it was taken"),
        Err(e) => e,
    }
}

async fn tables(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_newer_database_is_refused_with_both_numbers() {
    let Some(server) = Server::find().await else {
        return;
    };
    drop(super::open(&server).await);
    server
        .run("INSERT INTO luopan_migrations (version, description, success, checksum, execution_time) VALUES (99, '', true, '', 0)".into())
        .await;
    let found = refusal(options(&server)).await;
    assert!(
        matches!(
            found,
            Error::Newer {
                found: 99,
                known: 6,
                ..
            }
        ),
        "{found:?}"
    );
    // A newer program may have changed everything but the number.
    server
        .run("ALTER TABLE luopan_installation DROP COLUMN id; UPDATE luopan_installation SET format = 7".into())
        .await;
    let found = refusal(options(&server)).await;
    assert!(
        matches!(
            found,
            Error::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_newer_key_store_is_refused_with_both_numbers() {
    let Some(server) = Server::find().await else {
        return;
    };
    drop(super::open(&server).await);
    for (text, wanted) in [
        (
            "INSERT INTO luopan_key_migrations (version, description, success, checksum, execution_time) VALUES (99, '', true, '', 0)",
            (99, 2),
        ),
        ("UPDATE luopan_key_installation SET format = 7", (7, 1)),
    ] {
        server.run(text.into()).await;
        let refused = refusal(options(&server)).await;
        let Error::Newer {
            store,
            found,
            known,
        } = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((store, (found, known)), ("key store", wanted));
    }
}

#[tokio::test]
async fn another_partition_count_is_refused() {
    let Some(server) = Server::find().await else {
        return;
    };
    drop(super::open(&server).await);
    server
        .run("UPDATE luopan_installation SET partitions = 64".into())
        .await;
    let found = refusal(options(&server)).await;
    assert!(
        matches!(
            found,
            Error::Mismatch {
                found: 64,
                wanted: 256,
                ..
            }
        ),
        "{found:?}"
    );
}

#[tokio::test]
async fn tables_of_another_text_are_refused() {
    let Some(server) = Server::find().await else {
        return;
    };
    drop(super::open(&server).await);
    server
        .run("UPDATE luopan_migrations SET checksum = 'x' WHERE version = 1".into())
        .await;
    let found = refusal(options(&server)).await;
    assert!(matches!(found, Error::Corrupt { .. }), "{found:?}");
}

#[tokio::test]
async fn the_database_of_another_installation_is_refused_with_both_names() {
    let Some(server) = Server::find().await else {
        return;
    };
    let named = |name: &str| {
        let mut options = options(&server);
        options.installation = Some(name.into());
        options
    };
    let made = Postgres::connect(named("shop-a")).await.unwrap();
    assert_eq!(made.installation(), "shop-a");
    let text = refusal(named("shop-b")).await.to_string();
    for word in ["shop-a", "shop-b", "nothing was changed"] {
        assert!(text.contains(word), "{text}");
    }
    let found = Postgres::connect(options(&server)).await.unwrap();
    assert_eq!(found.installation(), "shop-a");
    let text = refusal(named("")).await.to_string();
    assert!(text.contains("installation"), "{text}");
}

#[tokio::test]
async fn the_key_store_lives_in_a_database_of_its_own_and_is_missed_when_it_is_lost() {
    let Some(server) = Server::own().await else {
        return;
    };
    let url = server.another("the_keys").await;
    let mut apart = options(&server);
    apart.keys_url = Some(url.clone());
    let foreign = [ForeignId {
        tenant: DEFAULT_TENANT,
        text: "138-0000".into(),
    }];
    {
        let node = Postgres::connect(apart.clone()).await.unwrap();
        let made = node
            .keys
            .resolve_or_create(&foreign, &[identifier(1)])
            .await;
        assert!(made.unwrap()[0].created);
    }
    // Nothing of it stands beside State.
    assert_eq!(tables(&url).await, 4);
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let beside: Option<String> = sqlx::query_scalar("SELECT to_regclass('key_row')::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(beside, None);

    // Another installation's key store.
    let (other_main, other_keys) = (
        server.another("main_2").await,
        server.another("keys_2").await,
    );
    let mut other = PostgresOptions::new(&other_main);
    other.keys_url = Some(other_keys.clone());
    drop(Postgres::connect(other).await.unwrap());
    let mut mixed = apart.clone();
    mixed.keys_url = Some(other_keys);
    let text = refusal(mixed).await.to_string();
    assert!(text.contains("belongs to installation"), "{text}");

    // An empty one in its place, twice: the refusal changes nothing.
    let empty = server.another("empty").await;
    for _ in 0..2 {
        let mut lost = apart.clone();
        lost.keys_url = Some(empty.clone());
        let found = refusal(lost).await;
        let Error::Corrupt { store, cause, .. } = found else {
            panic!("{found:?}");
        };
        assert_eq!(store, "key store");
        assert!(cause.contains("missing or was emptied"), "{cause}");
        assert_eq!(tables(&empty).await, 0);
    }
    // State was lost, the keys were not.
    for _ in 0..2 {
        let mut lost = PostgresOptions::new(&empty);
        lost.keys_url = Some(url.clone());
        let found = refusal(lost).await;
        assert!(
            matches!(found, Error::Corrupt { store: "state", .. }),
            "{found:?}"
        );
        assert_eq!(tables(&empty).await, 0);
    }
    let node = Postgres::connect(apart).await.unwrap();
    let known = node.keys.resolve(&foreign).await.unwrap();
    assert_eq!(known, [Some(identifier(1))]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/luopan");
    let mut options = PostgresOptions::new(url);
    options.connect_timeout = Duration::from_millis(300);
    // It takes the connection and says nothing, and then it is gone.
    let before = Instant::now();
    let silent = refusal(options.clone()).await;
    assert!(before.elapsed() < Duration::from_secs(5));
    drop(listener);
    let gone = refusal(options).await;
    for found in [silent, gone] {
        assert!(matches!(found, Error::Unavailable { .. }), "{found:?}");
        let text = found.to_string();
        assert!(
            text.contains(&format!("me@127.0.0.1:{port}/luopan")),
            "{text}"
        );
        assert!(
            text.contains("see that a PostgreSQL server runs there"),
            "{text}"
        );
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_keep_what_is_promised_is_refused() {
    let Some(server) = Server::own().await else {
        return;
    };
    let missing = PostgresOptions::new(server.url().replace("/postgres", "/nowhere"));
    let text = refusal(missing).await.to_string();
    assert!(text.contains("createdb"), "{text}");

    server
        .run("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0".into())
        .await;
    let ascii = PostgresOptions::new(server.url().replace("/postgres", "/ascii"));
    let text = refusal(ascii).await.to_string();
    assert!(
        text.contains("SQL_ASCII") && text.contains("--encoding=UTF8"),
        "{text}"
    );

    server.run("ALTER SYSTEM SET fsync = off".into()).await;
    server.run("SELECT pg_reload_conf()".into()).await;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match Postgres::connect(options(&server)).await {
            Err(found) => {
                let text = found.to_string();
                assert!(text.contains("set fsync = on"), "{text}");
                break;
            }
            Ok(_) => assert!(
                Instant::now() < until,
                "a server with fsync = off was taken"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
