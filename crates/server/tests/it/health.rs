//! What the server says of itself: readiness, figures, description.

use crate::server::Server;
use serde_json::json;

#[tokio::test]
async fn readiness_is_the_truth() {
    let server = Server::start().await;
    assert_eq!(server.get("/readyz").await.ok()["status"], "ready");
}

#[tokio::test]
async fn figures_follow_what_was_done() {
    let server = Server::start().await;
    let event = json!({"id": "e", "customer": "c", "type": "visit"});
    server.post("/v1/events?wait_ms=5000", &event).await.ok();
    server
        .post(
            "/v1/events?wait_ms=5000",
            &json!([event, {"id": "f", "customer": "c", "type": "none"}]),
        )
        .await
        .ok();
    server
        .post("/v1/decisions", &json!({"policy": "best", "customer": "c"}))
        .await
        .ok();
    server
        .get("/v1/scenes/none")
        .await
        .refused(404, "unknown_route");
    let page = server.get("/metrics").await.text;
    for line in [
        "luopan_events_accepted_total 2",
        "luopan_events_duplicate_total 1",
        "luopan_events_quarantined_total 1",
        "luopan_decisions_total 1",
        "luopan_halted_partitions 0",
        "luopan_limit{name=\"body_bytes\"} 67108864",
        "luopan_http_inputs_per_request_sum 3",
        "luopan_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/events\",status=\"200\"} 2",
        "luopan_http_request_duration_seconds_count{method=\"GET\",route=\"none\",status=\"404\"} 1",
    ] {
        assert!(page.contains(line), "`{line}` is not in\n{page}");
    }
    assert!(
        !page.contains("customer"),
        "a figure names a customer:\n{page}"
    );
}

#[test]
fn the_committed_description_is_the_one_that_is_served() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/openapi.json");
    let committed = std::fs::read_to_string(&path).expect("openapi/openapi.json");
    assert!(
        committed == luopan_server::http::openapi_json(),
        "the HTTP API changed: run `luopan openapi > openapi/openapi.json` and look at the difference"
    );
}

#[test]
fn every_operation_says_how_it_refuses() {
    let api = serde_json::to_value(luopan_server::http::openapi()).expect("JSON");
    let mut operations = 0;
    for (path, methods) in api["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            operations += 1;
            assert!(
                operation["summary"].is_string() || operation["description"].is_string(),
                "{method} {path} has no words"
            );
            if path.starts_with("/v1/") {
                let refusal =
                    &operation["responses"]["default"]["content"]["application/problem+json"];
                assert!(
                    refusal.is_object(),
                    "{method} {path} does not say how it refuses"
                );
            }
        }
    }
    assert!(operations >= 15, "{operations} operations");
}
