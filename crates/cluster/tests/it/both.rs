//! PostgreSQL and JetStream together: a moment of both while others write, and what stands half-filled is refused.

use crate::postgres::server::Server;
use crate::servers::nats::Any;
use async_trait::async_trait;
use luopan_cluster::jetstream::{Installation, JetStreamLog, Options};
use luopan_cluster::postgres::{Postgres, PostgresOptions};
use luopan_store::suite::Subject;
use luopan_store::{Error, Stores};
use std::sync::Arc;

struct Both {
    postgres: Server,
    nats: Any,
}

impl Both {
    async fn find() -> Option<Self> {
        Some(Self {
            postgres: Server::own().await?,
            nats: Any::find()?,
        })
    }
}

#[async_trait]
impl Subject for Both {
    async fn open(&self) -> Stores {
        let postgres = Postgres::connect(PostgresOptions::new(self.postgres.url()))
            .await
            .unwrap();
        let log = JetStreamLog::open(Options {
            servers: vec![self.nats.url()],
            stream: format!("both_{}", postgres.installation()),
            installation: Some(Installation {
                id: postgres.installation().to_owned(),
                partitions: 256,
            }),
            ..Options::default()
        });
        Stores {
            log: Arc::new(log.await.unwrap()),
            state: postgres.state.clone(),
            control: postgres.control.clone(),
            keys: postgres.keys.clone(),
            nodes: postgres.nodes.clone(),
        }
    }

    fn survives(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }
}

luopan_store::conformance! { @ match Both::find().await { Some(both) => both, None => return };
    copy: everything_comes_over, a_moment_is_one_moment;
}

#[tokio::test]
async fn what_stands_half_filled_is_refused() {
    let Some(server) = Server::find().await else {
        return;
    };
    let options = || PostgresOptions::new(server.url());
    let filled = Postgres::connect(options()).await.unwrap();
    filled
        .filling(Some("moving the data folder shop here"))
        .await
        .unwrap();
    for _ in 0..2 {
        let refused = Postgres::connect(options()).await.unwrap_err();
        assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
        let text = refused.to_string();
        for word in ["moving the data folder shop here was begun", "dropdb"] {
            assert!(text.contains(word), "{text}");
        }
    }
    filled.filling(None).await.unwrap();
    Postgres::connect(options()).await.unwrap();
}
