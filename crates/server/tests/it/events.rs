//! `/v1/events` and what can be read back: counts, outcomes, positions, customers, segments, quarantine.

use crate::server::Server;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use std::io::Write;

fn visit(id: &str, customer: &str) -> Value {
    json!({"id": id, "customer": customer, "type": "visit", "properties": {"page": "home"}})
}

#[tokio::test]
async fn one_event_an_array_and_lines_are_taken() {
    let server = Server::start().await;
    let one = server.post("/v1/events", &visit("1", "a")).await.ok();
    assert_eq!(
        (one["accepted"].as_u64(), one["quarantined"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(one["outcomes"][0]["status"], "accepted");
    assert_eq!(one["position"], one["outcomes"][0]["position"]);

    let many = server
        .post("/v1/events", &json!([visit("2", "a"), visit("3", "b")]))
        .await
        .ok();
    assert_eq!(many["outcomes"].as_array().map(Vec::len), Some(2));

    let lines = format!(
        "{}\n\n{}\r\n{}",
        visit("4", "a"),
        visit("5", "b"),
        visit("6", "c")
    );
    let some = server
        .lines("/v1/events?wait_ms=5000", lines.clone())
        .await
        .ok();
    assert_eq!(some["accepted"], 3);
    assert_eq!(some["duplicates"], 0);
    assert_eq!(
        some["outcomes"],
        json!([]),
        "lines list only what went to quarantine"
    );
    let again = server
        .lines("/v1/events?wait_ms=5000&outcomes=all", lines)
        .await
        .ok();
    assert_eq!(again["duplicates"], 3);
    assert_eq!(again["outcomes"].as_array().map(Vec::len), Some(3));

    let customer = server.get("/v1/customers/a").await.ok();
    assert_eq!(customer["tags"]["visits_30d"], 3);
    assert_eq!(customer["segments"], json!(["visitors"]));
    assert_eq!(customer["identifiers"], json!(["a"]));
}

#[tokio::test]
async fn a_gzipped_body_is_unpacked() {
    let server = Server::start().await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for i in 0..5_000 {
        writeln!(
            packed,
            "{}",
            visit(&format!("g{i}"), &format!("c{}", i % 50))
        )
        .expect("packing");
    }
    let request = Request::post("/v1/events?wait_ms=20000")
        .header("authorization", format!("Bearer {}", server.key))
        .header("content-type", "application/x-ndjson; charset=utf-8")
        .header("content-encoding", "gzip")
        .body(Body::from(packed.finish().expect("packed")))
        .expect("a request");
    let answer = server.ask(request).await.ok();
    assert_eq!(
        (answer["accepted"].as_u64(), answer["duplicates"].as_u64()),
        (Some(5_000), Some(0))
    );
    let segments = server.get("/v1/segments?scene=shop").await.ok();
    let visitors = segments["segments"]
        .as_array()
        .expect("segments")
        .iter()
        .find(|s| s["name"] == "visitors")
        .cloned();
    assert_eq!(visitors.expect("visitors")["members"], 50);

    let first = server
        .get("/v1/segments/visitors/members?limit=30")
        .await
        .ok();
    let next = first["next"].as_str().expect("a second page").to_owned();
    let second = server
        .get(&format!(
            "/v1/segments/visitors/members?limit=30&after={next}"
        ))
        .await
        .ok();
    let names = |page: &Value| -> Vec<String> {
        let members = page["members"].as_array().expect("members");
        members
            .iter()
            .map(|m| m["identifier"].as_str().expect("a name").to_owned())
            .collect()
    };
    let mut all = [names(&first), names(&second)].concat();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), second["next"].clone()), (50, Value::Null));

    let count = server
        .post("/v1/segments/count", &json!({"rule": "visits_30d >= 100"}))
        .await
        .ok();
    assert_eq!(count, json!({"matched": 50, "unknown": 0, "customers": 50}));
    assert!(
        server
            .post("/v1/segments/count", &json!({"rule": "visit_30d > 1"}))
            .await
            .refused(422, "rule_faults")
            .contains("visits_30d")
    );
}

#[tokio::test]
async fn the_scene_is_named_by_query_header_or_not_at_all() {
    let server = Server::start().await;
    let by = |path: &'static str, header: Option<&'static str>| {
        let mut request = Request::post(path)
            .header("authorization", format!("Bearer {}", server.key))
            .header("content-type", "application/json");
        if let Some(scene) = header {
            request = request.header("x-luopan-scene", scene);
        }
        server.ask(
            request
                .body(Body::from(visit("1", "a").to_string()))
                .expect("a request"),
        )
    };
    by("/v1/events", None).await.ok();
    by("/v1/events?scene=shop", None).await.ok();
    by("/v1/events", Some("shop")).await.ok();
    by("/v1/events?scene=shop", Some("shop")).await.ok();
    by("/v1/events?scene=shop", Some("other"))
        .await
        .refused(422, "malformed_request");
    assert!(
        by("/v1/events", Some("shoop"))
            .await
            .refused(404, "unknown_scene")
            .contains("shop")
    );
    server
        .apply(&crate::pages::root().join("scenes/fund"))
        .await;
    for (path, body) in [
        ("/v1/decisions", json!({"policy": "best", "customer": "a"})),
        ("/v1/segments/count", json!({"rule": "purchases >= 0"})),
    ] {
        let detail = server.post(path, &body).await.refused(422, "scene_wanted");
        assert!(detail.contains("?scene="), "{detail}");
        server.post(&format!("{path}?scene=shop"), &body).await.ok();
        let mut named = body.clone();
        named["scene"] = json!("shop");
        server
            .post(&format!("{path}?scene=shop"), &named)
            .await
            .ok();
        let detail = server
            .post(&format!("{path}?scene=fund"), &named)
            .await
            .refused(422, "malformed_request");
        assert!(
            detail.contains("`shop`") && detail.contains("name one"),
            "{detail}"
        );
    }
    let empty = Server::empty().await;
    assert!(
        empty
            .post("/v1/events", &visit("1", "a"))
            .await
            .refused(422, "scene_wanted")
            .contains("luopan scene apply")
    );
}

#[tokio::test]
async fn identities_are_linked_and_taken_apart() {
    let server = Server::start().await;
    server
        .post(
            "/v1/events?wait_ms=5000",
            &json!([visit("1", "phone"), visit("2", "web"), visit("3", "web")]),
        )
        .await
        .ok();
    assert_eq!(
        server
            .post("/v1/identities/link", &json!({"a": "phone", "b": "web"}))
            .await
            .status,
        204
    );
    let both = server.get("/v1/customers/web").await.ok();
    assert_eq!(both["tags"]["visits_30d"], 3);
    assert_eq!(both["identifiers"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        server
            .post("/v1/identities/unlink", &json!({"identifier": "web"}))
            .await
            .status,
        204
    );
    assert_eq!(
        server.get("/v1/customers/web").await.ok()["tags"]["visits_30d"],
        2
    );
    server
        .post("/v1/identities/unlink", &json!({"identifier": "web"}))
        .await
        .refused(422, "not_linked");
}

#[tokio::test]
async fn quarantine_is_listed_and_tried_again_when_the_scene_is_mended() {
    let server = Server::start().await;
    let lost =
        json!({"id": "1", "customer": "a", "type": "visit", "properties": {"page": "basket"}});
    let answer = server.post("/v1/events", &lost).await.ok();
    let id = answer["outcomes"][0]["quarantine_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    server
        .get("/v1/quarantine?scene=shopp")
        .await
        .refused(404, "unknown_scene");
    let listed = server.get("/v1/quarantine?scene=shop").await.ok();
    assert_eq!(listed["inputs"][0]["id"], id.as_str());
    assert_eq!(listed["inputs"][0]["raw"], lost.to_string());

    let pack = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(crate::server::shop().join("scene.yaml")).expect("the pack");
    std::fs::write(
        pack.path().join("scene.yaml"),
        text.replace("[home, offers]", "[home, offers, basket]"),
    )
    .expect("a pack");
    server.apply(pack.path()).await;
    let retried = server
        .post("/v1/quarantine/retry", &json!({"ids": [id]}))
        .await
        .ok();
    assert_eq!(
        (
            retried["accepted"].as_u64(),
            retried["quarantined"].as_u64()
        ),
        (Some(1), Some(0))
    );
    assert_eq!(server.get("/v1/quarantine").await.ok()["inputs"], json!([]));
    server
        .post("/v1/quarantine/retry", &json!({"ids": [id]}))
        .await
        .refused(404, "unknown_quarantine");
}
