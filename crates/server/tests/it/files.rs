//! `luopan import`: files of every kind, bad rows among them, the same file twice.

use crate::command_line::{applied, luopan};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

fn import(data: &Path, into: &str, mapping: &str, files: &[&Path]) -> Value {
    let mut words = vec![
        "import",
        "--scene",
        "shop",
        "--into",
        into,
        "--mapping",
        mapping,
        "--format",
        "json",
    ];
    let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    words.extend(files.iter().map(String::as_str));
    let mut answer = luopan(data, &words).json();
    answer.as_object_mut().expect("an object").remove("files");
    answer
}

fn counts(rows: u64, accepted: u64, duplicate: u64, quarantined: u64) -> Value {
    json!({"scene": "shop", "rows": rows, "accepted": accepted, "duplicate": duplicate, "quarantined": quarantined, "skipped": 0})
}

fn tags(data: &Path, customer: &str) -> Value {
    luopan(
        data,
        &["profile", customer, "--scene", "shop", "--format", "json"],
    )
    .json()["tags"]
        .clone()
}

fn reasons(data: &Path) -> Vec<(String, String)> {
    let listed = luopan(data, &["quarantine", "list", "--format", "json"]).json();
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    listed["inputs"]
        .as_array()
        .expect("inputs")
        .iter()
        .map(|q| (text(&q["code"]), text(&q["reason"])))
        .collect()
}

#[test]
fn ragged_and_torn_rows_stand_aside_and_the_rest_goes_through() {
    let data = applied();
    let file = data.path().join("customers.csv");
    let mut bytes = b"\xef\xbb\xbfid,city,vip,spent\n".to_vec();
    bytes.extend("c1,上海,true,12.50\n".as_bytes());
    bytes.extend("c2,北京\n".as_bytes());
    bytes.extend("c3,\"广州, 天河\",false,\n".as_bytes());
    bytes.extend(b"c4,\xff\xfe,true,1\n");
    bytes.extend("c5,上海,perhaps,1\n".as_bytes());
    bytes.extend("c6,上海,true,1,extra\n".as_bytes());
    std::fs::write(&file, bytes).expect("a file");
    assert_eq!(
        import(data.path(), "customers", "customers", &[&file]),
        counts(6, 2, 0, 4)
    );
    assert_eq!(tags(data.path(), "c1")["city"], "上海");
    assert_eq!(tags(data.path(), "c1")["spent_before"], 1250);
    assert_eq!(tags(data.path(), "c3")["city"], "广州, 天河");
    let reasons = reasons(data.path());
    let codes: Vec<&str> = reasons.iter().map(|(c, _)| c.as_str()).collect();
    assert_eq!(
        codes,
        ["ragged_row", "not_utf8", "malformed_row", "ragged_row"]
    );
    assert!(
        reasons[0]
            .1
            .ends_with("customers.csv line 3 has 2 cells, the header has 4; mend the row, or look for an unquoted `,`"),
        "{}",
        reasons[0].1
    );
    assert!(
        reasons[1].1.contains("customers.csv line 5 "),
        "{}",
        reasons[1].1
    );
    assert!(
        reasons[2].1.contains("customers.csv line 6: "),
        "{}",
        reasons[2].1
    );
    assert!(
        reasons[2].1.contains("`vip`") && reasons[2].1.contains("perhaps"),
        "{}",
        reasons[2].1
    );

    assert_eq!(
        import(data.path(), "customers", "customers", &[&file]),
        counts(6, 0, 2, 4),
        "the same file again"
    );
}

#[test]
fn files_in_gb18030_are_told_by_themselves() {
    let data = applied();
    let file = data.path().join("customers.csv.gz");
    let (bytes, _, _) =
        encoding_rs::GB18030.encode("id,city,vip,spent\nc1,上海,true,1\nc2,深圳市,false,2\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).expect("packing");
    std::fs::write(&file, packed.finish().expect("packed")).expect("a file");
    assert_eq!(
        import(data.path(), "customers", "customers", &[&file]),
        counts(2, 2, 0, 0)
    );
    assert_eq!(tags(data.path(), "c2")["city"], "深圳市");
}

#[test]
fn events_are_named_by_their_content_or_by_a_column() {
    let data = applied();
    let file = data.path().join("purchases.csv");
    // Two rows with the same content are two purchases.
    std::fs::write(
        &file,
        "customer,amount,at\na,100,2026-01-05T09:00:00Z\na,100,2026-01-05T09:00:00Z\nb,7,\n",
    )
    .expect("a file");
    assert_eq!(
        import(data.path(), "events", "purchases", &[&file]),
        counts(3, 3, 0, 0)
    );
    assert_eq!(
        import(data.path(), "events", "purchases", &[&file, &file]),
        counts(6, 0, 6, 0)
    );
    assert_eq!(tags(data.path(), "a")["purchases"], 2);

    // Mended: a row above the others, another one behind them, and a third purchase with the content of two.
    std::fs::write(
        &file,
        "customer,amount,at\nc,1,\na,100,2026-01-05T09:00:00Z\nb,7,\na,100,2026-01-05T09:00:00Z\na,100,2026-01-05T09:00:00Z\nb,8,\n",
    )
    .expect("a file");
    assert_eq!(
        import(data.path(), "events", "purchases", &[&file]),
        counts(6, 3, 3, 0)
    );
    assert_eq!(tags(data.path(), "a")["purchases"], 3);
    assert_eq!(tags(data.path(), "b")["purchases"], 2);

    let lines = data.path().join("purchases.jsonl");
    let text = "{\"customer\":\"c\",\"number\":\"n1\",\"amount\":5}\n{\"customer\":\"c\",\"number\":\"n1\",\"amount\":5}\nnot json\n{\"customer\":\"c\",\"number\":\"n2\"}\n{\"number\":\"n3\",\"customer\":\"c\",\"amount\":\"6\",\"more\":[1]}\n";
    std::fs::write(&lines, text).expect("a file");
    assert_eq!(
        import(data.path(), "events", "purchases_with_ids", &[&lines]),
        counts(5, 2, 1, 2)
    );
    assert_eq!(tags(data.path(), "c")["purchases"], 3);
    let reasons = reasons(data.path());
    assert_eq!(reasons[0].0, "malformed_json");
    assert!(reasons[1].1.contains("amount"), "{}", reasons[1].1);
}

#[test]
fn products_are_set_and_seen_by_decisions() {
    let data = applied();
    let file = data.path().join("offers.csv");
    std::fs::write(&file, "key,price\npearl,9000\ntea,abc\n").expect("a file");
    assert_eq!(
        import(data.path(), "products", "offers", &[&file]),
        counts(2, 1, 0, 1)
    );
    let made = luopan(
        data.path(),
        &[
            "decide",
            "--scene",
            "shop",
            "--policy",
            "best",
            "--customer",
            "a",
            "--format",
            "json",
        ],
    )
    .json();
    assert_eq!(made["choices"][0]["item"], "pearl");
}

#[test]
fn parquet_is_read_with_its_types() {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    let data = applied();
    let schema = "message m { required binary customer (UTF8); required int64 amount; required int64 at (TIMESTAMP(MILLIS,true)); }";
    let schema = parquet::schema::parser::parse_message_type(schema).expect("a schema");
    let codec = parquet::basic::Compression::ZSTD(Default::default());
    let properties = WriterProperties::builder().set_compression(codec).build();
    let file = data.path().join("purchases.parquet");
    let out = std::fs::File::create(&file).expect("a file");
    let mut writer =
        SerializedFileWriter::new(out, schema.into(), properties.into()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let customers: Vec<ByteArray> = (0..1_000)
        .map(|i| ByteArray::from(format!("p{}", i % 10).as_str()))
        .collect();
    let mut column = group.next_column().expect("columns").expect("a column");
    column
        .typed::<ByteArrayType>()
        .write_batch(&customers, None, None)
        .expect("written");
    column.close().expect("closed");
    for value in [5i64, 1_767_000_000_000] {
        let mut column = group.next_column().expect("columns").expect("a column");
        column
            .typed::<Int64Type>()
            .write_batch(&vec![value; 1_000], None, None)
            .expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    assert_eq!(
        import(data.path(), "events", "purchases", &[&file]),
        counts(1_000, 1_000, 0, 0)
    );
    assert_eq!(tags(data.path(), "p3")["purchases"], 100);
}

#[test]
fn what_cannot_be_imported_is_said_before_anything_is_taken() {
    let data = applied();
    let refused = |into: &str, mapping: &str, file: &Path| {
        let file = file.display().to_string();
        luopan(
            data.path(),
            &[
                "import",
                "--scene",
                "shop",
                "--into",
                into,
                "--mapping",
                mapping,
                &file,
            ],
        )
        .refused()
        .to_owned()
    };
    let file = data.path().join("a.csv");
    assert!(refused("events", "purchases", &file).contains("a.csv"));
    std::fs::write(&file, "customr,amount,at\na,1,\n").expect("a file");
    assert!(refused("events", "purchases", &file).contains("did you mean `customr`"));
    std::fs::write(&file, "other;names\n").expect("a file");
    assert!(refused("events", "purchases", &file).contains(
        "lacks columns of the mapping: `amount`, `at`, `customer`; it has `other;names`"
    ));
    std::fs::write(&file, "customer;amount;at\n").expect("a file");
    assert!(refused("events", "purchases", &file).contains("the delimiter looks like `;`"));
    assert!(refused("customers", "purchases", &file).contains("--into events"));
    assert!(refused("events", "purchase", &file).contains("purchases"));
    std::fs::write(&file, "").expect("a file");
    assert!(refused("events", "purchases", &file).contains("empty"));
    std::fs::write(&file, "customer,customer\n").expect("a file");
    assert!(refused("events", "purchases", &file).contains("twice"));
    assert!(refused("events", "purchases", data.path()).contains("folder"));
    let mapping = data.path().join("own.yaml");
    std::fs::write(
        &mapping,
        "into: events\nevent: purchas\nid: customer\nfields: {amount: amount}\n",
    )
    .expect("a file");
    assert!(refused("events", &mapping.display().to_string(), &file).contains("`purchase`"));
    assert_eq!(reasons(data.path()), []);
}

#[test]
fn what_was_kept_is_counted_over_all_files_also_when_a_later_one_fails() {
    let data = applied();
    let whole = data.path().join("whole.csv");
    std::fs::write(&whole, "customer,amount,at\r\na,1,\r\n\r\nb,x,\r\n").expect("a file");
    let cut = data.path().join("cut.csv.gz");
    let rows: String = (0..20_000_u64)
        .map(|i| format!("c{},{},\n", i * 7919 % 10_007, i * i))
        .collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(format!("customer,amount,at\n{rows}").as_bytes())
        .expect("packing");
    let packed = packed.finish().expect("packed");
    std::fs::write(&cut, &packed[..packed.len() / 2]).expect("a file");
    let run = |format: &str, files: &[&Path]| {
        let mut words = vec![
            "import",
            "--scene",
            "shop",
            "--into",
            "events",
            "--mapping",
            "purchases",
            "--format",
            format,
        ];
        let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        words.extend(files.iter().map(String::as_str));
        luopan(data.path(), &words)
    };
    let text = run("text", &[&whole, &cut]);
    let words = text.refused();
    assert!(
        words.contains("cut.csv.gz: ") && words.contains("cut off before its end; copy it again"),
        "{words}"
    );
    assert!(
        words.contains(
            "what was read before is kept: 2 rows: 1 accepted, 0 duplicate, 1 quarantined"
        ),
        "{words}"
    );
    let again = run("json", &[&whole, &cut]);
    let problem: Value = serde_json::from_str(&again.err).expect("a problem document");
    assert_eq!(
        (
            &problem["rows"],
            &problem["duplicate"],
            &problem["quarantined"]
        ),
        (&json!(2), &json!(1), &json!(1))
    );
    assert!(
        reasons(data.path())[0]
            .1
            .contains("whole.csv line 4: column `amount`")
    );

    // Nothing of it was taken: a script must not go on.
    std::fs::write(&whole, "customer,amount,at\na,x,\n").expect("a file");
    let nothing = run("json", &[&whole]);
    let said: Value = serde_json::from_str(&nothing.out).expect("an answer");
    assert_eq!((nothing.code, &said["quarantined"]), (1, &json!(1)));
}
