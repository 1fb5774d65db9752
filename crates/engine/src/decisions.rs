//! Decisions: read what is known, let the kernel decide, commit ledger, decision and outbox as one transaction that
//! validates the whole availability mask. A lost race starts again from fresh rows, whatever was drawn; after
//! [`DECIDE_ATTEMPTS_MAX`] races the null action is recorded.

use crate::api::{
    DECIDE_ATTEMPTS_MAX, DecideRequest, DecisionAnswer, Raw, Refusal, RefusalKind, Result,
};
use crate::catalogues::{Snapshot, not_loaded};
use crate::contacts::{ContactEntry, ContactsRow};
use crate::counters::Counters;
use crate::limits::HOLDS_MAX;
use crate::relay::{self, OutboxRow};
use crate::row::{CustomerRow, Debit, debits_to_text};
use crate::rows::{self, DecisionKeyRow};
use crate::scenes::SceneRuntime;
use crate::{Inner, intake};
use bytes::Bytes;
use luopan_kernel::decide::{Contact, Forced, Request, Situation, decide};
use luopan_kernel::event::{DECISION_TYPE, Entry, Event, Origin};
use luopan_kernel::id::{
    CustomerId, DEFAULT_TENANT, DecisionId, FOREIGN_ID_BYTES_MAX, IdentifierId, PartitionId,
    Position, hash64,
};
use luopan_kernel::learn::ModelState;
use luopan_kernel::plan::policy::CONTACTS_MAX;
use luopan_kernel::plan::{
    BudgetPeriod, Field, ObjectiveValue, PolicyPlan, ScenePlan, Scorer, SlotSource,
};
use luopan_kernel::record::{DecisionRecord, Idempotency, ModelUsed};
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{DAY_US, Micros, Moment, SECOND_US};
use luopan_kernel::value::Value;
use luopan_store::{
    BudgetChange, BudgetCheck, Commit, Conflict, Durability, Expect, RowKey, Table, Write,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::Instrument;

/// Why the one item of a request that names one is imposed.
const ASKED: &str = "asked for";

/// A request that was looked at.
struct Prepared {
    scene: Arc<SceneRuntime>,
    /// The scene's catalogues when it was looked at: the newest are asked for, and these taken where the version was superseded
    /// since.
    catalogues: Arc<Snapshot>,
    policy: usize,
    /// The contest that it is decided in.
    contest: Option<usize>,
    identifier: IdentifierId,
    context: Vec<(Cow<'static, str>, Value<'static>)>,
    key: Option<String>,
    body_hash: [u8; 32],
    origin: Origin,
    slots: Option<u32>,
    item: Option<String>,
    attempt: u32,
}

impl Prepared {
    fn policy(&self) -> &PolicyPlan {
        &self.scene.plan.policies[self.policy]
    }
}

/// Rows of one request in the one read of its round.
struct Wanted {
    key: Option<usize>,
    profiles: Vec<usize>,
    contacts: Vec<usize>,
    identifiers: Vec<IdentifierId>,
    customer: CustomerId,
    /// The identity row of the identifier asked for, as known before its customer was looked up.
    identity: Expect,
    /// Positions of the partitions of the identifiers, known before the rows were read: they have seen at least these.
    positions: BTreeMap<PartitionId, Position>,
}

/// What a round read: rows by index.
struct Read<'r> {
    keys: &'r [RowKey],
    values: &'r [Option<Bytes>],
    /// Budgets by name, with what is spent of them.
    spent: &'r BTreeMap<String, i64>,
}

/// A decision ready to commit.
struct Made {
    record: DecisionRecord,
    commit: Commit,
    outbox: OutboxRow,
}

fn refusal(code: &'static str, kind: RefusalKind, message: String) -> Refusal {
    Refusal {
        code,
        kind,
        message,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Inner {
    fn prepare(&self, r: &DecideRequest) -> Result<Prepared> {
        let (scene, catalogues) = self.newest_laid_out(&r.scene)?;
        let Some(policy) = scene.plan.policies.iter().position(|p| p.name == r.policy) else {
            let known: Vec<_> = scene
                .plan
                .policies
                .iter()
                .map(|p| format!("`{}`", p.name))
                .collect();
            return Err(refusal(
                "unknown_policy",
                RefusalKind::NotFound,
                format!(
                    "scene `{}` has no policy `{}`; it has {}",
                    scene.plan.name,
                    intake::cut(&r.policy),
                    known.join(", ")
                ),
            ));
        };
        if r.customer.is_empty() || r.customer.len() > FOREIGN_ID_BYTES_MAX {
            return Err(refusal(
                "bad_identifier",
                RefusalKind::Invalid,
                format!(
                    "`customer` has {} bytes; write 1 to {FOREIGN_ID_BYTES_MAX}",
                    r.customer.len()
                ),
            ));
        }
        if let Some(key) = &r.idempotency_key
            && (key.is_empty() || key.len() > FOREIGN_ID_BYTES_MAX)
        {
            return Err(refusal(
                "bad_idempotency_key",
                RefusalKind::Invalid,
                format!(
                    "the idempotency key has {} bytes; write 1 to {FOREIGN_ID_BYTES_MAX}",
                    key.len()
                ),
            ));
        }
        Ok(Prepared {
            policy,
            identifier: IdentifierId([0; 16]),
            context: request_context(&scene, &r.context)?,
            key: r.idempotency_key.clone(),
            body_hash: r.body_hash,
            contest: None,
            origin: r.origin,
            slots: r.slots,
            item: r.item.clone(),
            attempt: 0,
            scene,
            catalogues,
        })
    }

    /// Decides each request; one that fails does not stop the others.
    pub(crate) async fn decide_many(
        &self,
        requests: &[DecideRequest],
    ) -> Vec<Result<DecisionAnswer>> {
        let mut answers: Vec<Option<Result<DecisionAnswer>>> =
            (0..requests.len()).map(|_| None).collect();
        let mut open: Vec<(usize, Prepared)> = Vec::with_capacity(requests.len());
        let _in_flight = match self.enter_decisions(requests.len()) {
            Ok(guard) => guard,
            Err(e) => return requests.iter().map(|_| Err(e.clone())).collect(),
        };
        for (i, r) in requests.iter().enumerate() {
            let ready = match self.prepare(r) {
                Ok(p) if r.at_least.0.is_empty() => Ok(p),
                // What the wait was for is decided under the version, and over the catalogues, of its end.
                Ok(_) => match self.wait_for(&r.at_least, r.wait_us).await {
                    Ok(()) => self.prepare(r),
                    Err(e) => Err(e),
                },
                Err(e) => Err(e),
            };
            match ready {
                Ok(p) => open.push((i, p)),
                Err(e) => answers[i] = Some(Err(e)),
            }
        }
        let foreign: Vec<&str> = open
            .iter()
            .map(|(i, _)| requests[*i].customer.as_str())
            .collect();
        match self.resolve_or_create(&foreign).await {
            Ok(ids) => open.iter_mut().zip(ids).for_each(|((_, p), id)| {
                p.identifier = id;
                self.deal(p);
            }),
            Err(e) => {
                for (i, _) in open.drain(..) {
                    answers[i] = Some(Err(e.clone()));
                }
            }
        }
        while !open.is_empty() {
            match self.round(&mut open).await {
                Ok(done) => {
                    for (i, answer) in done {
                        answers[i] = Some(answer);
                    }
                }
                Err(e) => {
                    for (i, _) in open.drain(..) {
                        answers[i] = Some(Err(e.clone()));
                    }
                }
            }
        }
        let lost = || {
            Err(refusal(
                "internal",
                RefusalKind::Unavailable,
                "the request was lost; send it again".into(),
            ))
        };
        answers
            .into_iter()
            .map(|a| a.unwrap_or_else(lost))
            .collect()
    }

    /// Who decides where the policy that was asked for is the champion of a contest. An item that was asked for is the champion's.
    fn deal(&self, p: &mut Prepared) {
        let contests = p.scene.plan.contests.iter();
        let found = contests
            .enumerate()
            .find(|(_, c)| usize::from(c.champion) == p.policy);
        if let Some((i, contest)) = found
            && p.item.is_none()
        {
            let policy = contest.policy(self.identity.customer(p.identifier));
            p.contest = Some(i);
            p.policy = usize::from(policy);
        }
    }

    /// One read, one decision and one commit for every open request; lost races stay open.
    async fn round(
        &self,
        open: &mut Vec<(usize, Prepared)>,
    ) -> Result<Vec<(usize, Result<DecisionAnswer>)>> {
        let mut keys: Vec<RowKey> = Vec::new();
        let mut budgets: BTreeSet<String> = BTreeSet::new();
        let mut wanted = Vec::with_capacity(open.len());
        for (_, p) in open.iter() {
            // Identity first: a link that comes in between makes the commit lose.
            let identity = Expect {
                key: rows::identity(p.identifier),
                value: self.identity.row(p.identifier).map(|r| r.encode()),
            };
            let customer = self.identity.customer(p.identifier);
            let identifiers = self.identity.identifiers(customer);
            let partitions = identifiers.iter().map(|i| i.partition());
            let positions = partitions.map(|p| (p, self.progress.position(p))).collect();
            let mut want = |key: RowKey| {
                keys.push(key);
                keys.len() - 1
            };
            wanted.push(Wanted {
                key: p
                    .key
                    .as_ref()
                    .map(|k| want(rows::decision_key(p.scene.no, k))),
                profiles: identifiers
                    .iter()
                    .map(|i| want(rows::profile(p.scene.no, *i)))
                    .collect(),
                contacts: identifiers
                    .iter()
                    .map(|i| want(rows::contacts(p.scene.no, p.origin, *i)))
                    .collect(),
                identifiers,
                customer,
                identity,
                positions,
            });
        }
        for (_, p) in open.iter().filter(|(_, p)| !p.policy().budgets.is_empty()) {
            let names = budget_names(&*self.env, &p.scene, p.origin, self.env.now());
            budgets.extend(names);
        }
        let budgets: Vec<String> = budgets.into_iter().collect();
        let load = tracing::debug_span!("load", rows = keys.len());
        let (values, spent) = (self.state.get_and_spent(&keys, &budgets))
            .instrument(load)
            .await?;
        let spent = budgets.into_iter().zip(spent).collect();
        let read = Read {
            keys: &keys,
            values: &values,
            spent: &spent,
        };
        let mut done = Vec::new();
        let mut commits = Vec::new();
        let mut rows = Vec::new();
        let mut made: Vec<(usize, Prepared, DecisionRecord)> = Vec::new();
        for ((i, mut p), w) in std::mem::take(open).into_iter().zip(wanted) {
            if let Some(found) = w.key.and_then(|k| values[k].as_ref()) {
                done.push((i, self.repeated(&p, found).await));
                continue;
            }
            p.attempt += 1;
            match self.make(&p, &w, &read).await {
                Ok(m) => {
                    commits.push(m.commit);
                    rows.push((m.outbox, m.record.decision.null));
                    made.push((i, p, m.record));
                }
                Err(e) => done.push((i, Err(e))),
            }
        }
        if commits.is_empty() {
            return Ok(done);
        }
        let answers = self
            .to_the_end(move |inner| {
                let span = tracing::debug_span!("commit", commits = commits.len());
                let commit = async move {
                    let answers = inner.state.commit(commits).await?;
                    let mut outbox = Vec::with_capacity(rows.len());
                    for ((row, is_null), _) in
                        rows.into_iter().zip(&answers).filter(|(_, a)| a.is_ok())
                    {
                        Counters::add(&inner.counters.decisions, 1);
                        Counters::add(&inner.counters.decisions_null, u64::from(is_null));
                        outbox.push(row);
                    }
                    inner.outbox.put(outbox);
                    Ok::<_, luopan_store::Error>(answers)
                };
                commit.instrument(span)
            })
            .await??;
        let mut linked = false;
        for ((i, p, record), answer) in made.into_iter().zip(answers) {
            match answer {
                Ok(_) => {
                    done.push((
                        i,
                        Ok(DecisionAnswer {
                            record,
                            repeated: false,
                        }),
                    ));
                }
                Err(conflict) => {
                    Counters::add(&self.counters.retries, 1);
                    linked |= is_of_customers(&conflict);
                    open.push((i, p));
                }
            }
        }
        // A link of this node is known in a moment; one of another node has to be read.
        if linked && self.fleet.is_shared() {
            self.identity.refresh(&*self.state).await?;
        }
        Ok(done)
    }

    /// The first decision under a key that was used before.
    async fn repeated(&self, p: &Prepared, row: &[u8]) -> Result<DecisionAnswer> {
        let first = DecisionKeyRow::decode(row).map_err(|e| {
            refusal(
                "store_unavailable",
                RefusalKind::Unavailable,
                format!("a decision key cannot be read: {e}"),
            )
        })?;
        if first.body_hash != p.body_hash {
            return Err(refusal(
                "idempotency_conflict",
                RefusalKind::Conflict,
                format!(
                    "the idempotency key was used for decision {} with another body; use a new key for a new request",
                    first.decision
                ),
            ));
        }
        Ok(DecisionAnswer {
            record: self.decision(first.decision).await?,
            repeated: true,
        })
    }

    async fn make(&self, p: &Prepared, w: &Wanted, read: &Read<'_>) -> Result<Made> {
        let unreadable = |what: &str, e: String| {
            refusal(
                "store_unavailable",
                RefusalKind::Unavailable,
                format!("a {what} row cannot be read: {e}"),
            )
        };
        let policy = p.policy();
        let plan = &p.scene.plan;
        let mut profiles = Vec::with_capacity(w.profiles.len());
        let mut holds = 0;
        let mut positions = w.positions.clone();
        for (k, id) in w.profiles.iter().zip(&w.identifiers) {
            if let Some(v) = &read.values[*k] {
                let mut row =
                    CustomerRow::decode(v).map_err(|e| unreadable("profile", e.to_string()))?;
                row.profile.adapt(p.scene.fold.layout());
                holds += row.holds.len();
                // All rows are of one moment, so what one of a partition has seen has been seen by all.
                let seen = positions.entry(id.partition()).or_default();
                *seen = row.folded_to.max(*seen);
                profiles.push(row.profile);
            }
        }
        let mut contacts: Vec<Contact> = Vec::new();
        let mut own = ContactsRow::default();
        for (k, id) in w.contacts.iter().zip(&w.identifiers) {
            if let Some(v) = &read.values[*k] {
                let row =
                    ContactsRow::decode(v).map_err(|e| unreadable("contacts", e.to_string()))?;
                contacts.extend(row.contacts.iter().map(|c| Contact {
                    at: c.at,
                    decision: c.decision,
                    policy: c.policy.clone(),
                    channel: c.channel.clone(),
                    item: c.item.clone(),
                }));
                if *id == p.identifier {
                    own = row;
                }
            }
        }
        contacts.sort_by_key(|c| (c.at, c.decision));
        let refs: Vec<_> = profiles.iter().collect();
        let now = self.env.now();
        let moment = self.moment(&p.scene, &refs, now);
        let budgets = budget_names(&*self.env, &p.scene, p.origin, now);
        let spent = if policy.budgets.is_empty() {
            Vec::new()
        } else {
            let read: Option<Vec<i64>> =
                budgets.iter().map(|b| read.spent.get(b).copied()).collect();
            match read {
                Some(spent) => spent,
                // A day began since the names were asked for.
                None => self.state.spent(&budgets).await?,
            }
        };
        let newest = self.catalogues.get(&p.scene);
        let snapshot = newest.as_ref().unwrap_or(&p.catalogues);
        let mut slots = CustomerSlots::read_within(
            plan,
            &p.scene.policy_slots[p.policy],
            &refs,
            moment,
            &p.context,
            snapshot.around(),
        );
        let found = snapshot.of_policy(plan, p.policy);
        let (catalogue, prepared) = found.ok_or_else(not_loaded)?;
        let set = &p.scene.policy_slots[p.policy];
        slots.hold(plan, set, policy.catalogue, catalogue, &refs, moment);
        let model = self.policy_model(&p.scene, policy);
        let learned: Option<Arc<ModelState>> = model.as_ref().map(|m| m.snapshot());
        let objectives: Vec<(String, Arc<ModelState>)> =
            (self.objective_models(&p.scene, policy).into_iter())
                .map(|m| (m.plan.name.clone(), m.snapshot()))
                .collect();
        let objective_models: Vec<(&str, &ModelState)> =
            objectives.iter().map(|(n, s)| (n.as_str(), &**s)).collect();
        let elapsed = self.elapsed(&p.scene, policy, now);
        let id = DecisionId(self.env.fresh_id());
        let seed = self.env.seed();
        let request = Request {
            decision: id,
            customer: w.customer,
            moment,
            slots: p.slots,
            origin: p.origin,
            forced: p.item.as_ref().map(|item| Forced {
                item: Some(item.clone()),
                reason: ASKED.to_owned(),
            }),
        };
        let situation = Situation {
            customer: &slots,
            catalogue,
            prepared: Some(prepared),
            contacts: &contacts,
            spent: &spent,
            elapsed: &elapsed,
            model: learned.as_deref(),
            objective_models: &objective_models,
            artifacts: &luopan_kernel::artifact::NONE,
        };
        // Mask and scores are one pure function, which has no clock.
        let choose = tracing::debug_span!("choose", scene = %plan.name, policy = %policy.name);
        let mut decision = choose.in_scope(|| decide(plan, policy, &situation, &request, seed));
        let had_contacts = !own.contacts.is_empty();
        own.add(
            decision.choices.iter().map(|c| ContactEntry {
                at: now,
                decision: id,
                policy: policy.name.clone(),
                channel: policy.channel.clone(),
                item: c.item.clone(),
            }),
            &p.scene.contact_needs,
        );
        let withheld = if p.attempt >= DECIDE_ATTEMPTS_MAX {
            Some("contention".to_owned())
        } else if !decision.debits.is_empty() && holds >= HOLDS_MAX {
            Some(format!(
                "{holds} sends are not confirmed yet, the limit is {HOLDS_MAX}"
            ))
        } else if own.contacts.len() > CONTACTS_MAX as usize {
            Some(format!(
                "caps need more than {CONTACTS_MAX} contacts of this customer"
            ))
        } else {
            None
        };
        if let Some(reason) = &withheld {
            decision = decision.withheld(reason);
        }
        let valid_until = now.plus(policy.valid_for_us);
        let record = DecisionRecord {
            semantics: luopan_kernel::SEMANTICS,
            tenant: DEFAULT_TENANT,
            scene: p.scene.no,
            scene_version: p.scene.version,
            plan_hash: hex(&p.scene.hash),
            policy: policy.name.clone(),
            contest: (p.contest)
                .and_then(|i| p.scene.plan.contests.get(i))
                .map(|c| c.name.clone()),
            catalogue_version: catalogue.version,
            model: model
                .as_ref()
                .zip(learned.as_ref())
                .map(|(m, s)| ModelUsed {
                    name: m.plan.name.clone(),
                    version: s.samples,
                }),
            objective_models: (objectives.iter())
                .map(|(name, state)| ModelUsed {
                    name: name.clone(),
                    version: state.samples,
                })
                .collect(),
            request,
            identifier: p.identifier,
            identifiers: w.identifiers.clone(),
            context: p
                .context
                .iter()
                .map(|(n, v)| (n.clone().into_owned(), v.clone()))
                .collect(),
            idempotency: p.key.as_ref().map(|k| Idempotency {
                key_hash: format!("{:032x}", luopan_kernel::id::hash128(k.as_bytes())),
                body_hash: hex(&p.body_hash),
            }),
            seed,
            positions: positions.into_iter().collect(),
            contacts,
            spent,
            elapsed,
            attempt: p.attempt,
            withheld,
            valid_until,
            decision,
        };
        let is_contact = !record.decision.choices.is_empty();
        let own = (is_contact && (had_contacts || !own.contacts.is_empty())).then_some(own);
        Ok(self.transaction(p, w, read, record, own, &budgets))
    }

    /// The one transaction of a decision.
    fn transaction(
        &self,
        p: &Prepared,
        w: &Wanted,
        read: &Read<'_>,
        record: DecisionRecord,
        contacts: Option<ContactsRow>,
        budgets: &[String],
    ) -> Made {
        let plan = &p.scene.plan;
        let decision = &record.decision;
        let id = record.request.decision;
        let mut commit = Commit::new(Durability::Durable);
        let unchanged = |k: usize| Expect {
            key: read.keys[k].clone(),
            value: read.values[k].clone(),
        };
        commit.expect.extend(w.key.map(unchanged));
        if record.withheld.is_none() {
            // Consent and suitability stand in the profiles, caps in the contacts, identity in the customer's list.
            commit
                .expect
                .extend(w.profiles.iter().chain(&w.contacts).map(|k| unchanged(*k)));
            commit.expect.push(w.identity.clone());
            commit.expect.push(Expect {
                key: rows::customer(w.customer),
                value: rows::customer_content(&w.identifiers),
            });
            for c in &decision.checks {
                let i = usize::from(c.budget);
                commit.checks.push(BudgetCheck {
                    budget: budgets[i].clone(),
                    limit: plan.budgets[i].limit,
                    amount: c.amount,
                    available: c.available,
                });
            }
        }
        let debits: Vec<Debit> = (decision.debits.iter())
            .map(|d| {
                let budget = &plan.budgets[usize::from(d.budget)];
                Debit {
                    budget: budgets[usize::from(d.budget)].clone(),
                    rows: budget.rows,
                    home: (hash64(&id.0) % u64::from(budget.rows.max(1))) as u16,
                    amount: d.amount,
                }
            })
            .collect();
        for (debit, d) in debits.iter().zip(&decision.debits) {
            commit.budgets.push(BudgetChange {
                budget: debit.budget.clone(),
                limit: plan.budgets[usize::from(d.budget)].limit,
                rows: debit.rows,
                home: debit.home,
                amount: debit.amount,
            });
        }
        commit.writes.extend(contacts.map(|row| Write {
            key: rows::contacts(p.scene.no, p.origin, p.identifier),
            value: Some(Bytes::from(row.encode())),
        }));
        commit.writes.push(Write {
            key: rows::decision(id),
            value: Some(Bytes::from(record.encode())),
        });
        if let Some(k) = w.key {
            let row = DecisionKeyRow {
                body_hash: p.body_hash,
                decision: id,
            };
            commit.writes.push(Write {
                key: read.keys[k].clone(),
                value: Some(row.encode()),
            });
        }
        let event = decision_event(&record, p.policy(), &debits, self.log_time());
        let outbox = relay::entry_row(
            rows::outbox(p.identifier.partition(), &id.0),
            &Entry::Event(event),
        );
        commit.writes.push(outbox.write());
        Made {
            record,
            commit,
            outbox,
        }
    }

    /// When it is at the customer's.
    pub(crate) fn moment(
        &self,
        scene: &SceneRuntime,
        profiles: &[&luopan_kernel::profile::Profile],
        now: Micros,
    ) -> Moment {
        self.moment_of(&scene.plan, profiles, now)
    }

    /// As [`Inner::moment`], of a plan that need not be applied.
    pub(crate) fn moment_of(
        &self,
        plan: &ScenePlan,
        profiles: &[&luopan_kernel::profile::Profile],
        now: Micros,
    ) -> Moment {
        let declared = (plan.zone_attribute.as_ref())
            .and_then(|name| plan.tags.iter().position(|t| t.name == *name))
            .map(|i| luopan_kernel::slots::tag_value(plan, i, &plan.tags[i], profiles, now));
        let own = match &declared {
            Some(Value::Text(zone)) => self.env.utc_offset_s(zone, now),
            _ => None,
        };
        let utc_offset_s = own
            .or_else(|| self.env.utc_offset_s(&plan.default_zone, now))
            .unwrap_or(0);
        Moment { now, utc_offset_s }
    }

    pub(crate) fn policy_model(
        &self,
        scene: &SceneRuntime,
        policy: &PolicyPlan,
    ) -> Option<Arc<crate::learner::Model>> {
        let Scorer::Model(name) = &policy.scorer else {
            return None;
        };
        self.model_named(scene, name)
    }

    /// The models of a policy's objectives, each once.
    pub(crate) fn objective_models(
        &self,
        scene: &SceneRuntime,
        policy: &PolicyPlan,
    ) -> Vec<Arc<crate::learner::Model>> {
        let Scorer::Objectives(objectives) = &policy.scorer else {
            return Vec::new();
        };
        let mut names: Vec<&str> = (objectives.objectives.iter())
            .filter_map(|o| match &o.value {
                ObjectiveValue::Model(name) => Some(name.as_str()),
                ObjectiveValue::Expression(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        (names.into_iter())
            .filter_map(|name| self.model_named(scene, name))
            .collect()
    }

    fn model_named(&self, scene: &SceneRuntime, name: &str) -> Option<Arc<crate::learner::Model>> {
        let i = scene.plan.models.iter().position(|m| m.name == *name)?;
        self.model(scene.streams[i])
    }

    /// Share of each budget's time that is over, where the policy prices one: of the scene's day, or of the time that it lasts.
    pub(crate) fn elapsed(
        &self,
        scene: &SceneRuntime,
        policy: &PolicyPlan,
        now: Micros,
    ) -> Vec<f64> {
        if policy.budgets.iter().all(|b| b.price.is_none()) {
            return Vec::new();
        }
        let offset = self
            .env
            .utc_offset_s(&scene.plan.default_zone, now)
            .unwrap_or(0);
        let local = now.plus(i64::from(offset) * SECOND_US);
        let share = local.0.rem_euclid(DAY_US) as f64 / DAY_US as f64;
        let budgets = scene.plan.budgets.iter();
        budgets
            .map(|b| b.elapsed(now, share).unwrap_or(share))
            .collect()
    }
}

/// True when somebody linked meanwhile.
fn is_of_customers(conflict: &Conflict) -> bool {
    matches!(conflict, Conflict::Changed { key } if matches!(key.table, Table::Identity | Table::Customer))
}

/// The fields of the request's context that the scene declares, typed.
fn request_context(
    scene: &SceneRuntime,
    given: &[(String, Raw<'static>)],
) -> Result<Vec<(Cow<'static, str>, Value<'static>)>> {
    let mut out: Vec<(Cow<'static, str>, Value<'static>)> = Vec::with_capacity(given.len());
    for (name, raw) in given {
        let slot = (scene.plan.slots.iter()).find(|s| {
            s.source == SlotSource::Request
                && s.name.strip_prefix("request.") == Some(name.as_str())
        });
        let Some(slot) = slot else {
            let known: Vec<_> = (scene.plan.slots.iter())
                .filter(|s| s.source == SlotSource::Request)
                .filter_map(|s| s.name.strip_prefix("request."))
                .map(|n| format!("`{n}`"))
                .collect();
            let known = if known.is_empty() {
                "it declares none".to_owned()
            } else {
                format!("it declares {}", known.join(", "))
            };
            return Err(refusal(
                "unknown_context",
                RefusalKind::Invalid,
                format!(
                    "scene `{}` declares no request field `{}`; {known}",
                    scene.plan.name,
                    intake::cut(name)
                ),
            ));
        };
        let field = Field {
            name: name.clone(),
            kind: slot.kind,
            required: false,
            personal: false,
            currency: None,
            one_of: Vec::new(),
            not_a_feature: None,
        };
        let value = intake::typed(&field, raw)
            .map_err(|f| refusal("wrong_type", RefusalKind::Invalid, f.reason))?;
        out.push((Cow::Owned(name.clone()), value));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out.dedup_by(|a, b| a.0 == b.0);
    Ok(out)
}

/// Names of the scene's budgets in their present periods. Each origin but `live` has a ledger of its own.
pub(crate) fn budget_names(
    env: &dyn crate::Env,
    scene: &SceneRuntime,
    origin: Origin,
    now: Micros,
) -> Vec<String> {
    let prefix = if origin == Origin::Live {
        String::new()
    } else {
        format!("{}:", origin.word())
    };
    (scene.plan.budgets.iter())
        .map(|b| {
            let period = match b.period {
                BudgetPeriod::Total => "total".to_owned(),
                BudgetPeriod::Daily => {
                    format!("day-{}", env.local_day(&scene.plan.default_zone, now))
                }
            };
            format!("{prefix}{}/{}/{period}", scene.plan.name, b.name)
        })
        .collect()
}

/// The event that tells the log of a decision.
fn decision_event(
    record: &DecisionRecord,
    policy: &PolicyPlan,
    debits: &[Debit],
    received_at: Micros,
) -> Event<'static> {
    let action = record
        .decision
        .choices
        .first()
        .map_or_else(|| policy.null_action.name.clone(), |c| c.item.clone());
    let mut context = Vec::new();
    if !debits.is_empty() {
        context.push((
            Cow::Borrowed("luopan.debits"),
            Value::text(debits_to_text(debits)),
        ));
        context.push((
            Cow::Borrowed("luopan.void_at"),
            Value::Time(record.valid_until.plus(policy.receipts_within_us)),
        ));
    }
    Event {
        id: Cow::Owned(record.request.decision.to_string()),
        tenant: record.tenant,
        scene: record.scene,
        identifier: record.identifier,
        kind: Cow::Borrowed(DECISION_TYPE),
        occurred_at: record.request.moment.now,
        received_at,
        origin: record.request.origin,
        properties: vec![
            (Cow::Borrowed("action"), Value::text(action)),
            (
                Cow::Borrowed("channel"),
                Value::text(policy.channel.clone()),
            ),
            (Cow::Borrowed("null"), Value::Bool(record.decision.null)),
            (Cow::Borrowed("policy"), Value::text(policy.name.clone())),
        ],
        context,
        corrects: None,
        sealed: Vec::new(),
    }
}
