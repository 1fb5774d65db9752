//! PostgreSQL as State, control plane and key store: a server of its own for each test, on a free port in a temporary folder, or the
//! one that LUOPAN_TEST_POSTGRES names, with a database of its own for each test.

mod agree;
mod counts;
mod crash;
mod nodes;
mod opening;
pub(crate) mod server;
mod speed;

use async_trait::async_trait;
use luopan_cluster::postgres::{Postgres, PostgresOptions};
use luopan_store::suite::Subject;
use luopan_store::{Stores, memory};
use server::Server;

/// PostgreSQL beside a log in memory.
struct OnServer(Server);

/// Options with few connections.
fn options(server: &Server) -> PostgresOptions {
    PostgresOptions::new(server.url())
}

async fn open(server: &Server) -> Postgres {
    Postgres::connect(options(server)).await.unwrap()
}

fn stores(postgres: &Postgres) -> Stores {
    Stores {
        log: memory::stores().log,
        state: postgres.state.clone(),
        control: postgres.control.clone(),
        keys: postgres.keys.clone(),
        nodes: postgres.nodes.clone(),
    }
}

#[async_trait]
impl Subject for OnServer {
    async fn open(&self) -> Stores {
        stores(&open(&self.0).await)
    }

    fn survives(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }
}

mod suite {
    //! The conformance suites.

    use super::{OnServer, Server};

    luopan_store::conformance! { @ match Server::find().await { Some(server) => OnServer(server), None => return };
        state: rows_are_ordered_and_bounded, position_conflicts, expected_rows, later_write_wins, a_conflict_leaves_nothing,
            a_conflict_does_not_stop_the_others, commits_see_those_before_them, limits, tables_are_apart,
            partitions_are_scanned_together, rows_and_budgets_are_read_together,
            one_moment, concurrent_expectations_let_one_win;
        budgets: checks_both_ways, debits_spill_over_rows, credits, names_and_zeros, never_over_under_concurrency,
            the_last_unit, refused_changes;
        keys: resolve_and_reveal, duplicates_agree, concurrent_resolves_agree, erased_is_forgotten, limits;
        nodes: beats, limits;
        control: versions, files_and_announcements, artifacts, registry, streams, api_keys, audits, concurrent_versions;
        copy: everything_comes_over, a_moment_is_one_moment;
        reopen: state_lasts, keys_last, control_lasts, replayable_before_durable_lasts;
    }
}
