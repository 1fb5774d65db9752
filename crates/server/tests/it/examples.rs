//! The commands of every error page, run as they are written over the shipped scene `email-campaign`.

use crate::command_line::{luopan, program};
use crate::pages::root;
use crate::server::Server;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use std::io::Write;

/// The commands of a page: its indented lines, with those that end with `\` joined to the next.
fn commands(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in page.lines() {
        let Some(line) = line.strip_prefix("    ").filter(|l| !l.trim().is_empty()) else {
            goes_on = false;
            continue;
        };
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        match found.last_mut() {
            Some(last) if goes_on => last.push_str(text.trim_start()),
            _ => found.push(text.to_owned()),
        }
        goes_on = more;
    }
    found
}

/// Words as a shell makes them of quoted text.
fn words(command: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') => {
                if begun {
                    out.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    assert_eq!(quote, None, "an open quote in {command}");
    if begun {
        out.push(word);
    }
    out
}

fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = std::fs::read_dir(root().join("docs/errors"))
        .expect("docs/errors")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a page");
            (
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                text,
            )
        })
        .collect();
    pages.sort();
    pages
}

const EVENT: &str = r#"{"id":"piped-1","customer":"customer-42","type":"visit"}"#;

/// What `curl` with these words would send, and what came back.
async fn curl(server: &Server, page: &str, words: &[String], piped: Option<Vec<u8>>) {
    let (mut url, mut data, mut request) = (None, None, Request::builder());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().expect("a value").clone();
        match word.as_str() {
            "curl" | "-s" => {}
            "-H" => {
                let header = value();
                let (name, given) = header.split_once(": ").expect("a header");
                request = request.header(name, given);
            }
            "-d" => data = Some(value().into_bytes()),
            "--data-binary" => {
                data = Some(match value().as_str() {
                    "@-" => piped.clone().expect("something piped"),
                    _ => EVENT.as_bytes().to_vec(),
                });
            }
            word => {
                url = Some(
                    word.strip_prefix("localhost:7700")
                        .expect("the server")
                        .to_owned(),
                )
            }
        }
    }
    let url = url.expect("an address");
    let is_post = data.is_some();
    let request = request
        .method(if is_post { "POST" } else { "GET" })
        .uri(&url)
        .body(Body::from(data.unwrap_or_default()))
        .expect("a request");
    let answer = server.ask(request).await;
    assert_eq!(answer.status, 200, "{page}: {words:?}: {}", answer.text);
    if url.starts_with("/v1/events") {
        let answer = answer.json();
        assert_eq!(
            (answer["accepted"].as_u64(), answer["quarantined"].as_u64()),
            (Some(1), Some(0)),
            "{page}: {words:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_requests_of_every_page_work_on_the_shipped_scene() {
    let server = Server::empty().await;
    server.apply(&root().join("scenes/email-campaign")).await;
    server.apply(&root().join("scenes/fund")).await;
    let mut ran = 0;
    for (page, text) in pages() {
        for command in commands(&text).iter().filter(|c| c.contains("curl ")) {
            let id = if command.contains("\"ID\"") {
                quarantined(&server).await
            } else {
                String::new()
            };
            let command = command
                .replace("$(cat luopan-data/api-key)", &server.key)
                .replace("$KEY", &server.key)
                .replace("\"ID\"", &format!("\"{id}\""));
            let (piped, command) = match command.split_once(" | ") {
                Some((before, after)) => {
                    assert!(before.starts_with("gzip "), "{page}: {before}");
                    let mut packed =
                        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    packed.write_all(EVENT.as_bytes()).expect("packing");
                    (Some(packed.finish().expect("packed")), after.to_owned())
                }
                None => (None, command),
            };
            curl(&server, &page, &words(&command), piped).await;
            ran += 1;
        }
    }
    assert!(ran >= 30, "only {ran} requests were found on the pages");
}

/// Id of an input in quarantine, for a command that names one.
async fn quarantined(server: &Server) -> String {
    let request = Request::post("/v1/events?scene=email-campaign")
        .header("authorization", format!("Bearer {}", server.key))
        .body(Body::from(r#"{"id":"bad","customer":"c","type":"none"}"#))
        .expect("a request");
    let answer: Value = server.ask(request).await.ok();
    answer["outcomes"][0]["quarantine_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn the_commands_of_every_page_work_on_the_shipped_scene() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let pack = root().join("scenes/email-campaign").display().to_string();
    luopan(data, &["scene", "apply", &pack]).ok();
    let work = tempfile::tempdir().expect("a folder");
    std::fs::write(
        work.path().join("customers.csv"),
        "recency,history_segment,history,mens,womens,zip_code,newbie,channel\n10,2) $100 - $200,142.44,1,0,Surburban,0,Phone\n",
    )
    .expect("a file");
    let decide = [
        "decide",
        "--scene",
        "email-campaign",
        "--policy",
        "learned",
        "--customer",
        "c",
        "--format",
        "json",
    ];
    let decision = luopan(data, &decide).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut ran = 0;
    for (page, text) in pages() {
        for command in commands(&text).iter().filter(|c| !c.contains("curl ")) {
            let mut words = words(command);
            assert_eq!(words.remove(0), "luopan", "{page}: {command}");
            for word in &mut words {
                if word.starts_with("scenes/") {
                    *word = root().join(&*word).display().to_string();
                }
                if word == "ID" {
                    word.clone_from(&decision);
                }
            }
            if words[0] == "demo" {
                // It would draw for a minute: that its words are taken is enough here.
                words.push("--help".to_owned());
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let run = program(data, &words)
                .current_dir(work.path())
                .output()
                .expect("the program runs");
            assert!(
                run.status.success(),
                "{page}: {command}: {}{}",
                String::from_utf8_lossy(&run.stdout),
                String::from_utf8_lossy(&run.stderr)
            );
            ran += 1;
        }
    }
    assert!(ran >= 8, "only {ran} commands were found on the pages");
}
