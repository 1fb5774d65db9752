//! Rankings are read back as they were written, in parts or as one file, and appear whole or not at all.

use luopan_kernel::id::IdentifierId;
use luopan_lake::ranking::{Part, concatenate, notes};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::path::Path;

type Row = ([u8; 16], i32, String, f64);

fn rows(path: &Path) -> Vec<Row> {
    let reader =
        SerializedFileReader::new(std::fs::File::open(path).expect("a file")).expect("Parquet");
    let row = |row: parquet::record::Row| {
        let mut fields = row.into_columns().into_iter().map(|(_, field)| field);
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (
                Some(Field::Bytes(id)),
                Some(Field::Int(rank)),
                Some(Field::Str(item)),
                Some(Field::Double(score)),
            ) => (id.data().try_into().expect("16 bytes"), rank, item, score),
            other => panic!("{other:?}"),
        }
    };
    (reader.get_row_iter(None).expect("rows"))
        .map(|r| row(r.expect("a row")))
        .collect()
}

fn part(path: &Path, first: u8, customers: u8) -> Vec<Row> {
    let mut part = Part::create(path).expect("a part");
    let mut wanted = Vec::new();
    for c in first..first + customers {
        let id = IdentifierId([c; 16]);
        let items: Vec<(String, f64)> = (0..c % 4)
            .map(|i| (format!("基金-{i}"), f64::from(c) / 3.0 - f64::from(i)))
            .collect();
        part.push(id, items.iter().map(|(k, s)| (k.as_str(), *s)))
            .expect("written");
        wanted.extend((items.into_iter().zip(1..)).map(|((k, s), rank)| (id.0, rank, k, s)));
    }
    assert!(!path.exists(), "not before it is finished");
    let said = part
        .finish(&vec![("of".to_owned(), first.to_string())])
        .expect("finished");
    assert_eq!(said, wanted.len() as u64);
    wanted
}

#[test]
fn parts_become_one_file_of_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut wanted = part(&at("a"), 1, 90);
    // A partition without anybody has a part too.
    wanted.extend(part(&at("b"), 0, 1));
    wanted.extend(part(&at("c"), 100, 120));
    assert_eq!(
        notes(&at("c")).expect("notes")[1],
        ("of".to_owned(), "100".to_owned())
    );
    let parts = ["a", "b", "c"].map(at);
    let about = vec![("luopan.scene".to_owned(), "fund".to_owned())];
    let said = concatenate(&parts, &at("all"), &about).expect("one file");
    assert_eq!(
        (rows(&at("all")), said),
        (wanted.clone(), wanted.len() as u64)
    );
    assert_eq!(
        notes(&at("all")).expect("notes"),
        [
            ("luopan.format".to_owned(), "1".to_owned()),
            about[0].clone()
        ]
    );
    let bytes = std::fs::read(at("all")).expect("bytes");
    concatenate(&parts, &at("again"), &about).expect("one file");
    assert_eq!(std::fs::read(at("again")).expect("bytes"), bytes);
    let left: Vec<_> = (std::fs::read_dir(folder.path()).expect("a folder"))
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert_eq!(left, [""; 0], "nothing is left beside");
}

#[test]
fn a_damaged_part_is_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, cut) = (folder.path().join("good"), folder.path().join("cut"));
    part(&good, 1, 20);
    let bytes = std::fs::read(&good).expect("bytes");
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).expect("written");
    let refused = concatenate(
        &[good, cut.clone()],
        &folder.path().join("all"),
        &Vec::new(),
    )
    .expect_err("a part that is cut off")
    .to_string();
    assert!(refused.starts_with(&cut.display().to_string()), "{refused}");
    assert!(!folder.path().join("all").exists());
}
