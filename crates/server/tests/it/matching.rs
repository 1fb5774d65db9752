//! `luopan match`, by running the program: what it writes, that killed work goes on to the same file, and what it refuses.

use crate::command_line::{applied, luopan, program};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const AT: &str = "2026-11-22T08:00:00Z";

/// A folder with so many customers of the shop.
fn populated(customers: usize) -> TempDir {
    let data = applied();
    let rows: String = (0..customers)
        .map(|i| format!("c{i},Shanghai,true,12.50\n"))
        .collect();
    let file = data.path().join("customers.csv");
    std::fs::write(&file, format!("id,city,vip,spent\n{rows}")).expect("customers");
    let file = file.display().to_string();
    let words = [
        "import",
        "--scene",
        "shop",
        "--into",
        "customers",
        "--mapping",
        "customers",
        &file,
    ];
    luopan(data.path(), &words).ok();
    data
}

fn words<'w>(policy: &'w str, top: &'w str, output: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let mut words = vec![
        "--format", "json", "match", "--scene", "shop", "--policy", policy, "--top", top,
        "--output", output,
    ];
    words.extend(more);
    words
}

/// Items with their scores by customer, best first.
type Ranked = BTreeMap<String, Vec<(String, f64)>>;

/// Items with scores by customer, in order of rank; and the file's notes.
fn read(path: &Path) -> (Ranked, BTreeMap<String, String>) {
    let file = std::fs::File::open(path).expect("the file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let mut out: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for row in reader.get_row_iter(None).expect("rows") {
        let fields: Vec<Field> = (row.expect("a row").into_columns().into_iter())
            .map(|(_, field)| field)
            .collect();
        let [
            Field::Bytes(id),
            Field::Int(rank),
            Field::Str(item),
            Field::Double(score),
        ] = &fields[..]
        else {
            panic!("{fields:?}")
        };
        let items = out.entry(hex::encode(id.data())).or_default();
        items.push((item.clone(), *score));
        assert_eq!(*rank as usize, items.len());
    }
    let metadata = reader.metadata().file_metadata();
    let notes = (metadata.key_value_metadata().into_iter().flatten())
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    (out, notes)
}

#[test]
fn the_best_of_a_policy_for_everybody_as_parquet() {
    let data = populated(300);
    let output = data.path().join("match.parquet");
    let path = output.display().to_string();
    let summary = luopan(data.path(), &words("best", "2", &path, &["--at", AT])).json();
    assert_eq!(
        (
            &summary["customers"],
            &summary["products"],
            &summary["rows"]
        ),
        (&300.into(), &3.into(), &600.into())
    );
    assert_eq!(summary["with_nothing"], 0);
    let (rows, notes) = read(&output);
    assert_eq!(rows.len(), 300);
    let best = [("jade".to_owned(), 5000.0), ("silk".to_owned(), 200.0)];
    assert!(rows.values().all(|items| items[..] == best), "{rows:?}");
    assert_eq!(
        (
            notes["luopan.scene"].as_str(),
            notes["luopan.policy"].as_str(),
            notes["luopan.at"].as_str()
        ),
        ("shop", "best", AT)
    );
    assert!(!data.path().join("match.parquet.partial").exists());

    let nobody = luopan(data.path(), &words("nobody", "2", &path, &["--at", AT])).json();
    assert_eq!(
        (&nobody["rows"], &nobody["with_nothing"]),
        (&0.into(), &300.into())
    );
    let why = serde_json::json!([{"gate": "eligibility", "rule": "impossible", "customers": 300}]);
    assert_eq!(nobody["why"], why);
    assert_eq!(read(&output).0.len(), 0, "a file without rows is a file");

    let none = luopan(data.path(), &words("bset", "2", &path, &[]));
    assert!(
        none.code == 1 && none.err.contains("the nearest known name is `best`"),
        "{}",
        none.err
    );
    let none = luopan(data.path(), &words("best", "0", &path, &[]));
    assert!(
        none.err.contains("--top is 0; write 1 to 1000"),
        "{}",
        none.err
    );
    let text = luopan(
        data.path(),
        &[
            "match", "--scene", "shop", "--policy", "best", "--output", &path,
        ],
    );
    assert!(
        text.ok()
            .contains("300 customers, 3 products, 900 rows in "),
        "{}",
        text.out
    );
}

/// Begins and is killed when some parts are finished; answers how many there are.
fn killed(data: &Path, words: &[&str], partial: &Path, least: usize) -> usize {
    let parts = || {
        std::fs::read_dir(partial).map_or(0, |entries| {
            (entries.flatten())
                .filter(|e| e.file_name().to_string_lossy().ends_with(".parquet"))
                .count()
        })
    };
    let mut child = program(data, words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let started = Instant::now();
    while parts() < least {
        assert!(started.elapsed() < Duration::from_secs(120), "no parts");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    let status = child.wait().expect("ended");
    assert!(!status.success(), "it was not finished");
    parts()
}

#[test]
fn killed_work_goes_on_to_the_same_file() {
    let data = populated(2_000);
    let output = |name: &str| data.path().join(name);
    let [whole, cut] = ["whole.parquet", "cut.parquet"].map(|n| output(n).display().to_string());
    let asked = words("slate", "3", &cut, &["--at", AT, "--threads", "1"]);
    luopan(data.path(), &words("slate", "3", &whole, &["--at", AT])).ok();

    let partial = output("cut.parquet.partial");
    let first = killed(data.path(), &asked, &partial, 20);
    let second = killed(data.path(), &asked, &partial, first + 20);
    assert!(second > first && !output("cut.parquet").exists());
    // Another matching is refused, with what differs, and leaves what is there.
    let other = luopan(data.path(), &words("best", "2", &cut, &[]));
    assert_eq!(other.code, 1);
    for part in [
        "match_differs",
        "the policy was slate and is best",
        "--top was 3 and is 2",
        "--restart",
    ] {
        assert!(other.err.contains(part), "{part}: {}", other.err);
    }
    // Without --at the moment is that of the work that was begun.
    let summary = luopan(data.path(), &words("slate", "3", &cut, &[])).json();
    assert!(
        summary["resumed"].as_u64() >= Some(second as u64),
        "{summary}"
    );
    assert_eq!(summary["at"], AT);
    assert_eq!(summary["customers"], 2_000);
    let bytes = |name: &str| std::fs::read(output(name)).expect("the file");
    assert!(
        bytes("cut.parquet") == bytes("whole.parquet"),
        "the same bytes"
    );
    assert!(!partial.exists());

    // When the folder has moved on, the parts are of another state.
    killed(data.path(), &asked, &partial, 20);
    let decide = [
        "decide",
        "--scene",
        "shop",
        "--policy",
        "best",
        "--customer",
        "c1",
    ];
    luopan(data.path(), &decide).ok();
    let moved = luopan(data.path(), &words("slate", "3", &cut, &[]));
    assert!(
        moved.err.contains("has taken events, decisions or links"),
        "{}",
        moved.err
    );
    let anew = luopan(data.path(), &words("slate", "3", &cut, &["--restart"])).json();
    assert_eq!(
        (&anew["resumed"], &anew["rows"]),
        (&0.into(), &6_000.into())
    );
}
