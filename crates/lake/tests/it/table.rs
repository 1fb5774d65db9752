//! Tables are read back as they were written, missing values as missing, over several row groups, and appear whole or not at all.

use luopan_lake::ranking::notes;
use luopan_lake::table::{Cell, GROUP_ROWS, Kind, Table};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::path::Path;

fn rows(path: &Path) -> Vec<Vec<(String, Field)>> {
    let file = std::fs::File::open(path).expect("a file");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    (reader.get_row_iter(None).expect("rows"))
        .map(|r| r.expect("a row").into_columns())
        .collect()
}

fn columns() -> Vec<(String, Kind)> {
    [
        ("number", Kind::Double),
        ("whole", Kind::Long),
        ("名字", Kind::Text),
        ("flag", Kind::Boolean),
        ("at", Kind::Time),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
    .to_vec()
}

#[test]
fn what_was_written_is_read_and_what_was_missing_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table.parquet");
    let mut table = Table::create(&path, &columns()).expect("a table");
    let n = GROUP_ROWS + 10;
    let texts: Vec<String> = (0..n).map(|i| format!("客户 {i}")).collect();
    for (i, text) in texts.iter().enumerate() {
        let is_there = |k: usize| !(i + k).is_multiple_of(3);
        let cell = |k: usize, cell| if is_there(k) { cell } else { Cell::Missing };
        let row = [
            cell(0, Cell::Double(i as f64 / 3.0)),
            cell(1, Cell::Long(-(i as i64))),
            cell(2, Cell::Text(text)),
            cell(0, Cell::Boolean(i % 2 == 0)),
            cell(1, Cell::Long(i as i64)),
        ];
        table.push(row).expect("a row");
    }
    assert!(!path.exists(), "not before it is finished");
    let said = table.finish(&vec![("of".to_owned(), "this".to_owned())]);
    assert_eq!(said.expect("finished"), n as u64);
    assert_eq!(notes(&path).expect("notes")[0].1, "this");
    let found = rows(&path);
    assert_eq!(found.len(), n);
    for (i, row) in found.iter().enumerate() {
        let is_there = |k: usize| !(i + k).is_multiple_of(3);
        let wanted = |k: usize, field| if is_there(k) { field } else { Field::Null };
        let wanted = [
            wanted(0, Field::Double(i as f64 / 3.0)),
            wanted(1, Field::Long(-(i as i64))),
            wanted(2, Field::Str(texts[i].clone())),
            wanted(0, Field::Bool(i % 2 == 0)),
            wanted(1, Field::TimestampMicros(i as i64)),
        ];
        let names: Vec<&str> = row.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["number", "whole", "名字", "flag", "at"]);
        assert!(row.iter().map(|(_, f)| f).eq(&wanted), "{row:?}");
    }
}

#[test]
fn rows_that_do_not_fit_are_refused_and_leave_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table.parquet");
    let twice = [("a".to_owned(), Kind::Long), ("a".to_owned(), Kind::Text)];
    let refused = Table::create(&path, &twice).expect_err("two of one name");
    assert!(refused.to_string().contains("two columns are called `a`"));
    let fitting = || {
        [
            Cell::Missing,
            Cell::Missing,
            Cell::Missing,
            Cell::Missing,
            Cell::Missing,
        ]
    };
    for (row, word) in [
        (&fitting()[..4], "fewer cells"),
        (&[&fitting()[..], &fitting()[..]].concat()[..], "more cells"),
        (
            &[&[Cell::Text("1")], &fitting()[1..]].concat()[..],
            "`number` holds Double",
        ),
    ] {
        let mut table = Table::create(&path, &columns()).expect("a table");
        let refused = table.push(row.iter().copied()).expect_err("refused");
        assert!(refused.to_string().contains(word), "{refused}");
        drop(table);
        assert!(!path.exists());
    }
}
