//! Intention: what a customer does next, predicted from her last 32 acts, by the model of sequences, beside popularity, a first-order
//! Markov chain and counts of longer contexts, all fitted to the same moments. On the simulated wealth platform (made up, so
//! no evidence about real customers), and on two public data sets: which genre a MovieLens user rates next, and which channel an
//! advertising path goes on to. Moments that are predicted are of other customers than those learned from, and where there are
//! times, later. This measurement must never choose settings by the moments that it predicts.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_kernel::plan::tag::SEQUENCE_MAX;
use luopan_kernel::sequence::{SequenceModel, Token};
use luopan_learning::intention::{
    Blend, Point, Points, Reading, Score, Training, evaluate, points, train,
};
use luopan_simulator::fund::{Happening, Kind, Page, Settings, Side, World};

/// A visit is over when nothing was done for so long, microseconds.
const PAUSE_US: i64 = 30 * 60 * 1_000_000;
/// Customers and days of the simulated platform, and its first day (1 March 2025).
const CUSTOMERS: u32 = 20_000;
const DAYS: i64 = 270;
const FIRST_DAY: i64 = 20_148;
/// Longest context of the counts.
const ORDER: usize = 5;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let mut measured = Vec::new();
    for data in [platform()?, films()?, paths()?] {
        measure(&data, &mut measured)?;
    }
    let path = write("intention", &measured)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Moments of one kind of data.
struct Data {
    name: &'static str,
    words: Vec<String>,
    classes: Vec<String>,
    learned: Points,
    kept: Points,
}

fn measure(data: &Data, out: &mut Vec<Measurement>) -> Result<(), Fault> {
    let n = data.classes.len();
    let blend = |order| {
        let model = Blend::fit(&data.learned, n, order);
        evaluate(&data.kept, |h| model.predict(h))
    };
    let (popularity, chain, longer) = (blend(0), blend(1), blend(ORDER));
    let began = Instant::now();
    let model = train(
        &data.learned,
        data.words.clone(),
        data.classes.clone(),
        &Training::default(),
    )?;
    let trained = began.elapsed().as_secs_f64();
    let own = evaluate(&data.kept, |h| model.predict(h));
    let scored = [
        ("the model of sequences", own),
        ("popularity", popularity),
        ("a first-order Markov chain", chain),
        ("counts of up to 5 tokens (Witten and Bell)", longer),
    ];
    for (what, score) in &scored {
        eprintln!("{}: {what}: {score:?}", data.name);
    }
    type Of = fn(&Score) -> f64;
    let measures: [(&str, &str, Of); 3] = [
        ("top 1", "share", |s| s.top_1),
        ("top 3", "share", |s| s.top_3),
        ("log loss", "nats", |s| s.log_loss),
    ];
    for (measure, unit, of) in measures {
        for (than, other) in &scored[1..] {
            out.push(Measurement {
                name: format!("next act, {}, {measure}", data.name),
                figure: of(&own),
                unit: unit.to_owned(),
                reference: Some(Reference {
                    name: (*than).to_owned(),
                    figure: of(other),
                }),
            });
        }
    }
    let plain = |name: String, figure: f64, unit: &str| Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: None,
    };
    let name = data.name;
    out.push(plain(
        format!("next act, {name}, moments learned from"),
        data.learned.points.iter().map(|p| p.weight).sum(),
        "moments",
    ));
    out.push(plain(
        format!("next act, {name}, moments predicted"),
        own.weight,
        "moments",
    ));
    out.push(plain(format!("next act, {name}, training"), trained, "s"));
    out.push(plain(
        format!("next act, {name}, one prediction"),
        cost(&model, &data.kept),
        "us",
    ));
    Ok(())
}

/// Microseconds of a prediction, over the moments that are predicted.
fn cost(model: &SequenceModel, points: &Points) -> f64 {
    let few: Vec<&[Token]> = (points.points.iter().take(20_000))
        .map(|p| points.history(p))
        .collect();
    let began = Instant::now();
    let sum: f64 = few.iter().map(|h| model.predict(h)[0]).sum();
    let took = began.elapsed().as_secs_f64();
    assert!(sum.is_finite(), "probabilities are finite");
    1e6 * took / few.len().max(1) as f64
}

/// Every third customer is predicted, the others are learned from.
fn is_kept(customer: u64) -> bool {
    luopan_kernel::id::hash64(&customer.to_le_bytes()).is_multiple_of(3)
}

/// Acts by customer, in order of time: microseconds and word.
type Acts = BTreeMap<u64, Vec<(i64, Token)>>;

/// Moments before `border` of customers that are learned from, and those after it of the others.
fn divided(acts: Acts, border: i64, reading: &Reading<'_>) -> (Points, Points) {
    let (customers, acts): (Vec<u64>, Vec<_>) = acts.into_iter().unzip();
    let learned = points(&acts, reading, |c, _, known_at| {
        !is_kept(customers[c]) && known_at < border
    });
    let kept = points(&acts, reading, |c, at, _| {
        is_kept(customers[c]) && at >= border
    });
    (learned, kept)
}

const WORDS: [&str; 16] = [
    "home",
    "holdings",
    "service",
    "assess",
    "deposit",
    "look_cash",
    "look_bond",
    "look_mixed",
    "look_equity",
    "look_index",
    "look_abroad",
    "look_other",
    "park",
    "buy",
    "redeem",
    "cancel",
];

/// The word of what happened, as an app would send it; none of what the platform or the fund house did.
fn word(world: &World, what: &Happening) -> Option<u8> {
    let kind = |product: u32| world.products().get(product as usize).map(|p| p.kind);
    let name = match what {
        Happening::PageView(Page::Home, _) => "home",
        Happening::PageView(Page::Holdings, _) => "holdings",
        Happening::PageView(Page::Service, _) => "service",
        Happening::PageView(Page::RiskAssessment, _) => "assess",
        Happening::PageView(Page::Fund, product) => match kind((*product)?)? {
            Kind::Cash | Kind::Wealth => "look_cash",
            Kind::ShortBond | Kind::LongBond | Kind::MixedBond | Kind::Convertible => "look_bond",
            Kind::MixedTowardsBonds
            | Kind::AbsoluteReturn
            | Kind::Balanced
            | Kind::Flexible
            | Kind::MixedTowardsShares => "look_mixed",
            Kind::Equity => "look_equity",
            Kind::Index => "look_index",
            Kind::Qdii => "look_abroad",
            Kind::Fof | Kind::Commodity | Kind::Reit => "look_other",
        },
        Happening::Deposit(_) => "deposit",
        Happening::Submitted(order) => match (order.side, kind(order.product)?) {
            (Side::Redeem, _) => "redeem",
            (Side::Buy, Kind::Cash) => "park",
            (Side::Buy, _) => "buy",
        },
        Happening::Cancelled(_) => "cancel",
        _ => return None,
    };
    WORDS.iter().position(|w| *w == name).map(|i| i as u8)
}

/// The simulated platform: what follows each act within half an hour, or that she leaves.
fn platform() -> Result<Data, Fault> {
    let mut world = World::new(Settings {
        days: DAYS,
        threads: 2,
        ..Settings::new(20_251_122, CUSTOMERS, FIRST_DAY)
    })?;
    let mut acts = Acts::new();
    let mut heard = Vec::new();
    let end = world.end();
    let teller = world.clone();
    world.advance(end, &mut |e| {
        if let Some(word) = word(&teller, &e.what) {
            heard.push((u64::from(e.customer), e.at.0, word));
        }
    });
    for (customer, at, word) in heard {
        acts.entry(customer).or_default().push((at, word));
    }
    // Home begins a visit and is no wish; orders are taken back at any time.
    let is_class = |word: &str| !matches!(word, "home" | "cancel");
    let mut classes: Vec<String> = (WORDS.iter())
        .filter(|w| is_class(w))
        .map(|w| (*w).to_owned())
        .collect();
    classes.push("leave".to_owned());
    let class_of = |word: &str| classes.iter().position(|c| c == word).map(|i| i as u8);
    let border = world.start().0 + (end.0 - world.start().0) / 3 * 2;
    let reading = Reading {
        pause_us: PAUSE_US,
        classes: &WORDS.map(class_of),
        leave: class_of("leave"),
        until_us: end.0,
    };
    let (learned, kept) = divided(acts, border, &reading);
    Ok(Data {
        name: "simulated wealth platform",
        words: WORDS.map(str::to_owned).to_vec(),
        classes: classes.clone(),
        learned,
        kept,
    })
}

fn data(place: &str) -> Result<String, Fault> {
    DataFile::at(place).text()
}

/// MovieLens 100k: the first-named genre of the film that a user rates next, in order of time.
fn films() -> Result<Data, Fault> {
    let items = data("recsys_movielens100k/ml-100k.item.gz")?;
    let mut genre_of: BTreeMap<&str, &str> = BTreeMap::new();
    for line in items.lines().skip(1) {
        let mut cells = line.split('\t');
        let (Some(id), Some(genres)) = (cells.next(), cells.nth(2)) else {
            return Err(format!("`{line}` is no film").into());
        };
        genre_of.insert(id, genres.split(' ').next().unwrap_or("unknown"));
    }
    let mut words: Vec<String> = genre_of.values().map(|g| plain(g)).collect();
    words.sort_unstable();
    words.dedup();
    let ratings = data("recsys_movielens100k/ml-100k.inter.gz")?;
    let mut acts = Acts::new();
    let mut times = Vec::new();
    for line in ratings.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [user, item, _, at] = cells.as_slice() else {
            return Err(format!("`{line}` is no rating").into());
        };
        let genre = plain(genre_of.get(item).copied().unwrap_or("unknown"));
        let Some(word) = words.iter().position(|w| *w == genre) else {
            continue;
        };
        let at = at.parse::<f64>()? as i64 * 1_000_000;
        times.push(at);
        let of = acts.entry(user.parse()?).or_default();
        of.push((at, word as u8));
    }
    // Ratings of one second keep the order of the file, which says nothing; both sides alike.
    acts.values_mut().for_each(|a| a.sort_by_key(|(at, _)| *at));
    times.sort_unstable();
    let border = times[times.len() / 3 * 2];
    let reading = Reading {
        pause_us: PAUSE_US,
        classes: &(0..words.len()).map(|i| Some(i as u8)).collect::<Vec<_>>(),
        leave: None,
        until_us: i64::MAX,
    };
    let (learned, kept) = divided(acts, border, &reading);
    Ok(Data {
        name: "MovieLens 100k, genre of the next film",
        classes: words.clone(),
        words,
        learned,
        kept,
    })
}

fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// Advertising paths: the channel that follows, or how the path ends. There are no times and no people: whole paths are kept.
fn paths() -> Result<Data, Fault> {
    let text = data("attribution_channel/Data.csv.gz")?;
    let mut rows: Vec<(Vec<String>, f64, f64)> = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(';').collect();
        let [path, converted, _, null] = cells.as_slice() else {
            return Err(format!("`{line}` is no path").into());
        };
        let path = path.split(" > ").map(plain).collect();
        rows.push((path, converted.parse()?, null.parse()?));
    }
    let mut words: Vec<String> = rows.iter().flat_map(|r| r.0.iter().cloned()).collect();
    words.sort_unstable();
    words.dedup();
    let mut classes = words.clone();
    classes.extend(["converted".to_owned(), "given_up".to_owned()]);
    let (mut learned, mut kept) = (Points::default(), Points::default());
    for (n, (path, converted, null)) in rows.iter().enumerate() {
        let to = if is_kept(n as u64) {
            &mut kept
        } else {
            &mut learned
        };
        let history = to.histories.len() as u32;
        let tokens: Vec<Token> = (path.iter())
            .filter_map(|w| words.iter().position(|k| k == w).map(|i| i as Token))
            .collect();
        let mut push = |end: usize, class: usize, weight: f64| {
            if weight > 0.0 {
                to.points.push(Point {
                    history,
                    end: end as u32,
                    class: class as u8,
                    weight,
                });
            }
        };
        for (end, next) in tokens.iter().enumerate() {
            push(end, usize::from(*next), converted + null);
        }
        push(tokens.len(), words.len(), *converted);
        push(tokens.len(), words.len() + 1, *null);
        to.histories.push(tokens);
    }
    Ok(Data {
        name: "advertising paths",
        words,
        classes,
        learned,
        kept,
    })
}

const _: () = assert!(SEQUENCE_MAX == 32, "the first line says so");
