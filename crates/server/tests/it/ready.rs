//! `/readyz` tells the truth: each way of not being ready, made on purpose, is told under its code, and those that pass are over
//! when their cause is.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures::future::BoxFuture;
use luopan_engine::{Engine, Env, Limits};
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::time::Micros;
use luopan_server::env::RealEnv;
use luopan_server::http::starting::Later;
use luopan_server::http::{App, router};
use luopan_store::{
    Append, Appended, Commit, Committed, Conflict, Error, EventLog, LogMessage, Node, Nodes,
    Result, Row, RowKey, State, Stores, Table, Wake, memory,
};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// What is wrong with the stores and the clock at present.
#[derive(Default)]
struct Faults {
    state_fails: AtomicBool,
    state_hangs: AtomicBool,
    commits_fail: AtomicBool,
    reads_panic: AtomicBool,
    log_unwritable: AtomicBool,
    beats_fail: AtomicBool,
    ahead_us: AtomicI64,
}

fn is(fault: &AtomicBool) -> bool {
    fault.load(Ordering::SeqCst)
}

fn set(fault: &AtomicBool, on: bool) {
    fault.store(on, Ordering::SeqCst);
}

fn gone(store: &'static str) -> Error {
    Error::Unavailable {
        store,
        tried: "answer".into(),
        cause: "a fault on purpose".into(),
    }
}

struct FaultyState(Arc<dyn State>, Arc<Faults>);

#[async_trait::async_trait]
impl State for FaultyState {
    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn luopan_store::Moment>> {
        self.0.moment(log).await
    }
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        assert!(
            !(is(&self.1.reads_panic) && keys.iter().any(|k| k.table == Table::Profile)),
            "a fault on purpose"
        );
        self.0.get(keys).await
    }
    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        self.0.scan(table, partition, from, to, limit).await
    }
    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        if is(&self.1.state_hangs) {
            std::future::pending::<()>().await;
        }
        if is(&self.1.state_fails) {
            return Err(gone("state"));
        }
        self.0.positions(partitions).await
    }
    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        self.0.spent(budgets).await
    }
    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        if is(&self.1.state_hangs) {
            std::future::pending::<()>().await;
        }
        self.0.budgets().await
    }
    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        if is(&self.1.commits_fail) {
            return Err(gone("state"));
        }
        self.0.commit(commits).await
    }
}

struct FaultyLog(Arc<dyn EventLog>, Arc<Faults>);

#[async_trait::async_trait]
impl EventLog for FaultyLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        self.0.append(batch).await
    }
    async fn read(&self, p: PartitionId, from: Position, most: usize) -> Result<Vec<LogMessage>> {
        self.0.read(p, from, most).await
    }
    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.0.heads(partitions).await
    }
    async fn writable(&self) -> Result<()> {
        match is(&self.1.log_unwritable) {
            true => Err(gone("log")),
            false => Ok(()),
        }
    }
    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        self.0.partitions().await
    }
    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        self.0.begins(partitions).await
    }
    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        self.0.truncate(to).await
    }
    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        self.0.start(at).await
    }
    async fn wait(&self, ticket: u64) -> Result<Wake> {
        self.0.wait(ticket).await
    }
}

struct FaultyNodes(Arc<dyn Nodes>, Arc<Faults>);

#[async_trait::async_trait]
impl Nodes for FaultyNodes {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<luopan_store::Beat> {
        match is(&self.1.beats_fail) {
            true => Err(gone("nodes")),
            false => self.0.beat(node, for_us).await,
        }
    }
    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        self.0.leave(id).await
    }
}

/// The real environment with a clock that may run ahead.
struct AheadEnv(RealEnv, Arc<Faults>);

impl Env for AheadEnv {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1.ahead_us.load(Ordering::SeqCst))
    }
    fn fresh_id(&self) -> [u8; 16] {
        self.0.fresh_id()
    }
    fn seed(&self) -> u64 {
        self.0.seed()
    }
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        self.0.sleep(us)
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.spawn(name, task);
    }
    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32> {
        self.0.utc_offset_s(zone, at)
    }
}

/// A service over stores with faults.
struct Service {
    router: Router,
    engine: Arc<Engine>,
    log: Arc<dyn EventLog>,
    faults: Arc<Faults>,
}

async fn ask(router: &Router, path: &str) -> (u16, String) {
    let request = Request::builder().uri(path).body(Body::empty());
    let answer = (router.clone().oneshot(request.expect("a request"))).await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    let text = String::from_utf8(bytes.expect("a body").to_vec()).expect("text");
    (status, text)
}

/// Codes of the conditions that `/readyz` tells; none when it is ready.
async fn told(router: &Router) -> Vec<String> {
    let (status, text) = ask(router, "/readyz").await;
    let said: Value = serde_json::from_str(&text).expect("JSON");
    if status == 200 {
        assert_eq!(said["status"], "ready");
        return Vec::new();
    }
    assert_eq!((status, &said["code"]), (503, &Value::from("not_ready")));
    let conditions = said["conditions"].as_array().expect("conditions");
    assert!(!conditions.is_empty());
    assert_eq!(
        conditions.len(),
        said["reasons"].as_array().expect("reasons").len()
    );
    (conditions.iter())
        .map(|c| {
            let code = c["code"].as_str().expect("a code");
            assert!(luopan_server::codes::find(code).is_some(), "{code}");
            assert!(!c["detail"].as_str().expect("a detail").is_empty());
            code.to_owned()
        })
        .collect()
}

impl Service {
    async fn open() -> Self {
        let faults = Arc::new(Faults::default());
        let stores = memory::stores();
        let stores = Stores {
            log: Arc::new(FaultyLog(stores.log, faults.clone())),
            state: Arc::new(FaultyState(stores.state, faults.clone())),
            nodes: Arc::new(FaultyNodes(stores.nodes, faults.clone())),
            ..stores
        };
        let env = Arc::new(AheadEnv(RealEnv::default(), faults.clone()));
        let engine = Engine::open(stores.clone(), env, Limits::default()).await;
        let engine = engine.expect("an engine");
        let log = stores.log.clone();
        let app = App::new(engine.clone(), stores, false)
            .await
            .expect("an app");
        Self {
            router: router(app),
            engine,
            log,
            faults,
        }
    }

    async fn start() -> Self {
        let service = Self::open().await;
        service.engine.start().await.expect("started");
        service.comes(&[]).await;
        service
    }

    /// Waits until exactly these conditions are told.
    async fn comes(&self, wanted: &[&str]) {
        let begun = Instant::now();
        loop {
            let found = told(&self.router).await;
            if found == wanted {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{found:?}, not {wanted:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Appends a message that nothing can fold, of so many entries.
    async fn append(&self, count: u32, message: &'static [u8]) {
        let append = Append {
            partition: PartitionId(3),
            count,
            message: Bytes::from_static(message),
        };
        self.log.append(vec![append]).await.expect("appended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_is_not_ready_and_the_process_is_up() {
    let later = Later::default();
    let router = later.router();
    assert_eq!(told(&router).await, ["starting"]);
    assert_eq!(ask(&router, "/v1/scenes").await.0, 503);
    let (status, text) = ask(&router, "/healthz").await;
    assert!(status == 200 && text.contains("\"up\""), "{text}");
    let service = Service::open().await;
    later.set(service.router.clone());
    // The service is there, the engine's tasks are not.
    assert_eq!(told(&router).await, ["starting"]);
    service.engine.start().await.expect("started");
    service.comes(&[]).await;
    assert_eq!(ask(&router, "/v1/scenes").await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_or_hangs_is_told_and_figures_go_on() {
    let service = Service::start().await;
    set(&service.faults.state_fails, true);
    service.comes(&["store_unavailable"]).await;
    set(&service.faults.state_fails, false);
    service.comes(&[]).await;
    set(&service.faults.state_hangs, true);
    let begun = Instant::now();
    assert_eq!(told(&service.router).await, ["store_unavailable"]);
    let (status, page) = ask(&service.router, "/metrics").await;
    assert!(status == 200 && page.contains("luopan_nodes 1"), "{page}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    set(&service.faults.state_hangs, false);
    service.comes(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_no_writes_is_told() {
    let service = Service::start().await;
    set(&service.faults.log_unwritable, true);
    assert_eq!(told(&service.router).await, ["store_unwritable"]);
    set(&service.faults.log_unwritable, false);
    service.comes(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_partition_and_a_lag_over_the_limit_are_told() {
    let service = Service::start().await;
    service.append(1, b"\xff no message").await;
    service.comes(&["partition_halted"]).await;
    let behind = Service::start().await;
    behind.append(5_000_001, b"\xff no message").await;
    behind.comes(&["partition_halted", "fold_lag"]).await;
}

/// An event that the fold can read, of a scene that is not applied: enough to have it look for rows.
fn event() -> &'static [u8] {
    use luopan_kernel::event::{Entry, Event, Origin, encode_message};
    use luopan_kernel::id::{DEFAULT_TENANT, IdentifierId, SceneNo};
    let event = Event {
        id: "e".into(),
        tenant: DEFAULT_TENANT,
        scene: SceneNo(1),
        identifier: IdentifierId([0; 16]),
        kind: "visit".into(),
        occurred_at: Micros(1),
        received_at: Micros(1),
        origin: Origin::Live,
        properties: Vec::new(),
        context: Vec::new(),
        corrects: None,
        sealed: Vec::new(),
    };
    Box::leak(encode_message(&[Entry::Event(event)]).into_boxed_slice())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_is_told_until_it_works_again_and_one_that_died_for_good() {
    let service = Service::start().await;
    set(&service.faults.commits_fail, true);
    service.append(1, event()).await;
    service.comes(&["task_failing"]).await;
    set(&service.faults.commits_fail, false);
    // The event is of a scene that is not applied: its partition halts, and the task works.
    service.comes(&["partition_halted"]).await;

    let service = Service::start().await;
    set(&service.faults.reads_panic, true);
    service.append(1, event()).await;
    service.comes(&["task_failing"]).await;
    set(&service.faults.reads_panic, false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(told(&service.router).await, ["task_failing"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_tell_that_it_lives_says_so() {
    let service = Service::start().await;
    set(&service.faults.beats_fail, true);
    // Longer than its life, by its own clock.
    service.faults.ahead_us.store(5_000_000, Ordering::SeqCst);
    service.comes(&["node_silent"]).await;
    set(&service.faults.beats_fail, false);
    service.comes(&[]).await;
}
