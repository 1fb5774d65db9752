//! Golden file of the engine's keys and values in State: what was ever written is read for ever.

use crate::catalogues::{Imported, item_write, number};
use crate::contacts::{ContactEntry, ContactsRow};
use crate::learner::{self, Learner};
use crate::row::{CustomerRow, Debit, Hold, Pending, Recent, debits_from_text, debits_to_text};
use crate::rows::{self, DecisionKeyRow, IdentityRow};
use crate::{quarantine, relay};
use luopan_kernel::event::{Entry, Event, Origin, PRODUCT_TYPE};
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::learn::{ModelState, Sample};
use luopan_kernel::profile::Profile;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::{Row, RowKey};
use std::fmt::Write;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rows-1.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn debits() -> Vec<Debit> {
    vec![Debit {
        budget: "2/coupons/2026-11".into(),
        rows: 16,
        home: 3,
        amount: -5,
    }]
}

fn customer_row(profile: &[u8]) -> CustomerRow {
    let decision = DecisionId([4; 16]);
    let pending = |sum| Pending {
        decision,
        origin: Origin::Live,
        at: Micros(1),
        reward: 2,
        due: Micros(3),
        sum,
    };
    let recent = |decision| Recent {
        reward: 5,
        decision,
        origin: Origin::DryRun,
        occurred_at: Micros(-6),
        at: Micros(7),
        value: 0.25,
    };
    let hold = |due| Hold {
        decision,
        origin: Origin::Simulated,
        due: Micros(due),
        debits: debits(),
    };
    CustomerRow {
        profile: Profile::decode(profile).unwrap(),
        pending: vec![pending(None), pending(Some(-1.5))],
        holds: vec![hold(8)],
        lapsed: vec![hold(7)],
        recent: vec![recent(None), recent(Some(decision))],
        timer_at: Some(Micros(9)),
    }
}

fn contacts_row() -> ContactsRow {
    ContactsRow {
        contacts: vec![ContactEntry {
            at: Micros(1),
            decision: DecisionId([2; 16]),
            policy: "welcome".into(),
            channel: "push".into(),
            item: "优惠".into(),
        }],
    }
}

fn sample() -> Sample {
    Sample::decode(include_bytes!("../../kernel/tests/golden/sample-1.bin")).unwrap()
}

fn learner(model: &[u8]) -> Learner {
    let mut out = Learner::default();
    out.state = ModelState::decode(model).unwrap();
    out.at = Position(300);
    out.remember(1);
    out.remember(u128::MAX);
    out
}

fn product() -> Entry<'static> {
    Entry::Event(Event {
        id: "p-1".into(),
        tenant: DEFAULT_TENANT,
        scene: SceneNo(2),
        identifier: IdentifierId([0; 16]),
        kind: PRODUCT_TYPE.into(),
        occurred_at: Micros(1),
        received_at: Micros(2),
        origin: Origin::Import,
        properties: vec![
            ("fee".into(), Value::Number(0.015)),
            ("luopan.catalogue".into(), Value::text("funds")),
            ("luopan.key".into(), Value::text("000001")),
            ("name".into(), Value::text("华夏成长")),
            ("open".into(), Value::Bool(true)),
            ("since".into(), Value::Time(Micros(3))),
            ("minimum".into(), Value::Int(1_000)),
        ],
        context: Vec::new(),
        corrects: None,
        sealed: Vec::new(),
    })
}

fn keys() -> Vec<(&'static str, RowKey)> {
    let (scene, id) = (SceneNo(0x0102), IdentifierId([7; 16]));
    let partition = PartitionId(300);
    vec![
        ("profile", rows::profile(scene, id)),
        ("dedup", rows::dedup(scene, id, 0x0a0b)),
        ("timer", rows::timer(Micros(-2), scene, id)),
        ("member", rows::member(scene, 0x0c0d, id)),
        ("member count", rows::member_count(scene, 0x0c0d, partition)),
        ("identity", rows::identity(id)),
        ("identity epoch", rows::identity_epoch(partition)),
        ("customer", rows::customer(id)),
        ("dirty", rows::dirty(scene, id)),
        ("contacts", rows::contacts(scene, Origin::Simulated, id)),
        ("decision", rows::decision(DecisionId([9; 16]))),
        ("decision key", rows::decision_key(scene, "order-1")),
        ("outbox", rows::outbox(partition, b"stable")),
        ("quarantine", rows::quarantine([5; 16])),
        ("checkpoint", rows::checkpoint(partition, Position(258), 1)),
        ("scene version", rows::scene_version(scene, partition)),
        ("halt", rows::halt(partition)),
        ("item", rows::item(scene, number("funds"), "fund-1")),
    ]
}

#[test]
fn golden_file_of_format_1_is_read() {
    let profile = include_bytes!("../../kernel/tests/golden/profile-1.bin");
    let model = include_bytes!("../../kernel/tests/golden/model-1.bin");
    let identity = IdentityRow {
        customer: IdentifierId([1; 16]),
        revision: 300,
    };
    let key = DecisionKeyRow {
        body_hash: [2; 32],
        decision: DecisionId([3; 16]),
    };
    let timer = Entry::TimerFired {
        scene: SceneNo(1),
        identifier: IdentifierId([2; 16]),
        at: Micros(3),
    };
    let outbox = relay::entry_row(rows::outbox(PartitionId(300), b"stable"), &timer);
    let item = item_write(&product()).unwrap();
    let refused = quarantine::write(
        [5; 16],
        "fund",
        Micros(6),
        "wrong_type",
        "`amount` is text, a number is wanted",
        Origin::Live,
        "{\"id\":\"e-1\"}",
    );
    let values: Vec<(&str, Vec<u8>)> = vec![
        ("catalogue item", item.value.unwrap().to_vec()),
        ("quarantine row", refused.value.unwrap().to_vec()),
        ("customer row", customer_row(profile).encode()),
        ("contacts row", contacts_row().encode()),
        ("identity row", identity.encode().to_vec()),
        (
            "identifiers",
            rows::encode_identifiers(&[IdentifierId([1; 16]), IdentifierId([2; 16])]).to_vec(),
        ),
        ("number", rows::encode_number(300).to_vec()),
        ("decision key row", key.encode().to_vec()),
        ("outbox row", outbox.value.to_vec()),
        ("learner checkpoint", learner(model).encode()),
        ("samples", learner::encode_samples(&[sample()])),
        ("debits", debits_to_text(&debits()).into_bytes()),
    ];
    let mut text = String::new();
    for (name, k) in keys() {
        let (table, partition) = (k.table as u8, k.partition.0);
        writeln!(text, "key {name}: {table} {partition} {}", hex(&k.key)).unwrap();
    }
    for (name, value) in &values {
        writeln!(text, "{name}: {}", hex(value)).unwrap();
    }
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (written, kept) in text.lines().zip(golden.lines()) {
        assert_eq!(
            written, kept,
            "would be written otherwise: raise the format, keep reading the old one"
        );
    }
    assert_eq!(text, golden);

    let kept = |name: &str| {
        let line = golden
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name}: ")));
        unhex(line.unwrap())
    };
    let row = CustomerRow::decode(&kept("customer row")).unwrap();
    let want = customer_row(profile);
    assert_eq!(row.profile, want.profile);
    assert_eq!(
        (row.pending, row.holds, row.lapsed, row.recent, row.timer_at),
        (
            want.pending,
            want.holds,
            want.lapsed,
            want.recent,
            want.timer_at
        )
    );
    let contacts = ContactsRow::decode(&kept("contacts row")).unwrap();
    assert_eq!(contacts, contacts_row());
    assert_eq!(
        IdentityRow::decode(&kept("identity row")).unwrap(),
        identity
    );
    assert_eq!(rows::decode_number(&kept("number")).unwrap(), 300);
    assert_eq!(
        DecisionKeyRow::decode(&kept("decision key row")).unwrap(),
        key
    );
    let back = Learner::decode(&kept("learner checkpoint")).unwrap();
    assert_eq!(back.encode(), learner(model).encode());
    let samples = learner::decode_samples(&kept("samples")).unwrap();
    assert_eq!(samples, vec![sample()]);
    let row = Row {
        key: item.key.key,
        value: kept("catalogue item").into(),
    };
    let (scene, catalogue, name, read) = Imported::decode(&row).unwrap();
    assert_eq!(
        (scene, catalogue, name.as_str()),
        (SceneNo(2), number("funds"), "000001")
    );
    assert_eq!(item_write(&product()).unwrap().value, Some(read.encode()));
    let read = quarantine::read(&refused.key.key, &kept("quarantine row")).unwrap();
    assert_eq!(
        (read.scene.as_str(), read.code.as_str()),
        ("fund", "wrong_type")
    );
    assert_eq!((read.at, read.origin), (Micros(6), Origin::Live));
    assert_eq!(read.raw, "{\"id\":\"e-1\"}");
    let text = String::from_utf8(kept("debits")).unwrap();
    assert_eq!(debits_from_text(&text), debits());
}
