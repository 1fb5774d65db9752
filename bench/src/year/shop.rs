//! The catalogue of funds as the kernel has it: snapshots that change with what is said of products, policies made ready for
//! each, and a line for the checker with every change. It must never keep from the checker what the catalogue holds.

use super::around::{self, Beside};
use super::scene::{Scene, Way};
use crate::Fault;
use luopan_kernel::catalogue::measures::{Nav, of_history};
use luopan_kernel::catalogue::{Catalogue, Laid, Withdrawal, check, row};
use luopan_kernel::decide::Prepared;
use luopan_kernel::plan::{CataloguePlan, ItemPlan};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_server::checked::{self, Terms};
use luopan_simulator::fund::days::{EXCHANGE_OFFSET_S, day_at, start_of};
use luopan_simulator::fund::{Kind, NAV_UNITS, Product, ProductChange, ProductEvent, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Channels that are recorded where a fund is sold with a recording.
const RECORDED: [&str; 2] = ["app", "branch"];

/// A product as it stands.
#[derive(Debug)]
struct Item {
    rating: Option<i64>,
    on_sale: bool,
    notice: Option<&'static str>,
    beside: Beside,
    terms: Terms,
    /// Index history, ascending by day; kept when measures are read.
    navs: Vec<Nav>,
    measures: Vec<Value<'static>>,
    ended: Option<Withdrawal>,
    /// Day of the world's exchange on which holders are paid out.
    ends: Option<i64>,
}

/// The catalogue.
#[derive(Debug)]
pub(super) struct Shop {
    products: Vec<Product>,
    numbers: HashMap<String, u32>,
    items: Vec<Item>,
    /// The present snapshot.
    pub(super) catalogue: Catalogue,
    /// In the order of [`Way::ALL`].
    pub(super) prepared: Vec<Prepared>,
    start_day: i64,
    /// Products of the last snapshot that were laid out anew.
    pub(super) changed: BTreeSet<u32>,
    /// Snapshots made.
    pub(super) snapshots: u64,
}

fn terms(product: &Product) -> Terms {
    let step = |part: &str| -> Option<(i64, f64)> {
        let (days, rate) = part.trim().split_once(' ')?;
        let rate: f64 = rate.strip_suffix('%')?.parse().ok()?;
        Some((days.strip_suffix('d')?.parse().ok()?, rate / 100.0))
    };
    let is_qdii = product.kind == Kind::Qdii;
    Terms {
        confirmation_days: (!is_qdii).then_some(u32::from(product.confirm_lag)),
        earning_days: None,
        fast_redemption_limit: product.is_cash().then_some(product.fast_limit_fen),
        fee_ladder: Some(product.ladder.split(',').filter_map(step).collect()),
        fee_exempt: None,
        qdii: Some(is_qdii),
        money_market: Some(product.is_cash()),
    }
}

impl Shop {
    /// The catalogue before the world's first day; what it holds is told to `out` a line a product.
    ///
    /// # Errors
    /// A catalogue that does not take the world's products.
    pub(super) fn new(
        scene: &Scene,
        world: &World,
        seed: u64,
        days: i64,
        out: &mut Vec<u8>,
    ) -> Result<Self, Fault> {
        let plan = &scene.plan.catalogues[usize::from(scene.catalogue)];
        let products = world.products().to_vec();
        let start = world.start();
        let mut items: Vec<Item> = Vec::with_capacity(products.len());
        for (n, product) in products.iter().enumerate() {
            let beside = around::product(seed, n as u32, product, days);
            items.push(Item {
                rating: product.rating.map(i64::from),
                on_sale: true,
                notice: beside.notice_on(0),
                beside,
                terms: terms(product),
                navs: Vec::new(),
                measures: Vec::new(),
                ended: None,
                ends: None,
            });
        }
        if scene.needs_measures {
            world.product_events(Micros(i64::MIN / 4), start.plus(-1), &mut |e| {
                nav(&mut items[e.product as usize], e);
            });
        }
        let empty = Catalogue::empty(plan, 0);
        let mut shop = Self {
            start_day: day_at(start),
            numbers: (products.iter().zip(0..))
                .map(|(p, n)| (p.code.clone(), n))
                .collect(),
            products,
            items,
            catalogue: empty,
            prepared: Vec::new(),
            changed: BTreeSet::new(),
            snapshots: 0,
        };
        let all: BTreeSet<u32> = (0..shop.items.len() as u32).collect();
        if scene.needs_measures {
            shop.measure(plan, &all);
        }
        shop.revise(scene, start.plus(-1), &all, out)?;
        Ok(shop)
    }

    /// Products by number.
    pub(super) fn products(&self) -> &[Product] {
        &self.products
    }

    /// Number of the product with this code.
    pub(super) fn number(&self, code: &str) -> Option<u32> {
        self.numbers.get(code).copied()
    }

    /// The highest of the ratings of a product.
    pub(super) fn rating(&self, number: u32) -> Option<i64> {
        let item = &self.items[number as usize];
        item.rating.max(item.beside.issuer).max(item.beside.seller)
    }

    /// Version of its notice.
    pub(super) fn notice(&self, number: u32) -> Option<&'static str> {
        self.items[number as usize].notice
    }

    /// Terms of a product that the catalogue does not hold.
    pub(super) fn terms(&self, number: u32) -> &Terms {
        &self.items[number as usize].terms
    }

    /// Why a product is no longer offered.
    pub(super) fn ended(&self, number: u32) -> Option<&Withdrawal> {
        self.items[number as usize].ended.as_ref()
    }

    /// A product's attributes but its measures, by name.
    pub(super) fn attributes<'p>(
        &self,
        plan: &'p CataloguePlan,
        number: u32,
    ) -> Vec<(&'p str, Value<'static>)> {
        let is_measure = |i: usize| plan.measures.as_ref().is_some_and(|m| m.fills(i));
        let values = self.values(plan, number as usize);
        (plan.attributes.iter().zip(values).enumerate())
            .filter(|(i, _)| !is_measure(*i))
            .map(|(_, (a, v))| (a.name.as_str(), v))
            .collect()
    }

    /// Takes what was said of products at `at`, and what a new day brings.
    ///
    /// # Errors
    /// As [`Shop::new`].
    pub(super) fn hear(
        &mut self,
        scene: &Scene,
        at: Micros,
        said: &[ProductEvent],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut changed = BTreeSet::new();
        let mut priced = BTreeSet::new();
        let today = day_at(at);
        for event in said {
            let into = |n: Option<u32>| n.map(|n| self.products[n as usize].code.clone());
            let successor = match event.change {
                ProductChange::Ended { into: n } => into(n),
                _ => None,
            };
            let item = &mut self.items[event.product as usize];
            match event.change {
                ProductChange::Nav { .. }
                | ProductChange::Income { .. }
                | ProductChange::Restated { .. } => {
                    if scene.needs_measures && nav(item, event) {
                        priced.insert(event.product);
                    }
                    continue;
                }
                ProductChange::Rerated { to, .. } => item.rating = Some(i64::from(to)),
                ProductChange::Suspended { buying, .. } => item.on_sale &= !buying,
                ProductChange::Resumed => item.on_sale = true,
                ProductChange::EndAnnounced { day, .. } => item.ends = Some(day),
                ProductChange::Ended { .. } => {
                    item.ended = Some(Withdrawal {
                        at: event.at,
                        successor,
                    });
                }
            }
            changed.insert(event.product);
        }
        if at == start_of(today) {
            for (n, item) in self.items.iter_mut().enumerate() {
                let notice = item.beside.notice_on(today - self.start_day);
                // On its last day the fund house pays everybody out and takes nothing for it.
                let pays_out = item.ends == Some(today);
                if notice != item.notice || pays_out {
                    item.notice = notice;
                    item.terms.fee_exempt = item.terms.fee_exempt.or(pays_out.then_some(true));
                    changed.insert(n as u32);
                }
            }
        }
        let plan = &scene.plan.catalogues[usize::from(scene.catalogue)];
        self.measure(plan, &priced);
        changed.extend(priced);
        self.changed.clear();
        if changed.is_empty() {
            return Ok(());
        }
        self.revise(scene, at, &changed, out)
    }

    fn measure(&mut self, plan: &CataloguePlan, products: &BTreeSet<u32>) {
        let Some(measures) = &plan.measures else {
            return;
        };
        for n in products {
            let item = &mut self.items[*n as usize];
            item.measures = of_history(measures, &item.navs);
        }
    }

    fn values(&self, plan: &CataloguePlan, number: usize) -> Vec<Value<'static>> {
        let (p, item) = (&self.products[number], &self.items[number]);
        let int = |v: Option<i64>| v.map_or(Value::Missing, Value::Int);
        let value = |name: &str| match name {
            "name" => Value::text(p.name.clone()),
            "kind" => Value::text(p.kind.word()),
            "risk_level" => int(item.rating),
            "term_days" => Value::Int(i64::from(p.term_days)),
            "least_order" => Value::Int(p.least_fen),
            "on_sale" => Value::Bool(item.on_sale),
            "code" => Value::text(p.code.clone()),
            "fine_type" => Value::text(p.fine.clone()),
            "issuer_rating" => int(item.beside.issuer),
            "seller_rating" => int(item.beside.seller),
            "subscription_fee" => Value::Number(f64::from(p.buy_fee_ppm) / 1e6),
            "private" => Value::Bool(item.beside.is_private),
            "recording_required" => Value::Bool(item.beside.is_private),
            "inception" => Value::Time(around::inception(p)),
            "notice_version" => item.notice.map_or(Value::Missing, Value::text),
            _ => Value::Missing,
        };
        let mut out: Vec<Value<'static>> = (plan.attributes.iter())
            .map(|a| {
                Some(value(&a.name))
                    .filter(|v| v.fits(a.kind))
                    .unwrap_or_default()
            })
            .collect();
        if let Some(measures) = &plan.measures {
            for (m, v) in measures.list.iter().zip(&item.measures) {
                out[usize::from(m.attribute)] = v.clone();
            }
        }
        out
    }

    /// A new snapshot with these products laid out anew, a line for each, and policies ready for it.
    fn revise(
        &mut self,
        scene: &Scene,
        at: Micros,
        changed: &BTreeSet<u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let plan = &scene.plan.catalogues[usize::from(scene.catalogue)];
        let mut laid = BTreeMap::new();
        for n in changed {
            let number = *n as usize;
            let values = self.values(plan, number);
            let key = self.products[number].code.clone();
            let told: Vec<(&str, &Value<'_>)> = (plan.attributes.iter())
                .zip(&values)
                .map(|(a, v)| (a.name.as_str(), v))
                .collect();
            let terms = &self.items[number].terms;
            checked::product(out, at, &key, &told, terms, &RECORDED, EXCHANGE_OFFSET_S)?;
            let item = ItemPlan {
                key: key.clone(),
                values,
            };
            check(plan, &item)?;
            let withdrawal = self.items[number].ended.clone();
            laid.insert(
                key.clone(),
                Laid {
                    row: row(&key, item.values),
                    withdrawal,
                },
            );
        }
        self.changed.clone_from(changed);
        self.snapshots += 1;
        let (catalogue, _) = self.catalogue.revised(plan, self.snapshots, laid);
        self.catalogue = catalogue;
        self.prepared = (Way::ALL.iter())
            .map(|way| {
                Prepared::new(
                    &scene.plan,
                    scene.way(*way).1,
                    &self.catalogue,
                    &scene.artifacts,
                )
            })
            .collect();
        Ok(())
    }
}

/// Takes a price; true when there was one.
fn nav(item: &mut Item, event: &ProductEvent) -> bool {
    let (day, e4) = match event.change {
        ProductChange::Nav { day, nav_e4 } => (day, nav_e4),
        ProductChange::Restated { day, right_e4, .. } => (day, right_e4),
        _ => return false,
    };
    let nav = Nav {
        day: day as i32,
        unit: e4 as f64 / NAV_UNITS as f64,
        accumulated: None,
    };
    match item.navs.binary_search_by_key(&nav.day, |n| n.day) {
        Ok(i) => item.navs[i] = nav,
        Err(i) => item.navs.insert(i, nav),
    }
    true
}
