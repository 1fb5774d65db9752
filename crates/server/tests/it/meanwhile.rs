//! What the command line says of a catalogue without products, of a code without its leading zeros, and of a product that is
//! withdrawn or rated anew between the question and the order.

use crate::command_line::{Run, luopan};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const PACK: &str = r#"
scene: wealth
customer: {class: integer}
events:
  order_submitted:
    fields: {order_id: text, item: text, amount: {type: money, currency: CNY}, decision_id: text}
  order_confirmed:
    fields: {order_id: text, amount: {type: money, currency: CNY}, shares: number}
catalogues:
  funds:
    attributes: {name: text, risk: integer}
orders:
  funds:
    submitted: {event: order_submitted, order: order_id, item: item, amount: amount, decision: decision_id}
    confirmed: {event: order_confirmed, order: order_id, amount: amount, shares: shares}
policies:
  purchase:
    catalogue: funds
    channel: app
    suitability:
      - {name: within_class, rule: item.risk <= class, version: "2026-11"}
    score: "0.0"
    exploration: uniform
    null_action: {name: not_sold}
"#;

const FUNDS: &str = "into: products\ncatalogue: funds\nfile: {format: csv}\nid: {column: code, pad: 6}\nfields: {name: name, risk: risk}\n";
const RATINGS: &str = "into: product_changes\ncatalogue: funds\nfile: {format: csv}\nid: {column: code, pad: 6}\nfields: {risk: risk}\n";
const RAW: &str = "into: product_changes\ncatalogue: funds\nfile: {format: csv}\nid: code\nfields: {risk: risk}\n";
const ENDS: &str =
    "into: withdrawals\ncatalogue: funds\nfile: {format: csv}\nid: {column: code, pad: 6}\n";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// A data folder with the pack applied and one customer.
fn wealth() -> TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let at = data.path();
    write(at, "pack/scene.yaml", PACK);
    for (name, text) in [
        ("funds", FUNDS),
        ("ratings", RATINGS),
        ("raw", RAW),
        ("ends", ENDS),
    ] {
        write(at, &format!("pack/mappings/{name}.yaml"), text);
    }
    let pack = at.join("pack").display().to_string();
    luopan(at, &["scene", "apply", &pack]).ok();
    let who = "{\"id\":\"k\",\"customer\":\"ann\",\"type\":\"luopan.customer\",\"properties\":{\"class\":3}}\n";
    let who = write(at, "who.jsonl", who);
    events(at, &who);
    data
}

fn events(at: &Path, file: &str) {
    luopan(
        at,
        &[
            "import",
            "--scene",
            "wealth",
            "--into",
            "events",
            "--as-sent",
            file,
        ],
    )
    .ok();
}

fn import(at: &Path, into: &str, mapping: &str, text: &str) -> Run {
    let file = write(at, &format!("{mapping}.csv"), text);
    let words = [
        "import",
        "--scene",
        "wealth",
        "--into",
        into,
        "--mapping",
        mapping,
        &file,
    ];
    luopan(at, &words)
}

fn decide(at: &Path, more: &[&str]) -> Run {
    let words = [
        "decide",
        "--scene",
        "wealth",
        "--policy",
        "purchase",
        "--customer",
        "ann",
    ];
    luopan(at, &[&words[..], more].concat())
}

fn proof(at: &Path) -> (Value, String) {
    let file = at.join("proof.jsonl").display().to_string();
    let words = [
        "proof",
        "--period",
        "2020-01-01..2100-01-01",
        "--output",
        &file,
        "--format",
        "json",
    ];
    let made = luopan(at, &words).json();
    luopan(at, &["proof", "verify", &file]).ok();
    (
        made["tally"].clone(),
        std::fs::read_to_string(file).expect("a proof"),
    )
}

#[test]
fn a_catalogue_of_no_products_is_said_to_be_empty() {
    let data = wealth();
    let at = data.path();
    let empty = "catalogue `funds` has no items; `luopan import --into products` brings them in";
    assert_eq!(
        luopan(at, &["product", "list", "--scene", "wealth"])
            .ok()
            .trim_end(),
        empty
    );
    let said = decide(at, &[]);
    assert!(
        said.ok().contains("0 of 0 candidates were available"),
        "{}",
        said.out
    );
    assert!(said.out.contains(empty), "{}", said.out);
    assert!(decide(at, &["--item", "000001"]).ok().contains(empty));
    let output = at.join("match.parquet").display().to_string();
    let words = [
        "match", "--scene", "wealth", "--policy", "purchase", "--top", "3", "--output", &output,
    ];
    let matched = luopan(at, &words);
    assert!(
        matched.ok().contains("1 customers, 0 products, 0 rows"),
        "{}",
        matched.out
    );
    assert!(
        matched.out.contains("the policy's catalogue has no items"),
        "{}",
        matched.out
    );
    let (tally, _) = proof(at);
    assert_eq!(
        (&tally["decisions"], &tally["silent"]),
        (&0.into(), &2.into())
    );
    luopan(at, &["verify"]).ok();
}

#[test]
fn a_code_without_its_leading_zeros_is_told_the_code_that_is_there() {
    let data = wealth();
    let at = data.path();
    // `1`, `000001` and a code of six digits; the mapping writes the zeros.
    let list = "code,name,risk\n1,One,3\n161725,Six,2\n";
    assert!(
        import(at, "products", "funds", list)
            .ok()
            .starts_with("2 rows: 2 accepted")
    );
    assert!(
        import(at, "products", "funds", "code,name,risk\n000001,One,3\n")
            .ok()
            .starts_with("1 row: 1 accepted")
    );
    let listed = luopan(at, &["product", "list", "--scene", "wealth"]);
    assert!(listed.ok().contains("2 items"), "{}", listed.out);
    // Without it the key is another one, and what is said of it waits with the reason.
    assert!(
        import(
            at,
            "product_changes",
            "raw",
            "code,risk\n1,2\n0161725,2\n000001,1\n"
        )
        .ok()
        .contains("1 accepted, 0 duplicate, 2 quarantined")
    );
    let waits = luopan(at, &["quarantine", "list", "--scene", "wealth"]);
    for hint in [
        "no item `1`, but `000001`",
        "no item `0161725`, but `161725`",
    ] {
        assert!(waits.ok().contains(hint), "{}", waits.out);
    }
    let shown = luopan(at, &["product", "show", "--scene", "wealth", "1"]);
    assert!(
        shown.refused().contains("has no item `1`, but `000001`"),
        "{}",
        shown.err
    );
    let asked = decide(at, &["--item", "1"]);
    assert!(
        asked
            .ok()
            .contains("`1`, which was asked for, may not be chosen"),
        "{}",
        asked.out
    );
    assert!(
        asked.out.contains("no item `1`, but `000001`"),
        "{}",
        asked.out
    );
}

/// An order is proved by the decision that it names while that is valid, whatever became of the product meanwhile; asked again,
/// the product is refused by name, and an order under that answer is not proved.
#[test]
fn an_order_after_a_new_rating_or_a_withdrawal_is_proved_by_its_own_decision_alone() {
    let data = wealth();
    let at = data.path();
    import(
        at,
        "products",
        "funds",
        "code,name,risk\n1,One,3\n2,Two,1\n",
    )
    .ok();
    let id = |run: &Run| {
        run.ok()
            .split_whitespace()
            .nth(1)
            .expect("an id")
            .to_owned()
    };
    let before = decide(at, &["--item", "000001", "--key", "click"]);
    assert!(
        before.ok().contains("1. 000001 with probability 1"),
        "{}",
        before.out
    );
    let other = decide(at, &["--item", "000002"]);
    import(at, "product_changes", "ratings", "code,risk\n1,5\n").ok();
    import(at, "withdrawals", "ends", "code\n2\n").ok();
    let after = decide(at, &["--item", "000001"]);
    assert!(
        after
            .ok()
            .contains("`000001`, which was asked for, is refused by `within_class`"),
        "{}",
        after.out
    );
    let gone = decide(at, &["--item", "000002"]);
    assert!(
        gone.ok().contains("`000002` is offered no more since "),
        "{}",
        gone.out
    );
    // The same key is the same question.
    let again = decide(at, &["--item", "000001", "--key", "click"]);
    assert!(again.ok().contains("(made earlier under this key)") && id(&again) == id(&before));
    let order = |n: u32, item: &str, decision: &str| {
        format!(
            "{{\"id\":\"o{n}\",\"customer\":\"ann\",\"type\":\"order_submitted\",\"properties\":{{\"order_id\":\"n{n}\",\"item\":\"{item}\",\"amount\":100,\"decision_id\":\"{decision}\"}}}}\n"
        )
    };
    let orders = [
        order(1, "000001", &id(&before)),
        order(2, "000002", &id(&other)),
        order(3, "000001", &id(&after)),
        order(4, "000002", &id(&gone)),
    ];
    events(at, &write(at, "orders.jsonl", &orders.concat()));
    let (tally, text) = proof(at);
    assert_eq!(
        (&tally["orders"], &tally["unproved"]),
        (&4.into(), &2.into())
    );
    for refused in [&after, &gone] {
        let why = format!("decision {} allowed nothing", id(refused));
        assert!(text.contains(&why), "{why}");
    }
    for made in [&before, &other, &after, &gone] {
        let explained = luopan(at, &["explain", &id(made)]);
        assert!(
            explained.ok().contains("the same to the bit"),
            "{}",
            explained.out
        );
    }
    luopan(at, &["verify"]).ok();
}
