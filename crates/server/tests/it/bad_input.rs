//! Bad input, one kind a test: a clear refusal or quarantine with the reason for each, and the rest of the batch goes through.

use crate::server::Server;
use axum::body::Body;
use axum::http::Request;
use luopan_server::limits::{BODY_BYTES_MAX, DECISIONS_PER_REQUEST_MAX, EVENTS_PER_REQUEST_MAX};
use serde_json::{Value, json};

const GOOD: &str = r#"{"id":"good","customer":"a","type":"visit"}"#;

/// Sends `bad` between two good lines; answers the code and reason under which it alone stands in quarantine.
async fn quarantined(server: &Server, bad: &[u8]) -> (String, String) {
    let lines = [GOOD.as_bytes(), b"\n", bad, b"\n", GOOD.as_bytes()].concat();
    let answer = server.lines("/v1/events", lines).await.ok();
    assert_eq!(
        (answer["accepted"].as_u64(), answer["quarantined"].as_u64()),
        (Some(2), Some(1)),
        "{answer}"
    );
    assert_eq!(answer["outcomes"].as_array().map(Vec::len), Some(1));
    let outcome = &answer["outcomes"][0];
    assert_eq!(
        (outcome["index"].as_u64(), outcome["status"].as_str()),
        (Some(1), Some("quarantined"))
    );
    let listed = server.get("/v1/quarantine?limit=1000").await.ok();
    let listed = listed["inputs"]
        .as_array()
        .expect("inputs")
        .iter()
        .find(|q| q["id"] == outcome["quarantine_id"])
        .cloned();
    assert_eq!(
        listed.expect("the input stands in quarantine")["code"],
        outcome["code"]
    );
    let text = |name: &str| outcome[name].as_str().expect("text").to_owned();
    (text("code"), text("reason"))
}

#[tokio::test]
async fn malformed_json() {
    let server = Server::start().await;
    for bad in [
        r#"{"id":"#,
        "nonsense",
        r#"{"id":"x","customer":"a","type":"visit"}}"#,
        "{\"id\":\"\u{1}\"}",
    ] {
        let (code, reason) = quarantined(&server, bad.as_bytes()).await;
        assert_eq!(code, "malformed_json", "{bad}: {reason}");
        assert!(reason.contains("column"), "{reason}");
        let whole = server
            .send("POST", "/v1/events", "application/json", bad)
            .await;
        whole.refused(400, "malformed_json");
        assert!(whole.json()["line"].is_u64() && whole.json()["column"].is_u64());
    }
    for path in [
        "/v1/decisions",
        "/v1/segments/count",
        "/v1/quarantine/retry",
        "/v1/identities/link",
    ] {
        server
            .send("POST", path, "application/json", "{")
            .await
            .refused(400, "malformed_json");
    }
    let empty = server.lines("/v1/events", "\n \n").await.ok();
    assert_eq!(
        (empty["accepted"].as_u64(), empty["position"].as_str()),
        (Some(0), Some(""))
    );
}

#[tokio::test]
async fn wrong_shapes_and_types() {
    let server = Server::start().await;
    let cases = [
        (r#"{"id":"1","customer":"a"}"#, "malformed_event", "type"),
        (
            r#"{"id":1,"customer":"a","type":"visit"}"#,
            "malformed_event",
            "string",
        ),
        (r#"["id"]"#, "malformed_event", "an event is an object"),
        (
            r#"{"id":"1","customer":"a","type":"visit","when":1}"#,
            "malformed_event",
            "occurred_at",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","occurred_at":"yesterday"}"#,
            "malformed_event",
            "RFC 3339",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","occurred_at":"2026-11-22T08:00:00"}"#,
            "malformed_event",
            "zone",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"seconds":"ten"}}"#,
            "wrong_type",
            "integer",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"seconds":1.5}}"#,
            "wrong_type",
            "integer",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"page":{"a":1}}}"#,
            "wrong_type",
            "object",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"page":"hoem"}}"#,
            "not_one_of",
            "home",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"pgae":"home"}}"#,
            "unknown_property",
            "page",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"page":"home","page":"home"}}"#,
            "duplicate_property",
            "page",
        ),
        (
            r#"{"id":"1","customer":"a","type":"purchase","properties":{}}"#,
            "missing_property",
            "amount",
        ),
        (
            r#"{"id":"1","customer":"a","type":"purchase","properties":{"amount":12.5}}"#,
            "wrong_type",
            "write 1250 (minor units of CNY)",
        ),
        (
            r#"{"id":"1","customer":"a","type":"purchase","properties":{"amount":"12.50"}}"#,
            "wrong_type",
            "write 1250 (minor units of CNY)",
        ),
        (
            r#"{"id":"1","customer":"a","type":"purchase","properties":{"amount":"1250"}}"#,
            "wrong_type",
            "an integer of minor units of CNY",
        ),
        (
            r#"{"id":"1","customer":"a","type":"luopan.customer","properties":{"age":null}}"#,
            "wrong_type",
            "`age` is null, and what was told of a customer is not taken away",
        ),
        (
            r#"{"id":"1","customer":"a","type":"visit","properties":{"page":"Home"}}"#,
            "not_one_of",
            "the nearest known name is `home`",
        ),
        (r#"["1","a","visit"]"#, "malformed_event", "found an array"),
        (
            r#"{"id":"","customer":"a","type":"visit"}"#,
            "bad_identifier",
            "128",
        ),
        (
            r#"{"id":"1","customer":"","type":"visit"}"#,
            "bad_identifier",
            "customer",
        ),
    ];
    for (bad, code, word) in cases {
        let (found, reason) = quarantined(&server, bad.as_bytes()).await;
        assert_eq!(found, code, "{bad}: {reason}");
        assert!(reason.contains(word), "{bad}: {reason}");
    }
    let long = json!({"id": "x".repeat(129), "customer": "a", "type": "visit"}).to_string();
    assert_eq!(
        quarantined(&server, long.as_bytes()).await.0,
        "bad_identifier"
    );
}

#[tokio::test]
async fn unknown_event_type_and_unknown_scene() {
    let server = Server::start().await;
    let (code, reason) =
        quarantined(&server, br#"{"id":"1","customer":"a","type":"vissit"}"#).await;
    assert_eq!(code, "unknown_event_type");
    assert!(reason.contains("`visit`"), "{reason}");
    for path in ["/v1/customers/a?scene=shopp", "/v1/segments?scene=shopp"] {
        assert!(
            server
                .get(path)
                .await
                .refused(404, "unknown_scene")
                .contains("shop")
        );
    }
    let decide = json!({"scene": "shopp", "policy": "best", "customer": "a"});
    server
        .post("/v1/decisions", &decide)
        .await
        .refused(404, "unknown_scene");
}

#[tokio::test]
async fn an_event_of_two_megabytes() {
    let server = Server::start().await;
    let large = json!({"id": "1", "customer": "a", "type": "visit", "properties": {"page": "x".repeat(2 << 20)}}).to_string();
    let (code, reason) = quarantined(&server, large.as_bytes()).await;
    assert_eq!(code, "event_too_large");
    assert!(reason.contains("1048576"), "{reason}");
    let alone = server
        .send("POST", "/v1/events", "application/json", large.clone())
        .await;
    alone.refused(413, "event_too_large");
    assert_eq!(alone.json()["limit"], 1_048_576);
    let array = server
        .send(
            "POST",
            "/v1/events",
            "application/json",
            format!("[{GOOD},{large}]"),
        )
        .await
        .ok();
    assert_eq!(
        (array["accepted"].as_u64(), array["quarantined"].as_u64()),
        (Some(1), Some(1))
    );
}

#[tokio::test]
async fn clocks_years_off() {
    let server = Server::start().await;
    for (at, code) in [
        (json!("2099-01-01T00:00:00Z"), "in_the_future"),
        (json!("1999-01-01T00:00:00Z"), "too_old"),
        (json!(0), "too_old"),
        (json!(i64::MAX), "in_the_future"),
        (json!(i64::MIN), "too_old"),
        (json!(u64::MAX), "malformed_event"),
    ] {
        let bad =
            json!({"id": "1", "customer": "a", "type": "visit", "occurred_at": at}).to_string();
        assert_eq!(quarantined(&server, bad.as_bytes()).await.0, code, "{at}");
    }
    for (at, words) in [
        (
            json!(luopan_server::env::now().0 / 1_000),
            "looks like milliseconds",
        ),
        (
            json!(luopan_server::env::now().0 / 1_000_000),
            "looks like seconds",
        ),
        (
            json!("2099-01-01T00:00:00Z"),
            "years ahead of the clock, at most 5 minutes",
        ),
        (
            json!("9999-12-31T23:59:59Z"),
            "outside the times that are kept",
        ),
    ] {
        let bad =
            json!({"id": "1", "customer": "a", "type": "visit", "occurred_at": at}).to_string();
        let (_, reason) = quarantined(&server, bad.as_bytes()).await;
        assert!(reason.contains(words), "{reason}");
    }
    let history =
        json!({"id": "h", "customer": "a", "type": "visit", "occurred_at": "1999-01-01T00:00:00Z"});
    assert_eq!(
        server.post("/v1/events?origin=import", &history).await.ok()["accepted"],
        1
    );
    server
        .post("/v1/events?origin=imported", &history)
        .await
        .refused(422, "malformed_request");
}

#[tokio::test]
async fn duplicate_ids() {
    let server = Server::start().await;
    let lines = format!("{GOOD}\n").repeat(10);
    let answer = server.lines("/v1/events?wait_ms=5000", lines).await.ok();
    assert_eq!(
        (answer["accepted"].as_u64(), answer["duplicates"].as_u64()),
        (Some(10), Some(9))
    );
    // The same id of another customer is another event.
    let other = json!({"id": "good", "customer": "b", "type": "visit"});
    assert_eq!(
        server.post("/v1/events?wait_ms=5000", &other).await.ok()["duplicates"],
        0
    );
    assert_eq!(
        server.get("/v1/customers/a").await.ok()["tags"]["visits_30d"],
        1
    );
}

#[tokio::test]
async fn text_that_is_not_utf8() {
    let server = Server::start().await;
    let torn = [
        &br#"{"id":"1","customer":""#[..],
        &[0xff, 0xfe],
        &br#"","type":"visit"}"#[..],
    ]
    .concat();
    let (code, reason) = quarantined(&server, &torn).await;
    assert_eq!(code, "not_utf8");
    assert!(reason.contains("byte 22"), "{reason}");
    server
        .send("POST", "/v1/events", "application/json", torn.clone())
        .await
        .refused(400, "not_utf8");
    server
        .get("/v1/customers/%FF%FE")
        .await
        .refused(422, "malformed_request");
    let torn = [
        &br#"{"policy":"best","customer":""#[..],
        &[0xff],
        &br#""}"#[..],
    ]
    .concat();
    let answer = server
        .send("POST", "/v1/decisions", "application/json", torn)
        .await;
    answer.refused(400, "malformed_json");
}

#[tokio::test]
async fn bodies_that_are_too_large_or_not_what_they_say() {
    let server = Server::start().await;
    let large = server
        .lines("/v1/events", vec![b'\n'; BODY_BYTES_MAX + 1])
        .await;
    large.refused(413, "body_too_large");
    assert_eq!(large.json()["limit"], BODY_BYTES_MAX);
    let many = server
        .lines("/v1/events", "{}\n".repeat(EVENTS_PER_REQUEST_MAX + 1))
        .await;
    many.refused(413, "batch_too_large");
    assert_eq!(many.json()["limit"], EVENTS_PER_REQUEST_MAX);
    let requests: Vec<Value> =
        vec![json!({"policy": "best", "customer": "a"}); DECISIONS_PER_REQUEST_MAX + 1];
    server
        .post("/v1/decisions", &json!({"requests": requests}))
        .await
        .refused(413, "batch_too_large");
    server
        .post("/v1/decisions", &json!({"requests": []}))
        .await
        .refused(422, "malformed_request");
    server
        .send("POST", "/v1/events", "text/csv", "a,b")
        .await
        .refused(415, "unsupported_media_type");
    server
        .send("POST", "/v1/decisions", "application/x-ndjson", "{}")
        .await
        .refused(415, "unsupported_media_type");

    let encoded = |encoding: &str, body: Vec<u8>| {
        Request::post("/v1/events")
            .header("authorization", format!("Bearer {}", server.key))
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", encoding)
            .body(Body::from(body))
            .expect("a request")
    };
    server
        .ask(encoded("gzip", GOOD.into()))
        .await
        .refused(400, "body_not_gzip");
    let other = "application/json; charset=gb18030";
    assert!(
        server
            .send("POST", "/v1/events", other, GOOD)
            .await
            .refused(415, "unsupported_media_type")
            .contains("charset `gb18030`")
    );
    server
        .send(
            "POST",
            "/v1/events",
            "application/json; charset=\"UTF-8\"",
            GOOD,
        )
        .await
        .ok();
    server
        .ask(encoded("zstd", GOOD.into()))
        .await
        .refused(415, "unsupported_media_type");
    // A bomb: 65 MiB of line breaks in 65 KiB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b'\n'; BODY_BYTES_MAX + 1]).expect("packing");
    server
        .ask(encoded("gzip", bomb.finish().expect("packed")))
        .await
        .refused(413, "body_too_large");
}

#[tokio::test]
async fn a_rule_that_nothing_passes_and_a_cap_of_zero() {
    let server = Server::start().await;
    let nobody = server
        .post(
            "/v1/decisions",
            &json!({"policy": "nobody", "customer": "a"}),
        )
        .await
        .ok();
    assert_eq!(
        (
            nobody["null_action"].as_str(),
            nobody["propensity"].as_f64()
        ),
        (Some("silence"), Some(1.0))
    );
    assert_eq!(nobody["refusals"][0]["rule"], "impossible");
    let never = server
        .post(
            "/v1/decisions",
            &json!({"policy": "never", "customer": "a"}),
        )
        .await
        .ok();
    assert_eq!(never["null_action"], "silence");
    assert_eq!(never["refusals"][0]["rule"], "not_at_all");
    let count = server
        .post("/v1/segments/count", &json!({"rule": "purchases < 0"}))
        .await
        .ok();
    assert_eq!(count["matched"], 0);
}

#[tokio::test]
async fn a_customer_never_seen() {
    let server = Server::start().await;
    assert!(
        server
            .get("/v1/customers/nobody")
            .await
            .refused(404, "unknown_customer")
            .contains("nobody")
    );
    let made = server
        .post(
            "/v1/decisions",
            &json!({"policy": "best", "customer": "nobody"}),
        )
        .await
        .ok();
    assert_eq!(made["choices"][0]["item"], "jade");
    server
        .post("/v1/identities/unlink", &json!({"identifier": "no one"}))
        .await
        .refused(404, "unknown_customer");
}

#[tokio::test]
async fn decisions_that_are_not_asked_for_rightly() {
    let server = Server::start().await;
    let cases = [
        (json!({"customer": "a"}), 422, "malformed_request", "policy"),
        (
            json!({"policy": "best", "customer": "a", "polciy": 1}),
            422,
            "malformed_request",
            "polciy",
        ),
        (
            json!({"policy": "bset", "customer": "a"}),
            404,
            "unknown_policy",
            "best",
        ),
        (
            json!({"policy": "best", "customer": ""}),
            422,
            "bad_identifier",
            "128",
        ),
        (
            json!({"policy": "best", "customer": "a", "idempotency_key": ""}),
            422,
            "bad_idempotency_key",
            "128",
        ),
        (
            json!({"policy": "best", "customer": "a", "context": {"pgae": 1}}),
            422,
            "unknown_context",
            "page",
        ),
        (
            json!({"policy": "best", "customer": "a", "context": {"basket": "two"}}),
            422,
            "wrong_type",
            "integer",
        ),
        (
            json!({"policy": "best", "customer": "a", "origin": "test"}),
            422,
            "malformed_request",
            "dry_run",
        ),
        (
            json!({"policy": "best", "customer": "a", "at_least": "soon"}),
            422,
            "malformed_request",
            "PARTITION:POSITION",
        ),
    ];
    for (body, status, code, word) in cases {
        let detail = server
            .post("/v1/decisions", &body)
            .await
            .refused(status, code);
        assert!(detail.contains(word), "{body}: {detail}");
    }
    server.get("/v1/decisions/17").await.refused(422, "bad_id");
    server
        .get("/v1/decisions/0192abcd-0506-7708-890a-0b0c0d0e0fff/explain")
        .await
        .refused(404, "unknown_decision");
    assert!(
        server
            .get("/v1/segments/visitor/members")
            .await
            .refused(404, "unknown_segment")
            .contains("`visitors`")
    );
    server
        .get("/v1/segments/visitors/members?limit=0")
        .await
        .refused(422, "malformed_request");
    server
        .get("/v1/quarantine?limt=5")
        .await
        .refused(422, "malformed_request");
    server
        .get("/v1/quarantine?after=x")
        .await
        .refused(422, "bad_id");
}

#[tokio::test]
async fn wrong_requests_are_answered_in_words() {
    let server = Server::start().await;
    let posted = async |path: &str, body: &str| {
        server
            .send("POST", path, "application/json", body.to_owned())
            .await
    };
    let cases = [
        (
            "/v1/decisions",
            "",
            400,
            "malformed_json",
            "the body is empty",
        ),
        (
            "/v1/events",
            " \n",
            400,
            "malformed_json",
            "the body is empty",
        ),
        (
            "/v1/decisions",
            "[]",
            422,
            "malformed_request",
            r#"{"requests":[...]}"#,
        ),
        (
            "/v1/segments/count",
            r#"["shop","true"]"#,
            422,
            "malformed_request",
            "found an array",
        ),
        (
            "/v1/decisions",
            r#"{"policy":"slate","customer":"a","slots":-1}"#,
            422,
            "malformed_request",
            "`slots`: found integer `-1`, expected a whole number of 0 or more",
        ),
        (
            "/v1/decisions",
            r#"{"requests":[{"policy":"best","customer":"a"},{"policy":7,"customer":"a"}]}"#,
            422,
            "malformed_request",
            "`requests[1].policy`: found integer `7`, expected text",
        ),
        (
            "/v1/events?wait_ms=abc",
            GOOD,
            422,
            "malformed_request",
            "`wait_ms`: write a whole number",
        ),
        (
            "/v1/events?wait_ms=99999999",
            GOOD,
            422,
            "malformed_request",
            "at most 30000 are waited",
        ),
    ];
    for (path, body, status, code, words) in cases {
        let detail = posted(path, body).await.refused(status, code);
        assert!(detail.contains(words), "{path} {body}: {detail}");
        for leaked in ["EOF", "u32", "deserialize", "invalid digit"] {
            assert!(!detail.contains(leaked), "{path} {body}: {detail}");
        }
    }
    posted("/v1/events", &format!("\u{feff}{GOOD}")).await.ok();
    posted(
        "/v1/decisions",
        "\u{feff}{\"policy\":\"best\",\"customer\":\"a\"}",
    )
    .await
    .ok();
    let array = posted("/v1/events", &format!("[{GOOD},{GOOD},{{\"id\":5}}]"))
        .await
        .ok();
    let reason = array["outcomes"][2]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("element 2 (from 0): "), "{reason}");
}
