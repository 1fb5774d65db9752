//! The door: who is let in, and what stands outside it.

use crate::server::Server;
use axum::body::Body;
use axum::http::Request;

async fn with_key(server: &Server, path: &str, value: Option<&str>) -> crate::server::Answer {
    let mut request = Request::builder().uri(path);
    if let Some(value) = value {
        request = request.header("authorization", value);
    }
    server
        .ask(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn everything_under_v1_wants_the_key() {
    let server = Server::start().await;
    for path in [
        "/v1/scenes",
        "/v1/segments",
        "/v1/quarantine",
        "/v1/customers/x",
        "/v1/decisions/x",
    ] {
        let answer = with_key(&server, path, None).await;
        assert!(answer.refused(401, "api_key_wanted").contains("Bearer"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    for wrong in ["Bearer luopan_0000", "Bearer", "Basic eDp5", ""] {
        with_key(&server, "/v1/scenes", Some(wrong))
            .await
            .refused(401, "api_key_wanted");
    }
    let almost = format!("Bearer {}x", server.key);
    with_key(&server, "/v1/scenes", Some(&almost))
        .await
        .refused(401, "api_key_wanted");
    for right in [
        format!("Bearer {}", server.key),
        format!("bearer {}", server.key),
    ] {
        assert_eq!(
            with_key(&server, "/v1/scenes", Some(&right)).await.status,
            200
        );
    }
}

#[tokio::test]
async fn health_is_open_and_metrics_are_keyed_when_asked_for() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(with_key(&server, path, None).await.status, 200, "{path}");
    }
    with_key(&server, "/metrics", None)
        .await
        .refused(401, "api_key_wanted");
    assert_eq!(server.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn the_key_is_kept_in_a_file_and_made_once() {
    let server = Server::empty().await;
    let kept =
        std::fs::read_to_string(luopan_server::keys::file(server.folder.path())).expect("the file");
    assert_eq!(kept.trim(), server.key);
    let control = server.opened.stores.control.as_ref();
    let now = luopan_server::env::now();
    let again = luopan_server::keys::ensure_first(control, server.folder.path(), now)
        .await
        .expect("no fault");
    assert_eq!(again, None);
    let stored = control.api_keys().await.expect("keys");
    assert_eq!(stored.len(), 1);
    assert!(
        !format!("{stored:?}").contains(&server.key),
        "the secret itself is stored"
    );
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let server = Server::start().await;
    server
        .get("/v1/nothing")
        .await
        .refused(404, "unknown_route");
    server.get("/").await.refused(404, "unknown_route");
    server
        .send("DELETE", "/v1/events", "application/json", "")
        .await
        .refused(405, "method_not_allowed");
    server
        .send("PUT", "/healthz", "application/json", "")
        .await
        .refused(405, "method_not_allowed");
}
