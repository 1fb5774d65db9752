//! What several nodes cost beside one data folder: the same events and decisions over HTTP to one `luopan serve` with a folder, and
//! to 1, 2 and 3 nodes over a PostgreSQL (an ordinary user's) and a NATS server of their own, all on this machine. Counted is
//! the CPU time of all processes of the product's side (nodes, PostgreSQL with its children, NATS), never the client's, and
//! the statements that PostgreSQL ran (`pg_stat_statements`, `BEGIN` and `COMMIT` among them). Callers are as many in every shape,
//! spread over the nodes; all share the machine's cores, so throughput says whether more nodes do less, not what more
//! machines do.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use luopan_bench::folder::{LINES, root, scene};
use luopan_bench::process::{self, Client, Server, cpu_with_children};
use luopan_bench::traffic::{Customers, Events, Random, now_us};
use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_testbed::servers::whole::{Plan, Whole};

/// Callers in every shape, a number that 1, 2 and 3 nodes share evenly.
const CALLERS: u64 = 6;
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
    fn decide(&self, customers: u64) -> Result<Histogram<u64>, Fault> {
        let (run, until) = (now_us(), Instant::now() + MEASURED);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CALLERS)
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

/// What one shape came to.
struct Found {
    name: String,
    events_a_second: f64,
    /// CPU time by process, in microseconds an event.
    event_us: Vec<(&'static str, f64)>,
    decisions_a_second: f64,
    decision_us: Vec<(&'static str, f64)>,
    p50: f64,
    p99: f64,
    event_statements: Option<f64>,
    decision_statements: Option<f64>,
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

fn measure(
    name: &str,
    side: &Side,
    customers: u64,
    events: u64,
    statements: &dyn Fn() -> Result<Option<f64>, Fault>,
) -> Result<Found, Fault> {
    let run = now_us();
    side.send(
        &format!("first-{run:x}"),
        &Customers::Each(0..customers),
        u64::MAX,
    )?;
    let uniform = Customers::Uniform(customers);
    side.send(&format!("warm-{run:x}"), &uniform, customers)?;
    let (before, said, at) = (side.cpu()?, statements()?, Instant::now());
    side.send(&format!("{run:x}"), &uniform, events)?;
    let (took, after, told) = (at.elapsed(), side.cpu()?, statements()?);
    let sent = (events / CALLERS * CALLERS + LINES) as f64;
    let event_us = each(before, &after, sent);
    let event_statements = said.zip(told).map(|(a, b)| (b - a) / sent);
    side.decide(customers)?;
    let (before, said, at) = (side.cpu()?, statements()?, Instant::now());
    let times = side.decide(customers)?;
    let (took_deciding, after, told) = (at.elapsed(), side.cpu()?, statements()?);
    let decided = times.len() as f64;
    let found = Found {
        name: name.to_owned(),
        events_a_second: sent / took.as_secs_f64(),
        event_us,
        decisions_a_second: decided / took_deciding.as_secs_f64(),
        decision_us: each(before, &after, decided),
        p50: times.value_at_quantile(0.5) as f64,
        p99: times.value_at_quantile(0.99) as f64,
        event_statements,
        decision_statements: said.zip(told).map(|(a, b)| (b - a) / decided),
    };
    eprintln!(
        "{name}: {:.0} events/s, {:.1} us of CPU each {:?}; {:.0} decisions/s, {:.0} us each {:?}, p50 {:.0} us, p99 {:.0} us; statements {:?} an event, {:?} a decision",
        found.events_a_second,
        total(&found.event_us),
        found.event_us,
        found.decisions_a_second,
        total(&found.decision_us),
        found.decision_us,
        found.p50,
        found.p99,
        found.event_statements,
        found.decision_statements,
    );
    Ok(found)
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
    let found = measure("embedded", &side, customers, events, &|| Ok(None))?;
    server.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(found)
}

/// Nodes over servers of their own; with three, how long the others need to take over from one that is killed.
fn nodes(nodes: usize, customers: u64, events: u64) -> Result<(Found, Option<f64>), Fault> {
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
    let statements = || -> Result<Option<f64>, Fault> {
        let said = whole
            .postgres
            .ask("SELECT sum(calls) FROM pg_stat_statements")?;
        Ok(Some(said.parse()?))
    };
    let name = match nodes {
        1 => "1 node".to_owned(),
        n => format!("{n} nodes"),
    };
    let found = measure(&name, &side, customers, events, &statements)?;
    if std::env::var_os("LUOPAN_BENCH_STATEMENTS").is_some() {
        let most = "SELECT calls, round(total_exec_time), left(regexp_replace(query, '\\s+', ' ', 'g'), 160) FROM pg_stat_statements ORDER BY calls DESC LIMIT 14";
        eprintln!("{}", whole.postgres.ask(most)?);
    }
    let mut takeover = None;
    if nodes == 3 {
        whole.nodes[2].kill();
        let at = Instant::now();
        side.urls.pop();
        let mut lines = Vec::new();
        Events::new("takeover", Customers::Each(0..500), 0).write(500, &mut lines);
        let mut client = side.client(0);
        let (status, said) =
            client.post("/v1/events?wait_ms=30000", "application/x-ndjson", &lines)?;
        if status != 200 || !said.contains("\"duplicates\"") {
            return Err(
                format!("what a killed node folded was not taken over: {status} {said}").into(),
            );
        }
        takeover = Some(at.elapsed().as_secs_f64());
    }
    Ok((found, takeover))
}

fn number(name: &str, otherwise: u64) -> Result<u64, Fault> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse().map_err(|e| format!("{name}={text}: {e}"))?),
        Err(_) => Ok(otherwise),
    }
}

fn run() -> Result<(), Fault> {
    let customers = number("LUOPAN_BENCH_CUSTOMERS", 20_000)?;
    let events = number("LUOPAN_BENCH_EVENTS", 120_000)?;
    let base = embedded(customers, events)?;
    let mut all = Vec::new();
    let mut takeover = None;
    for n in 1..=3 {
        let (found, took) = nodes(n, customers, events)?;
        takeover = takeover.or(took);
        all.push(found);
    }
    let mut out = Vec::new();
    let mut add = |name: String, figure: f64, unit: &str, reference: Option<(String, f64)>| {
        out.push(Measurement {
            name,
            figure,
            unit: unit.to_owned(),
            reference: reference.map(|(name, figure)| Reference { name, figure }),
        });
    };
    for found in &all {
        let name = &found.name;
        let beside = |figure: f64| Some(("one data folder, the same load".to_owned(), figure));
        for (what, us, base) in [
            ("event", &found.event_us, &base.event_us),
            ("decision", &found.decision_us, &base.decision_us),
        ] {
            let all_of =
                format!("{name}, CPU of all processes per {what} (wanted: {RATIO_WANTED} times)");
            add(all_of, total(us), "us", beside(total(base)));
            for (process, us) in us {
                add(
                    format!("{name}, of it {process}, per {what}"),
                    *us,
                    "us",
                    None,
                );
            }
        }
        add(
            format!("{name}, statements of PostgreSQL per event"),
            found.event_statements.unwrap_or_default(),
            "statements",
            Some(("wanted at most".to_owned(), STATEMENTS_WANTED)),
        );
        add(
            format!("{name}, statements of PostgreSQL per decision"),
            found.decision_statements.unwrap_or_default(),
            "statements",
            None,
        );
        let first = |figure: f64| Some(("1 node".to_owned(), figure));
        add(
            format!("{name}, events until folded, {CALLERS} callers"),
            found.events_a_second,
            "events/s",
            first(all[0].events_a_second),
        );
        add(
            format!("{name}, decisions, {CALLERS} callers"),
            found.decisions_a_second,
            "decisions/s",
            first(all[0].decisions_a_second),
        );
        add(
            format!("{name}, decision, p50"),
            found.p50,
            "us",
            beside(base.p50),
        );
        add(
            format!("{name}, decision, p99"),
            found.p99,
            "us",
            beside(base.p99),
        );
    }
    if let Some(seconds) = takeover {
        add(
            "3 nodes, from kill -9 of one until the others fold all partitions".to_owned(),
            seconds,
            "s",
            None,
        );
    }
    let path = write("cluster", &out)?;
    eprintln!("written to {}", path.display());
    Ok(())
}
