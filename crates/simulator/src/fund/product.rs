//! Products: what everybody may know of one (kind, rating, lines of its terms), and the hidden parameters that make its
//! prices. Everything beyond code, name and fine type is made up from the seed and marked so. It must never hold a real
//! fund's rating or price.

use crate::chance::{Purpose, stream};
use crate::hidden::{TASTES, Taste};
use std::collections::BTreeMap;

/// Most products of a world.
pub const PRODUCTS_MAX: usize = 18_300;
/// Share of products without a rating.
pub const UNRATED_SHARE: f64 = 0.02;
/// What a redemption costs: equity and mixed funds, by days held.
const LADDER_LONG: &str = "7d 1.5%, 30d 1%, 180d 0.5%";
/// Bond and index funds.
const LADDER_SHORT: &str = "7d 1.5%, 30d 1%";

/// Forces that move prices: large shares, growth shares, bonds, shares abroad, commodities.
pub const FACTORS: usize = 5;
/// Standard deviation of each force, a year, as the parametric process has it.
pub(crate) const FACTOR_VOLATILITY: [f64; FACTORS] = [0.20, 0.27, 0.013, 0.18, 0.15];

/// A fine type of fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// 货币型.
    Cash,
    /// 理财型.
    Wealth,
    /// 债券型-中短债.
    ShortBond,
    /// 债券型-长债.
    LongBond,
    /// 债券型-混合债, and bonds of no other type.
    MixedBond,
    /// 债券型-可转债.
    Convertible,
    /// 混合型-偏债.
    MixedTowardsBonds,
    /// 混合-绝对收益.
    AbsoluteReturn,
    /// 混合型-平衡.
    Balanced,
    /// 混合型-灵活, and what is of no type known here.
    Flexible,
    /// 混合型-偏股.
    MixedTowardsShares,
    /// 股票型.
    Equity,
    /// 指数型-股票.
    Index,
    /// QDII.
    Qdii,
    /// FOF.
    Fof,
    /// 商品（不含QDII）.
    Commodity,
    /// Reits.
    Reit,
}

/// What the products of a kind have in common.
struct Common {
    /// Mean weight of each force.
    betas: [f64; FACTORS],
    /// Spread of the weights, as a share of them.
    spread: f64,
    /// Own volatility, a year.
    own: f64,
    /// Fee taken within the price, a year.
    fee: f64,
    /// What a purchase costs, millionths.
    buy_ppm: u32,
    ladder: &'static str,
    /// Confirmation after so many trading days.
    confirm: u8,
    /// Money of a redemption so many trading days after its confirmation.
    pay: u8,
    /// (excitement, safety, patience, fashion).
    nature: Taste,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Cash,
        Self::Wealth,
        Self::ShortBond,
        Self::LongBond,
        Self::MixedBond,
        Self::Convertible,
        Self::MixedTowardsBonds,
        Self::AbsoluteReturn,
        Self::Balanced,
        Self::Flexible,
        Self::MixedTowardsShares,
        Self::Equity,
        Self::Index,
        Self::Qdii,
        Self::Fof,
        Self::Commodity,
        Self::Reit,
    ];

    /// The kind that a fine type names.
    pub fn of(fine: &str) -> Self {
        match fine {
            "债券型-中短债" => Self::ShortBond,
            "债券型-长债" => Self::LongBond,
            "债券型-可转债" => Self::Convertible,
            "混合型-偏债" => Self::MixedTowardsBonds,
            "混合-绝对收益" => Self::AbsoluteReturn,
            "混合型-平衡" => Self::Balanced,
            "混合型-偏股" => Self::MixedTowardsShares,
            _ if fine.starts_with("货币") => Self::Cash,
            _ if fine.starts_with("理财") => Self::Wealth,
            _ if fine.starts_with("债券") => Self::MixedBond,
            _ if fine.starts_with("股票") => Self::Equity,
            _ if fine.starts_with("指数") => Self::Index,
            _ if fine.starts_with("QDII") => Self::Qdii,
            _ if fine.starts_with("FOF") => Self::Fof,
            _ if fine.starts_with("商品") => Self::Commodity,
            _ if fine.starts_with("Reit") => Self::Reit,
            _ => Self::Flexible,
        }
    }

    /// Its word in the scene: `money_market`, `bond`, `mixed`, `index` or `equity`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cash => "money_market",
            Self::Wealth
            | Self::ShortBond
            | Self::LongBond
            | Self::MixedBond
            | Self::Convertible => "bond",
            Self::MixedTowardsBonds
            | Self::AbsoluteReturn
            | Self::Balanced
            | Self::Flexible
            | Self::MixedTowardsShares
            | Self::Fof => "mixed",
            Self::Index | Self::Commodity => "index",
            Self::Equity | Self::Qdii | Self::Reit => "equity",
        }
    }

    fn common(self) -> Common {
        let of = |betas, own, fee, buy_ppm, ladder, confirm, pay, nature| Common {
            betas,
            spread: 0.2,
            own,
            fee,
            buy_ppm,
            ladder,
            confirm,
            pay,
            nature,
        };
        match self {
            Self::Cash => of([0.0; 5], 0.0, 0.004, 0, "", 1, 0, [-0.8, 1.2, -0.9, 0.0]),
            Self::Wealth => of(
                [0.0, 0.0, 0.2, 0.0, 0.0],
                0.002,
                0.004,
                0,
                "",
                1,
                1,
                [-0.6, 1.1, 0.1, -0.1],
            ),
            Self::ShortBond => of(
                [0.0, 0.0, 0.6, 0.0, 0.0],
                0.003,
                0.005,
                300,
                LADDER_SHORT,
                1,
                1,
                [-0.5, 1.0, 0.1, -0.2],
            ),
            Self::LongBond => of(
                [0.0, 0.0, 1.4, 0.0, 0.0],
                0.006,
                0.005,
                800,
                LADDER_SHORT,
                1,
                1,
                [-0.3, 0.9, 0.8, -0.3],
            ),
            Self::MixedBond => of(
                [0.1, 0.03, 1.2, 0.0, 0.0],
                0.012,
                0.009,
                800,
                LADDER_SHORT,
                1,
                1,
                [-0.1, 0.7, 0.6, 0.0],
            ),
            Self::Convertible => of(
                [0.35, 0.2, 0.6, 0.0, 0.0],
                0.05,
                0.010,
                800,
                LADDER_SHORT,
                1,
                1,
                [0.4, 0.0, 0.2, 0.5],
            ),
            Self::MixedTowardsBonds => of(
                [0.16, 0.06, 0.9, 0.0, 0.0],
                0.02,
                0.010,
                1_000,
                LADDER_LONG,
                1,
                2,
                [0.0, 0.5, 0.6, 0.0],
            ),
            Self::AbsoluteReturn => of(
                [0.08, 0.0, 0.4, 0.0, 0.0],
                0.04,
                0.015,
                1_200,
                LADDER_LONG,
                1,
                2,
                [0.1, 0.3, 0.5, 0.1],
            ),
            Self::Balanced => of(
                [0.4, 0.2, 0.4, 0.0, 0.0],
                0.05,
                0.014,
                1_500,
                LADDER_LONG,
                1,
                2,
                [0.4, 0.0, 0.5, 0.2],
            ),
            Self::Flexible => of(
                [0.42, 0.3, 0.2, 0.0, 0.0],
                0.08,
                0.014,
                1_500,
                LADDER_LONG,
                1,
                2,
                [0.5, -0.1, 0.4, 0.4],
            ),
            Self::MixedTowardsShares => of(
                [0.45, 0.42, 0.05, 0.03, 0.0],
                0.10,
                0.014,
                1_500,
                LADDER_LONG,
                1,
                2,
                [0.9, -0.5, 0.2, 0.5],
            ),
            Self::Equity => of(
                [0.45, 0.5, 0.0, 0.02, 0.0],
                0.12,
                0.014,
                1_500,
                LADDER_LONG,
                1,
                2,
                [1.2, -1.0, -0.2, 0.9],
            ),
            Self::Index => of(
                [0.55, 0.45, 0.0, 0.0, 0.0],
                0.10,
                0.006,
                1_000,
                LADDER_SHORT,
                1,
                2,
                [0.9, -0.5, 0.2, -0.5],
            ),
            Self::Qdii => of(
                [0.05, 0.05, 0.0, 0.9, 0.05],
                0.08,
                0.018,
                1_500,
                LADDER_LONG,
                2,
                5,
                [1.0, -0.7, 0.3, 0.8],
            ),
            Self::Fof => of(
                [0.25, 0.15, 0.6, 0.05, 0.0],
                0.02,
                0.010,
                1_000,
                LADDER_LONG,
                2,
                3,
                [0.1, 0.4, 1.0, -0.2],
            ),
            Self::Commodity => of(
                [0.0, 0.0, 0.0, 0.0, 1.0],
                0.05,
                0.008,
                1_000,
                LADDER_SHORT,
                1,
                2,
                [0.8, -0.3, -0.4, 0.3],
            ),
            Self::Reit => of(
                [0.2, 0.05, 0.3, 0.0, 0.0],
                0.09,
                0.006,
                500,
                LADDER_SHORT,
                1,
                2,
                [0.2, 0.2, 0.9, 0.1],
            ),
        }
    }

    pub(crate) fn nature(self) -> Taste {
        self.common().nature
    }

    pub(crate) fn betas(self) -> [f64; FACTORS] {
        self.common().betas
    }
}

/// A line of a product list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Code, the key in the catalogue.
    pub code: String,
    /// Name.
    pub name: String,
    /// Fine type, as 混合型-偏股.
    pub fine: String,
}

/// A product list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProducts {
    /// None, or too many.
    #[error("a list of {0} products was given; give 1 to {PRODUCTS_MAX}")]
    Count(usize),
    /// A code stands there twice.
    #[error("product code `{0}` stands in the list twice; give each code once")]
    Twice(String),
    /// A code is empty or long.
    #[error("product number {0} has a code of {1} bytes; give 1 to 64")]
    Code(usize, usize),
}

/// What everybody may know of a product at the start of the world. All but code, name and fine type is made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Fine type as listed.
    pub fine: String,
    /// Kind.
    pub kind: Kind,
    /// R1 to R5 as 1 to 5 at the start, made up from its kind and volatility; none for [`UNRATED_SHARE`] of them.
    pub rating: Option<u8>,
    /// True: the rating and all terms were generated and belong to no real fund.
    pub generated: bool,
    /// Days for which the money is bound.
    pub term_days: u16,
    /// Smallest purchase, fen.
    pub least_fen: i64,
    /// Confirmed so many trading days after T.
    pub confirm_lag: u8,
    /// Paid so many trading days after the confirmation of a redemption.
    pub pay_lag: u8,
    /// What a purchase costs, millionths of what is paid.
    pub buy_fee_ppm: u32,
    /// What a redemption costs by days held, as text: `7d 1.5%, 30d 1%`.
    pub ladder: &'static str,
    /// Money-market funds: a day's limit of fast redemption a customer, fen.
    pub fast_limit_fen: i64,
    /// Day of its first price.
    pub launched: i64,
}

impl Product {
    /// What a redemption after `held` days costs, millionths.
    pub fn redeem_fee_ppm(&self, held: i64) -> u32 {
        let steps: &[(i64, u32)] = match self.ladder {
            LADDER_LONG => &[(7, 15_000), (30, 10_000), (180, 5_000)],
            LADDER_SHORT => &[(7, 15_000), (30, 10_000)],
            _ => &[],
        };
        steps
            .iter()
            .find(|(under, _)| held < *under)
            .map_or(0, |(_, ppm)| *ppm)
    }

    /// True of money-market funds, which earn every day and have one price for ever.
    pub fn is_cash(&self) -> bool {
        self.kind == Kind::Cash
    }
}

/// What nobody knows of a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// Weight of each force.
    pub betas: [f64; FACTORS],
    /// Own volatility, a year.
    pub own_volatility: f64,
    /// Return beyond the forces, a year, before the fee.
    pub alpha: f64,
    /// Fee within the price, a year.
    pub fee: f64,
    /// Volatility in all, a year, under the parametric process.
    pub volatility: f64,
    /// Rating that kind and volatility would give.
    pub natural_rating: u8,
    pub(crate) charm: [f32; TASTES],
    pub(crate) first_nav: f64,
}

/// Fine types of the made-up list with their weights, about those of the market.
const MADE_UP: [(&str, &str, f64); 15] = [
    ("混合型-偏股", "成长混合", 0.21),
    ("债券型-长债", "纯债", 0.173),
    ("混合型-灵活", "灵活配置", 0.13),
    ("指数型-股票", "指数", 0.127),
    ("混合型-偏债", "稳健混合", 0.08),
    ("债券型-混合债", "增利债券", 0.07),
    ("股票型", "股票", 0.049),
    ("货币型", "货币", 0.043),
    ("债券型-中短债", "短债", 0.042),
    ("FOF", "养老FOF", 0.04),
    ("QDII", "全球QDII", 0.026),
    ("债券型-可转债", "可转债", 0.004),
    ("混合型-平衡", "平衡混合", 0.004),
    ("商品（不含QDII）", "商品", 0.001),
    ("Reits", "REIT", 0.001),
];

/// A made-up list of `count` products. The first twelve are of different kinds, so that a small world has some of each.
pub fn made_up(seed: u64, count: usize) -> Vec<Listed> {
    let mut chance = stream(seed, Purpose::Product, u64::MAX);
    let first = [7, 0, 1, 3, 8, 5, 6, 2, 4, 10, 9, 7];
    (0..count)
        .map(|n| {
            let drawn = crate::chance::weighted(&mut chance, MADE_UP.iter().map(|m| m.2));
            let (fine, name, _) = MADE_UP[first.get(n).copied().unwrap_or(drawn)];
            Listed {
                code: format!("S{n:06}"),
                name: format!("模拟{name}{n}号"),
                fine: fine.to_owned(),
            }
        })
        .collect()
}

/// Rating of a volatility.
fn rating(kind: Kind, volatility: f64) -> u8 {
    match kind {
        Kind::Cash => 1,
        // A fund of shares is never below R3, whatever its own figure.
        Kind::Equity | Kind::Index | Kind::Qdii | Kind::Commodity if volatility < 0.14 => 3,
        _ if volatility < 0.006 => 1,
        _ if volatility < 0.045 => 2,
        _ if volatility < 0.14 => 3,
        _ if volatility < 0.26 => 4,
        _ => 5,
    }
}

/// Products with their parameters, from a list.
pub(crate) fn make(
    seed: u64,
    list: Vec<Listed>,
    start: i64,
    history: i64,
) -> Result<(Vec<Product>, Vec<Parameters>), BadProducts> {
    if list.is_empty() || list.len() > PRODUCTS_MAX {
        return Err(BadProducts::Count(list.len()));
    }
    let mut codes = BTreeMap::new();
    for (n, listed) in list.iter().enumerate() {
        let bytes = listed.code.len();
        if !(1..=64).contains(&bytes) {
            return Err(BadProducts::Code(n, bytes));
        }
        if codes.insert(listed.code.as_str(), n).is_some() {
            return Err(BadProducts::Twice(listed.code.clone()));
        }
    }
    let made = list.into_iter().enumerate().map(|(n, listed)| {
        let mut c = stream(seed, Purpose::Product, n as u64);
        let kind = Kind::of(&listed.fine);
        let common = kind.common();
        let size = libm::exp(0.25 * c.normal());
        let betas: [f64; FACTORS] = std::array::from_fn(|k| {
            common.betas[k] * size * (1.0 + common.spread * c.normal()).max(0.0)
        });
        let own_volatility = common.own * libm::exp(0.4 * c.normal());
        let mut variance = own_volatility * own_volatility;
        // Large and growth shares move together (correlation 0.8), the others by themselves.
        for k in 0..FACTORS {
            let s = betas[k] * FACTOR_VOLATILITY[k];
            variance += s * s;
        }
        variance += 2.0 * 0.8 * betas[0] * FACTOR_VOLATILITY[0] * betas[1] * FACTOR_VOLATILITY[1];
        let volatility = libm::sqrt(variance);
        let natural_rating = rating(kind, volatility);
        let alpha =
            0.25 * own_volatility * c.normal() + if kind == Kind::Wealth { 0.012 } else { 0.0 };
        let is_rated = c.uniform() >= UNRATED_SHARE;
        let nature = common.nature;
        let charm = std::array::from_fn(|k| (nature[k] + 0.9 * c.normal()) as f32);
        let least = [100i64, 1_000, 1_000, 10_000];
        let least_fen = match kind {
            Kind::Cash => 100,
            _ => least[(c.uniform() * 4.0) as usize % 4],
        };
        let young = c.uniform() < 0.04;
        let launched = if young {
            start - (c.uniform() * 180.0) as i64 - 10
        } else {
            start - history - 400 - (c.uniform() * 3_000.0) as i64
        };
        let first_nav = if young {
            1.0
        } else {
            libm::exp(0.3 * c.normal())
        };
        let product = Product {
            code: listed.code,
            name: listed.name,
            fine: listed.fine,
            kind,
            rating: is_rated.then_some(natural_rating),
            generated: true,
            term_days: match kind {
                Kind::Wealth => 30,
                Kind::Fof if c.uniform() < 0.5 => 365,
                Kind::LongBond if c.uniform() < 0.2 => 90,
                _ => 0,
            },
            least_fen,
            confirm_lag: common.confirm,
            pay_lag: common.pay,
            buy_fee_ppm: common.buy_ppm,
            ladder: common.ladder,
            fast_limit_fen: if kind == Kind::Cash { 1_000_000 } else { 0 },
            launched,
        };
        let parameters = Parameters {
            betas,
            own_volatility,
            alpha,
            fee: common.fee,
            volatility,
            natural_rating,
            charm,
            first_nav,
        };
        (product, parameters)
    });
    Ok(made.unzip())
}
