//! `luopan learn`, by running the program.

use crate::command_line::{applied, luopan};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeMap;
use std::path::Path;

type Rows = Vec<BTreeMap<String, Field>>;

fn read(path: &Path) -> (Rows, BTreeMap<String, String>) {
    let file = std::fs::File::open(path).expect("the file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let rows = (reader.get_row_iter(None).expect("rows"))
        .map(|row| row.expect("a row").into_columns().into_iter().collect())
        .collect();
    let notes = reader.metadata().file_metadata().key_value_metadata();
    let notes = (notes.into_iter().flatten())
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    (rows, notes)
}

#[test]
fn decisions_are_written_as_a_training_set() {
    let data = applied();
    let at = |name: &str| data.path().join(name).display().to_string();
    let rows = "c0,Shanghai,true,12.50\nc1,Shanghai,true,12.50\nc2,Shanghai,true,12.50\nc3,Shanghai,true,12.50\n";
    std::fs::write(at("customers.csv"), format!("id,city,vip,spent\n{rows}")).expect("customers");
    let import = [
        "import",
        "--scene",
        "shop",
        "--into",
        "customers",
        "--mapping",
        "customers",
        &at("customers.csv"),
    ];
    luopan(data.path(), &import).ok();
    for customer in ["c0", "c1", "c2", "c3", "nobody"] {
        let decide = [
            "decide",
            "--scene",
            "shop",
            "--policy",
            "drawn",
            "--customer",
            customer,
        ];
        luopan(data.path(), &decide).ok();
    }
    let (one, two) = (at("one.parquet"), at("two.parquet"));
    let learn = |output: &str, more: &[&str]| {
        let words = [
            "--format", "json", "learn", "dataset", "--scene", "shop", "--output", output,
        ];
        luopan(data.path(), &[&words[..], more].concat())
    };
    let said = learn(&one, &["--policy", "drawn"]).json();
    let (rows, notes) = read(Path::new(&one));
    assert_eq!(said["rows"], rows.len());
    assert_eq!((rows.len(), &said["decisions"]), (5, &5.into()));
    assert!(said["compared"].as_u64() > Some(0), "{said}");
    assert_eq!(notes["luopan.policy"], "drawn");
    let mut known = 0;
    for row in &rows {
        let (Field::Double(p), Field::Double(w)) =
            (&row["decision.propensity"], &row["decision.weight"])
        else {
            panic!("{row:?}")
        };
        let price = match &row["decision.arm"] {
            Field::Str(arm) if arm == "tea" => 10,
            Field::Str(arm) if arm == "silk" => 200,
            Field::Str(arm) if arm == "jade" => 5_000,
            other => panic!("{other:?}"),
        };
        assert_eq!(row["item.price"], Field::Long(price));
        let city = match &row["spent_before"] {
            Field::Long(1_250) => Field::Str("Shanghai".to_owned()),
            Field::Null => Field::Null,
            other => panic!("{other:?}"),
        };
        assert_eq!(row["city"], city);
        known += u32::from(city != Field::Null);
        assert!(*p > 0.0 && (p * w - 1.0).abs() < 1e-12);
        assert!(matches!(&row["decision.customer"], Field::Str(id) if id.len() == 36));
    }
    assert_eq!(known, 4);
    // The same log gives the same file.
    let again = learn(&two, &["--policy", "drawn"]).json();
    assert_eq!(said["sha256"], again["sha256"]);
    assert_eq!(
        std::fs::read(&one).expect("one"),
        std::fs::read(&two).expect("two")
    );
    let later = ["--policy", "drawn", "--from", "2100-01-01T00:00:00Z"];
    let none = learn(&at("none.parquet"), &later).json();
    assert_eq!(
        (&none["rows"], &none["skipped"]["outside_the_time"]),
        (&0.into(), &5.into())
    );
    let refused = learn(&at("three.parquet"), &["--policy", "drawns"]);
    assert!(refused.err.contains("`drawn`"), "{}", refused.err);
    assert!(!Path::new(&at("three.parquet")).exists());
}
