//! `/v1/decisions`: one, many, the same key twice, waiting for events, reading back and explaining.

use crate::command_line::luopan;
use crate::server::{Server, shop};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn a_decision_is_made_read_back_and_explained() {
    let server = Server::start().await;
    let made = server
        .post(
            "/v1/decisions",
            &json!({"policy": "drawn", "customer": "a", "context": {"page": "home"}}),
        )
        .await
        .ok();
    assert_eq!(made["choices"][0]["propensity"], json!(1.0 / 3.0));
    assert_eq!(
        (made["candidates"].as_u64(), made["available"].as_u64()),
        (Some(3), Some(3))
    );
    assert_eq!(made["null_action"], Value::Null);
    assert_eq!(made["repeated"], false);
    let id = made["id"].as_str().expect("an id");
    let read = server.get(&format!("/v1/decisions/{id}")).await.ok();
    assert_eq!(read["decision"], made);
    assert_eq!(
        read["record"]["decision"]["distribution"]["base"],
        json!(1.0 / 3.0)
    );
    let explained = server
        .get(&format!("/v1/decisions/{id}/explain"))
        .await
        .ok();
    assert_eq!(
        (
            explained["agrees"].as_bool(),
            explained["differences"].clone()
        ),
        (Some(true), json!([]))
    );
    assert!(
        !server
            .get(&format!("/v1/decisions/{id}"))
            .await
            .text
            .contains("\"a\""),
        "a record holds a foreign id"
    );
}

#[tokio::test]
async fn the_same_key_gives_the_first_decision_and_another_body_is_refused() {
    let server = Server::start().await;
    let body = json!({"policy": "drawn", "customer": "a", "context": {"page": "home", "basket": 2}, "idempotency_key": "k"});
    let first = server.post("/v1/decisions", &body).await.ok();
    for _ in 0..5 {
        let again = server.post("/v1/decisions", &body).await.ok();
        assert_eq!(
            (again["id"].clone(), again["repeated"].as_bool()),
            (first["id"].clone(), Some(true))
        );
    }
    // Written in another order and with another wait, it is the same request.
    let text = r#"{"wait_ms": 5, "context": {"basket": 2, "page": "home"}, "customer": "a", "policy": "drawn"}"#;
    let request = Request::post("/v1/decisions")
        .header("authorization", format!("Bearer {}", server.key))
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .body(Body::from(text))
        .expect("a request");
    assert_eq!(server.ask(request).await.ok()["id"], first["id"]);
    let mut other = body.clone();
    other["context"]["basket"] = json!(3);
    let refused = server.post("/v1/decisions", &other).await;
    let detail = refused.refused(409, "idempotency_conflict");
    assert!(
        detail.contains(first["id"].as_str().expect("an id")),
        "{detail}"
    );
}

#[tokio::test]
async fn a_decision_waits_for_the_events_it_must_have_seen() {
    let server = Server::start().await;
    let event = json!({"id": "1", "customer": "a", "type": "visit"});
    let position = server.post("/v1/events", &event).await.ok()["position"].clone();
    let body = json!({"policy": "best", "customer": "a", "at_least": position, "wait_ms": 10_000});
    server.post("/v1/decisions", &body).await.ok();
    let far = json!({"policy": "best", "customer": "a", "at_least": "3:1000000", "wait_ms": 10});
    for at_least in ["3:1000000", "999:1", ""] {
        let mut far = far.clone();
        far["at_least"] = json!(at_least);
        let refused = server.post("/v1/decisions", &far).await;
        let detail = refused.refused(422, "malformed_request");
        assert!(detail.contains("`at_least`"), "{detail}");
    }
}

#[tokio::test]
async fn many_requests_are_answered_one_by_one() {
    let server = Server::start().await;
    let requests = json!({"requests": [
        {"policy": "best", "customer": "a"},
        {"policy": "bets", "customer": "a"},
        {"policy": "slate", "customer": "b", "slots": 2},
        {"policy": "best", "customer": "a", "wait_ms": 99_999},
        {"policy": "best", "customer": "c", "at_least": "1:999999", "wait_ms": 1},
    ]});
    let answers = server.post("/v1/decisions", &requests).await.ok();
    let answers = answers["answers"].as_array().expect("answers");
    let status: Vec<_> = answers
        .iter()
        .map(|a| a["status"].as_str().expect("a status"))
        .collect();
    assert_eq!(
        status,
        ["decided", "refused", "decided", "refused", "refused"]
    );
    assert_eq!(answers[0]["decision"]["choices"][0]["item"], "jade");
    assert_eq!(answers[1]["problem"]["code"], "unknown_policy");
    assert_eq!(
        answers[2]["decision"]["choices"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(answers[3]["problem"]["code"], "malformed_request");
    assert_eq!(answers[4]["problem"]["code"], "malformed_request");
    let none = json!({"policy": "slate", "customer": "b", "slots": 0});
    assert!(
        server
            .post("/v1/decisions", &none)
            .await
            .refused(422, "malformed_request")
            .contains("`slots` is 0")
    );
    let more = json!({"policy": "slate", "customer": "b", "slots": 9});
    let more = server.post("/v1/decisions", &more).await.ok();
    assert_eq!(
        more["choices"].as_array().map(Vec::len),
        Some(2),
        "cut to the policy's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_at_once_exactly_one_gets_the_last_unit() {
    let server = Server::start().await;
    let asked = (0..100).map(|i| {
        let server = &server;
        async move {
            server
                .post(
                    "/v1/decisions",
                    &json!({"policy": "one_unit", "customer": format!("c{i}")}),
                )
                .await
                .ok()
        }
    });
    let answers = futures::future::join_all(asked).await;
    let won = answers
        .iter()
        .filter(|a| a["null_action"].is_null())
        .count();
    assert_eq!(won, 1);
    let winner = answers
        .iter()
        .find(|a| a["null_action"].is_null())
        .expect("a winner");
    assert_eq!(
        winner["choices"][0]["costs"],
        json!([{"budget": "last_unit", "amount": 1}])
    );
}

#[test]
fn what_each_thing_added_to_a_score_is_told() {
    let data = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| luopan(data.path(), words);
    let at = |name: &str| data.path().join(name).display().to_string();
    let pack = data.path().join("pack");
    std::fs::create_dir_all(pack.join("mappings")).expect("a folder");
    let text = std::fs::read_to_string(shop().join("scene.yaml")).expect("the pack");
    let policy = r#"
  personal:
    like: best
    score: 'double(item.price) * (vip ? 2.0 : 1.0) + (city == "Shanghai" ? 7.0 : 0.0)'
    eligibility:
      - {name: not_ours, rule: 'city != "Nowhere"'}
"#;
    std::fs::write(pack.join("scene.yaml"), text + policy).expect("the pack");
    let mapping = "mappings/customers.yaml";
    std::fs::copy(shop().join(mapping), pack.join(mapping)).expect("the mapping");
    run(&["scene", "apply", &pack.display().to_string()]).ok();
    let rows = "a,Shanghai,true,1\nb,Shanghai,false,1\nc,Beijing,false,1\nd,Nowhere,true,1\n";
    std::fs::write(at("customers.csv"), format!("id,city,vip,spent\n{rows}")).expect("customers");
    let import = "import --scene shop --into customers --mapping customers";
    let mut import: Vec<&str> = import.split(' ').collect();
    let customers = at("customers.csv");
    import.push(&customers);
    run(&import).ok();
    let decide = |customer: &str| {
        let words = "--format json decide --scene shop --policy personal --customer";
        let mut words: Vec<&str> = words.split(' ').collect();
        words.push(customer);
        let said = run(&words).json();
        said["id"].as_str().expect("an id").to_owned()
    };
    let id = decide("a");
    let ask = |id: &str, more: &[&str]| run(&[&["explain", id, "--contributions"], more].concat());
    let alone = ask(&id, &[]);
    assert!(
        alone.code != 0 && alone.err.contains("nobody to compare"),
        "{}",
        alone.err
    );

    // Beside one who lives elsewhere and is no VIP, and one who is no VIP alone.
    decide("b");
    decide("c");
    let refused = decide("d");
    let said = ask(&id, &["--format", "json"]).json();
    let item = &said["items"][0];
    assert_eq!(
        (item["item"].as_str(), item["others"].as_u64()),
        (Some("jade"), Some(2))
    );
    let number = |v: &Value| v.as_f64().expect("a number");
    assert_eq!(number(&item["score"]), 10_007.0);
    assert_eq!(number(&item["base"]), 5_003.5);
    let added = item["added"].as_array().expect("what adds");
    let told: Vec<_> = added
        .iter()
        .map(|a| (a["slot"].as_str(), &a["value"]))
        .collect();
    assert_eq!(
        told,
        [
            (Some("vip"), &json!(true)),
            (Some("city"), &json!("Shanghai"))
        ]
    );
    assert!((number(&added[0]["adds"]) - 5_000.0).abs() < 1e-6, "{said}");
    assert!((number(&added[1]["adds"]) - 3.5).abs() < 1e-6, "{said}");
    let words = ask(&id, &["--item", "tea"]);
    assert!(
        words.ok().contains(
            "tea, which was not chosen, scored 27.0000; for 2 other customers its mean is 13.5000"
        ),
        "{}",
        words.ok()
    );
    for (id, more, word) in [
        (&id, &["--item", "coffee"][..], "no item `coffee`"),
        (&refused, &[], "a rule of the customer refused"),
    ] {
        let said = ask(id, more);
        assert!(said.code != 0 && said.err.contains(word), "{}", said.err);
    }
    assert_eq!(run(&["explain", &id, "--item", "tea"]).code, 2);
}

#[tokio::test]
async fn contributions_are_told_over_http() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for customer in ["a", "b"] {
        let body = json!({"policy": "best", "customer": customer});
        let made = server.post("/v1/decisions", &body).await.ok();
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    let path = format!("/v1/decisions/{}/contributions", ids[0]);
    let found = server.get(&path).await.ok();
    assert_eq!(found["items"][0]["item"], "jade");
    assert_eq!(found["items"][0]["added"], json!([]));
    let refused = server.get(&format!("{path}?item=coffee")).await;
    let detail = refused.refused(422, "cannot_attribute");
    assert!(detail.contains("no item `coffee`"), "{detail}");
    let refused = server.get(&format!("{path}?itme=tea")).await;
    refused.refused(422, "malformed_request");
}
