//! Customers and segments as callers see them: one view over linked identifiers, links and un-links, segment sizes and
//! members, and counting a rule that is not a segment yet.

use crate::api::{
    CustomerView, PositionToken, Refusal, RefusalKind, Result, RuleCount, SegmentCount,
};
use crate::contacts::ContactsRow;
use crate::relay::{self, OutboxRow};
use crate::row::CustomerRow;
use crate::rows::{self, IdentityRow};
use crate::{Inner, intake};
use bytes::Bytes;
use luopan_kernel::event::{Entry, Link, Origin};
use luopan_kernel::id::{
    CustomerId, DEFAULT_TENANT, IdentifierId, LINKED_IDENTIFIERS_MAX, PartitionId, SceneNo,
};
use luopan_kernel::plan::{Expr, SlotSource, Truth};
use luopan_kernel::profile::Profile;
use luopan_kernel::rule::truth;
use luopan_kernel::slots::{CustomerSlots, SlotSet};
use luopan_kernel::time::Moment;
use luopan_store::{AuditRecord, Commit, Conflict, Durability, Expect, ForeignId, Table, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn refusal(code: &'static str, kind: RefusalKind, message: String) -> Refusal {
    Refusal {
        code,
        kind,
        message,
    }
}

impl Inner {
    async fn resolve_known(&self, foreign: &str) -> Result<IdentifierId> {
        let asked = [ForeignId {
            tenant: DEFAULT_TENANT,
            text: foreign.to_owned(),
        }];
        self.keys
            .resolve(&asked)
            .await?
            .pop()
            .flatten()
            .ok_or_else(|| {
                refusal(
                    "unknown_customer",
                    RefusalKind::NotFound,
                    format!("customer `{}` was never seen", intake::cut(foreign)),
                )
            })
    }

    async fn profiles(
        &self,
        scene: &crate::scenes::SceneRuntime,
        ids: &[IdentifierId],
    ) -> Result<Vec<CustomerRow>> {
        let keys: Vec<_> = ids.iter().map(|i| rows::profile(scene.no, *i)).collect();
        let mut out = Vec::new();
        for value in self.state.get(&keys).await?.into_iter().flatten() {
            let mut row = CustomerRow::decode(&value).map_err(|e| {
                refusal(
                    "store_unavailable",
                    RefusalKind::Unavailable,
                    format!("a profile cannot be read: {e}"),
                )
            })?;
            row.profile.adapt(scene.fold.layout());
            out.push(row);
        }
        Ok(out)
    }

    /// What is known of a customer now.
    pub(crate) async fn customer(&self, scene: &str, foreign: &str) -> Result<CustomerView> {
        let scene = self.scenes.newest(scene)?;
        let id = self.resolve_known(foreign).await?;
        if self.fleet.is_shared() {
            self.identity.catch_up(&*self.state, &[id]).await?;
        }
        let canonical = self.identity.customer(id);
        let ids = self.identity.identifiers(canonical);
        let mut token = PositionToken::default();
        for i in &ids {
            token.include(i.partition(), self.progress.position(i.partition()));
        }
        let found = self.profiles(&scene, &ids).await?;
        let profiles: Vec<&Profile> = found.iter().map(|r| &r.profile).collect();
        let moment = self.moment(&scene, &profiles, self.env.now());
        let slots = CustomerSlots::read(&scene.plan, &profiles, moment, &[]);
        let tags = (scene.plan.slots.iter().zip(&slots.values))
            .filter(|(s, _)| {
                matches!(
                    s.source,
                    SlotSource::Tag(_) | SlotSource::Derived(_) | SlotSource::Book(..)
                )
            })
            .map(|(s, v)| (s.name.clone(), v.clone().into_owned()))
            .collect();
        let home = found.iter().find(|r| r.profile.identifier == canonical);
        let segments = home.map_or_else(Vec::new, |row| {
            let indexes = row.profile.segments.indexes.iter();
            indexes
                .filter_map(|i| scene.plan.segments.get(usize::from(*i)))
                .map(|s| s.name.clone())
                .collect()
        });
        let keys: Vec<_> = ids
            .iter()
            .map(|i| rows::contacts(scene.no, Origin::Live, *i))
            .collect();
        let mut contacts = Vec::new();
        for value in self.state.get(&keys).await?.into_iter().flatten() {
            let row = ContactsRow::decode(&value).map_err(|e| {
                refusal(
                    "store_unavailable",
                    RefusalKind::Unavailable,
                    format!("contacts cannot be read: {e}"),
                )
            })?;
            contacts.extend(
                row.contacts
                    .into_iter()
                    .map(|c| (c.at, c.policy, c.channel, c.item)),
            );
        }
        contacts.sort();
        let names = self.keys.reveal(DEFAULT_TENANT, &ids).await?;
        Ok(CustomerView {
            scene: scene.plan.name.clone(),
            customer: canonical,
            identifiers: names.into_iter().flatten().collect(),
            as_of: moment.now,
            tags,
            segments,
            contacts,
            token,
        })
    }

    /// Links identifier `b` to the customer of `a`: one transaction over identity, the customers' lists, and what has to
    /// be looked at again; the log is told through the outbox.
    pub(crate) async fn link(&self, a: &str, b: &str, by: &str) -> Result<()> {
        let ids = self.resolve_or_create(&[a, b]).await?;
        let (a, b, by) = (ids[0], ids[1], by.to_owned());
        self.to_the_end(move |inner| async move { inner.link_ids(a, b, &by).await })
            .await?
    }

    async fn link_ids(self: &Arc<Self>, a: IdentifierId, b: IdentifierId, by: &str) -> Result<()> {
        let changed = self.relink(vec![a, b], |map| {
            let into = map.customer(a);
            if map.customer(b) == into {
                return Ok(None);
            }
            let mut moved = vec![b];
            if map.customer(b) == b {
                // A canonical identifier brings the identifiers that are linked to it.
                moved = map.identifiers(b);
            }
            if map.identifiers(into).len() + moved.len() > LINKED_IDENTIFIERS_MAX {
                return Err(refusal(
                    "too_many_identifiers",
                    RefusalKind::Invalid,
                    format!("a customer has at most {LINKED_IDENTIFIERS_MAX} identifiers; un-link one first"),
                ));
            }
            Ok(Some((into, moved)))
        });
        if changed.await? {
            self.audit_identity("identity.link", a, b, by).await?;
        }
        Ok(())
    }

    /// Un-links an identifier: it is a customer of its own again, exactly as it was folded.
    pub(crate) async fn unlink(&self, foreign: &str, by: &str) -> Result<()> {
        let id = self.resolve_known(foreign).await?;
        let (name, by) = (intake::cut(foreign), by.to_owned());
        self.to_the_end(move |inner| async move { inner.unlink_id(id, &name, &by).await })
            .await?
    }

    async fn unlink_id(self: &Arc<Self>, id: IdentifierId, name: &str, by: &str) -> Result<()> {
        let customer = self.identity.customer(id);
        let changed = self.relink(vec![id], |map| {
            if map.is_single(id) {
                return Err(refusal(
                    "not_linked",
                    RefusalKind::Invalid,
                    format!("`{name}` is linked to nobody"),
                ));
            }
            if map.customer(id) != id {
                return Ok(Some((id, vec![id])));
            }
            // The canonical one leaves: the others stay together under the least of them.
            let rest: Vec<_> = (map.identifiers(id).into_iter())
                .filter(|i| *i != id)
                .collect();
            Ok(rest.first().copied().map(|heir| (heir, rest)))
        });
        if changed.await? {
            self.audit_identity("identity.unlink", id, customer, by)
                .await?;
        }
        Ok(())
    }

    async fn audit_identity(
        &self,
        action: &str,
        a: IdentifierId,
        b: IdentifierId,
        by: &str,
    ) -> Result<()> {
        let record = AuditRecord {
            at: self.env.now(),
            by: by.to_owned(),
            action: action.to_owned(),
            detail: format!("{{\"identifier\":\"{a}\",\"other\":\"{b}\"}}"),
        };
        Ok(self.control.audit(record).await?)
    }

    /// Sets the customer of some identifiers in one transaction, again from fresh rows when another link came between.
    /// `around` are those whose customers matter: what other nodes linked of them is taken over first, since nothing would
    /// notice it when there is nothing to do. `choose` names the customer and who comes to it, or none; so does the answer.
    async fn relink(
        self: &Arc<Self>,
        around: Vec<IdentifierId>,
        choose: impl Fn(
            &crate::identity::IdentityMap,
        ) -> Result<Option<(CustomerId, Vec<IdentifierId>)>>,
    ) -> Result<bool> {
        let _one_at_a_time = self.linking.lock().await;
        for _ in 0..crate::api::DECIDE_ATTEMPTS_MAX {
            self.identity.catch_up(&*self.state, &around).await?;
            self.learn_scenes().await?;
            let Some((into, moved)) = choose(&self.identity)? else {
                return Ok(false);
            };
            let at = self.log_time();
            let mut lists: BTreeMap<CustomerId, Vec<IdentifierId>> = BTreeMap::new();
            let mut commit = Commit::new(Durability::Durable);
            let mut new_rows = Vec::new();
            for id in &moved {
                let before = self.identity.row(*id);
                let old = self.identity.customer(*id);
                let row = IdentityRow {
                    customer: into,
                    revision: before.map_or(0, |b| b.revision) + 1,
                };
                commit.expect.push(Expect {
                    key: rows::identity(*id),
                    value: before.map(|b| b.encode()),
                });
                commit.writes.push(Write {
                    key: rows::identity(*id),
                    value: Some(row.encode()),
                });
                lists
                    .entry(old)
                    .or_insert_with(|| self.identity.identifiers(old))
                    .retain(|i| i != id);
                lists
                    .entry(into)
                    .or_insert_with(|| self.identity.identifiers(into))
                    .push(*id);
                new_rows.push((*id, row));
            }
            let mut touched: BTreeSet<IdentifierId> = moved.iter().copied().collect();
            for (customer, list) in &mut lists {
                list.sort_unstable();
                list.dedup();
                let before = self.identity.identifiers(*customer);
                commit.expect.push(Expect {
                    key: rows::customer(*customer),
                    value: rows::customer_content(&before),
                });
                commit.writes.push(Write {
                    key: rows::customer(*customer),
                    value: rows::customer_content(list),
                });
                touched.insert(*customer);
            }
            let mut epochs: BTreeMap<PartitionId, u64> = BTreeMap::new();
            for id in &touched {
                let partition = id.partition();
                epochs
                    .entry(partition)
                    .or_insert_with(|| self.identity.epoch(partition) + 1);
            }
            for (partition, epoch) in &epochs {
                commit.expect.push(self.identity.epoch_row(*partition));
                commit.writes.push(Write {
                    key: rows::identity_epoch(*partition),
                    value: Some(rows::encode_number(*epoch)),
                });
            }
            let mut outbox = Vec::new();
            for (id, row) in &new_rows {
                let link = Link {
                    identifier: *id,
                    customer: row.customer,
                    revision: row.revision,
                    at,
                };
                // Where the customer was before, others have to look again too.
                let before = self.identity.customer(*id);
                for p in BTreeSet::from([id.partition(), into.partition(), before.partition()]) {
                    let key = [&id.0[..], &row.revision.to_be_bytes()].concat();
                    outbox.push(relay::entry_row(
                        rows::outbox(p, &key),
                        &Entry::Linked(link),
                    ));
                }
            }
            commit.writes.extend(outbox.iter().map(OutboxRow::write));
            let mut dirty = Vec::new();
            let scenes = self.scenes.numbers();
            for scene in &scenes {
                for id in &touched {
                    let token = Bytes::from(self.env.fresh_id().to_vec());
                    commit.writes.push(Write {
                        key: rows::dirty(*scene, *id),
                        value: Some(token),
                    });
                    dirty.push((*scene, *id));
                }
            }
            // No partition has come to a scene that is not known here: it would have looked at these customers before the link.
            let next = SceneNo(scenes.last().map_or(0, |s| s.0).saturating_add(1));
            for partition in epochs.keys() {
                commit.expect.push(Expect {
                    key: rows::scene_version(next, *partition),
                    value: None,
                });
            }
            match self.state.commit(vec![commit]).await?.pop() {
                Some(Ok(_)) => {
                    for (id, row) in new_rows {
                        self.identity.set(id, row);
                    }
                    for (partition, epoch) in epochs {
                        self.identity.set_epoch(partition, epoch);
                    }
                    self.outbox.put(outbox);
                    for name in dirty {
                        self.look_again_at(name);
                    }
                    return Ok(true);
                }
                // Another node linked or applied a scene: that is read before it is tried again.
                Some(Err(Conflict::Changed { .. })) => {}
                _ => break,
            }
        }
        Err(refusal(
            "link_contention",
            RefusalKind::Busy,
            "other links of these customers came between; try again".into(),
        ))
    }

    /// Segments of a scene with their present sizes.
    pub(crate) async fn segments(&self, scene: &str) -> Result<Vec<SegmentCount>> {
        let scene = self.scenes.newest(scene)?;
        let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
        let mut out = Vec::with_capacity(scene.plan.segments.len());
        for (segment, no) in scene.plan.segments.iter().zip(&scene.segment_nos) {
            let keys: Vec<_> = partitions
                .iter()
                .map(|p| rows::member_count(scene.no, *no, *p))
                .collect();
            let counts = self.state.get(&keys).await?;
            let members = counts
                .iter()
                .flatten()
                .filter_map(|v| rows::decode_number(v).ok())
                .sum();
            out.push(SegmentCount {
                name: segment.name.clone(),
                rule: segment.rule.source.clone(),
                members,
            });
        }
        Ok(out)
    }

    /// Members of a segment in order of partition and id, after the given one.
    pub(crate) async fn segment_members(
        &self,
        scene: &str,
        segment: &str,
        after: Option<IdentifierId>,
        limit: usize,
    ) -> Result<Vec<(IdentifierId, Option<String>)>> {
        let scene = self.scenes.newest(scene)?;
        let Some(i) = scene.plan.segments.iter().position(|s| s.name == segment) else {
            return Err(refusal(
                "unknown_segment",
                RefusalKind::NotFound,
                format!(
                    "scene `{}` has no segment `{}`{}",
                    scene.plan.name,
                    intake::cut(segment),
                    intake::nearest(segment, scene.plan.segments.iter().map(|s| s.name.as_str()))
                ),
            ));
        };
        let prefix = rows::members_prefix(scene.no, scene.segment_nos[i]);
        let start = after.map_or(0, |a| a.partition().0);
        let mut ids = Vec::new();
        for p in start..luopan_kernel::PARTITIONS {
            if ids.len() >= limit {
                break;
            }
            let from = match after {
                Some(a) if p == start => [&prefix[..], &a.0, &[0]].concat(),
                _ => prefix.clone(),
            };
            let to = [&prefix[..], &[0xff; 17]].concat();
            let found = self
                .state
                .scan(
                    Table::Member,
                    PartitionId(p),
                    &from,
                    Some(&to),
                    limit - ids.len(),
                )
                .await?;
            ids.extend(
                found
                    .iter()
                    .filter_map(|r| r.key.get(10..26)?.try_into().ok().map(IdentifierId)),
            );
        }
        let names = self.keys.reveal(DEFAULT_TENANT, &ids).await?;
        Ok(ids.into_iter().zip(names).collect())
    }

    /// Evaluates a rule over every customer of a scene, now.
    pub(crate) async fn count_rule(&self, scene: &str, rule: &Expr) -> Result<RuleCount> {
        let scene = self.scenes.newest(scene)?;
        let set = SlotSet::reading(&scene.plan, [rule]);
        let now = self.env.now();
        let mut out = RuleCount {
            matched: 0,
            unknown: 0,
            customers: 0,
        };
        let mut linked: BTreeSet<CustomerId> = BTreeSet::new();
        let mut count = |profiles: &[&Profile], moment: Moment| {
            let slots = CustomerSlots::read_only(&scene.plan, &set, profiles, moment, &[]);
            out.customers += 1;
            match truth(rule, &slots) {
                Truth::True => out.matched += 1,
                Truth::Unknown => out.unknown += 1,
                Truth::False => {}
            }
        };
        for p in 0..luopan_kernel::PARTITIONS {
            let mut from = scene.no.0.to_be_bytes().to_vec();
            let to = scene.no.0.checked_add(1).map(|n| n.to_be_bytes().to_vec());
            loop {
                let found = self
                    .state
                    .scan(Table::Profile, PartitionId(p), &from, to.as_deref(), 1_000)
                    .await?;
                let Some(last) = found.last() else { break };
                from = [&last.key[..], &[0]].concat();
                for row in &found {
                    let mut row = CustomerRow::decode(&row.value).map_err(|e| {
                        refusal(
                            "store_unavailable",
                            RefusalKind::Unavailable,
                            format!("a profile cannot be read: {e}"),
                        )
                    })?;
                    if !self.identity.is_single(row.profile.identifier) {
                        linked.insert(self.identity.customer(row.profile.identifier));
                        continue;
                    }
                    row.profile.adapt(scene.fold.layout());
                    count(&[&row.profile], self.moment(&scene, &[&row.profile], now));
                }
            }
        }
        for customer in linked {
            let found = self
                .profiles(&scene, &self.identity.identifiers(customer))
                .await?;
            let profiles: Vec<&Profile> = found.iter().map(|r| &r.profile).collect();
            count(&profiles, self.moment(&scene, &profiles, now));
        }
        Ok(out)
    }
}
