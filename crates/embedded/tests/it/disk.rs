//! What lies on disk, byte for byte: a folder that was ever written is read for ever.

use crate::{Disk, options};
use bytes::Bytes;
use fjall::{Database, Keyspace};
use luopan_embedded::{Embedded, layout};
use luopan_kernel::id::{DEFAULT_TENANT, IdentifierId, PartitionId, Position};
use luopan_store::{
    Advance, Append, BudgetChange, Commit, Durability, ForeignId, RowKey, Table, Write,
};
use std::fmt::Write as _;
use std::path::Path;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/disk-1.txt");

async fn write_one_of_each(folder: &Path) {
    let stores = Embedded::open(folder, options()).await.unwrap();
    let p = PartitionId(258);
    let append = |n: u8, count| Append {
        partition: p,
        count,
        message: Bytes::from(vec![n; 3]),
    };
    let appended = stores.log.append(vec![append(1, 2), append(2, 1)]).await;
    assert_eq!(appended.unwrap().len(), 2);
    // A partition that begins elsewhere than at 0.
    let begins = [(PartitionId(9), Position(5))];
    stores.log.start(&begins).await.unwrap();
    let mut commit = Commit::new(Durability::Durable);
    commit.advance = Some(Advance {
        partition: p,
        from: Position(0),
        to: Position(2),
    });
    commit.writes = (Table::ALL.into_iter())
        .map(|table| Write {
            key: RowKey {
                table,
                partition: p,
                key: Bytes::from_static(b"key"),
            },
            value: Some(Bytes::from_static(b"value")),
        })
        .collect();
    commit.budgets.push(BudgetChange {
        budget: "coupons".into(),
        limit: 1_000,
        rows: 4,
        home: 3,
        amount: 77,
    });
    let done = stores.state.commit(vec![commit]).await.unwrap();
    assert!(done[0].is_ok());
    let foreign = ForeignId {
        tenant: DEFAULT_TENANT,
        text: "客户-1".into(),
    };
    let fresh = [IdentifierId([9; 16])];
    (stores.keys.resolve_or_create(&[foreign], &fresh))
        .await
        .unwrap();
}

fn dump(out: &mut String, name: &str, rows: &Keyspace) {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut out, b| {
            write!(out, "{b:02x}").unwrap();
            out
        })
    };
    for row in rows.iter() {
        let (key, value) = row.into_inner().unwrap();
        writeln!(out, "{name} {} {}", hex(&key), hex(&value)).unwrap();
    }
}

/// Opens once whoever closes it has let go.
async fn database(folder: &Path) -> Database {
    for _ in 0..100 {
        if let Ok(db) = layout::database(folder, 1 << 20, 1) {
            return db;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{} stays in use", folder.display());
}

#[tokio::test]
async fn the_bytes_on_disk_are_those_of_format_1() {
    let disk = Disk::new();
    write_one_of_each(disk.0.path()).await;
    let main = database(&disk.0.path().join("main")).await;
    let keys = database(&disk.0.path().join("keys")).await;
    let mut text = std::fs::read_to_string(disk.0.path().join("FORMAT")).unwrap();
    text = format!("FORMAT {}\n", text.trim());
    dump(&mut text, "log", &layout::log(&main).unwrap());
    dump(&mut text, "profiles", &layout::profiles(&main).unwrap());
    dump(&mut text, "records", &layout::records(&main).unwrap());
    dump(&mut text, "rows", &layout::rows(&main).unwrap());
    dump(&mut text, "keys", &layout::keys(&keys).unwrap());
    // The mark is drawn anew for each folder.
    let mark = (text.split("\"mark\":\"").nth(1)).and_then(|rest| rest.split('"').next());
    let mark = mark.expect("FORMAT holds the mark").to_owned();
    let hex = (mark.bytes()).fold(String::new(), |all, b| format!("{all}{b:02x}"));
    assert_eq!((mark.len(), text.matches(&hex).count()), (32, 2));
    let text = text.replace(&mark, "MARK").replace(&hex, "MARK");
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(
        text, golden,
        "would be written otherwise: raise the format, keep reading the old one"
    );
}
