//! Catalogues in memory: immutable snapshots, swapped whole. When the environment partition was folded further, only what
//! changed is laid out anew; the rest of a new snapshot is shared with the one before. Snapshots of earlier versions, for
//! explaining old decisions, are read from State and a few of them are kept.

use crate::Inner;
use crate::api::{ItemPage, ItemView, Refusal, RefusalKind, Result};
use crate::counters::Counters;
use crate::environment::fold::{ENVIRONMENT, Environment};
use crate::environment::intake::catalogue_of;
use crate::environment::number;
use crate::environment::rows::{ItemRow, NavYear, name_of_prefix};
use crate::environment::{CatalogueNo, ItemName};
use crate::limits::{PAST_ROWS_MAX, PAST_SNAPSHOTS_MAX};
use crate::rows;
use crate::scenes::SceneRuntime;
use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::measures::{Measure, MeasurePlan, Nav, of_history};
use luopan_kernel::catalogue::{
    Catalogue, GENERATED_ATTRIBUTE, Laid, Withdrawal, row as catalogue_row,
};
use luopan_kernel::decide::Prepared;
use luopan_kernel::id::{Position, SceneNo};
use luopan_kernel::plan::policy::PolicyPlan;
use luopan_kernel::plan::{CataloguePlan, ItemPlan, ScenePlan};
use luopan_kernel::slots::Around;
use luopan_kernel::value::Value;
use luopan_store::{Row, Table};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Rows read at once.
const READ_ROWS: usize = 10_000;
/// Attribute that holds the time of the newest announcement, where a catalogue declares it as a time.
const ANNOUNCED_AT: &str = "last_announcement_at";
/// Attribute that holds its kind, where a catalogue declares it as text.
const ANNOUNCED_KIND: &str = "last_announcement_kind";

/// Catalogues by scene and its version.
#[derive(Debug, Default)]
pub(crate) struct Catalogues {
    inner: RwLock<BTreeMap<(SceneNo, u32), Arc<Snapshot>>>,
    /// Held while snapshots are made, so that an older one never takes the place of a newer.
    building: futures::lock::Mutex<()>,
    touched: Mutex<Touched>,
    past: Mutex<Past>,
}

/// What was folded since the snapshots were made.
#[derive(Debug, Default)]
struct Touched {
    items: BTreeSet<ItemName>,
    navs: BTreeSet<ItemName>,
    entries: u64,
}

/// The catalogues of one scene version at one moment, with its policies made ready for them.
#[derive(Debug)]
pub(crate) struct Snapshot {
    version: u64,
    catalogues: Vec<Arc<Catalogue>>,
    /// What they tell of the market.
    market: Vec<Value<'static>>,
    /// The scene's artifacts.
    artifacts: Arc<Artifacts>,
    /// One a policy; none for a policy whose catalogue the plan does not have.
    prepared: Vec<Option<Arc<Prepared>>>,
}

impl Snapshot {
    /// `before`: the snapshot whose policies stay ready for the catalogues that did not change.
    fn new(
        plan: &ScenePlan,
        version: u64,
        catalogues: Vec<Arc<Catalogue>>,
        artifacts: Arc<Artifacts>,
        before: Option<(&Self, &[bool])>,
    ) -> Self {
        let prepare = |(i, policy): (usize, &PolicyPlan)| {
            let number = usize::from(policy.catalogue);
            if let Some((before, changed)) = before
                && changed.get(number) == Some(&false)
            {
                return before.prepared.get(i).cloned().flatten();
            }
            let catalogue = catalogues.get(number)?;
            let prepared = Prepared::new(plan, policy, catalogue, &artifacts);
            Some(Arc::new(prepared))
        };
        let of_number = |n: u16| catalogues.get(usize::from(n)).map(AsRef::as_ref);
        Self {
            version,
            market: luopan_kernel::market::values(plan, of_number),
            prepared: plan.policies.iter().enumerate().map(prepare).collect(),
            catalogues,
            artifacts,
        }
    }

    /// Catalogue `number`.
    pub(crate) fn catalogue(&self, number: u16) -> Option<&Arc<Catalogue>> {
        self.catalogues.get(usize::from(number))
    }

    /// What is known beside the customer, the moment and the request.
    pub(crate) fn around(&self) -> Around<'_> {
        Around {
            market: &self.market,
            artifacts: &self.artifacts,
        }
    }

    /// What policy number `policy` decides over.
    pub(crate) fn of_policy(
        &self,
        plan: &ScenePlan,
        policy: usize,
    ) -> Option<(&Catalogue, &Prepared)> {
        let catalogue = plan.policies.get(policy)?.catalogue;
        let prepared = self.prepared.get(policy)?.as_ref()?;
        Some((self.catalogue(catalogue)?, prepared))
    }
}

/// Snapshots of earlier versions, the one asked for last at the end.
#[derive(Debug, Default)]
struct Past {
    kept: VecDeque<(PastName, Vec<Arc<Catalogue>>)>,
    /// Snapshots read from State since start.
    read: u64,
}

/// Scene, its version, and the catalogue's.
type PastName = (SceneNo, u32, u64);

impl Past {
    fn get(&mut self, name: &PastName) -> Option<Vec<Arc<Catalogue>>> {
        let at = self.kept.iter().position(|(n, _)| n == name)?;
        let found = self.kept.remove(at)?;
        let out = found.1.clone();
        self.kept.push_back(found);
        Some(out)
    }

    fn put(&mut self, name: PastName, catalogues: Vec<Arc<Catalogue>>) {
        self.kept.retain(|(n, _)| *n != name);
        self.kept.push_back((name, catalogues));
        let rows = |c: &[Arc<Catalogue>]| c.iter().map(|c| c.len()).sum::<usize>();
        while self.kept.len() > PAST_SNAPSHOTS_MAX
            || (self.kept.len() > 1
                && self.kept.iter().map(|(_, c)| rows(c)).sum::<usize>() > PAST_ROWS_MAX)
        {
            self.kept.pop_front();
        }
    }
}

impl Catalogues {
    /// The newest snapshot, laid out for this version of its scene.
    pub(crate) fn get(&self, scene: &SceneRuntime) -> Option<Arc<Snapshot>> {
        self.inner.read().get(&(scene.no, scene.version)).cloned()
    }

    /// Notes what a committed fold of the environment changed.
    pub(crate) fn note(&self, folded: &Environment, entries: u64) {
        let mut touched = self.touched.lock();
        touched.items.extend(folded.items_touched.iter().cloned());
        touched.navs.extend(folded.navs_touched());
        touched.entries += entries;
    }

    /// Notes what another node's fold of the environment changed.
    pub(crate) fn note_names(
        &self,
        items: BTreeSet<ItemName>,
        navs: BTreeSet<ItemName>,
        entries: u64,
    ) {
        let mut touched = self.touched.lock();
        touched.items.extend(items);
        touched.navs.extend(navs);
        touched.entries += entries;
    }

    /// Entries folded since snapshots were made.
    pub(crate) fn behind(&self) -> u64 {
        self.touched.lock().entries
    }

    /// Snapshots of earlier versions that were read from State since start.
    pub(crate) fn past_read(&self) -> u64 {
        self.past.lock().read
    }

    fn swap(&self, built: BTreeMap<(SceneNo, u32), Arc<Snapshot>>) {
        let old = std::mem::replace(&mut *self.inner.write(), built);
        let mut past = self.past.lock();
        for ((scene, version), snapshot) in old {
            past.put(
                (scene, version, snapshot.version),
                snapshot.catalogues.clone(),
            );
        }
    }
}

/// Values of an item in the order of the plan's attributes; what is not known is missing, and so are measures.
fn attributes(
    plan: &CataloguePlan,
    pack: Option<&ItemPlan>,
    item: Option<&ItemRow>,
) -> Vec<Value<'static>> {
    let value = |(i, a): (usize, &luopan_kernel::plan::Field)| {
        if plan.measures.as_ref().is_some_and(|m| m.fills(i)) {
            return Value::Missing;
        }
        let declared = || pack.and_then(|p| p.values.get(i)).cloned();
        let found = match item {
            None => declared(),
            Some(item) => match item.value(&a.name) {
                Some(v) => Some(v.clone()),
                None => (item.announced.as_ref())
                    .and_then(|said| match a.name.as_str() {
                        ANNOUNCED_AT => Some(Value::Time(said.at)),
                        ANNOUNCED_KIND => Some(Value::text(said.kind.clone())),
                        _ => None,
                    })
                    .or_else(|| if item.whole { None } else { declared() }),
            },
        };
        found.filter(|v| v.fits(a.kind)).unwrap_or_default()
    };
    plan.attributes.iter().enumerate().map(value).collect()
}

/// An item of the pack, of State, or of State over the pack.
fn laid_out(
    plan: &CataloguePlan,
    key: &str,
    pack: Option<&ItemPlan>,
    item: Option<&ItemRow>,
    measures: Option<Vec<Value<'static>>>,
) -> Laid {
    let mut values = attributes(plan, pack, item);
    if let (Some(plan), Some(measures)) = (&plan.measures, measures) {
        for (m, v) in plan.list.iter().zip(measures) {
            if let Some(place) = values.get_mut(usize::from(m.attribute)) {
                *place = v;
            }
        }
    }
    let withdrawn = item.and_then(|i| i.withdrawn.as_ref());
    Laid {
        row: catalogue_row(key, values),
        withdrawal: withdrawn.map(|w| Withdrawal {
            at: w.at,
            successor: w.successor.clone(),
        }),
    }
}

/// One catalogue of a scene version that is being laid out whole.
struct Building<'p> {
    scene: SceneNo,
    number: CatalogueNo,
    plan: &'p CataloguePlan,
    pack: HashMap<&'p str, &'p ItemPlan>,
    items: BTreeMap<String, Laid>,
}

impl<'p> Building<'p> {
    fn new(scene: SceneNo, plan: &'p CataloguePlan) -> Self {
        Self {
            scene,
            number: number(&plan.name),
            plan,
            pack: plan.items.iter().map(|i| (i.key.as_str(), i)).collect(),
            items: (plan.items.iter())
                .map(|i| (i.key.clone(), laid_out(plan, &i.key, Some(i), None, None)))
                .collect(),
        }
    }

    fn item(&mut self, key: &str, item: &ItemRow) {
        let pack = self.pack.get(key).copied();
        if pack.is_none() && !item.whole {
            return;
        }
        let laid = laid_out(self.plan, key, pack, Some(item), None);
        self.items.insert(key.to_owned(), laid);
    }

    fn measured(&mut self, key: &str, navs: &[Nav]) {
        let (Some(measures), Some(laid)) = (&self.plan.measures, self.items.get_mut(key)) else {
            return;
        };
        let mut values = laid.row.to_vec();
        for (m, v) in measures.list.iter().zip(of_history(measures, navs)) {
            if let Some(place) = values.get_mut(usize::from(m.attribute) + 1) {
                *place = v;
            }
        }
        laid.row = Arc::from(values);
    }

    fn done(self, version: u64) -> (Catalogue, usize) {
        Catalogue::empty(self.plan, version).revised(self.plan, version, self.items)
    }
}

/// Names of the attributes of an item that were generated, as they are marked: `nav` stands for all that is measured of it.
pub(crate) fn marks(plan: &CataloguePlan, values: &[Value<'static>]) -> Vec<String> {
    let at = plan
        .attributes
        .iter()
        .position(|a| a.name == GENERATED_ATTRIBUTE);
    match at.and_then(|i| values.get(i)) {
        Some(Value::Text(names)) => names.split(", ").map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Names of the attributes of an item that were generated, measures of generated net asset values among them; ascending.
fn generated(plan: &CataloguePlan, values: &[Value<'static>]) -> Vec<String> {
    let mut out = marks(plan, values);
    let named = |m: &MeasurePlan| {
        plan.attributes
            .get(usize::from(m.attribute))
            .map(|a| &a.name)
    };
    let measures = plan.measures.iter().flat_map(|m| &m.list);
    let nav = measures
        .clone()
        .find(|m| m.measure == Measure::Nav)
        .and_then(named);
    if nav.is_some_and(|nav| out.contains(nav)) {
        out.extend(measures.filter_map(named).cloned());
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn view(
    plan: &CataloguePlan,
    key: &str,
    values: &[Value<'static>],
    withdrawal: Option<&Withdrawal>,
) -> ItemView {
    ItemView {
        key: key.to_owned(),
        attributes: (plan.attributes.iter().zip(values))
            .map(|(a, v)| (a.name.clone(), v.clone()))
            .collect(),
        generated: generated(plan, values),
        withdrawn_at: withdrawal.map(|w| w.at),
        successor: withdrawal.and_then(|w| w.successor.clone()),
    }
}

/// Most digits of a code that is looked for with other leading zeros.
const CODE_DIGITS_MAX: usize = 20;

/// A hint for who asked for a code without its leading zeros, or with too many: the code that is there.
pub(crate) fn same_code(key: &str, known: impl Fn(&str) -> bool) -> String {
    let digits = key.trim_start_matches('0');
    if key.is_empty() || key.len() > CODE_DIGITS_MAX || !key.bytes().all(|b| b.is_ascii_digit()) {
        return String::new();
    }
    (digits.len().max(1)..=CODE_DIGITS_MAX)
        .map(|width| format!("{digits:0>width$}"))
        .find(|code| code != key && known(code))
        .map_or_else(String::new, |code| {
            format!(
                ", but `{code}`: leading zeros are part of a code (`pad` in a mapping writes them)"
            )
        })
}

/// The refusal where no snapshot of a catalogue is known.
pub(crate) fn not_loaded() -> Refusal {
    Refusal {
        code: "store_unavailable",
        kind: RefusalKind::Unavailable,
        message: "the catalogue is not loaded yet; try again".into(),
    }
}

impl Inner {
    /// The newest version of the scene of this name, and its present snapshot. They are of one moment: a version that is
    /// superseded loses its snapshot soon after.
    pub(crate) fn newest_laid_out(
        &self,
        scene: &str,
    ) -> Result<(Arc<SceneRuntime>, Arc<Snapshot>)> {
        loop {
            let newest = self.scenes.newest(scene)?;
            if let Some(snapshot) = self.catalogues.get(&newest) {
                return Ok((newest, snapshot));
            }
            if self.scenes.newest(scene)?.version == newest.version {
                return Err(not_loaded());
            }
        }
    }

    /// The newest version of the scene of this name, and the present snapshot of one of its catalogues.
    pub(crate) fn present(
        &self,
        scene: &str,
        catalogue: &str,
    ) -> Result<(Arc<SceneRuntime>, usize, Arc<Catalogue>)> {
        let (scene, snapshot) = self.newest_laid_out(scene)?;
        let (number, _) = catalogue_of(&scene, catalogue)?;
        let found = snapshot.catalogue(number).cloned();
        Ok((scene, usize::from(number), found.ok_or_else(not_loaded)?))
    }

    pub(crate) fn items(
        &self,
        scene: &str,
        catalogue: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ItemPage> {
        let (scene, number, found) = self.present(scene, catalogue)?;
        let plan = &scene.plan.catalogues[number];
        let behind = |key: &str| after.is_none_or(|a| key > a);
        let first = after.map_or(0, |a| found.first_behind(a));
        let mut gone = found.withdrawn().filter(|(k, ..)| behind(k)).peekable();
        let mut items = Vec::new();
        let mut row = first;
        while items.len() <= limit {
            let next_is_gone = match gone.peek() {
                Some((key, ..)) => row >= found.len() || *key < found.key(row),
                None => false,
            };
            if next_is_gone {
                if let Some((key, values, why)) = gone.next() {
                    items.push(view(plan, key, values, Some(why)));
                }
            } else if row < found.len() {
                items.push(view(plan, found.key(row), found.values(row), None));
                row += 1;
            } else {
                break;
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(ItemPage {
            version: found.version,
            candidates: found.len() as u64,
            withdrawn: found.withdrawn().count() as u64,
            items,
            more,
        })
    }

    pub(crate) fn item(&self, scene: &str, catalogue: &str, key: &str) -> Result<ItemView> {
        let (scene, number, present) = self.present(scene, catalogue)?;
        let plan = &scene.plan.catalogues[number];
        let found = present.find(key).ok_or_else(|| Refusal {
            code: "unknown_item",
            kind: RefusalKind::NotFound,
            message: format!(
                "catalogue `{}` has no item `{}`{}",
                plan.name,
                crate::intake::cut(key),
                same_code(key, |k| present.find(k).is_some())
            ),
        })?;
        Ok(view(plan, key, found.values, found.withdrawal))
    }

    /// All rows of a table of the environment, a page at a time.
    async fn each_row(
        &self,
        table: Table,
        mut see: impl FnMut(&Row) -> luopan_store::Result<()>,
    ) -> luopan_store::Result<()> {
        let mut from = Vec::new();
        loop {
            let found = self
                .state
                .scan(table, ENVIRONMENT, &from, None, READ_ROWS)
                .await?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            from = [&last.key[..], &[0]].concat();
            for row in &found {
                see(row)?;
            }
        }
    }

    /// Lays out every catalogue of these scene versions as it was before the entry at `version`.
    async fn lay_out(
        &self,
        scenes: &[(SceneNo, &ScenePlan)],
        version: u64,
        is_past: bool,
    ) -> luopan_store::Result<Vec<Vec<Arc<Catalogue>>>> {
        let mut building: Vec<Vec<Building<'_>>> = (scenes.iter())
            .map(|(no, plan)| {
                (plan.catalogues.iter())
                    .map(|c| Building::new(*no, c))
                    .collect()
            })
            .collect();
        let mut later: BTreeSet<ItemName> = BTreeSet::new();
        {
            let mut set = |name: &ItemName, item: &ItemRow| {
                for c in building.iter_mut().flatten() {
                    if c.scene == name.0 && c.number == name.1 {
                        c.item(&name.2, item);
                    }
                }
            };
            self.each_row(Table::Item, |row| {
                let (name, item) = ItemRow::read(row)?;
                if item.since < version {
                    set(&name, &item);
                } else {
                    later.insert(name);
                }
                Ok(())
            })
            .await?;
            if is_past && !later.is_empty() {
                // Of each item the rows ascend by position: the last one below the version stays.
                self.each_row(Table::ItemPast, |row| {
                    let name = name_of_prefix(row)?;
                    if later.contains(&name) {
                        let item = ItemRow::decode(&row.key, &row.value)?;
                        if item.since < version {
                            set(&name, &item);
                        }
                    }
                    Ok(())
                })
                .await?;
            }
        }
        if building.iter().flatten().any(|c| c.plan.measures.is_some()) {
            let mut of: Option<ItemName> = None;
            let mut navs: Vec<Nav> = Vec::new();
            let mut measure = |name: &Option<ItemName>, navs: &mut Vec<Nav>| {
                if let Some(name) = name {
                    for c in building.iter_mut().flatten() {
                        if c.scene == name.0 && c.number == name.1 {
                            c.measured(&name.2, navs);
                        }
                    }
                }
                navs.clear();
            };
            self.each_row(Table::Nav, |row| {
                let name = name_of_prefix(row)?;
                if of.as_ref() != Some(&name) {
                    measure(&of, &mut navs);
                    of = Some(name);
                }
                NavYear::decode(&row.key, &row.value)?.in_force(version, &mut navs);
                Ok(())
            })
            .await?;
            measure(&of, &mut navs);
        }
        let mut laid = 0;
        let out = (building.into_iter())
            .map(|catalogues| {
                (catalogues.into_iter())
                    .map(|c| {
                        let (catalogue, n) = c.done(version);
                        laid += n as u64;
                        Arc::new(catalogue)
                    })
                    .collect()
            })
            .collect();
        Counters::add(&self.counters.catalogue_rows, laid);
        Ok(out)
    }

    /// Builds every catalogue of every scene in use from State.
    pub(crate) async fn reload_catalogues(&self) -> luopan_store::Result<()> {
        let _one = self.catalogues.building.lock().await;
        let version = self.state.positions(&[ENVIRONMENT]).await?[0].0;
        let in_use = self.scenes.in_use();
        let scenes: Vec<_> = in_use.iter().map(|s| (s.no, &*s.plan)).collect();
        let built = self.lay_out(&scenes, version, false).await?;
        let mut snapshots = BTreeMap::new();
        for (scene, catalogues) in in_use.iter().zip(built) {
            let artifacts = self.artifacts_of(scene).await?;
            let snapshot = Snapshot::new(&scene.plan, version, catalogues, artifacts, None);
            snapshots.insert((scene.no, scene.version), Arc::new(snapshot));
        }
        Counters::add(&self.counters.catalogue_snapshots, 1);
        self.catalogues.swap(snapshots);
        Ok(())
    }

    /// The catalogues of a plan that need not be applied, as State knows their items now.
    pub(crate) async fn catalogues_of(
        &self,
        scene: SceneNo,
        plan: &ScenePlan,
    ) -> luopan_store::Result<Vec<Arc<Catalogue>>> {
        let version = self.state.positions(&[ENVIRONMENT]).await?[0].0;
        let built = self.lay_out(&[(scene, plan)], version, false).await?;
        Ok(built.into_iter().next().unwrap_or_default())
    }

    /// NAVs of an item that are in force.
    async fn navs_of(&self, name: &ItemName) -> luopan_store::Result<Vec<Nav>> {
        let from = rows::item_prefix(name.0, name.1, &name.2);
        let to = [&from[..], &[0xff; 5]].concat();
        let found = self
            .state
            .scan(Table::Nav, ENVIRONMENT, &from, Some(&to), READ_ROWS)
            .await?;
        let mut navs = Vec::new();
        for row in &found {
            NavYear::decode(&row.key, &row.value)?.in_force(u64::MAX, &mut navs);
        }
        Ok(navs)
    }

    /// Brings the snapshots up to `to`, the position that State reflects, with what was noted since they were made. Only the
    /// worker of the environment partition may call this, or where another node folds it, who follows.
    pub(crate) async fn refresh_catalogues(&self, to: Position) -> luopan_store::Result<()> {
        let _one = self.catalogues.building.lock().await;
        let touched = std::mem::take(&mut *self.catalogues.touched.lock());
        let refreshed = self.refreshed(to, &touched).await;
        if refreshed.is_err() {
            // It is tried again with the next commit: nothing that was noted may be lost.
            let mut now = self.catalogues.touched.lock();
            now.items.extend(touched.items);
            now.navs.extend(touched.navs);
            now.entries += touched.entries;
        }
        refreshed
    }

    async fn refreshed(&self, to: Position, touched: &Touched) -> luopan_store::Result<()> {
        let names: BTreeSet<&ItemName> = touched.items.iter().chain(&touched.navs).collect();
        let keys: Vec<_> = (names.iter()).map(|n| rows::item(n.0, n.1, &n.2)).collect();
        let mut items: BTreeMap<&ItemName, ItemRow> = BTreeMap::new();
        for (keys, names) in keys
            .chunks(READ_ROWS)
            .zip(names.iter().collect::<Vec<_>>().chunks(READ_ROWS))
        {
            for ((key, name), value) in keys.iter().zip(names).zip(self.state.get(keys).await?) {
                if let Some(value) = value {
                    items.insert(name, ItemRow::decode(&key.key, &value)?);
                }
            }
        }
        let in_use = self.scenes.in_use();
        let measured = |name: &ItemName| {
            in_use.iter().any(|s| {
                s.no == name.0
                    && (s.plan.catalogues.iter())
                        .any(|c| c.measures.is_some() && number(&c.name) == name.1)
            })
        };
        let mut navs: BTreeMap<&ItemName, Vec<Nav>> = BTreeMap::new();
        for name in touched.navs.iter().filter(|n| measured(n)) {
            navs.insert(name, self.navs_of(name).await?);
        }
        let mut built = BTreeMap::new();
        let mut laid = 0;
        for scene in &in_use {
            let before = self.catalogues.get(scene);
            let Some(before) = before else { continue };
            if before.version >= to.0 {
                // Read from State since: it holds all this.
                built.insert((scene.no, scene.version), before);
                continue;
            }
            let mut catalogues = Vec::with_capacity(before.catalogues.len());
            let mut changed_any = Vec::with_capacity(before.catalogues.len());
            for (plan, old) in scene.plan.catalogues.iter().zip(&before.catalogues) {
                let no = number(&plan.name);
                let first = (scene.no, no, String::new());
                let mine = (names.range::<ItemName, _>(&first..))
                    .take_while(|n| n.0 == scene.no && n.1 == no);
                let mut changed = BTreeMap::new();
                let pack: HashMap<&str, &ItemPlan> =
                    plan.items.iter().map(|i| (i.key.as_str(), i)).collect();
                for name in mine {
                    let pack = pack.get(name.2.as_str()).copied();
                    let item = items.get(name);
                    if pack.is_none() && item.is_none_or(|i| !i.whole) {
                        continue;
                    }
                    let measures = match (&plan.measures, navs.get(name), old.find(&name.2)) {
                        (None, ..) => None,
                        (Some(m), Some(navs), _) => Some(of_history(m, navs)),
                        // NAVs that came before the item did.
                        (Some(m), None, None) => Some(of_history(m, &self.navs_of(name).await?)),
                        (Some(m), None, Some(found)) => Some(
                            (m.list.iter())
                                .map(|m| match m.measure {
                                    // Ranks are of the whole snapshot.
                                    Measure::Rank { .. } | Measure::Quantile { .. } => None,
                                    _ => found.values.get(usize::from(m.attribute)).cloned(),
                                })
                                .map(Option::unwrap_or_default)
                                .collect(),
                        ),
                    };
                    let new = laid_out(plan, &name.2, pack, item, measures);
                    changed.insert(name.2.clone(), new);
                }
                changed_any.push(!changed.is_empty());
                let (catalogue, n) = old.revised(plan, to.0, changed);
                laid += n as u64;
                catalogues.push(Arc::new(catalogue));
            }
            let artifacts = self.artifacts_of(scene).await?;
            let earlier = Some((&*before, &changed_any[..]));
            let snapshot = Snapshot::new(&scene.plan, to.0, catalogues, artifacts, earlier);
            built.insert((scene.no, scene.version), Arc::new(snapshot));
        }
        Counters::add(&self.counters.catalogue_snapshots, 1);
        Counters::add(&self.counters.catalogue_rows, laid);
        self.catalogues.swap(built);
        Ok(())
    }

    /// Catalogues of a scene version as they were at a version of their own (a position of the environment partition).
    pub(crate) async fn catalogues_at(
        &self,
        scene: &SceneRuntime,
        version: u64,
    ) -> luopan_store::Result<Vec<Arc<Catalogue>>> {
        if let Some(now) = self.catalogues.get(scene)
            && now.version == version
        {
            return Ok(now.catalogues.clone());
        }
        let name = (scene.no, scene.version, version);
        if let Some(kept) = self.catalogues.past.lock().get(&name) {
            return Ok(kept);
        }
        let built = self
            .lay_out(&[(scene.no, &scene.plan)], version, true)
            .await?;
        let built = built.into_iter().next().unwrap_or_default();
        let mut past = self.catalogues.past.lock();
        past.read += 1;
        past.put(name, built.clone());
        Ok(built)
    }

    /// Compares the snapshots in memory with what State says: the differences in words, and how many catalogues there are.
    pub(crate) async fn verify_catalogues(&self) -> luopan_store::Result<Vec<String>> {
        let _one = self.catalogues.building.lock().await;
        let mut out = Vec::new();
        for scene in self.scenes.in_use() {
            let Some(now) = self.catalogues.get(&scene) else {
                continue;
            };
            let built = self
                .lay_out(&[(scene.no, &scene.plan)], now.version, true)
                .await?;
            let built = built.into_iter().flatten();
            for ((plan, kept), built) in (scene.plan.catalogues.iter())
                .zip(&now.catalogues)
                .zip(built)
            {
                if **kept != *built {
                    out.push(format!(
                        "catalogue `{}` of scene `{}` at version {} is not what its rows give",
                        plan.name, scene.plan.name, now.version
                    ));
                }
            }
        }
        Ok(out)
    }
}
