//! The engine itself: opening with recovery, starting and stopping its tasks, and the facade.

use crate::api::{
    CustomerView, DecideRequest, DecisionAnswer, Explanation, IngestReceipt, Input, ItemPage,
    ItemView, Outcome, PositionToken, ProductInput, Quarantined, Raw, Refusal, RefusalKind, Result,
    RetainReport, RuleCount, SceneInfo, SegmentCount, Stats, VerifyReport, WAIT_US_MAX,
};
use crate::catalogues::Catalogues;
use crate::contributions::Contributions;
use crate::counters::Counters;
use crate::dataset::Dataset;
use crate::drift::Drift;
use crate::examples::Examples;
use crate::fleet::Fleet;
use crate::fold::inbox::Inbox;
use crate::fold::worker;
use crate::identity::IdentityMap;
use crate::ids::IdCache;
use crate::learner::Models;
use crate::matching::Matcher;
use crate::progress::Progress;
use crate::proof::Evidence;
use crate::registry::{ModelVersion, Promoted, RegisteredModel};
use crate::relay::Outbox;
use crate::scenes::Scenes;
use crate::timers::Timers;
use crate::{Env, Limits, fleet, relay, rows, timers};
use bytes::Bytes;
use futures::FutureExt;
use luopan_kernel::artifact::Artifact;
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId, PartitionId, Position};
use luopan_kernel::plan::{Expr, ScenePlan};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_store::{Appended, Control, EventLog, Keys, Node, Nodes, State, Stores};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tracing::Instrument;
use tracing::field::Empty;

/// What all tasks share.
pub(crate) struct Inner {
    /// Itself, for tasks that outlive their caller.
    me: Weak<Inner>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) fleet: Fleet,
    pub(crate) fleet_end: luopan_store::Signal,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) limits: Limits,
    pub(crate) scenes: Scenes,
    pub(crate) catalogues: Catalogues,
    pub(crate) identity: IdentityMap,
    pub(crate) ids: IdCache,
    pub(crate) models: Models,
    pub(crate) inboxes: Vec<Inbox>,
    pub(crate) outbox: Outbox,
    pub(crate) progress: Progress,
    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
    pub(crate) stream_signal: luopan_store::Signal,
    pub(crate) last_log_time: AtomicI64,
    pub(crate) applying: futures::lock::Mutex<()>,
    pub(crate) environment_intake: futures::lock::Mutex<()>,
    pub(crate) linking: futures::lock::Mutex<()>,
    decisions_in_flight: AtomicUsize,
    running: AtomicUsize,
    ended: luopan_store::Signal,
    started: AtomicBool,
    stop: AtomicBool,
}

/// A task under way; dropping it lets [`Engine::stop`] end. One that dies of a panic is told by `/readyz`.
struct RunningTask(Arc<Inner>, &'static str);

impl Drop for RunningTask {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.1, "a task died of a panic; restart the program");
            self.0.progress.died(self.1);
        }
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify();
    }
}

/// Counts decisions under way; dropping it lets them go.
pub(crate) struct InFlight<'a>(&'a AtomicUsize, usize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

impl Inner {
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn inbox_of(&self, partition: PartitionId) -> &Inbox {
        &self.inboxes[usize::from(partition.0) % self.inboxes.len()]
    }

    pub(crate) fn fold_lag(&self) -> u64 {
        self.progress.lag()
    }

    /// Messages were appended by this node.
    pub(crate) fn heads_moved(&self, landed: &[Appended]) {
        for a in landed {
            self.progress.appended(a.partition, a.end);
        }
    }

    /// A store failed: say so and wait a moment.
    pub(crate) async fn trouble(&self, e: &luopan_store::Error, what: &str) {
        tracing::warn!(error = %e, "{what}");
        self.env.sleep(200_000).await;
    }

    pub(crate) fn enter_decisions(&self, n: usize) -> Result<InFlight<'_>> {
        let now = self.decisions_in_flight.fetch_add(n, Ordering::SeqCst) + n;
        let guard = InFlight(&self.decisions_in_flight, n);
        if now > self.limits.decisions_in_flight_max {
            return Err(Refusal {
                code: "too_many_decisions",
                kind: RefusalKind::Busy,
                message: format!(
                    "{now} decisions are under way, the limit is {}; try again in a moment",
                    self.limits.decisions_in_flight_max
                ),
            });
        }
        Ok(guard)
    }

    /// Waits until a partition is folded up to `position`, or halted, or the engine stops.
    pub(crate) async fn wait_folded(&self, partition: PartitionId, position: Position) {
        let mut asking = None;
        loop {
            let ticket = self.progress.moved.ticket();
            if self.progress.position(partition) >= position
                || self.progress.halt_of(partition).is_some()
                || self.stopping()
            {
                return;
            }
            // Who folds it may change meanwhile, in either direction.
            asking = asking.or_else(|| self.awaits(partition));
            self.progress.moved.wait(ticket).await;
        }
    }

    pub(crate) async fn wait_for(&self, token: &PositionToken, wait_us: i64) -> Result<()> {
        let wait = async {
            for (partition, position) in &token.0 {
                self.wait_folded(*partition, *position).await;
            }
        };
        let timeout = self.env.sleep(wait_us.clamp(0, WAIT_US_MAX));
        let in_time = matches!(
            futures::future::select(Box::pin(wait), timeout).await,
            futures::future::Either::Left(_)
        );
        for (partition, position) in &token.0 {
            if self.progress.position(*partition) >= *position {
                continue;
            }
            if let Some(reason) = self.progress.halt_of(*partition) {
                return Err(Refusal {
                    code: "partition_halted",
                    kind: RefusalKind::Unavailable,
                    message: format!("partition {} is halted: {reason}", partition.0),
                });
            }
            return Err(Refusal {
                code: "not_yet",
                kind: RefusalKind::Timeout,
                message: format!(
                    "partition {} is folded up to {}, not yet up to {} ({})",
                    partition.0,
                    self.progress.position(*partition).0,
                    position.0,
                    if in_time {
                        "the engine is stopping"
                    } else {
                        "the wait is over; ask again"
                    }
                ),
            });
        }
        Ok(())
    }

    /// Runs `work` to its end even when whoever waits for it goes away: a caller that hangs up between a commit and what
    /// has to be remembered of it would leave this node with a picture that is not the store's.
    pub(crate) async fn to_the_end<T, F>(&self, work: impl FnOnce(Arc<Self>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let gone = || Refusal {
            code: "internal",
            kind: RefusalKind::Unavailable,
            message: "the engine is stopping; try again".into(),
        };
        let me = self.me.upgrade().ok_or_else(gone)?;
        let (answer, answered) = futures::channel::oneshot::channel();
        let work = work(me.clone());
        me.spawn("transaction", async move {
            // Nobody may be left to hear it.
            let _ = answer.send(work.await);
        });
        answered.await.map_err(|_| gone())
    }

    /// Runs a task that [`Engine::stop`] waits for.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = RunningTask(self.clone(), name);
        self.env.spawn(
            name,
            async move {
                task.await;
                drop(running);
            }
            .boxed(),
        );
    }
}

/// The loop over one set of stores.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("stats", &self.inner.counters)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the stores: loads scenes, identity and catalogues, and finds what a crash left to do. Nothing runs yet.
    ///
    /// # Errors
    /// When a store fails or holds what this program cannot read.
    pub async fn open(stores: Stores, env: Arc<dyn Env>, limits: Limits) -> Result<Arc<Self>> {
        Self::open_node(stores, env, limits, "", "").await
    }

    /// As [`Engine::open`], as one of several nodes over the same stores: what people call it, and where it is reached.
    ///
    /// # Errors
    /// As [`Engine::open`], and [`luopan_store::Error::Limit`] for too long a name.
    pub async fn open_node(
        stores: Stores,
        env: Arc<dyn Env>,
        limits: Limits,
        name: &str,
        address: &str,
    ) -> Result<Arc<Self>> {
        let identity = IdentityMap::load(&*stores.state).await?;
        let node = Node {
            id: env.fresh_id(),
            name: name.to_owned(),
            address: address.to_owned(),
        };
        let inner = Arc::new_cyclic(|me| Inner {
            me: me.clone(),
            log: stores.log,
            state: stores.state,
            control: stores.control,
            keys: stores.keys,
            nodes: stores.nodes,
            fleet: Fleet::new(node),
            fleet_end: luopan_store::Signal::default(),
            env,
            limits,
            scenes: Scenes::default(),
            catalogues: Catalogues::default(),
            identity,
            ids: IdCache::new(limits.id_cache_entries),
            models: Models::default(),
            inboxes: (0..limits.workers.max(1))
                .map(|_| Inbox::default())
                .collect(),
            outbox: Outbox::default(),
            progress: Progress::default(),
            timers: Timers::new(),
            counters: Counters::default(),
            stream_signal: luopan_store::Signal::default(),
            last_log_time: AtomicI64::new(i64::MIN),
            applying: futures::lock::Mutex::new(()),
            environment_intake: futures::lock::Mutex::new(()),
            linking: futures::lock::Mutex::new(()),
            decisions_in_flight: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            ended: luopan_store::Signal::default(),
            started: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let partitions: Vec<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
            .map(PartitionId)
            .collect();
        let folded = inner.reflected(&partitions).await?;
        let heads = inner.log.heads(&partitions).await?;
        let halts: Vec<_> = partitions.iter().map(|p| rows::halt(*p)).collect();
        let halts = inner.state.get(&halts).await?;
        for ((p, at), begin) in
            (partitions.iter().zip(&folded)).zip(inner.log.begins(&partitions).await?)
        {
            if *at < begin {
                return Err(luopan_store::Error::Corrupt {
                    store: "state",
                    at: format!("partition {}", p.0),
                    cause: format!(
                        "state reflects the log up to {}, the log begins at {}: what lies between was let go; restore both from one backup",
                        at.0, begin.0
                    ),
                }
                .into());
            }
        }
        for (((p, at), head), halt) in partitions.iter().zip(folded).zip(heads).zip(halts) {
            inner.progress.folded(*p, at, &[]);
            inner.progress.appended(*p, head);
            if let Some(reason) = halt {
                inner.progress.halted(*p, &String::from_utf8_lossy(&reason));
            }
        }
        inner.load_scenes().await?;
        for scene in inner.scenes.all() {
            inner.start_learners(&scene).await?;
        }
        crate::environment::fold::bring_up_to_date(&inner).await?;
        inner.reload_catalogues().await?;
        Ok(Arc::new(Self { inner }))
    }

    /// Starts workers, relay, timers and learners.
    ///
    /// # Errors
    /// When the outbox that a crash left cannot be read.
    pub async fn start(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.started.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        fleet::beat(inner).await?;
        let mut partitions: BTreeSet<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
            .map(PartitionId)
            .collect();
        partitions.extend(inner.control.streams().await?.into_iter().map(|(_, p)| p));
        partitions.retain(|p| inner.fleet.owns(*p));
        fleet::take_over(inner, &partitions).await?;
        inner.spawn("fleet", fleet::run(inner.clone()));
        inner.spawn("follower", fleet::follow(inner.clone()));
        inner.spawn("relay", relay::run(inner.clone()));
        for index in 0..inner.inboxes.len() {
            inner.spawn("fold", worker::run(inner.clone(), index));
        }
        inner.spawn("timers", timers::run(inner.clone()));
        let models: Vec<_> = inner.models.read().values().cloned().collect();
        for model in models {
            inner.spawn_learner(model);
        }
        let watcher = inner.clone();
        inner.spawn("log watcher", async move { watcher.watch_log().await });
        Ok(())
    }

    /// Lets every task finish what it holds and end. State and log stay as they are; nothing acknowledged is lost by not
    /// calling this.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.stop.store(true, Ordering::SeqCst);
        inner.timers.close();
        inner.outbox.close();
        inner.stream_signal.close();
        inner.progress.moved.close();
        inner.fleet_end.close();
        inner.fleet.wake.close();
        inner.inboxes.iter().for_each(Inbox::close);
        loop {
            let ticket = inner.ended.ticket();
            if inner.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            inner.ended.wait(ticket).await;
        }
    }

    /// Records a scene version without artifacts and announces it in every partition. The same plan again changes nothing.
    ///
    /// # Errors
    /// A plan that cannot run, or a store that failed.
    pub async fn apply_scene(
        &self,
        plan: &ScenePlan,
        files: &[(String, Bytes)],
        by: &str,
    ) -> Result<SceneInfo> {
        self.inner.apply_scene(plan, &[], files, by).await
    }

    /// As [`Engine::apply_scene`], with the trained artifacts that the plan names, in its order.
    ///
    /// # Errors
    /// As [`Engine::apply_scene`], and artifacts that are not those of the plan.
    pub async fn apply_trained_scene(
        &self,
        plan: &ScenePlan,
        artifacts: &[Artifact],
        files: &[(String, Bytes)],
        by: &str,
    ) -> Result<SceneInfo> {
        self.inner.apply_scene(plan, artifacts, files, by).await
    }

    /// Hands the evidence of a period to `see`: every decision and every submitted order of `from..to`.
    ///
    /// # Errors
    /// An unknown scene, a store that failed, or what `see` refused.
    pub async fn evidence(
        &self,
        scene: &str,
        from: Micros,
        to: Micros,
        see: &mut (dyn FnMut(Evidence) -> Result<()> + Send),
    ) -> Result<()> {
        self.inner.evidence(scene, from, to, see).await
    }

    /// What customers did in the words of a sequence, from the log.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_sequence`, or a store that failed.
    pub async fn acts(&self, scene: &str, sequence: &str) -> Result<crate::acts::ActsRead> {
        self.inner.acts(scene, sequence).await
    }

    /// The plan of any recorded version of a scene.
    ///
    /// # Errors
    /// An unknown scene or version.
    pub fn plan_of_version(&self, scene: &str, version: u32) -> Result<Arc<ScenePlan>> {
        let newest = self.inner.scenes.newest(scene)?;
        let found = self.inner.scenes.version(newest.no, version);
        found.map(|s| s.plan.clone()).ok_or_else(|| Refusal {
            code: "unknown_scene",
            kind: RefusalKind::NotFound,
            message: format!("scene `{scene}` has no version {version}"),
        })
    }

    /// Newest version of every scene.
    pub fn scenes(&self) -> Vec<SceneInfo> {
        self.inner.scenes.all().iter().map(|s| s.info()).collect()
    }

    /// Compiled plans of the newest versions of all scenes.
    pub fn plans(&self) -> Vec<Arc<ScenePlan>> {
        let all = self.inner.scenes.all();
        all.iter().map(|s| s.plan.clone()).collect()
    }

    /// Compiled plan of the newest version of a scene.
    ///
    /// # Errors
    /// `unknown_scene`.
    pub fn plan(&self, scene: &str) -> Result<Arc<ScenePlan>> {
        Ok(self.inner.scenes.newest(scene)?.plan.clone())
    }

    /// The version of a scene from which on a contest is what it is now: its champion, challenger and share. None where there is no such contest.
    ///
    /// # Errors
    /// `unknown_scene`.
    pub fn contest_since(&self, scene: &str, contest: &str) -> Result<Option<u32>> {
        let newest = self.inner.scenes.newest(scene)?;
        Ok(self.inner.scenes.contest_since(&newest, contest))
    }

    /// Takes events; the answer stands when everything in it is durable.
    ///
    /// # Errors
    /// `unknown_scene`, `batch_too_large`, `fold_lag`, or a store that failed; what fails for one input is in its outcome.
    pub async fn ingest(
        &self,
        scene: &str,
        origin: Origin,
        inputs: &[Input<'_>],
    ) -> Result<IngestReceipt> {
        let span = tracing::debug_span!(
            "intake",
            scene = Empty,
            inputs = inputs.len(),
            accepted = Empty,
            quarantined = Empty
        );
        let receipt = (self.inner.ingest(scene, origin, inputs))
            .instrument(span.clone())
            .await?;
        span.record("accepted", receipt.accepted);
        span.record("quarantined", receipt.quarantined);
        Ok(receipt)
    }

    /// Sets catalogue items: key and values by attribute.
    ///
    /// # Errors
    /// As [`Engine::ingest`], and `unknown_catalogue`.
    pub async fn import_items(
        &self,
        scene: &str,
        catalogue: &str,
        items: &[(String, Vec<(String, Raw<'static>)>)],
    ) -> Result<IngestReceipt> {
        self.inner.import_items(scene, catalogue, items).await
    }

    /// Takes what is said of products: whole items, changes, withdrawals, NAVs, announcements. What does not fit, and what is
    /// said of an item that is not there, is quarantined with the reason.
    ///
    /// # Errors
    /// As [`Engine::import_items`].
    pub async fn change_products(
        &self,
        scene: &str,
        catalogue: &str,
        inputs: &[ProductInput],
    ) -> Result<IngestReceipt> {
        self.inner.change_products(scene, catalogue, inputs).await
    }

    /// Items of a catalogue as decisions see them now, withdrawn ones among them, ascending by key, behind `after`.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_catalogue`.
    pub fn items(
        &self,
        scene: &str,
        catalogue: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ItemPage> {
        self.inner.items(scene, catalogue, after, limit)
    }

    /// One item of a catalogue, candidate or withdrawn.
    ///
    /// # Errors
    /// As [`Engine::items`], and `unknown_item`.
    pub fn item(&self, scene: &str, catalogue: &str, key: &str) -> Result<ItemView> {
        self.inner.item(scene, catalogue, key)
    }

    /// Waits until State reflects these positions.
    ///
    /// # Errors
    /// `not_yet` after `wait_us`, `partition_halted`.
    pub async fn wait_for(&self, token: &PositionToken, wait_us: i64) -> Result<()> {
        self.inner.wait_for(token, wait_us).await
    }

    /// How many accepted events of a receipt the fold dropped as duplicates; ask after [`Engine::wait_for`].
    pub fn duplicates(&self, receipt: &IngestReceipt) -> u64 {
        let mine: BTreeSet<_> = (receipt.outcomes.iter())
            .filter_map(|o| match o {
                Outcome::Accepted {
                    partition,
                    position,
                } => Some((*partition, *position)),
                Outcome::Quarantined { .. } => None,
            })
            .collect();
        self.inner
            .progress
            .duplicates_among(|p, at| mine.contains(&(p, at)))
    }

    /// Waits until everything durable now is folded, relayed and learned.
    ///
    /// # Errors
    /// As [`Engine::wait_for`].
    pub async fn settle(&self, wait_us: i64) -> Result<()> {
        self.inner.settle(wait_us).await
    }

    /// The time of the engine's clock.
    pub fn now(&self) -> Micros {
        self.inner.env.now()
    }

    /// True when every timer that is due by now has fired and is folded.
    pub fn timers_idle(&self) -> bool {
        self.inner.timers.idle(self.inner.env.now())
    }

    /// Decides.
    ///
    /// # Errors
    /// A refusal; `idempotency_conflict` when the key was used with another body.
    pub async fn decide(&self, request: DecideRequest) -> Result<DecisionAnswer> {
        let lost = || Refusal {
            code: "internal",
            kind: RefusalKind::Unavailable,
            message: "the request was lost".into(),
        };
        self.inner
            .decide_many(&[request])
            .instrument(tracing::debug_span!("decide", requests = 1))
            .await
            .pop()
            .unwrap_or_else(|| Err(lost()))
    }

    /// Decides many at once, with one read and one durable commit for all of them.
    pub async fn decide_many(&self, requests: &[DecideRequest]) -> Vec<Result<DecisionAnswer>> {
        let span = tracing::debug_span!("decide", requests = requests.len());
        self.inner.decide_many(requests).instrument(span).await
    }

    /// A decision's record.
    ///
    /// # Errors
    /// `unknown_decision`.
    pub async fn decision(&self, id: DecisionId) -> Result<DecisionRecord> {
        self.inner.decision(id).await
    }

    /// Makes a decision again from its record and compares.
    ///
    /// # Errors
    /// `unknown_decision`, or a store that failed.
    pub async fn explain(&self, id: DecisionId) -> Result<Explanation> {
        self.inner.explain(id).await
    }

    /// Takes the scores of what a decision chose apart, or of the item that is named: what each thing that was known of the customer
    /// added, against the customers of other decisions.
    ///
    /// # Errors
    /// `unknown_decision`, `cannot_attribute`, or a store that failed.
    pub async fn contributions(&self, id: DecisionId, item: Option<&str>) -> Result<Contributions> {
        self.inner.contributions(id, item).await
    }

    /// All registered models with their past, by name.
    ///
    /// # Errors
    /// A store that failed.
    pub async fn models(&self) -> Result<Vec<RegisteredModel>> {
        self.inner.models_registered().await
    }

    /// Of each model that has a version in force its bytes, as a pack that names it is compiled with.
    ///
    /// # Errors
    /// A store that failed.
    pub async fn models_in_force(&self) -> Result<BTreeMap<String, Bytes>> {
        self.inner.models_in_force().await
    }

    /// Registers a version of a model, with what it was made from. The bytes of its newest version give that one back, and false.
    ///
    /// # Errors
    /// `bad_model` for a name that is none, another kind than the model's, or too much told of it.
    pub async fn register_model(
        &self,
        name: &str,
        artifact: &Artifact,
        lineage: &serde_json::Value,
        by: &str,
    ) -> Result<(ModelVersion, bool)> {
        self.inner.register_model(name, artifact, lineage, by).await
    }

    /// Puts a version in force, in every scene that names the model. Doing it again completes what a crash left undone.
    ///
    /// # Errors
    /// `unknown_model`; `bad_artifact` where it does not fit, and then nothing is changed.
    pub async fn promote_model(
        &self,
        name: &str,
        version: u32,
        reason: &str,
        by: &str,
    ) -> Result<Promoted> {
        self.inner.promote_model(name, version, reason, by).await
    }

    /// Puts the version in force again that was so before the present one.
    ///
    /// # Errors
    /// `unknown_model`; `bad_model` where there was none.
    pub async fn roll_back_model(&self, name: &str, reason: &str, by: &str) -> Result<Promoted> {
        self.inner.roll_back_model(name, reason, by).await
    }

    /// What is known of a customer.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_customer`.
    pub async fn customer(&self, scene: &str, foreign: &str) -> Result<CustomerView> {
        self.inner.customer(scene, foreign).await
    }

    /// Links identifier `b` to the customer of `a`.
    ///
    /// # Errors
    /// `too_many_identifiers`, or a store that failed.
    pub async fn link(&self, a: &str, b: &str, by: &str) -> Result<()> {
        self.inner.link(a, b, by).await
    }

    /// Un-links an identifier.
    ///
    /// # Errors
    /// `unknown_customer`, `not_linked`.
    pub async fn unlink(&self, foreign: &str, by: &str) -> Result<()> {
        self.inner.unlink(foreign, by).await
    }

    /// Segments with their sizes.
    ///
    /// # Errors
    /// `unknown_scene`.
    pub async fn segments(&self, scene: &str) -> Result<Vec<SegmentCount>> {
        self.inner.segments(scene).await
    }

    /// Members of a segment, a page at a time.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_segment`.
    pub async fn segment_members(
        &self,
        scene: &str,
        segment: &str,
        after: Option<IdentifierId>,
        limit: usize,
    ) -> Result<Vec<(IdentifierId, Option<String>)>> {
        self.inner
            .segment_members(scene, segment, after, limit)
            .await
    }

    /// Evaluates a compiled rule over every customer of a scene.
    ///
    /// # Errors
    /// `unknown_scene`.
    pub async fn count_rule(&self, scene: &str, rule: &Expr) -> Result<RuleCount> {
        self.inner.count_rule(scene, rule).await
    }

    /// Quarantined inputs, oldest first, after the given id.
    ///
    /// # Errors
    /// `bad_id`.
    pub async fn quarantine(
        &self,
        scene: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Quarantined>> {
        self.inner.quarantined(scene, after, limit).await
    }

    /// Tries quarantined inputs again; `parse` reads an input as the rim received it.
    ///
    /// # Errors
    /// `bad_id`, `unknown_quarantine`, and as [`Engine::ingest`].
    pub async fn retry_quarantine(
        &self,
        ids: &[String],
        parse: &(dyn for<'r> Fn(&'r str) -> Input<'r> + Send + Sync),
    ) -> Result<IngestReceipt> {
        self.inner.retry_quarantine(ids, parse).await
    }

    /// Log retention: lets go of log entries received before `before`, once a snapshot holds what they told. The engine may be at
    /// work meanwhile, here and on other nodes; nobody else may truncate.
    ///
    /// # Errors
    /// `retention_too_short`, `partition_halted`; when a store fails, or the log and its snapshots do not fit: then the log
    /// of what was not done yet is kept.
    pub async fn retain(&self, before: Micros) -> Result<RetainReport> {
        // Another node may have applied what this one has not heard of.
        self.inner.learn_scenes().await?;
        self.inner.retain(before).await
    }

    /// True on one node of several: the one that does what is done once for all of them, such as [`Engine::retain`].
    pub fn is_keeper(&self) -> bool {
        let environment = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
        self.inner.fleet.owns(environment)
    }

    /// Replays the log from its snapshots, or from nothing, a partition at a time in memory, and compares with State byte for byte; rebuilds
    /// ledgers from decisions and models from their streams. The engine must be quiet ([`Engine::settle`] first).
    ///
    /// # Errors
    /// When a store fails.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.inner.learn_scenes().await?;
        crate::verify::verify(&self.inner).await
    }

    /// Readies a policy to rank its items for all customers, as of `at`. `versions` are those of the models that score it;
    /// without them, the newest. State must not change until the last ranking is made.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_policy`, or a store that failed.
    pub async fn matcher(
        &self,
        scene: &str,
        policy: &str,
        at: Micros,
        versions: Option<&[(String, u64)]>,
    ) -> Result<Matcher> {
        self.inner.matcher(scene, policy, at, versions).await
    }

    /// Readies the history of a scene to be read as examples for the factors of `policy`. `plan` need not be applied: it is
    /// another version of a scene that is, and what it knows of customers is folded anew from the log.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_policy`, `nothing_to_learn_from`, or a store that failed.
    pub async fn examples(&self, plan: Arc<ScenePlan>, policy: &str) -> Result<Examples> {
        Examples::new(self.inner.clone(), plan, policy).await
    }

    /// Readies the decisions of a policy to be read as a training set, with the tags and rewards of the newest version of its
    /// scene.
    ///
    /// # Errors
    /// `unknown_scene`, `unknown_policy`.
    pub fn dataset(&self, scene: &str, policy: &str) -> Result<Dataset> {
        Dataset::new(self.inner.clone(), scene, policy)
    }

    /// Tells the log what a monitor of a scene found to have changed.
    ///
    /// # Errors
    /// `unknown_scene`, or a store that failed.
    pub async fn raise_drift(&self, scene: &str, found: &[Drift]) -> Result<()> {
        self.inner.raise_drift(scene, found).await
    }

    /// What monitors of a scene have told the log of looks at `from` and later, in its order.
    ///
    /// # Errors
    /// `unknown_scene`, or a store that failed.
    pub async fn drifts(&self, scene: &str, from: Micros) -> Result<Vec<Drift>> {
        self.inner.drifts(scene, from).await
    }

    /// Number of quarantined inputs, counted up to `most`.
    ///
    /// # Errors
    /// A store that failed.
    pub async fn quarantine_rows(&self, most: usize) -> Result<usize> {
        self.inner.quarantine_rows(most).await
    }

    /// True once [`Engine::start`] began the tasks.
    pub fn is_started(&self) -> bool {
        self.inner.is_started()
    }

    /// Counters since start, lag, halts, budgets and models.
    ///
    /// # Errors
    /// A store that failed.
    pub async fn stats(&self) -> Result<Stats> {
        self.inner.stats().await
    }

    /// As [`Engine::stats`], of this node alone: no store is asked, and budgets are left out.
    pub async fn stats_here(&self) -> Stats {
        self.inner.stats_here().await
    }
}

impl Inner {
    /// Hands what other tasks and nodes append to the workers.
    async fn watch_log(self: Arc<Self>) {
        let mut ticket = 0;
        while !self.stopping() {
            let wait = self.log.wait(ticket);
            let closed = self.progress_closed();
            let wake = match futures::future::select(wait, Box::pin(closed)).await {
                futures::future::Either::Left((Ok(wake), _)) => wake,
                futures::future::Either::Left((Err(e), _)) => {
                    self.trouble(&e, "the log could not be watched").await;
                    continue;
                }
                futures::future::Either::Right(_) => return,
            };
            ticket = wake.ticket;
            match self.log.heads(&wake.partitions).await {
                Ok(heads) => (wake.partitions.iter().zip(heads))
                    .for_each(|(p, head)| self.progress.appended(*p, head)),
                Err(e) => {
                    self.trouble(&e, "the ends of the log could not be read")
                        .await
                }
            }
            let (mut streams, mut others) = (false, false);
            for p in wake.partitions {
                if p.0 > luopan_kernel::ENVIRONMENT_PARTITION {
                    streams = true;
                } else if self.fleet.owns(p) {
                    self.inbox_of(p).appended(p);
                } else {
                    others = true;
                }
            }
            if others {
                self.fleet.wake.notify();
            }
            if streams {
                self.stream_signal.notify();
            }
        }
    }

    /// Ends when the engine stops.
    async fn progress_closed(&self) {
        loop {
            let ticket = self.progress.moved.ticket();
            if self.stopping() {
                return;
            }
            self.progress.moved.wait(ticket).await;
        }
    }

    /// What is on its way, in words; none when all is quiet.
    async fn moving(&self) -> luopan_store::Result<Option<String>> {
        let partitions: Vec<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
            .map(PartitionId)
            .collect();
        let heads = self.log.heads(&partitions).await?;
        let folded = match self.fleet.is_shared() {
            true => self.state.positions(&partitions).await?,
            false => Vec::new(),
        };
        for (i, (p, head)) in partitions.iter().zip(heads).enumerate() {
            // What another node folds is known here when somebody asks.
            let at = match folded.get(i) {
                Some(at) if !self.fleet.owns(*p) => *at,
                _ => self.progress.position(*p),
            };
            if at < head && self.progress.halt_of(*p).is_none() {
                let owner = if self.fleet.owns(*p) {
                    "here"
                } else {
                    "by another node"
                };
                return Ok(Some(format!(
                    "partition {} is folded {owner} up to {} of {}",
                    p.0, at.0, head.0
                )));
            }
        }
        let behind = self.catalogues.behind();
        if behind > 0 {
            return Ok(Some(format!(
                "catalogues are {behind} entries behind what is folded"
            )));
        }
        if self.outbox.len() > 0 {
            return Ok(Some(format!(
                "{} outbox rows are to be relayed",
                self.outbox.len()
            )));
        }
        let models: Vec<_> = self.models.read().values().cloned().collect();
        for m in models {
            let head = self.log.heads(&[m.stream]).await?[0];
            if m.position() < head {
                return Ok(Some(format!(
                    "model {} has learned up to {} of {}",
                    m.name,
                    m.position().0,
                    head.0
                )));
            }
        }
        let customers = &partitions[..usize::from(luopan_kernel::PARTITIONS)];
        let dirty = (self.state)
            .scan_partitions(luopan_store::Table::Dirty, customers, 1)
            .await?;
        Ok(dirty
            .first()
            .map(|(p, _)| format!("customers of partition {} are to be looked at again", p.0)))
    }

    async fn settle(&self, wait_us: i64) -> Result<()> {
        let end = self.env.now().plus(wait_us);
        loop {
            // Twice: what was on its way at the first look may have landed behind it.
            let mut moving = self.moving().await?;
            if moving.is_none() {
                moving = self.moving().await?;
            }
            let Some(what) = moving else {
                return Ok(());
            };
            if self.env.now() >= end {
                return Err(Refusal {
                    code: "not_yet",
                    kind: RefusalKind::Timeout,
                    message: format!("not all has come to rest: {what}; try again in a moment"),
                });
            }
            self.env.sleep(2_000).await;
        }
    }

    async fn stats(&self) -> Result<Stats> {
        Ok(Stats {
            budgets: self.state.budgets().await?,
            ..self.stats_here().await
        })
    }

    async fn stats_here(&self) -> Stats {
        let get = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
        let c = &self.counters;
        Stats {
            events_accepted: get(&c.accepted),
            events_quarantined: get(&c.quarantined),
            events_folded: get(&c.folded),
            events_duplicate: get(&c.duplicate),
            decisions: get(&c.decisions),
            decisions_null: get(&c.decisions_null),
            decision_retries: get(&c.retries),
            rewards: get(&c.rewards),
            samples: get(&c.samples),
            timers_fired: get(&c.timers),
            fold_lag: self.fold_lag(),
            catalogue_snapshots: get(&c.catalogue_snapshots),
            catalogue_rows: get(&c.catalogue_rows),
            catalogues_past: self.catalogues.past_read(),
            outbox: self.outbox.len(),
            nodes: self.fleet.len() as u64,
            fold_lag_max: self.limits.fold_lag_max,
            decisions_in_flight: self.decisions_in_flight.load(Ordering::Relaxed) as u64,
            decisions_in_flight_max: self.limits.decisions_in_flight_max as u64,
            ids_remembered: self.ids.len() as u64,
            ids_remembered_max: self.limits.id_cache_entries as u64,
            partitions_owned: (0..=luopan_kernel::ENVIRONMENT_PARTITION)
                .filter(|p| self.fleet.owns(PartitionId(*p)))
                .count() as u64,
            takeovers: get(&c.takeovers),
            beat_age_us: (self.fleet.told_at()).map(|at| self.env.now().since(at).max(0)),
            failing: self.progress.failures(),
            unwritable: [
                ("log and state", self.log.writable().await),
                ("key store", self.keys.writable().await),
            ]
            .into_iter()
            .filter_map(|(store, answer)| Some(format!("{store}: {}", answer.err()?)))
            .collect(),
            halted: self.progress.halts(),
            budgets: Vec::new(),
            models: self
                .models
                .read()
                .values()
                .map(|m| (m.name.clone(), m.snapshot().samples))
                .collect(),
        }
    }
}
