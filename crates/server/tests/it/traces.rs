//! What a collector gets: the spans of one ingest and one decision with their parents, and nobody's data.

use crate::command_line::applied;
use crate::process::Process;
use crate::silence;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What was sent to a receiver.
#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    heads: Vec<String>,
}

/// A small OTLP receiver.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Taken>>);

impl Collector {
    fn start() -> (Self, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Self::default();
        let taking = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taking = taking.clone();
                std::thread::spawn(move || while taking.take(&stream).is_some() {});
            }
        });
        (collector, address)
    }

    /// Takes one request of a connection; none when it is over.
    fn take(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().ok()?;
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP");
        let mut taken = self.0.lock().expect("whole");
        taken.bytes.extend(&body);
        taken.heads.extend(head);
        for resource in request.resource_spans {
            for scope in resource.scope_spans {
                taken.spans.extend(scope.spans);
            }
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .ok()
    }

    /// The spans, once all of `names` are among them.
    fn spans(&self, names: &[&str]) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let spans = self.0.lock().expect("whole").spans.clone();
            let missing: Vec<_> = (names.iter())
                .filter(|n| !spans.iter().any(|s| s.name == **n))
                .collect();
            if missing.is_empty() {
                return spans;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{missing:?} did not come"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Names and parents' names of the spans of a trace.
fn tree(spans: &[Span], trace: &str) -> Vec<(String, String)> {
    let by_id: BTreeMap<&[u8], &str> = (spans.iter())
        .map(|s| (&s.span_id[..], s.name.as_str()))
        .collect();
    let mut out: Vec<_> = (spans.iter())
        .filter(|s| hex(&s.trace_id) == trace)
        .map(|s| {
            let parent = by_id.get(&s.parent_span_id[..]);
            let parent = parent.map_or_else(|| hex(&s.parent_span_id), |n| (*n).to_owned());
            (s.name.clone(), parent)
        })
        .collect();
    out.sort();
    out.dedup();
    out
}

fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    (pairs.iter())
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn one_ingest_and_one_decision_are_traced_below_their_callers() {
    let (collector, address) = Collector::start();
    let data = applied();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("LUOPAN_LOG", "error"),
    ];
    let server = Process::start(data.path(), &[], &env);
    let ingest = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let decide = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";
    let unwanted = "00-2cf7651916cd43dd8448eb211c80319c-d7ad6b7169203331-00";
    let event = json!({"id": "e", "customer": "someone", "type": "visit"}).to_string();
    let said = server.ask(
        "POST",
        "/v1/events?wait_ms=5000",
        &[("traceparent", ingest)],
        event.as_bytes(),
    );
    assert_eq!(said.status, 200, "{said:?}");
    let told = said.headers["traceresponse"].to_str().expect("text");
    let asked = json!({"policy": "best", "customer": "another"}).to_string();
    let headers = [("traceparent", decide)];
    let made = server.ask("POST", "/v1/decisions", &headers, asked.as_bytes());
    assert_eq!(made.status, 200, "{made:?}");
    server.ask("GET", "/readyz", &[("traceparent", unwanted)], b"");
    server.ask(
        "GET",
        "/v1/decisions/x",
        &[("traceparent", "nonsense")],
        b"",
    );
    let spans = collector.spans(&[
        "POST /v1/events",
        "POST /v1/decisions",
        "GET /v1/decisions/{id}",
        "commit",
        "fold commit",
    ]);
    assert_eq!(
        tree(&spans, "0af7651916cd43dd8448eb211c80319c"),
        of(&[
            ("POST /v1/events", "b7ad6b7169203331"),
            ("append", "intake"),
            ("intake", "POST /v1/events"),
            ("resolve ids", "intake"),
        ])
    );
    assert_eq!(
        tree(&spans, "1bf7651916cd43dd8448eb211c80319c"),
        of(&[
            ("POST /v1/decisions", "c7ad6b7169203331"),
            ("choose", "decide"),
            ("commit", "decide"),
            ("decide", "POST /v1/decisions"),
            ("load", "decide"),
            ("resolve ids", "decide"),
        ])
    );
    let request = spans
        .iter()
        .find(|s| s.name == "POST /v1/events")
        .expect("it");
    assert_eq!(
        told,
        format!("00-{}-{}-01", hex(&request.trace_id), hex(&request.span_id))
    );
    let round = spans.iter().find(|s| s.name == "fold round").expect("one");
    assert!(round.parent_span_id.is_empty());
    let refused = spans.iter().find(|s| s.name == "GET /v1/decisions/{id}");
    let code = refused
        .expect("it")
        .attributes
        .iter()
        .find(|a| a.key == "luopan.code");
    let code = code.and_then(|a| a.value.clone()?.value);
    assert_eq!(code, Some(AnyValue::StringValue("bad_id".to_owned())));
    server.end();
    let taken = collector.0.lock().expect("whole");
    let unwanted = "2cf7651916cd43dd8448eb211c80319c";
    assert!(taken.spans.iter().all(|s| hex(&s.trace_id) != unwanted));
    assert!(taken.heads.iter().any(|l| l == "post /v1/traces http/1.1"));
    assert!(taken.heads.iter().any(|l| l == "x-tenant: shop"));
}

#[test]
fn no_trace_holds_anybody_s_data() {
    let (collector, address) = Collector::start();
    let data = applied();
    let env = [
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{address}/v1/traces"),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let server = Process::start(data.path(), &[], &env);
    let key = server.key.clone();
    silence::talk(&server, &[]);
    server.end();
    let taken = collector.0.lock().expect("whole");
    assert!(taken.spans.len() > 60, "{} spans", taken.spans.len());
    for mark in silence::marks(&key) {
        let found = taken
            .bytes
            .windows(mark.len())
            .any(|w| w == mark.as_bytes());
        assert!(!found, "`{mark}` was sent to the collector");
        // Numbers are not written as text there.
        let spans = format!("{:?}", taken.spans);
        assert!(!spans.contains(&mark), "`{mark}` was sent to the collector");
    }
}

#[test]
fn a_collector_that_is_away_or_wrong_stops_nobody() {
    let data = applied();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
    ];
    let server = Process::start(data.path(), &[], &env);
    let event = json!({"id": "e", "customer": "someone", "type": "visit"});
    assert_eq!(server.post("/v1/events?wait_ms=5000", &event).status, 200);
    server.end();
    for (name, value, wanted) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318", "TLS"),
    ] {
        let said = crate::command_line::program(data.path(), &["serve", "--listen", "127.0.0.1:0"])
            .envs([env[0], (name, value)])
            .output()
            .expect("it runs");
        let err = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{err}");
        assert!(
            err.contains(wanted) && err.contains("docs/traces.md"),
            "{err}"
        );
    }
}
