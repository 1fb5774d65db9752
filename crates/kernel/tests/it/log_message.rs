//! The log message: what was ever written is read for ever.

use crate::decision::golden;
use luopan_kernel::event::{
    Entry, Event, Link, MESSAGE_FORMAT, Origin, Sealed, decode_message, encode_message,
};
use luopan_kernel::id::{IdentifierId, SceneNo, TenantId};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;

/// Every kind of entry, with every kind of value, and the ends of the ranges.
fn every_kind() -> Vec<Entry<'static>> {
    let id = |n: u8| IdentifierId([n; 16]);
    let event = Event {
        id: "e-1".into(),
        tenant: TenantId(1),
        scene: SceneNo(2),
        identifier: id(3),
        kind: "buy".into(),
        occurred_at: Micros(1_700_000_000_000_000),
        received_at: Micros(1_700_000_000_500_000),
        origin: Origin::Import,
        properties: vec![
            ("amount".into(), Value::Int(i64::MIN)),
            ("first".into(), Value::Bool(true)),
            ("name".into(), Value::text("基金")),
            ("none".into(), Value::Missing),
            ("share".into(), Value::Number(-0.1)),
            ("when".into(), Value::Time(Micros(-1))),
        ],
        context: vec![("page".into(), Value::text("home"))],
        corrects: Some("e-0".into()),
        sealed: vec![Sealed {
            name: "phone".into(),
            key_no: 7,
            ciphertext: vec![0, 255, 1].into(),
        }],
    };
    vec![
        Entry::Event(event),
        Entry::TimerFired {
            scene: SceneNo(2),
            identifier: id(4),
            at: Micros(5),
        },
        Entry::SceneApplied {
            scene: SceneNo(u16::MAX),
            version: u32::MAX,
            hash: [6; 32],
            at: Micros(7),
        },
        Entry::Linked(Link {
            identifier: id(8),
            customer: id(9),
            revision: u64::MAX,
            at: Micros(10),
        }),
        Entry::Erased {
            identifier: id(11),
            at: Micros(i64::MAX),
        },
    ]
}

#[test]
fn golden_file_of_format_1_is_read() {
    let entries = every_kind();
    golden("message-1.bin", &encode_message(&entries));
    assert_eq!(
        decode_message(include_bytes!("../golden/message-1.bin")).unwrap(),
        entries
    );
    let newer = decode_message(&[MESSAGE_FORMAT + 1])
        .unwrap_err()
        .to_string();
    assert!(
        newer.contains("format 2") && newer.contains("up to 1"),
        "{newer}"
    );
}
