//! What customers do next, through the program: trained from the log of a folder, applied with the pack, read by a score, explained
//! after a restart; and what is said when there is too little, or no such sequence.

use crate::command_line::luopan;
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

const PACK: &str = r#"
scene: shop
events:
  look: {}
  ask: {}
  buy: {}
sequences:
  acts: {keep: 8, pause: 10m, words: {look: {event: look}, ask: {event: ask}, buy: {event: buy}}}
catalogues:
  offers: {attributes: {hot: boolean}, items: {calm: {hot: false}, hot: {hot: true}}}
policies:
  offer:
    catalogue: offers
    channel: app
    score: "item.hot ? SCORE : 0.5"
    exploration: greedy
    null_action: {name: silent}
"#;

const TRAINED: &str = "artifacts: {next: {file: artifacts/next.bin, kind: sequence}}\n\
                       intentions: {next: {sequence: acts, model: next}}\n";

fn write_pack(folder: &TempDir, score: &str, more: &str) {
    let text = PACK.replace("SCORE", score) + more;
    std::fs::write(folder.path().join("scene.yaml"), text).expect("a file");
}

/// Visits of many customers: who asks buys next, who looks looks again or leaves.
fn history() -> String {
    let mut out = String::new();
    let mut say = |customer: usize, kind: &str, at: i64| {
        let n = out.len();
        let at = 1_767_225_600_000_000 + at * 1_000_000;
        let _ = writeln!(
            out,
            r#"{{"id":"e{n}","customer":"c{customer}","type":"{kind}","occurred_at":{at}}}"#
        );
    };
    for visit in 0..12i64 {
        for customer in 0..60usize {
            let at = visit * 86_400 + customer as i64 * 30;
            say(customer, "look", at);
            match (customer + visit as usize) % 3 {
                0 => {
                    say(customer, "ask", at + 20);
                    say(customer, "buy", at + 40);
                }
                1 => say(customer, "look", at + 20),
                _ => {}
            }
        }
    }
    out
}

fn import(data: &Path, lines: &str) {
    let file = data.with_extension("jsonl");
    std::fs::write(&file, lines).expect("a file");
    let file = file.display().to_string();
    luopan(
        data,
        &[
            "import",
            "--scene",
            "shop",
            "--into",
            "events",
            "--as-sent",
            &file,
        ],
    )
    .ok();
}

#[test]
fn what_she_will_do_next_is_trained_applied_read_and_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let above = tempfile::tempdir().expect("a folder");
    let data = above.path().join("data");
    let pack = folder.path().display().to_string();
    write_pack(&folder, "0.0", "");
    luopan(&data, &["scene", "apply", &pack]).ok();
    let output = folder.path().join("artifacts/next.bin");
    std::fs::create_dir(folder.path().join("artifacts")).expect("a folder");
    let output = output.display().to_string();
    let train = |sequence: &str, more: &[&str]| {
        let mut words = vec![
            "train",
            "intention",
            "--scene",
            "shop",
            "--sequence",
            sequence,
        ];
        words.extend(["--output", &output]);
        words.extend(more);
        luopan(&data, &words)
    };
    let json = ["--format", "json"];
    assert!(
        train("acts", &[])
            .refused()
            .contains("0 moments to learn from")
    );
    assert!(train("deeds", &[]).refused().contains("it has acts"));
    assert!(
        train("acts", &["--epochs", "0"])
            .refused()
            .contains("write 1 to 100")
    );
    import(&data, &history());
    let report = train("acts", &json).json();
    assert_eq!(
        report["classes"],
        serde_json::json!(["look", "ask", "buy", "leave"])
    );
    assert_eq!(report["customers"], 60);
    let loss = |who: &str| report[who]["log_loss"].as_f64().expect("a number");
    assert!(loss("markov") < loss("popularity") - 0.2, "{report}");
    assert!(loss("model") < loss("popularity") - 0.2, "{report}");
    let first = std::fs::read(&output).expect("the model");
    let said = train("acts", &[]);
    assert!(said.ok().contains("a Markov chain"), "{}", said.ok());
    assert!(
        std::fs::read(&output).expect("the model") == first,
        "the same again"
    );

    write_pack(&folder, "intention.next.buy", TRAINED);
    luopan(&data, &["scene", "apply", &pack]).ok();
    // Long after the history, so that a visit begins.
    import(
        &data,
        "{\"id\":\"l1\",\"customer\":\"looker\",\"type\":\"look\"}\n\
         {\"id\":\"l2\",\"customer\":\"asker\",\"type\":\"look\"}\n\
         {\"id\":\"l3\",\"customer\":\"asker\",\"type\":\"ask\"}\n",
    );
    let mut made = Vec::new();
    for (customer, chosen) in [("looker", "calm"), ("asker", "hot")] {
        let words = [
            "decide",
            "--scene",
            "shop",
            "--policy",
            "offer",
            "--customer",
            customer,
        ];
        let decided = luopan(&data, &[&words[..], &json].concat()).json();
        assert_eq!(
            decided["choices"][0]["item"], chosen,
            "{customer}: {decided}"
        );
        made.push(decided["id"].as_str().expect("an id").to_owned());
    }
    for id in made {
        let explained = luopan(&data, &["explain", &id, "--format", "json"]).json();
        assert_eq!(explained["agrees"], true, "{explained}");
    }
}
