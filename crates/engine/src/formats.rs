//! Golden file of the engine's keys and values in State: what was ever written is read for ever.

use crate::contacts::{ContactEntry, ContactsRow};
use crate::environment::fold::Environment;
use crate::environment::number;
use crate::environment::rows::{ItemRow, NavYear};
use crate::learner::{self, Learner};
use crate::row::{CustomerRow, Debit, Hold, Pending, Recent, debits_from_text, debits_to_text};
use crate::rows::{self, DecisionKeyRow, IdentityRow};
use crate::snapshot::Header;
use crate::{quarantine, relay};
use luopan_kernel::event::{Entry, Event, NAV_TYPE, Origin, PRODUCT_TYPE, PRODUCT_WITHDRAWN_TYPE};
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::learn::{ModelState, Sample};
use luopan_kernel::profile::Profile;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::{Row, RowKey, Table};
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

fn snapshot() -> Header {
    let mut header = Header::new(Position(300), Micros(-2), Micros(5));
    header.running = vec![(SceneNo(1), 7), (SceneNo(300), 1)];
    header.voided.insert("2/coupons/2026-11".into(), -5);
    header.late.insert("2/coupons/2026-12".into(), 400);
    header
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
        folded_to: Position(300),
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
            ("minimum".into(), Value::Int(1_000)),
            ("name".into(), Value::text("华夏成长")),
            ("open".into(), Value::Bool(true)),
            ("since".into(), Value::Time(Micros(3))),
        ],
        context: Vec::new(),
        corrects: None,
        sealed: Vec::new(),
    })
}

fn withdrawn() -> Entry<'static> {
    let Entry::Event(mut event) = product() else {
        unreachable!("a product is an event")
    };
    event.kind = PRODUCT_WITHDRAWN_TYPE.into();
    event.properties.retain(|(n, _)| n.starts_with("luopan."));
    event
        .properties
        .push(("luopan.successor".into(), Value::text("000002")));
    Entry::Event(event)
}

fn nav() -> Entry<'static> {
    let Entry::Event(mut event) = product() else {
        unreachable!("a product is an event")
    };
    event.kind = NAV_TYPE.into();
    event.properties = vec![
        ("luopan.accumulated".into(), Value::Number(2.9596)),
        ("luopan.catalogue".into(), Value::text("funds")),
        ("luopan.day".into(), Value::Int(19_412)),
        ("luopan.key".into(), Value::text("000001")),
        ("luopan.nav".into(), Value::Number(1.2435)),
    ];
    Entry::Event(event)
}

/// What the first program wrote for [`product`].
const ITEM_OF_FORMAT_1: &str = "017b2276616c756573223a5b5b22666565222c7b226e756d626572223a302e3031357d5d2c5b226e616d65222c7b2274657874223a22e58d8ee5a48fe68890e995bf227d5d2c5b226f70656e222c7b22626f6f6c223a747275657d5d2c5b2273696e6365222c7b2274696d65223a337d5d2c5b226d696e696d756d222c7b22696e74223a313030307d5d5d7d";

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
        (
            "item past",
            rows::item_past(scene, number("funds"), "fund-1", 258),
        ),
        ("nav", rows::nav(scene, number("funds"), "fund-1", 2023)),
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
    let mut environment = Environment::default();
    environment.step(&product(), 300);
    environment.step(&withdrawn(), 301);
    environment.step(&nav(), 302);
    let written = environment.writes();
    let of = |table: Table| {
        let found = written.iter().find(|w| w.key.table == table);
        found.and_then(|w| w.value.clone()).unwrap().to_vec()
    };
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
        ("catalogue item", of(Table::Item)),
        ("catalogue item past", of(Table::ItemPast)),
        ("net asset values", of(Table::Nav)),
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
        ("snapshot", snapshot().encode().to_vec()),
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
    assert_eq!(Header::decode(&kept("snapshot")).unwrap(), snapshot());
    let mut newer = kept("snapshot");
    newer[0] += 1;
    assert!(Header::decode(&newer).is_err());
    let row = CustomerRow::decode(&kept("customer row")).unwrap();
    let want = customer_row(profile);
    assert_eq!(row.profile, want.profile);
    assert_eq!(
        (row.pending, row.holds, row.lapsed, row.recent),
        (want.pending, want.holds, want.lapsed, want.recent)
    );
    assert_eq!(
        (row.timer_at, row.folded_to),
        (want.timer_at, want.folded_to)
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
        key: rows::item(SceneNo(2), number("funds"), "000001").key,
        value: kept("catalogue item").into(),
    };
    let (name, read) = ItemRow::read(&row).unwrap();
    assert_eq!(name, (SceneNo(2), number("funds"), "000001".to_owned()));
    assert_eq!(read.encode(), row.value);
    assert_eq!(
        read.withdrawn.as_ref().unwrap().successor.as_deref(),
        Some("000002")
    );
    let past = ItemRow::decode(b"", &kept("catalogue item past")).unwrap();
    assert_eq!((past.since, past.withdrawn.is_none()), (300, true));
    // What the first program wrote is read, as whole and in force from the beginning.
    let old = ItemRow::decode(b"", &unhex(ITEM_OF_FORMAT_1)).unwrap();
    assert!(ItemRow::is_older(&unhex(ITEM_OF_FORMAT_1)) && old.whole && old.since == 0);
    for (name, value) in &past.values {
        assert!(old.values.contains(&(name.clone(), value.clone())));
    }
    let navs = NavYear::decode(b"", &kept("net asset values")).unwrap();
    assert_eq!(navs.encode(), kept("net asset values"));
    assert_eq!(
        (navs.entries[0].nav.unit, navs.entries[0].at),
        (1.2435, 302)
    );
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
