//! What several nodes cost beside one data folder: the same events and decisions over HTTP to one `luopan serve` with a folder, and
//! to 1, 2 and 3 nodes over a PostgreSQL (an ordinary user's) and a NATS server of their own, all on this machine. Counted is
//! the CPU time of all processes of the product's side (nodes, PostgreSQL with its children, NATS), never the client's, and
//! the statements that PostgreSQL ran (`pg_stat_statements`, `BEGIN` and `COMMIT` among them). Callers are as many in every shape,
//! spread over the nodes: few, so that a node of three has two, and many, so that it has calls to put together. All share the
//! machine's cores, so throughput says whether more nodes do less, not what more machines do: beside each rate stands how many
//! cores the product's side had (CPU a unit times the rate), and how many were left by the client and by other processes.
//!
//! `LUOPAN_BENCH_STATEMENTS=1` prints which statements decisions ran; `LUOPAN_BENCH_SHAPES=embedded,1,3` measures these alone and
//! writes nothing.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use luopan_bench::folder::{LINES, root, scene};
use luopan_bench::process::{self, Client, Server, busy, cpu_with_children};
use luopan_bench::traffic::{Customers, Events, Random, now_us};
use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_testbed::servers::postgres::Postgres;
use luopan_testbed::servers::whole::{Plan, Whole};

/// Callers that send events, a number that 1, 2 and 3 nodes share evenly.
const CALLERS: u64 = 6;
/// Callers that decide, few and many.
const DECIDING: [u64; 2] = [6, 24];
/// Decisions of each caller count for so long.
const MEASURED: Duration = Duration::from_secs(10);
/// Statements that an event may cost, and how many times the CPU of the embedded stores: what was wanted before it was built.
const STATEMENTS_WANTED: f64 = 0.05;
const RATIO_WANTED: f64 = 6.0;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// Something that answers HTTP, and what it runs in.
struct Side {
    urls: Vec<String>,
    authorization: String,
    /// Names and process ids, children counted to their parents.
    processes: Vec<(&'static str, u32)>,
}

impl Side {
    fn client(&self, n: u64) -> Client {
        let url = &self.urls[n as usize % self.urls.len()];
        Client::to(url, &self.authorization)
    }

    fn cpu(&self) -> Result<Vec<(&'static str, Duration)>, Fault> {
        (self.processes.iter())
            .map(|(name, pid)| Ok((*name, cpu_with_children(*pid)?)))
            .collect()
    }

    /// Sends one more request and waits until it is folded, and with it everything before: it has events in nearly every partition.
    fn wait_folded(&self, prefix: &str, customers: &Customers) -> Result<(), Fault> {
        let end = match customers {
            Customers::Each(all) => all.end,
            Customers::Uniform(end) => *end,
        };
        let mut body = Vec::new();
        Events::new(&format!("{prefix}-last"), Customers::Uniform(end), 0).write(LINES, &mut body);
        let path = "/v1/events?wait_ms=30000";
        let (status, said) = self.client(0).post(path, "application/x-ndjson", &body)?;
        // Duplicates are told only when the wait was long enough.
        if status != 200 || !said.contains("\"duplicates\"") {
            return Err(format!("{path} answered {status}: {said}").into());
        }
        Ok(())
    }

    /// Sends so many events from all callers; none is folded twice, all are folded at the end.
    fn send(&self, prefix: &str, customers: &Customers, events: u64) -> Result<(), Fault> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CALLERS)
                .map(|n| {
                    scope.spawn(move || -> Result<(), Fault> {
                        let own = match customers {
                            Customers::Each(all) => {
                                let share = (all.end - all.start).div_ceil(CALLERS);
                                let from = all.start + n * share;
                                Customers::Each(from..(from + share).min(all.end))
                            }
                            uniform => uniform.clone(),
                        };
                        let mut source = Events::new(&format!("{prefix}-{n}"), own, 0);
                        let (mut client, mut body) = (self.client(n), Vec::new());
                        let mut left = events / CALLERS;
                        while left > 0 {
                            body.clear();
                            let lines = source.write(LINES.min(left), &mut body);
                            if lines == 0 {
                                break;
                            }
                            client.events(&body)?;
                            left -= lines;
                        }
                        Ok(())
                    })
                })
                .collect();
            for thread in threads {
                thread.join().map_err(|_| "a sending thread panicked")??;
            }
            self.wait_folded(prefix, customers)
        })
    }

    /// Decisions from all callers for a while.
    fn decide(&self, customers: u64, callers: u64) -> Result<Histogram<u64>, Fault> {
        let (run, until) = (now_us(), Instant::now() + MEASURED);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..callers)
                .map(|n| {
                    scope.spawn(move || -> Result<Histogram<u64>, Fault> {
                        let (mut client, mut random) = (self.client(n), Random(n + 1));
                        let mut times = Histogram::new(3)?;
                        for k in 0u64.. {
                            if Instant::now() > until {
                                break;
                            }
                            let customer = random.below(customers);
                            let body = format!(
                                r#"{{"policy":"offer","customer":"customer-{customer:09}","idempotency_key":"{run:x}-{n}-{k}"}}"#
                            );
                            let at = Instant::now();
                            let (status, said) =
                                client.post("/v1/decisions", "application/json", body.as_bytes())?;
                            if status != 200 {
                                return Err(format!("/v1/decisions answered {status}: {said}").into());
                            }
                            times.record(at.elapsed().as_micros().try_into()?)?;
                        }
                        Ok(times)
                    })
                })
                .collect();
            let mut all = Histogram::new(3)?;
            for thread in threads {
                all += thread.join().map_err(|_| "a deciding thread panicked")??;
            }
            Ok(all)
        })
    }
}

/// What a phase cost.
struct Cost {
    /// Units a second.
    rate: f64,
    /// CPU time by process, in microseconds a unit.
    us: Vec<(&'static str, f64)>,
    statements: Option<f64>,
    /// Cores that the product's side had, that the client had, and all that the machine has less what other processes had.
    cores: [f64; 3],
}

/// Decisions of so many callers.
struct Decided {
    callers: u64,
    cost: Cost,
    p50: f64,
    p99: f64,
}

/// What one shape came to.
struct Found {
    name: String,
    events: Cost,
    decided: Vec<Decided>,
}

fn total(of: &[(&'static str, f64)]) -> f64 {
    of.iter().map(|(_, us)| us).sum()
}

fn each(
    before: Vec<(&'static str, Duration)>,
    after: &[(&'static str, Duration)],
    count: f64,
) -> Vec<(&'static str, f64)> {
    let mut out: Vec<(&'static str, f64)> = Vec::new();
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        let us = (*after - before).as_secs_f64() * 1e6 / count;
        match out.iter_mut().find(|(n, _)| *n == name) {
            Some((_, sum)) => *sum += us,
            None => out.push((name, us)),
        }
    }
    out
}

/// Runs a phase; it answers how many units it did, and whatever else.
fn phase<T>(
    side: &Side,
    statements: &dyn Fn() -> Result<Option<f64>, Fault>,
    run: impl FnOnce() -> Result<(f64, T), Fault>,
) -> Result<(Cost, T), Fault> {
    let own = std::process::id();
    let (cpu, said, busy, client) = (side.cpu()?, statements()?, busy()?, process::cpu(own)?);
    let at = Instant::now();
    let (count, more) = run()?;
    let took = at.elapsed().as_secs_f64();
    let client = (process::cpu(own)? - client).as_secs_f64();
    let (busy, after, told) = (self::busy()? - busy, side.cpu()?, statements()?);
    let us = each(cpu, &after, count);
    let product = total(&us) * count / 1e6;
    let others = (busy.as_secs_f64() - product - client).max(0.0);
    let all = std::thread::available_parallelism()?.get() as f64;
    let cost = Cost {
        rate: count / took,
        us,
        statements: said.zip(told).map(|(a, b)| (b - a) / count),
        cores: [product / took, client / took, all - others / took],
    };
    Ok((cost, more))
}

fn measure(
    name: &str,
    side: &Side,
    customers: u64,
    events: u64,
    statements: &dyn Fn() -> Result<Option<f64>, Fault>,
    forget: &dyn Fn() -> Result<(), Fault>,
) -> Result<Found, Fault> {
    let run = now_us();
    side.send(
        &format!("first-{run:x}"),
        &Customers::Each(0..customers),
        u64::MAX,
    )?;
    let uniform = Customers::Uniform(customers);
    side.send(&format!("warm-{run:x}"), &uniform, customers)?;
    let (cost, ()) = phase(side, statements, || {
        side.send(&format!("{run:x}"), &uniform, events)?;
        Ok(((events / CALLERS * CALLERS + LINES) as f64, ()))
    })?;
    say(name, "event", CALLERS, &cost);
    let mut found = Found {
        name: name.to_owned(),
        events: cost,
        decided: Vec::new(),
    };
    for callers in DECIDING {
        side.decide(customers, callers)?;
        forget()?;
        let (cost, times) = phase(side, statements, || {
            let times = side.decide(customers, callers)?;
            Ok((times.len() as f64, times))
        })?;
        say(name, "decision", callers, &cost);
        let decided = Decided {
            callers,
            cost,
            p50: times.value_at_quantile(0.5) as f64,
            p99: times.value_at_quantile(0.99) as f64,
        };
        eprintln!("  p50 {:.0} us, p99 {:.0} us", decided.p50, decided.p99);
        found.decided.push(decided);
    }
    Ok(found)
}

fn say(name: &str, unit: &str, callers: u64, cost: &Cost) {
    let us: Vec<String> = (cost.us.iter())
        .map(|(name, us)| format!("{name} {us:.1}"))
        .collect();
    eprintln!(
        "{name}, {callers} callers: {:.0} {unit}s/s, {:.1} us of CPU each ({}), {:.4} statements each; cores: {:.2} the product, {:.2} the client, {:.2} there were",
        cost.rate,
        total(&cost.us),
        us.join(", "),
        cost.statements.unwrap_or_default(),
        cost.cores[0],
        cost.cores[1],
        cost.cores[2],
    );
}

fn embedded(customers: u64, events: u64) -> Result<Found, Fault> {
    let data = root()?.join("cluster-embedded");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(root()?)?;
    let pack = scene();
    let pack = pack.to_str().ok_or("a path is no text")?;
    process::command(&data, &["scene", "apply", pack])?;
    let server = Server::start(&data)?;
    let side = Side {
        urls: vec![server.url.clone()],
        authorization: server.authorization.clone(),
        processes: vec![("node", server.pid())],
    };
    let found = measure("embedded", &side, customers, events, &|| Ok(None), &|| {
        Ok(())
    })?;
    server.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(found)
}

/// What happened to a node at the end.
enum Ended {
    /// The one node was started again: seconds until it folded an event of nearly every partition, and statements until then.
    Opened(f64, f64),
    /// One of three was killed: seconds until the others did.
    TakenOver(f64),
}

/// Sends an event of nearly every partition and waits until they are folded.
fn folded_everywhere(side: &Side, name: &str) -> Result<(), Fault> {
    let mut lines = Vec::new();
    Events::new(name, Customers::Each(0..2_000), 0).write(2_000, &mut lines);
    let path = "/v1/events?wait_ms=30000";
    let (status, said) = (side.client(0)).post(path, "application/x-ndjson", &lines)?;
    if status != 200 || !said.contains("\"duplicates\"") {
        return Err(format!("{name}: not all was folded: {status} {said}").into());
    }
    Ok(())
}

/// Nodes over servers of their own.
fn nodes(nodes: usize, customers: u64, events: u64) -> Result<(Found, Option<Ended>), Fault> {
    let plan = Plan {
        program: process::binary()?,
        scene: scene(),
        nats: 1,
        nodes,
        first_proxied: false,
        settings: vec!["shared_preload_libraries=pg_stat_statements".to_owned()],
        postgres_data: None,
    };
    let Some(mut whole) = Whole::start(&plan)? else {
        return Err("PostgreSQL and nats-server are needed".into());
    };
    whole.postgres.ask("CREATE EXTENSION pg_stat_statements")?;
    let mut processes = Vec::new();
    processes.extend(whole.nodes.iter().filter_map(|n| Some(("nodes", n.pid()?))));
    processes.extend(whole.postgres.pid().map(|pid| ("PostgreSQL", pid)));
    processes.extend(whole.nats.iter().filter_map(|n| Some(("NATS", n.pid()?))));
    let mut side = Side {
        urls: whole.urls(),
        authorization: format!("Bearer {}", whole.key),
        processes,
    };
    let name = match nodes {
        1 => "1 node".to_owned(),
        n => format!("{n} nodes"),
    };
    let tells = std::env::var_os("LUOPAN_BENCH_STATEMENTS").is_some();
    let found = {
        let postgres = &whole.postgres;
        let statements = || Ok(Some(ran(postgres)?));
        let forget = || match tells {
            true => {
                postgres.ask("SELECT pg_stat_statements_reset()")?;
                Ok(())
            }
            false => Ok(()),
        };
        measure(&name, &side, customers, events, &statements, &forget)?
    };
    if tells {
        let most = "SELECT calls, round(total_exec_time), round(total_exec_time * 1000 / calls) AS us, left(regexp_replace(query, '\\s+', ' ', 'g'), 200) FROM pg_stat_statements ORDER BY calls DESC LIMIT 24";
        eprintln!("{}", whole.postgres.ask(most)?);
    }
    let ended = match nodes {
        1 => {
            whole.nodes[0].stop();
            let (at, before) = (Instant::now(), ran(&whole.postgres)?);
            whole.nodes[0].restart();
            side.urls = whole.urls();
            folded_everywhere(&side, "opened")?;
            let took = at.elapsed().as_secs_f64();
            Some(Ended::Opened(took, ran(&whole.postgres)? - before))
        }
        3 => {
            whole.nodes[2].kill();
            let at = Instant::now();
            side.urls.pop();
            folded_everywhere(&side, "takeover")?;
            Some(Ended::TakenOver(at.elapsed().as_secs_f64()))
        }
        _ => None,
    };
    match &ended {
        Some(Ended::Opened(s, n)) => eprintln!("opened in {s:.2} s, {n} statements"),
        Some(Ended::TakenOver(s)) => eprintln!("taken over in {s:.2} s"),
        None => {}
    }
    Ok((found, ended))
}

/// Statements that PostgreSQL ran so far.
fn ran(postgres: &Postgres) -> Result<f64, Fault> {
    let said = postgres.ask("SELECT sum(calls) FROM pg_stat_statements")?;
    Ok(said.parse()?)
}

fn number(name: &str, otherwise: u64) -> Result<u64, Fault> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse().map_err(|e| format!("{name}={text}: {e}"))?),
        Err(_) => Ok(otherwise),
    }
}

/// Measurements as they are written.
#[derive(Default)]
struct Out(Vec<Measurement>);

impl Out {
    fn add(&mut self, name: String, figure: f64, unit: &str, reference: Option<(&str, f64)>) {
        self.0.push(Measurement {
            name,
            figure,
            unit: unit.to_owned(),
            reference: reference.map(|(name, figure)| Reference {
                name: name.to_owned(),
                figure,
            }),
        });
    }

    /// A cost, beside that of one data folder and the rate of one node.
    fn cost(&mut self, of: &str, unit: &str, cost: &Cost, embedded: &Cost, one: &Cost) {
        let name = format!("{of}, CPU of all processes per {unit} (wanted: {RATIO_WANTED} times)");
        let beside = Some(("one data folder, the same load", total(&embedded.us)));
        self.add(name, total(&cost.us), "us", beside);
        for (process, us) in &cost.us {
            self.add(
                format!("{of}, of it {process}, per {unit}"),
                *us,
                "us",
                None,
            );
        }
        let wanted = (unit == "event").then_some(("wanted at most", STATEMENTS_WANTED));
        let name = format!("{of}, statements of PostgreSQL per {unit}");
        self.add(
            name,
            cost.statements.unwrap_or_default(),
            "statements",
            wanted,
        );
        let what = match unit {
            "event" => "events until folded",
            _ => "decisions",
        };
        let name = format!("{of}, {what}");
        self.add(
            name,
            cost.rate,
            &format!("{unit}s/s"),
            Some(("1 node", one.rate)),
        );
        let [product, client, all] = cost.cores;
        let name = format!("{of}, {what}: cores that nodes, PostgreSQL and NATS had");
        let left = Some((
            "cores there were, less what the client and other processes had",
            all - client,
        ));
        self.add(name, product, "cores", left);
    }
}

fn run() -> Result<(), Fault> {
    let customers = number("LUOPAN_BENCH_CUSTOMERS", 20_000)?;
    let events = number("LUOPAN_BENCH_EVENTS", 240_000)?;
    let asked = std::env::var("LUOPAN_BENCH_SHAPES").ok();
    let shapes = asked.as_deref().unwrap_or("embedded,1,2,3");
    let is_asked = |shape: &str| shapes.split(',').any(|s| s == shape);
    let base = match is_asked("embedded") {
        true => Some(embedded(customers, events)?),
        false => None,
    };
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for n in (1..=3).filter(|n| is_asked(&n.to_string())) {
        let (found, ended) = nodes(n, customers, events)?;
        ends.extend(ended);
        all.push(found);
    }
    let (Some(base), None) = (base, asked) else {
        return Ok(());
    };
    let mut out = Out::default();
    for found in &all {
        let name = &found.name;
        let of = format!("{name}, {CALLERS} callers");
        out.cost(&of, "event", &found.events, &base.events, &all[0].events);
        for ((decided, base), one) in (found.decided.iter().zip(&base.decided)).zip(&all[0].decided)
        {
            let of = format!("{name}, {} callers", decided.callers);
            out.cost(&of, "decision", &decided.cost, &base.cost, &one.cost);
            for (what, figure, base) in [
                ("p50", decided.p50, base.p50),
                ("p99", decided.p99, base.p99),
            ] {
                let beside = Some(("one data folder, the same load", base));
                out.add(format!("{of}, decision, {what}"), figure, "us", beside);
            }
        }
    }
    for ended in ends {
        match ended {
            Ended::Opened(seconds, statements) => {
                let what = "1 node, from its start until it folds all partitions";
                out.add(what.to_owned(), seconds, "s", None);
                out.add(
                    format!("{what}: statements"),
                    statements,
                    "statements",
                    None,
                );
            }
            Ended::TakenOver(seconds) => {
                let what = "3 nodes, from kill -9 of one until the others fold all partitions";
                out.add(what.to_owned(), seconds, "s", None);
            }
        }
    }
    let path = write("cluster", &out.0)?;
    eprintln!("written to {}", path.display());
    Ok(())
}
