//! Bandits in the simulator, against its truth: which of ten products to offer, to whom, once a decision. The features are what the
//! platform was told of the customer in 60 days; what an offer of each product is worth (the chance that she looks or orders) is the
//! simulator's truth, and answers are drawn from it, each once, for all bandits alike. In a world that stands still all offers are made on
//! day 60; in one that moves they are made from then on through the year, while tastes turn, fashions and the market go their way.
//! This room must never show a bandit a chance, nor anything that no event told.

use luopan_bench::Fault;
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_simulator::fund::days::day_of;
use luopan_simulator::fund::truth::truth;
use luopan_simulator::fund::{Happening, Settings, World};

use super::tables::Table;

const CUSTOMERS: u32 = 2_000;
const ARMS: usize = 10;
const DECISIONS: usize = 20_000;
/// Days that are watched before the first offer, and all days.
const WATCHED: i64 = 60;
const DAYS: i64 = 365;

/// What the platform knows of a customer.
#[derive(Clone, Default)]
struct Known {
    age: f64,
    income: usize,
    tier: usize,
    appetite: usize,
    deposits: f64,
    logins: f64,
    /// Looks at products and orders, by kind.
    looks: Vec<f64>,
    orders: Vec<f64>,
}

impl Known {
    fn features(&self) -> Vec<f64> {
        let mut out = vec![1.0, (self.age - 40.0) / 12.0];
        let mut one_hot = |value: usize, of: usize| {
            out.extend((0..of).map(|i| f64::from(u8::from(i == value))));
        };
        one_hot(self.income, 5);
        one_hot(self.tier, 6);
        one_hot(self.appetite, 6);
        let counts = [self.deposits, self.logins];
        let counted = counts.iter().chain(&self.looks).chain(&self.orders);
        out.extend(counted.map(|n| n.ln_1p() / 2.0));
        out
    }
}

/// The table of one world; `moves` when offers are made through the year.
pub(crate) fn table(seed: u64, moves: bool) -> Result<Table, Fault> {
    let mut settings = Settings::new(seed, CUSTOMERS, day_of(2025, 9, 1));
    settings.days = DAYS;
    let mut world = World::new(settings)?;
    // Of the kinds that the most products have, the first product each.
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for product in world.products() {
        match kinds
            .iter_mut()
            .find(|(word, _)| *word == product.kind.word())
        {
            Some((_, n)) => *n += 1,
            None => kinds.push((product.kind.word(), 1)),
        }
    }
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let place = |word: &str| kinds.iter().position(|(k, _)| *k == word);
    let kind_of: Vec<Option<usize>> = (world.products().iter())
        .map(|p| place(p.kind.word()))
        .collect();
    let mut codes: Vec<String> = Vec::new();
    let mut taken = vec![0; kinds.len()];
    let most = ARMS.div_ceil(kinds.len());
    for (product, kind) in world.products().iter().zip(&kind_of) {
        let count = &mut taken[kind.ok_or("a product of no kind")?];
        if codes.len() < ARMS && *count < most && product.rating.is_some() {
            *count += 1;
            codes.push(product.code.clone());
        }
    }
    if codes.len() < ARMS {
        return Err(format!("{} products of {} kinds", codes.len(), kinds.len()).into());
    }
    let mut known = vec![
        Known {
            looks: vec![0.0; kinds.len()],
            orders: vec![0.0; kinds.len()],
            ..Known::default()
        };
        CUSTOMERS as usize
    ];
    let start = world.start();
    let watched = start.plus(WATCHED * DAY_US);
    world.advance(watched, &mut |event| {
        let of = &mut known[event.customer as usize];
        let kind = |product: u32| kind_of[product as usize];
        match &event.what {
            Happening::Attributes(a) => {
                of.age = f64::from(a.age);
                of.income = usize::from(a.income);
                of.tier = usize::from(a.city_tier);
                of.appetite = usize::from(a.appetite.unwrap_or(0));
            }
            Happening::Login => of.logins += 1.0,
            Happening::Deposit(_) => of.deposits += 1.0,
            Happening::PageView(_, Some(product)) => {
                if let Some(k) = kind(*product) {
                    of.looks[k] += 1.0;
                }
            }
            Happening::Submitted(told) => {
                if let Some(k) = kind(told.product) {
                    of.orders[k] += 1.0;
                }
            }
            _ => {}
        }
    });
    // Who has said nothing has not joined.
    let there: Vec<u32> = (0..CUSTOMERS)
        .filter(|c| known[*c as usize].age > 0.0)
        .collect();
    let mut random = Random::new(seed);
    let (mut features, mut chances, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    let span = (DAYS - 5 - WATCHED) * DAY_US;
    for i in 0..DECISIONS {
        let customer = there[(random.bits() % there.len() as u64) as usize];
        let later = if moves {
            (span as f64 * i as f64 / DECISIONS as f64) as i64
        } else {
            0
        };
        let at = Micros(watched.0 + later);
        features.push(known[customer as usize].features());
        for code in &codes {
            let t = truth(&world, customer, code, at).ok_or("an unknown customer or product")?;
            let chance = (t.order_submitted + t.view).clamp(0.0, 1.0);
            chances.push(chance);
            rewards.push(f64::from(u8::from(random.uniform() < chance)));
        }
    }
    let name = if moves {
        "simulator, a world that moves"
    } else {
        "simulator, a world that stands still"
    };
    Ok(Table::paying(name, ARMS, &features, rewards, chances))
}
