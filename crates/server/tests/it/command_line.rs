//! The command line, by running the program: answers, refusals and exit codes. Golden outputs stand in `snapshots`.

use crate::server::shop;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// What a run of the program said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

pub(crate) fn program(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_luopan"));
    command
        .env_remove("LUOPAN_LOG")
        .env_remove("LUOPAN_LISTEN")
        .env("LUOPAN_DATA", data)
        .args(words);
    command
}

/// Runs the program over a data folder.
pub(crate) fn luopan(data: &Path, words: &[&str]) -> Run {
    program(data, words)
        .output()
        .expect("the program runs")
        .into()
}

impl Run {
    /// Standard output, when the exit code is 0.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        &self.out
    }

    /// Standard output as JSON, when the exit code is 0.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.ok()).unwrap_or_else(|e| panic!("{e} in {}", self.out))
    }

    /// One sentence on standard error and nothing on standard output, when it was refused.
    pub(crate) fn refused(&self) -> &str {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.err);
        let sentence = self.err.trim_end();
        assert!(
            sentence.starts_with("luopan: ") && !sentence.contains("Error"),
            "{sentence}"
        );
        sentence
    }
}

/// A data folder with the scene applied.
pub(crate) fn applied() -> TempDir {
    let data = tempfile::tempdir().expect("a folder");
    luopan(
        data.path(),
        &["scene", "apply", &shop().display().to_string()],
    )
    .ok();
    data
}

#[test]
fn scenes_are_checked_applied_and_listed() {
    let data = tempfile::tempdir().expect("a folder");
    let pack = shop().display().to_string();
    insta::assert_snapshot!(luopan(data.path(), &["scene", "check", &pack]).ok());
    let applied = luopan(data.path(), &["scene", "apply", &pack]);
    assert_eq!(applied.ok(), "scene shop is applied as version 1\n");
    assert_eq!(
        luopan(data.path(), &["scene", "apply", &pack]).ok(),
        "scene shop is applied as version 1\n"
    );
    let other = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(shop().join("scene.yaml")).expect("the pack");
    std::fs::write(
        other.path().join("scene.yaml"),
        text.replace("city: {type: text}", "city: {type: integer}")
            .replace("scene: shop", "scene: shop\n# another line"),
    )
    .expect("a pack");
    let path = other.path().display().to_string();
    let twice = tempfile::tempdir().expect("a folder");
    luopan(twice.path(), &["scene", "apply", &pack]).ok();
    assert_eq!(
        luopan(twice.path(), &["scene", "apply", &path]).ok(),
        "scene shop is applied as version 2; against version 1:\n  attribute `city` changed: was text, is integer: \
         what came before does not count, and it is unknown until it comes again\n"
    );
    let back = luopan(twice.path(), &["scene", "apply", &pack, "--format", "json"]).json();
    assert_eq!(
        (
            &back["before"],
            &back["changes"][0]["name"],
            &back["changes"][0]["what"]
        ),
        (
            &serde_json::json!(2),
            &serde_json::json!("city"),
            &serde_json::json!("changed")
        )
    );
    let listed = luopan(data.path(), &["--format", "json", "scene", "list"]).json();
    assert_eq!(
        (
            listed["scenes"][0]["name"].as_str(),
            listed["scenes"][0]["version"].as_u64()
        ),
        (Some("shop"), Some(1))
    );

    let broken = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(shop().join("scene.yaml")).expect("the pack");
    let text = text
        .replace("of: amount", "of: amuont")
        .replace("exploration: greedy", "exploration: greedi");
    std::fs::write(broken.path().join("scene.yaml"), text).expect("a pack");
    let path = broken.path().display().to_string();
    let refused = luopan(data.path(), &["scene", "check", &path]);
    let sentence = refused.refused();
    assert!(
        sentence.contains("did you mean `amount`") && sentence.contains("`greedy`"),
        "{sentence}"
    );
    let json = luopan(data.path(), &["scene", "check", &path, "--format", "json"]);
    let problem: Value = serde_json::from_str(&json.err).expect("a problem document");
    assert_eq!(
        (json.code, problem["code"].as_str()),
        (1, Some("scene_faults"))
    );
    assert!(
        problem["faults"]
            .as_array()
            .is_some_and(|f| f.len() >= 2 && f[0]["line"].is_u64())
    );
}

#[test]
fn a_decision_is_made_explained_and_verified() {
    let data = applied();
    let words = [
        "decide",
        "--scene",
        "shop",
        "--policy",
        "drawn",
        "--customer",
        "a",
        "--context",
        "page=home",
        "--key",
        "k",
    ];
    let made = luopan(data.path(), &[&words[..], &["--format", "json"]].concat()).json();
    assert_eq!(made["choices"].as_array().map(Vec::len), Some(1));
    let again = luopan(data.path(), &words);
    let id = made["id"].as_str().expect("an id");
    assert!(
        again
            .ok()
            .starts_with(&format!("decision {id} (made earlier under this key)\n")),
        "{}",
        again.out
    );
    let explained = luopan(data.path(), &["explain", id]);
    assert!(
        explained
            .ok()
            .contains("computed again from its record: the same to the bit"),
        "{}",
        explained.out
    );
    let explained = luopan(data.path(), &["explain", id, "--format", "json"]).json();
    assert_eq!(explained["agrees"], true);
    let verified = luopan(data.path(), &["verify"]);
    assert!(
        verified.ok().contains("everything agrees"),
        "{}",
        verified.out
    );
    assert_eq!(
        luopan(data.path(), &["verify", "--format", "json"]).json()["differences_count"],
        0
    );
    let other = luopan(
        data.path(),
        &[
            "decide",
            "--scene",
            "shop",
            "--policy",
            "best",
            "--customer",
            "a",
            "--key",
            "k",
        ],
    );
    assert!(other.refused().contains("another body"));
}

#[test]
fn refusals_are_one_sentence_and_have_their_exit_codes() {
    let data = applied();
    let refused = |words: &[&str]| luopan(data.path(), words).refused().to_owned();
    insta::assert_snapshot!(refused(&["explain", "17"]));
    insta::assert_snapshot!(refused(&[
        "explain",
        "0192abcd-0506-7708-890a-0b0c0d0e0fff"
    ]));
    insta::assert_snapshot!(refused(&["profile", "nobody", "--scene", "shop"]));
    insta::assert_snapshot!(refused(&["profile", "nobody", "--scene", "shopp"]));
    insta::assert_snapshot!(refused(&[
        "segment",
        "count",
        "--scene",
        "shop",
        "--rule",
        "visits_30 > 1"
    ]));
    insta::assert_snapshot!(refused(&[
        "decide",
        "--scene",
        "shop",
        "--policy",
        "beest",
        "--customer",
        "a"
    ]));
    insta::assert_snapshot!(refused(&[
        "decide",
        "--scene",
        "shop",
        "--policy",
        "best",
        "--customer",
        "a",
        "--context",
        "page"
    ]));
    insta::assert_snapshot!(refused(&["key", "create", "not a name"]));
    let nowhere = data.path().join("nowhere");
    assert!(
        luopan(&nowhere, &["segment", "list", "--scene", "shop"])
            .refused()
            .contains("there is no data folder")
    );
    assert!(!nowhere.exists());

    for words in [
        &["frobnicate"][..],
        &["profile"],
        &["import", "--into", "evnts"],
        &["serve", "--listen", "nowhere"],
    ] {
        assert_eq!(luopan(data.path(), words).code, 2, "{words:?}");
    }
    let usage = luopan(data.path(), &["--format", "json", "import"]);
    let problem: Value = serde_json::from_str(&usage.err).expect("a problem document");
    assert_eq!(
        (usage.code, problem["code"].as_str()),
        (2, Some("command_line"))
    );
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|d| d.contains("--mapping")),
        "{problem}"
    );
    assert_eq!(luopan(data.path(), &["--help"]).code, 0);
    assert_eq!(
        luopan(data.path(), &["--version"]).ok(),
        concat!("luopan ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_description_is_printed() {
    let data = tempfile::tempdir().expect("a folder");
    assert_eq!(
        luopan(data.path(), &["openapi"]).ok(),
        luopan_server::http::openapi_json()
    );
}

/// A server of its own process; killed when dropped.
struct Served {
    child: Child,
    url: String,
    key: Option<String>,
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut command = program(
            data,
            &["serve", "--listen", "127.0.0.1:0", "--format", "json"],
        );
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"));
        Self {
            child,
            url: said["listening"].as_str().expect("an address").to_owned(),
            key: said["api_key"].as_str().map(str::to_owned),
        }
    }

    /// Ends the server; answers what it warned of.
    fn warnings(mut self) -> String {
        let _ = self.child.kill();
        let mut said = String::new();
        let mut err = self.child.stderr.take().expect("its errors");
        err.read_to_string(&mut said).expect("text");
        let warnings = said.lines().filter(|l| l.contains("WARN"));
        warnings.collect::<Vec<_>>().join("\n")
    }

    /// One request over a socket; answers the whole response.
    fn ask(&self, request: &str) -> String {
        let mut socket = std::net::TcpStream::connect(self.url.trim_start_matches("http://"))
            .expect("a connection");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[cfg(unix)]
    fn terminate(mut self) -> Option<i32> {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .expect("kill runs");
        assert!(killed.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_server_holds_its_folder_and_ends_cleanly_when_told() {
    let data = applied();
    let server = Served::start(data.path());
    let key = server.key.clone().expect("the key, at first start");
    let event = r#"{"id":"1","customer":"a","type":"visit"}"#;
    let request = format!(
        "POST /v1/events?wait_ms=5000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{event}",
        event.len()
    );
    let answer = server.ask(&request);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"duplicates\":0"),
        "{answer}"
    );

    let busy = luopan(data.path(), &["profile", "a", "--scene", "shop"]);
    assert!(busy.refused().contains("in use"), "{}", busy.err);
    assert!(busy.err.contains("`GET /v1/customers/ID"), "{}", busy.err);
    for words in [
        &["verify"][..],
        &["key", "create", "other"],
        &["scene", "apply", &shop().display().to_string()],
    ] {
        let busy = luopan(data.path(), words);
        assert!(
            busy.refused().contains("stop it, give this command again"),
            "{}",
            busy.err
        );
    }
    let busy = luopan(data.path(), &["verify", "--format", "json"]);
    let problem: Value = serde_json::from_str(&busy.err).expect("a problem document");
    assert_eq!(problem["code"], "data_in_use");

    assert_eq!(server.terminate(), Some(0));
    let profile = luopan(
        data.path(),
        &["profile", "a", "--scene", "shop", "--format", "json"],
    )
    .json();
    assert_eq!(profile["tags"]["visits_30d"], 1);
    let again = Served::start(data.path());
    assert_eq!(again.key, None, "the key is shown once");
    assert!(again.ask(&request).contains("\"duplicates\":1"));
}

#[test]
fn a_key_is_not_made_twice_and_a_lost_one_is_told_at_the_start() {
    let data = applied();
    let keys = || {
        let listed = luopan(data.path(), &["key", "list", "--format", "json"]).json();
        let names = listed["keys"].as_array().expect("keys").clone();
        names
            .iter()
            .map(|k| k["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(), [""; 0]);
    let first = Served::start(data.path());
    let key = first.key.clone().expect("the first key");
    drop(first);
    let refused = luopan(data.path(), &["key", "create", "first"]);
    assert!(
        refused.refused().contains("luopan key remove first"),
        "{}",
        refused.err
    );
    luopan(data.path(), &["key", "create", "app"]).ok();
    assert_eq!(keys(), ["app", "first"]);
    let again = Served::start(data.path());
    let list = format!(
        "GET /v1/scenes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    assert!(
        again.ask(&list).starts_with("HTTP/1.1 200 "),
        "the first key still opens"
    );
    assert_eq!(again.warnings(), "");

    luopan(data.path(), &["key", "remove", "first"]).ok();
    let unknown = luopan(data.path(), &["key", "remove", "first"]);
    assert!(
        unknown.refused().contains("there are app"),
        "{}",
        unknown.err
    );
    let removed = Served::start(data.path());
    assert!(removed.ask(&list).starts_with("HTTP/1.1 401 "));
    assert!(removed.warnings().contains("opens nothing any more"));
    std::fs::remove_file(data.path().join("api-key")).expect("removed");
    let missing = Served::start(data.path());
    assert!(missing.warnings().contains("no key can be read from"));
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_what_to_do() {
    let data = applied();
    let list = ["scene", "list"];
    let file = data.path().join("file");
    std::fs::write(&file, "x").expect("a file");
    let refused = luopan(&file, &list);
    assert!(
        refused.refused().contains("this is a file; name a folder"),
        "{}",
        refused.err
    );

    let format = data.path().join("FORMAT");
    let kept = std::fs::read(&format).expect("FORMAT");
    std::fs::write(&format, "").expect("a file");
    let refused = luopan(data.path(), &list);
    let words = refused.refused();
    assert!(
        words.contains(&format.display().to_string())
            && words.contains("backup")
            && !words.contains("EOF"),
        "{words}"
    );
    std::fs::write(&format, kept).expect("a file");
    luopan(data.path(), &list).ok();

    let lock = data.path().join("lock");
    std::fs::remove_file(&lock).expect("removed");
    std::fs::create_dir(&lock).expect("a folder");
    let refused = luopan(data.path(), &list);
    let words = refused.refused();
    assert!(
        words.contains(&lock.display().to_string())
            && words.contains("run it as the folder's owner"),
        "{words}"
    );
}

#[test]
fn profiles_are_shown_with_their_units_and_sizes_are_as_of_now() {
    let data = tempfile::tempdir().expect("a folder");
    let pack = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(shop().join("scene.yaml")).expect("the pack");
    let text = text
        .replace(
            "  purchases: {",
            "  since_purchase: {event: purchase, aggregate: recency}\n  lately: {event: purchase, aggregate: count, window: 3s}\n  purchases: {",
        )
        .replace("  buyers: purchases > 0", "  buyers: purchases > 0\n  hot: lately > 0");
    std::fs::write(pack.path().join("scene.yaml"), text).expect("a pack");
    luopan(
        data.path(),
        &["scene", "apply", &pack.path().display().to_string()],
    )
    .ok();
    let mapping = shop().join("mappings/purchases.yaml").display().to_string();
    let file = data.path().join("purchases.csv");
    std::fs::write(&file, "customer,amount,at\na,1250,\n").expect("a file");
    let file = file.display().to_string();
    luopan(
        data.path(),
        &[
            "import",
            "--scene",
            "shop",
            "--into",
            "events",
            "--mapping",
            &mapping,
            &file,
        ],
    )
    .ok();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let listed = luopan(
        data.path(),
        &["segment", "list", "--scene", "shop", "--format", "json"],
    )
    .json();
    let members = |name: &str| {
        let segments = listed["segments"].as_array().expect("segments");
        let found = segments.iter().find(|s| s["name"] == name);
        found.expect("the segment")["members"].as_u64()
    };
    assert_eq!(
        (members("buyers"), members("hot")),
        (Some(1), Some(0)),
        "{listed}"
    );
    let profile = luopan(data.path(), &["profile", "a", "--scene", "shop"]);
    let shown = |name: &str| {
        let line = profile
            .ok()
            .lines()
            .find(|l| l.starts_with(name))
            .expect("a tag");
        line[name.len()..].trim().to_owned()
    };
    assert_eq!(shown("spent_30d"), "12.50 CNY");
    assert_eq!(shown("spent_before"), "unknown");
    let since = shown("since_purchase");
    assert!(since.ends_with('s') && since.len() <= 4, "{since}");
}

#[test]
fn no_positions_are_not_a_decision() {
    let data = applied();
    let words = [
        "decide",
        "--scene",
        "shop",
        "--policy",
        "slate",
        "--customer",
        "a",
        "--slots",
        "0",
    ];
    let refused = luopan(data.path(), &words);
    assert!(
        refused.refused().contains("`slots` is 0; write 1 or more"),
        "{}",
        refused.err
    );
}
