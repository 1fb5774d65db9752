//! What the program writes of itself holds nobody's data: marked ids, addresses, properties and keys go through good and bad
//! requests at the most talkative level of our own parts, and all of standard error is searched for them.

use crate::command_line::applied;
use crate::pages::root;
use crate::process::Process;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const CUSTOMER: &str = "mark-customer-7f3a";
const EMAIL: &str = "mark.person@mail.example";
const PROPERTY: &str = "mark-property-c41d";
const NUMBER: i64 = 918_273_645_546_372;
const CONTEXT: &str = "mark-context-0b9e";
const DECISION_KEY: &str = "mark-key-55aa";
const WRONG_KEY: &str = "luopan_mark-secret-dead";
const EVENT: &str = "mark-event-1c2b";

/// Marks that must not be found, and how they are written.
pub(crate) fn marks(key: &str) -> Vec<String> {
    [
        CUSTOMER,
        EMAIL,
        "mark.person",
        PROPERTY,
        CONTEXT,
        DECISION_KEY,
        WRONG_KEY,
        EVENT,
        key,
    ]
    .iter()
    .map(|m| (*m).to_owned())
    .chain([NUMBER.to_string()])
    .collect()
}

/// Good and bad requests that are full of marks. `headers` go with each.
pub(crate) fn talk(server: &Process, headers: &[(&str, &str)]) {
    let good = json!({"id": EVENT, "customer": CUSTOMER, "type": "purchase",
        "properties": {"amount": NUMBER, "decision_id": PROPERTY}, "context": {"device": CONTEXT}});
    let by_mail = json!({"id": EVENT, "customer": EMAIL, "type": "luopan.customer", "properties": {"city": PROPERTY}});
    let bad = [
        json!({"id": EVENT, "customer": CUSTOMER, "type": PROPERTY}),
        json!({"id": EVENT, "customer": CUSTOMER, "type": "visit", "properties": {PROPERTY: CONTEXT}}),
        json!({"id": EVENT, "customer": CUSTOMER, "type": "visit", "properties": {"page": PROPERTY, "seconds": PROPERTY}}),
        json!({"id": EVENT, "customer": CUSTOMER, "type": "purchase", "properties": {"amount": EMAIL}}),
        json!({"id": EVENT, "customer": CUSTOMER, "type": "visit", "occurred_at": EMAIL}),
        json!({"id": EVENT, "customer": [EMAIL], "type": "visit"}),
        json!({"id": EVENT, "customer": EMAIL.repeat(20), "type": "visit", PROPERTY: 1}),
    ];
    let ask = |method: &str, path: &str, more: &[(&str, &str)], body: &[u8]| {
        let all = [headers, more].concat();
        server.ask(method, path, &all, body)
    };
    let post = |path: &str, body: &Value| ask("POST", path, &[], body.to_string().as_bytes());
    for event in [&good, &by_mail] {
        let said = post("/v1/events?wait_ms=5000", event);
        assert_eq!(
            (said.status, &said.json()["accepted"]),
            (200, &json!(1)),
            "{said:?}"
        );
    }
    let said = post("/v1/events", &json!(bad));
    assert_eq!(said.json()["quarantined"], bad.len(), "{said:?}");
    assert!(
        said.text.contains(PROPERTY),
        "the caller is told what was found"
    );
    let lines = format!("{good}\n{{\"id\":\"{EMAIL}\n{CUSTOMER}\n");
    let ndjson = [("content-type", "application/x-ndjson")];
    assert_eq!(
        ask("POST", "/v1/events", &ndjson, lines.as_bytes()).status,
        200
    );
    for (body, status) in [
        (format!("{{\"customer\":\"{EMAIL}\""), 400),
        (format!("[\"{CUSTOMER}\", {PROPERTY}]"), 400),
    ] {
        let said = ask("POST", "/v1/events", &[], body.as_bytes());
        assert_eq!(said.status, status, "{said:?}");
    }
    let wanted = json!({"policy": "best", "customer": CUSTOMER, "idempotency_key": DECISION_KEY, "context": {"basket": NUMBER}});
    let decided = post("/v1/decisions", &wanted);
    assert_eq!(decided.status, 200, "{decided:?}");
    let id = decided.json()["id"].as_str().expect("an id").to_owned();
    for wrong in [
        json!({"policy": "best", "customer": EMAIL, "idempotency_key": DECISION_KEY}),
        json!({"policy": PROPERTY, "customer": CUSTOMER}),
        json!({"policy": "best", "customer": CUSTOMER, "context": {PROPERTY: CONTEXT}}),
        json!({"policy": "best", "customer": {EMAIL: 1}}),
        json!({"policy": "best", "customer": CUSTOMER, "at_least": EMAIL}),
    ] {
        let said = post("/v1/decisions", &wrong);
        assert!((400..500).contains(&said.status), "{said:?}");
    }
    let many = json!({"requests": [wanted, {"policy": PROPERTY, "customer": EMAIL}]});
    assert_eq!(post("/v1/decisions", &many).status, 200);
    for path in [
        format!("/v1/decisions/{id}"),
        format!("/v1/decisions/{id}/explain"),
        format!("/v1/decisions/{CUSTOMER}"),
        format!("/v1/customers/{CUSTOMER}"),
        format!("/v1/customers/{EMAIL}"),
        format!("/v1/customers/none-{EMAIL}"),
        format!("/v1/{EMAIL}"),
        format!("/v1/segments?scene={PROPERTY}"),
        format!("/v1/segments?{PROPERTY}={EMAIL}"),
        format!("/v1/quarantine?after={CUSTOMER}"),
        "/v1/quarantine".to_owned(),
        "/v1/segments/buyers/members".to_owned(),
    ] {
        let said = ask("GET", &path, &[], b"");
        assert!(said.status < 500, "{path}: {said:?}");
    }
    let rule = json!({"rule": format!("city == \"{PROPERTY}\" && purchases > {NUMBER}")});
    assert!(post("/v1/segments/count", &rule).status < 500);
    let link = json!({"a": CUSTOMER, "b": EMAIL});
    let wrong = json!({"a": CUSTOMER, "b": EMAIL, PROPERTY: [EMAIL]});
    assert!(post("/v1/identities/link", &link).status < 400);
    assert!((400..500).contains(&post("/v1/identities/link", &wrong).status));
    assert!(post("/v1/identities/unlink", &json!({"identifier": EMAIL})).status < 500);
    let wrong = format!("Bearer {WRONG_KEY}");
    for door in [wrong.as_str(), WRONG_KEY, "Basic bWFyazptYXJr"] {
        let said = ask("GET", "/v1/scenes", &[("authorization", door)], b"");
        assert_eq!(said.status, 401);
    }
    let scene = [("x-luopan-scene", PROPERTY)];
    assert_eq!(
        ask("POST", "/v1/events", &scene, good.to_string().as_bytes()).status,
        404
    );
}

fn holds_none(text: &str, key: &str) {
    for mark in marks(key) {
        let at = text.find(&mark);
        let near = at.map(|at| {
            let from = text[..at].rfind('\n').map_or(0, |i| i + 1);
            text[from..].lines().next().unwrap_or_default()
        });
        assert_eq!(near, None, "`{mark}` was written");
    }
}

#[test]
fn no_log_line_holds_anybody_s_data() {
    for format in ["text", "json"] {
        let data = applied();
        let levels = [("LUOPAN_LOG", "warn,luopan=trace")];
        let server = Process::start(data.path(), &["--log", format], &levels);
        let key = server.key.clone();
        talk(&server, &[]);
        let page = server.get("/metrics").text;
        let said = server.end();
        // It is as talkative as it can be, and the search would find what is there.
        assert!(said.contains("request") && said.contains("/v1/decisions"));
        assert!(said.lines().count() > 30, "{said}");
        holds_none(&said, &key);
        holds_none(&page, &key);
        if format == "text" {
            continue;
        }
        let mut requests = 0;
        for line in said.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            for field in ["timestamp", "level", "target", "message"] {
                assert!(line[field].is_string(), "{line} has no {field}");
            }
            requests += u32::from(line["message"] == "request");
            if line["message"] == "request" && line["status"] == 401 {
                assert_eq!(line["code"], "api_key_wanted");
            }
        }
        assert!(requests > 30, "{requests} requests were told");
    }
}

/// Names of the fields that a source gives to its log lines.
fn fields(text: &str, out: &mut BTreeSet<String>) {
    for level in ["error", "warn", "info", "debug", "trace"] {
        for rest in text.split(&format!("tracing::{level}!(")).skip(1) {
            let (mut depth, mut quoted, mut part) = (1, false, String::new());
            let mut chars = rest.chars();
            let mut parts = Vec::new();
            while let Some(c) = chars.next() {
                match c {
                    '\\' if quoted => {
                        chars.next();
                        continue;
                    }
                    '"' => quoted = !quoted,
                    '(' | '[' | '{' if !quoted => depth += 1,
                    ')' | ']' | '}' if !quoted => depth -= 1,
                    ',' if !quoted && depth == 1 => {
                        parts.push(std::mem::take(&mut part));
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if !quoted || c == '"' {
                    part.push(c);
                }
            }
            parts.push(part);
            for part in parts.iter().map(|p| p.trim()) {
                // What stands behind the words is written into them.
                if part.starts_with('"') {
                    break;
                }
                let name: String = part
                    .trim_start_matches(['%', '?'])
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
                    .collect();
                if !name.is_empty() && name != "target" {
                    out.insert(name);
                }
            }
        }
    }
}

#[test]
fn every_field_of_a_log_line_is_told_of() {
    fn walk(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                fields(&std::fs::read_to_string(&path).expect("a source"), out);
            }
        }
    }
    let mut written = BTreeSet::new();
    for part in [
        "cluster", "embedded", "engine", "lake", "scene", "server", "store",
    ] {
        walk(&root().join(format!("crates/{part}/src")), &mut written);
    }
    let page = std::fs::read_to_string(root().join("docs/logs.md")).expect("docs/logs.md");
    let told: BTreeSet<String> = (page.lines())
        .filter_map(|l| Some(l.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .filter(|name| !["timestamp", "level", "target", "message"].contains(&name.as_str()))
        .collect();
    assert!(written.len() > 20, "{written:?}");
    assert_eq!(written, told);
}
