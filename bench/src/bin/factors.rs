//! Factors trained by the product from a simulated quarter of a wealth platform, beside popularity and beside `implicit`'s ALS
//! on the same pairs. 20,000 customers, 9,000 products, 90 days brought in as history; features are read point in time; the
//! last tenth of the examples is held out. The world's truth is not asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_engine::api::{Incoming, Raw};
use luopan_engine::examples::ExampleSpec;
use luopan_kernel::event::Origin;
use luopan_kernel::time::DAY_US;
use luopan_learning::factors::{Examples, RANKED_MAX, Report, Settings, train};
use luopan_server::data::{Opening, open};
use luopan_simulator::customer_name;
use luopan_simulator::fund::{self, World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PACKAGES: [&str; 3] = ["implicit==0.7.3", "numpy==2.4.6", "scipy==1.17.1"];
const CUSTOMERS: u32 = 20_000;
const DAYS: i64 = 90;
/// 2026-07-01.
const START_DAY: i64 = 20_635;
const SEED: u64 = 20_261_122;
const ARTIFACT: &str = "artifacts/taste.bin";
const POLICY: &str = "retrieved";
const BATCH: usize = 5_000;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("implicit", &PACKAGES)?;
    let place = folder::root()?.join("factors");
    std::fs::create_dir_all(&place)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let others = Others::watch(&[std::process::id()])?;
    let told = runtime.block_on(learned())?;
    let share = others.share()?;
    let (examples, report) = (&told.examples, &told.report);
    let (files, users) = store(&place, examples, report, told.items)?;
    let said = peer::run(
        Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/factors.py"))
            .args(files)
            .args([users, told.items, Settings::default().dimension].map(|n| n.to_string()))
            .env("OPENBLAS_NUM_THREADS", "1"),
    )?;
    eprintln!("{report:?}");
    eprintln!("implicit: {said}");
    let als = |name: &str| -> Result<f64, Fault> { peer::figure(&said, name) };
    let beside = |name: &str, figure: f64| {
        Some(Reference {
            name: name.to_owned(),
            figure,
        })
    };
    let measured = |name: &str, figure: f64, unit: &str, reference| Measurement {
        name: format!("factors, {name}"),
        figure,
        unit: unit.to_owned(),
        reference,
    };
    let popular = "popularity";
    let implicit = "implicit 0.7.3, ALS of customers by their pairs, 32 factors";
    let (own, other) = (report.figures, report.popularity);
    let list = [
        measured(
            "recall@50 of held-out orders",
            own.recall,
            "share",
            beside(popular, other.recall),
        ),
        measured(
            "NDCG@10 of held-out orders",
            own.ndcg,
            "share",
            beside(popular, other.ndcg),
        ),
        measured(
            "coverage@50",
            own.coverage,
            "share",
            beside(popular, other.coverage),
        ),
        measured(
            "recall@50 of held-out orders",
            own.recall,
            "share",
            beside(implicit, als("recall")?),
        ),
        measured(
            "NDCG@10 of held-out orders",
            own.ndcg,
            "share",
            beside(implicit, als("ndcg")?),
        ),
        measured(
            "examples learned from",
            report.trained as f64,
            "examples",
            None,
        ),
        measured(
            "reading history, on one core",
            told.reading,
            "log entries/s",
            None,
        ),
        measured(
            "training to the end, on one core",
            told.training,
            "s",
            beside("implicit, two threads", als("seconds")?),
        ),
        measured(
            "share of the machine that other processes took",
            share,
            "share",
            None,
        ),
    ];
    let path = write("factors", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// What was learned.
struct Told {
    examples: Examples,
    report: Report,
    items: usize,
    reading: f64,
    training: f64,
}

async fn learned() -> Result<Told, Fault> {
    let folder = tempfile::tempdir()?;
    let opened = open(&folder.path().join("data"), Opening::Create).await?;
    opened.engine.start().await?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pack = luopan_scene::load_folder(&root.join("scenes/fund"))?;
    let own = root.join("bench/scenes/factors/retrieval.yaml");
    pack.files.push((
        "policies/retrieved.yaml".into(),
        std::fs::read_to_string(own)?,
    ));
    let faulty = |f: Vec<luopan_scene::Fault>| -> Fault { format!("{f:?}").into() };
    let plan = Arc::new(luopan_scene::compile_to_train(pack.clone()).map_err(faulty)?);
    let untrained = luopan_server::train::factors::untrained(&plan, POLICY)?;
    pack.trained.insert(ARTIFACT.into(), untrained);
    let checked = luopan_scene::compile(pack).map_err(faulty)?;
    (opened.engine)
        .apply_trained_scene(&checked.plan, &checked.artifacts, &[], "bench")
        .await?;

    let mut settings = fund::Settings::new(SEED, CUSTOMERS, START_DAY);
    settings.days = DAYS;
    let mut world = World::new(settings)?;
    let listed = world.products().to_vec();
    let items: Vec<_> = listed.iter().map(item).collect();
    for some in items.chunks(BATCH) {
        opened.engine.import_items("fund", "funds", some).await?;
    }
    let mut waiting = Vec::new();
    let mut sent = 0;
    for day in 0..DAYS {
        let until = world.start().plus((day + 1) * DAY_US - 1);
        world.advance(until, &mut |event| {
            waiting.push(Ok(incoming(&event.to_sim(&listed))));
        });
        for some in waiting.chunks(BATCH) {
            let receipt = opened.engine.ingest("fund", Origin::Import, some).await?;
            if receipt.quarantined > 0 {
                return Err(format!("{:?}", receipt.outcomes.first()).into());
            }
            sent += some.len();
        }
        waiting.clear();
    }
    opened.settle().await?;
    eprintln!("{sent} events brought in");
    let started = Instant::now();
    let (items, examples, read) = luopan_server::train::factors::history(
        &opened.engine,
        plan,
        POLICY,
        &ExampleSpec::default(),
    )
    .await?;
    let reading = read.entries as f64 / started.elapsed().as_secs_f64();
    eprintln!("{read:?}");
    opened.close().await;
    let started = Instant::now();
    let (_, report) = train(&items, &examples, &Settings::default())?;
    let training = started.elapsed().as_secs_f64();
    Ok(Told {
        items: items.len(),
        examples,
        report,
        reading,
        training,
    })
}

/// A product as an import would set it.
fn item(p: &fund::Product) -> (String, Vec<(String, Raw<'static>)>) {
    let text = |t: &str| Raw::Text(Cow::Owned(t.to_owned()));
    let mut attributes = vec![
        ("name".to_owned(), text(&p.name)),
        ("kind".to_owned(), text(p.kind.word())),
        ("fine_type".to_owned(), text(&p.fine)),
        ("term_days".to_owned(), Raw::Int(p.term_days.into())),
        ("least_order".to_owned(), Raw::Int(p.least_fen)),
        ("on_sale".to_owned(), Raw::Bool(true)),
    ];
    if let Some(rating) = p.rating {
        attributes.push(("risk_level".to_owned(), Raw::Int(rating.into())));
    }
    (p.code.clone(), attributes)
}

fn incoming(event: &luopan_simulator::SimEvent) -> Incoming<'static> {
    Incoming {
        id: Cow::Owned(event.id()),
        customer: Cow::Owned(customer_name(event.customer)),
        kind: Cow::Borrowed(event.kind),
        occurred_at: Some(event.at),
        properties: (event.properties.iter())
            .map(|(name, value)| (Cow::Borrowed(*name), Raw::from(value.clone())))
            .collect(),
        context: Vec::new(),
        corrects: None,
        raw: Cow::Borrowed(""),
    }
}

/// Writes the pairs that were learned from and the examples that were ranked, for the other program; the number of users.
fn store(
    folder: &Path,
    examples: &Examples,
    report: &Report,
    items: usize,
) -> Result<([PathBuf; 2], usize), Fault> {
    let (until, from) = report.split_at;
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|e| (examples.at[*e], *e));
    let mut numbers: BTreeMap<u64, u32> = BTreeMap::new();
    let mut pairs: BTreeMap<(u32, u32), f32> = BTreeMap::new();
    for e in order.iter().filter(|e| examples.at[**e] < until) {
        let next = numbers.len() as u32;
        let user = *numbers.entry(examples.owners[*e]).or_insert(next);
        *pairs.entry((user, examples.items[*e])).or_default() += examples.weights[*e];
    }
    let held_out: Vec<usize> = (order.into_iter())
        .filter(|e| examples.at[*e] >= from && examples.sources[*e] == 0)
        .collect();
    let many = held_out.len().min(RANKED_MAX);
    if held_out.len() != report.held_out || many != report.ranked || items == 0 {
        return Err("the examples that were ranked are not those that the report tells of".into());
    }
    let mut words = Vec::new();
    for ((user, item), weight) in &pairs {
        words.extend([*user, *item, weight.to_bits()]);
    }
    let mut asked = Vec::new();
    for e in (0..many).map(|i| held_out[i * held_out.len() / many]) {
        let user = numbers.get(&examples.owners[e]).copied();
        asked.extend([user.unwrap_or(u32::MAX), examples.items[e]]);
    }
    let files = [folder.join("pairs"), folder.join("asked")];
    for (file, words) in files.iter().zip([words, asked]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        std::fs::write(file, bytes)?;
    }
    Ok((files, numbers.len()))
}
