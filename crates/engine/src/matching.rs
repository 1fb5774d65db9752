//! Ranking a policy's items for all customers of a scene, a page of customers at a time, at one stated moment.
//!
//! What is known of a customer is read as a decision reads it: the profiles of all linked identifiers, their contacts, what
//! budgets have left, the models. It is State as it is folded now, seen from the moment. What decides is the kernel
//! ([`luopan_kernel::decide::batch`]). This room must never write: nothing is spent, recorded or told to the log.

use crate::api::{Refusal, RefusalKind, Result};
use crate::catalogues::{Snapshot, not_loaded};
use crate::contacts::ContactsRow;
use crate::decisions::budget_names;
use crate::row::CustomerRow;
use crate::scenes::SceneRuntime;
use crate::{Inner, intake, learner, rows};
use luopan_kernel::artifact;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::batch::{Ranking, Screening, Wanted};
use luopan_kernel::decide::{Contact, Prepared, Situation};
use luopan_kernel::event::Origin;
use luopan_kernel::factors::Index;
use luopan_kernel::id::{CustomerId, IdentifierId, PartitionId, hash128};
use luopan_kernel::learn::ModelState;
use luopan_kernel::plan::PolicyPlan;
use luopan_kernel::profile::Profile;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{Micros, Moment};
use luopan_store::Table;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Profile rows read at once, and about as many customers ranked together.
const PAGE_ROWS: usize = 1_024;
/// Outbox rows read at once.
const OUTBOX_ROWS: usize = 10_000;

/// What a matching is made from. Two with the same answer here give the same rankings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Scene.
    pub scene: String,
    /// Its version.
    pub version: u32,
    /// Hash of its plan, hexadecimal.
    pub plan_hash: String,
    /// Policy.
    pub policy: String,
    /// Version of its catalogue: a position of the environment partition.
    pub catalogue_version: u64,
    /// Items of the catalogue.
    pub items: usize,
    /// Models that score, by name, each with the number of samples it has learned from.
    pub models: Vec<(String, u64)>,
    /// The moment.
    pub at: Micros,
    /// A hash of how far State is: it changes with everything that is folded, decided, spent or linked.
    pub state: String,
}

/// A policy of a scene, ready to rank its items for any customer.
pub struct Matcher {
    inner: Arc<Inner>,
    scene: Arc<SceneRuntime>,
    policy: usize,
    snapshot: Arc<Snapshot>,
    model: Option<Arc<ModelState>>,
    objectives: Vec<(String, Arc<ModelState>)>,
    spent: Vec<i64>,
    elapsed: Vec<f64>,
    at: Micros,
    /// Customers of more than one identifier, by the partition of the canonical one, ascending.
    linked: BTreeMap<PartitionId, Vec<CustomerId>>,
    about: Matched,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// What is known of one customer.
#[derive(Debug)]
struct Known {
    customer: CustomerId,
    profiles: Vec<Profile>,
    contacts: Vec<Contact>,
    moment: Moment,
}

/// Some customers of one partition, ascending.
#[derive(Debug)]
pub struct Page {
    known: Vec<Known>,
    /// After whom the next page begins; none after the last.
    pub next: Option<IdentifierId>,
}

impl Page {
    /// Number of customers.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True without customers.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn unreadable(what: &str, e: impl std::fmt::Display) -> Refusal {
    Refusal {
        code: "store_unavailable",
        kind: RefusalKind::Unavailable,
        message: format!("{what} cannot be read: {e}"),
    }
}

impl Inner {
    /// Readies a policy. `versions` are those of its models; without them, the newest.
    pub(crate) async fn matcher(
        self: &Arc<Self>,
        scene: &str,
        policy: &str,
        at: Micros,
        versions: Option<&[(String, u64)]>,
    ) -> Result<Matcher> {
        let (scene, snapshot) = self.newest_laid_out(scene)?;
        let plan = scene.plan.clone();
        let number = intake::policy_number(&plan, policy)?;
        let policy = &plan.policies[number];
        let mut states = Vec::new();
        let mine = self.policy_model(&scene, policy);
        for model in mine.iter().chain(&self.objective_models(&scene, policy)) {
            let name = &model.plan.name;
            let newest = model.snapshot();
            let wanted = versions
                .and_then(|v| v.iter().find(|(n, _)| n == name))
                .map(|(_, version)| *version)
                .filter(|version| *version != newest.samples);
            let state = match wanted {
                None => newest,
                Some(_) => Arc::new(learner::rebuild(self, model, wanted, false).await?.state),
            };
            states.push((name.clone(), state));
        }
        let models = (states.iter())
            .map(|(name, state)| (name.clone(), state.samples))
            .collect();
        let objectives = states.split_off(usize::from(mine.is_some()));
        let (catalogue, _) = snapshot.of_policy(&plan, number).ok_or_else(not_loaded)?;
        let about = Matched {
            scene: plan.name.clone(),
            version: scene.version,
            plan_hash: scene.info().hash,
            policy: policy.name.clone(),
            catalogue_version: catalogue.version,
            items: catalogue.len(),
            models,
            at,
            state: self.state_mark().await?,
        };
        let spent = if policy.budgets.is_empty() {
            Vec::new()
        } else {
            let names = budget_names(&*self.env, &scene, Origin::Live, at);
            self.state.spent(&names).await?
        };
        let mut linked: BTreeMap<PartitionId, Vec<CustomerId>> = BTreeMap::new();
        for customer in self.identity.linked() {
            let mine = linked.entry(customer.partition()).or_default();
            mine.push(customer);
        }
        Ok(Matcher {
            elapsed: self.elapsed(&scene, policy, at),
            inner: self.clone(),
            policy: number,
            snapshot,
            model: states.pop().map(|(_, state)| state),
            objectives,
            spent,
            at,
            linked,
            about,
            scene,
        })
    }

    /// A hash of how far the folder is: the log's heads, what State reflects of it, what waits for the log, what is spent.
    async fn state_mark(&self) -> Result<String> {
        let mut partitions: Vec<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
            .map(PartitionId)
            .collect();
        let mut bytes = Vec::new();
        for position in self.state.positions(&partitions).await? {
            bytes.extend(position.0.to_be_bytes());
        }
        partitions.extend(self.control.streams().await?.into_iter().map(|(_, p)| p));
        // A decision is in the log before it is folded, and no longer among what waits.
        for head in self.log.heads(&partitions).await? {
            bytes.extend(head.0.to_be_bytes());
        }
        for partition in partitions {
            let mut from = Vec::new();
            loop {
                let found = self
                    .state
                    .scan(Table::Outbox, partition, &from, None, OUTBOX_ROWS)
                    .await?;
                let Some(last) = found.last() else { break };
                from = [&last.key[..], &[0]].concat();
                bytes.extend(found.iter().flat_map(|row| row.key.to_vec()));
            }
        }
        for (budget, spent) in self.state.budgets().await? {
            bytes.extend(budget.into_bytes());
            bytes.extend(spent.to_be_bytes());
        }
        Ok(format!("{:032x}", hash128(&bytes)))
    }
}

impl Matcher {
    /// What the rankings are made from.
    pub fn about(&self) -> &Matched {
        &self.about
    }

    fn policy(&self) -> &PolicyPlan {
        &self.scene.plan.policies[self.policy]
    }

    fn catalogue(&self) -> Option<(&Catalogue, &Prepared)> {
        self.snapshot.of_policy(&self.scene.plan, self.policy)
    }

    /// Name of the null action, when the policy may prefer it to items.
    pub fn silence(&self) -> Option<&str> {
        let action = &self.policy().null_action;
        action.is_arm.then_some(action.name.as_str())
    }

    /// What the policy retrieves from; none of a policy that does not retrieve.
    pub fn index(&self) -> Option<&Index> {
        self.catalogue()?.1.index()
    }

    /// Key of the item in a row of the catalogue.
    pub fn key(&self, row: u32) -> &str {
        self.catalogue()
            .map_or("", |(catalogue, _)| catalogue.key(row as usize))
    }

    /// The customers of a partition after the given one: all that anything is known of in this scene.
    ///
    /// # Errors
    /// A store that failed.
    pub async fn page(&self, partition: PartitionId, after: Option<IdentifierId>) -> Result<Page> {
        let inner = &self.inner;
        let no = self.scene.no.0.to_be_bytes();
        let from = match after {
            Some(after) => [&no[..], &after.0, &[0]].concat(),
            None => no.to_vec(),
        };
        let to = [&no[..], &[0xff; 17]].concat();
        let found = inner
            .state
            .scan(Table::Profile, partition, &from, Some(&to), PAGE_ROWS)
            .await?;
        let ids: Vec<IdentifierId> = (found.iter())
            .filter_map(|row| rows::parse_scene_and_id(&row.key))
            .map(|(_, id)| id)
            .collect();
        let next = (found.len() == PAGE_ROWS)
            .then(|| ids.last().copied())
            .flatten();
        let read = |value: &[u8]| -> Result<Profile> {
            let mut row = CustomerRow::decode(value).map_err(|e| unreadable("a profile", e))?;
            row.profile.adapt(self.scene.fold.layout());
            Ok(row.profile)
        };
        let mut of: BTreeMap<CustomerId, Vec<Profile>> = BTreeMap::new();
        for (id, row) in ids.iter().zip(&found) {
            if inner.identity.is_single(*id) {
                of.insert(*id, vec![read(&row.value)?]);
            }
        }
        let linked = self.linked.get(&partition).map_or(&[][..], Vec::as_slice);
        let is_mine = |c: &&CustomerId| {
            after.is_none_or(|after| **c > after) && next.is_none_or(|next| **c <= next)
        };
        let mut members: BTreeMap<CustomerId, Vec<IdentifierId>> = BTreeMap::new();
        for customer in linked.iter().filter(is_mine) {
            let ids = inner.identity.identifiers(*customer);
            let keys: Vec<_> = (ids.iter())
                .map(|i| rows::profile(self.scene.no, *i))
                .collect();
            let values = inner.state.get(&keys).await?;
            let profiles = (values.iter().flatten())
                .map(|value| read(value))
                .collect::<Result<Vec<_>>>()?;
            if !profiles.is_empty() {
                of.insert(*customer, profiles);
                members.insert(*customer, ids);
            }
        }
        let mut keys = Vec::new();
        let mut whose = Vec::new();
        for customer in of.keys() {
            let alone = [*customer];
            for id in members.get(customer).map_or(&alone[..], Vec::as_slice) {
                keys.push(rows::contacts(self.scene.no, Origin::Live, *id));
                whose.push(*customer);
            }
        }
        let mut contacts: BTreeMap<CustomerId, Vec<Contact>> = BTreeMap::new();
        for (customer, value) in whose.into_iter().zip(inner.state.get(&keys).await?) {
            let Some(value) = value else { continue };
            let row = ContactsRow::decode(&value).map_err(|e| unreadable("contacts", e))?;
            contacts
                .entry(customer)
                .or_default()
                .extend(row.contacts.into_iter().map(|c| Contact {
                    at: c.at,
                    decision: c.decision,
                    policy: c.policy,
                    channel: c.channel,
                    item: c.item,
                }));
        }
        let known = of.into_iter().map(|(customer, profiles)| {
            let mut contacts = contacts.remove(&customer).unwrap_or_default();
            contacts.sort_by_key(|c| (c.at, c.decision));
            let refs: Vec<&Profile> = profiles.iter().collect();
            Known {
                moment: inner.moment(&self.scene, &refs, self.at),
                customer,
                contacts,
                profiles,
            }
        });
        Ok(Page {
            known: known.collect(),
            next,
        })
    }

    /// The best `top` items of each customer of a page, in its order. `retrieve` is asked once, for all who want something
    /// of [`Matcher::index`], and must answer for each, in order, what [`Index::best`] gives.
    ///
    /// # Errors
    /// Those of `retrieve`.
    pub fn rank<E>(
        &self,
        page: &Page,
        top: usize,
        retrieve: impl FnOnce(&[Wanted<'_>]) -> std::result::Result<Vec<Vec<(u32, f64)>>, E>,
    ) -> std::result::Result<Vec<(CustomerId, Ranking)>, E> {
        let Some((catalogue, prepared)) = self.catalogue() else {
            return Ok(Vec::new());
        };
        let (plan, policy) = (&*self.scene.plan, self.policy());
        let set = &self.scene.policy_slots[self.policy];
        let models: Vec<(&str, &ModelState)> = (self.objectives.iter())
            .map(|(name, state)| (name.as_str(), &**state))
            .collect();
        let profiles: Vec<Vec<&Profile>> = (page.known.iter())
            .map(|known| known.profiles.iter().collect())
            .collect();
        let slots: Vec<CustomerSlots<'_>> = (page.known.iter().zip(&profiles))
            .map(|(known, profiles)| {
                let around = self.snapshot.around();
                let mut slots =
                    CustomerSlots::read_within(plan, set, profiles, known.moment, &[], around);
                slots.hold(
                    plan,
                    set,
                    policy.catalogue,
                    catalogue,
                    profiles,
                    known.moment,
                );
                slots
            })
            .collect();
        let situations: Vec<Situation<'_>> = (page.known.iter().zip(&slots))
            .map(|(known, customer)| Situation {
                customer,
                catalogue,
                prepared: Some(prepared),
                contacts: &known.contacts,
                spent: &self.spent,
                elapsed: &self.elapsed,
                model: self.model.as_deref(),
                objective_models: &models,
                artifacts: &artifact::NONE,
            })
            .collect();
        let screened: Vec<Screening<'_>> = (page.known.iter().zip(&situations))
            .map(|(known, situation)| {
                Screening::new(plan, policy, situation, prepared, known.moment)
            })
            .collect();
        let wanted: Vec<Option<Wanted<'_>>> = screened.iter().map(Screening::wanted).collect();
        let is_wanted: Vec<bool> = wanted.iter().map(Option::is_some).collect();
        let wanted: Vec<Wanted<'_>> = wanted.into_iter().flatten().collect();
        let retrieved = if wanted.is_empty() {
            Vec::new()
        } else {
            retrieve(&wanted)?
        };
        drop(wanted);
        let mut retrieved = retrieved.into_iter();
        let ranked = (page.known.iter().zip(screened).zip(is_wanted)).map(
            |((known, screening), is_wanted)| {
                let mine = is_wanted.then(|| retrieved.next()).flatten();
                (known.customer, screening.rank(top, mine))
            },
        );
        Ok(ranked.collect())
    }
}
