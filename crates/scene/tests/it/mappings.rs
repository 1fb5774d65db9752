//! Import mappings: rows of the shipped packs' files, conversions, and faults that name the column.

use crate::support::{SHIPPED, compile, lines, shipped};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_scene::{MappedRow, Mapping, mapping};

const SCENE: &str = r#"
scene: shop
zone: Asia/Shanghai
customer: {tier: integer, vip: boolean, joined: time}
events:
  order:
    fields:
      amount: {type: money, currency: CNY, required: true}
      weight: number
      took: duration
      kind: {type: text, one_of: [web, shop]}
      at: time
catalogues:
  funds:
    attributes: {risk_level: {type: integer, required: true}, name: text}
"#;

fn mapped(text: &str) -> Mapping {
    let plan = compile(SCENE).unwrap().plan;
    mapping::parse("m.yaml", text, &plan).unwrap_or_else(|f| panic!("{}", lines(&f)))
}

fn faults(text: &str) -> String {
    let plan = compile(SCENE).unwrap().plan;
    mapping::parse("m.yaml", text, &plan).map_or_else(|f| lines(&f), |_| String::new())
}

fn cells<'a>(texts: &[&'a str]) -> Vec<Value<'a>> {
    texts.iter().map(|t| Value::text(*t)).collect()
}

const ORDER: &str = r#"
into: events
event: order
id: {column: customer}
event_id: {template: "order-{no}-{row}"}
occurred_at: {column: day, format: "%Y/%m/%d %H:%M"}
fields:
  amount: {column: amount, decimal: ",", thousands: ".", missing: ["-"]}
  weight: {column: weight, missing: [unknown, "999"]}
  took: {column: took, unit: minutes}
  kind: {column: kind, map: {网店: web, 门店: shop}}
  at: {column: epoch, unit: milliseconds}
"#;
const HEADER: [&str; 8] = [
    "customer", "no", "day", "amount", "weight", "took", "kind", "epoch",
];

#[test]
fn a_row_becomes_an_event() {
    let m = mapped(ORDER);
    let row = m
        .row(
            7,
            &HEADER,
            &cells(&[
                "c1",
                "A9",
                "2026/11/23 09:30",
                "1.234,50",
                "999",
                "1.5",
                "网店",
                "1000",
            ]),
        )
        .unwrap();
    let MappedRow::Event {
        id,
        event_id,
        event,
        occurred_at,
        properties,
    } = row
    else {
        panic!("{row:?}")
    };
    assert_eq!(
        (id.as_str(), event_id.as_str(), event.as_str()),
        ("c1", "order-A9-7", "order")
    );
    // 09:30 in Shanghai is 01:30 UTC.
    assert_eq!(occurred_at, Some(Micros(1_795_397_400_000_000)));
    let wanted = [
        ("amount", Value::Int(123_450)),
        ("at", Value::Time(Micros(1_000_000))),
        ("kind", Value::text("web")),
        ("took", Value::Int(90_000_000)),
    ];
    assert_eq!(properties, wanted.map(|(n, v)| (n.to_owned(), v)).to_vec());
}

#[test]
fn a_cell_that_does_not_fit_names_its_column() {
    let m = mapped(ORDER);
    let good = ["c1", "A9", "2026/11/23 09:30", "1", "2", "3", "shop", "4"];
    let with = |i: usize, text: &'static str| {
        let mut row = good;
        row[i] = text;
        m.row(1, &HEADER, &cells(&row))
            .map_or_else(|f| f.to_string(), |_| String::new())
    };
    assert_eq!(with(0, "c1"), "");
    insta::assert_snapshot!(
        [
            with(0, ""),
            with(2, "23.11.2026"),
            with(3, "12,505"),
            with(3, "-"),
            with(4, "heavy"),
            with(6, "phone"),
            m.row(1, &HEADER, &cells(&["a", "b"]))
                .unwrap_err()
                .to_string(),
            m.bind(&[
                "customer", "no", "dya", "amount", "weight", "took", "kind", "epoch"
            ])
            .unwrap_err()[0]
                .to_string(),
        ]
        .join("\n")
    );
}

#[test]
fn rows_without_an_id_of_their_own_are_named_by_content() {
    let m = mapped("into: events\nevent: order\nid: customer\nfields: {amount: amount}");
    let header = ["customer", "amount"];
    let id = |texts: &[&str]| match m.row(1, &header, &cells(texts)).unwrap() {
        MappedRow::Event { event_id, .. } => event_id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&["a", "1"]), id(&["a", "1"]));
    assert_ne!(id(&["a", "1"]), id(&["a", "2"]));
    assert_ne!(id(&["a1", "1"]), id(&["a", "11"]));
}

#[test]
fn customers_products_and_typed_cells() {
    let m = mapped(
        "into: customers\nid: {column: no}\nwhen: {column: state, not: gone}\nfields: {tier: tier, vip: {column: vip, map: {gold: \"true\"}, missing: [none]}, joined: joined}",
    );
    let header = ["no", "state", "tier", "vip", "joined"];
    let row = m
        .row(
            1,
            &header,
            &[
                Value::Int(12),
                Value::text("here"),
                Value::Number(3.0),
                Value::text("gold"),
                Value::Time(Micros(5)),
            ],
        )
        .unwrap();
    assert_eq!(
        row,
        MappedRow::Customer {
            id: "12".into(),
            attributes: vec![
                ("joined".into(), Value::Time(Micros(5))),
                ("tier".into(), Value::Int(3)),
                ("vip".into(), Value::Bool(true)),
            ],
        }
    );
    let skipped = m
        .row(1, &header, &cells(&["1", "gone", "", "", ""]))
        .unwrap();
    assert_eq!(skipped, MappedRow::Skipped);
    let m = mapped(
        "into: products\ncatalogue: funds\nid: code\nfields: {risk_level: {column: risk, map: {R1: \"1\"}}, name: name}",
    );
    let MappedRow::Product { catalogue, item } = m
        .row(
            1,
            &["code", "risk", "name"],
            &cells(&["000001", "R1", "华夏"]),
        )
        .unwrap()
    else {
        panic!()
    };
    assert_eq!((catalogue.as_str(), item.key.as_str()), ("funds", "000001"));
    assert_eq!(item.values, [Value::Int(1), Value::text("华夏")]);
}

#[test]
fn a_mapping_is_checked_against_its_scene() {
    insta::assert_snapshot!(
        faults("into: events\nevent: ordr\nid: c\nfields: {amount: a}")
            + &faults(
                "into: events\nevent: order\nfields: {weigth: w, kind: {column: k, map: {x: wbe}}, took: {column: t, unit: major}}"
            )
            + &faults("into: products\nid: c\nfields: {}")
            + &faults(
                "into: customers\nid: c\naction: x\nfields: {joined: {template: \"{a\"}, tier: {column: t, zone: Asia/Shanghai}}"
            )
            + &faults("into: campaigns")
            + &faults("")
    );
}

#[test]
fn the_shipped_mappings_read_rows_of_their_files() {
    let email = shipped("email-campaign");
    let header = [
        "recency",
        "history_segment",
        "history",
        "mens",
        "womens",
        "zip_code",
        "newbie",
        "channel",
        "segment",
        "visit",
        "conversion",
        "spend",
    ];
    let texts = [
        "6",
        "3) $200 - $350",
        "329.08",
        "1",
        "1",
        "Rural",
        "1",
        "Web",
        "No E-Mail",
        "1",
        "1",
        "29.99",
    ];
    let row = email.mappings["campaign"]
        .row(2, &header, &cells(&texts))
        .unwrap();
    let MappedRow::Campaign {
        id,
        attributes,
        action,
        outcomes,
        ..
    } = row
    else {
        panic!()
    };
    assert_eq!(
        (id.as_str(), action.as_deref()),
        ("hillstrom-2", Some("no_email"))
    );
    assert!(attributes.contains(&("history".into(), Value::Int(32_908))));
    assert!(attributes.contains(&("zip_code".into(), Value::text("rural"))));
    assert_eq!(attributes.len(), 8);
    assert_eq!(outcomes.len(), 1);
    assert!(
        outcomes[0]
            .properties
            .contains(&("spent".to_owned(), Value::Int(2_999)))
    );
    assert!(
        outcomes[0]
            .properties
            .contains(&("visited".to_owned(), Value::Bool(true)))
    );
    let bank = shipped("bank-telemarketing");
    let header = [
        "age",
        "job",
        "marital",
        "education",
        "default",
        "housing",
        "loan",
        "contact",
        "month",
        "day_of_week",
        "duration",
        "campaign",
        "pdays",
        "previous",
        "poutcome",
        "emp.var.rate",
        "cons.price.idx",
        "cons.conf.idx",
        "euribor3m",
        "nr.employed",
        "y",
    ];
    let texts = [
        "57",
        "services",
        "married",
        "high.school",
        "unknown",
        "no",
        "no",
        "telephone",
        "may",
        "mon",
        "149",
        "1",
        "999",
        "0",
        "nonexistent",
        "1.1",
        "93.994",
        "-36.4",
        "4.857",
        "5191",
        "no",
    ];
    let row = bank.mappings["campaign"]
        .row(1, &header, &cells(&texts))
        .unwrap();
    let MappedRow::Campaign {
        attributes,
        request,
        action,
        outcomes,
        ..
    } = row
    else {
        panic!()
    };
    assert_eq!(action.as_deref(), Some("call"));
    let names: Vec<&str> = attributes.iter().map(|(n, _)| n.as_str()).collect();
    assert!(
        !names.contains(&"pdays") && !names.contains(&"default"),
        "{names:?}"
    );
    assert!(request.contains(&("emp_var_rate".into(), Value::Number(1.1))));
    assert_eq!(request.len(), 8);
    assert_eq!(
        outcomes[0].properties,
        [
            ("duration".to_owned(), Value::Int(149_000_000)),
            ("subscribed".to_owned(), Value::Bool(false))
        ]
    );
    for name in SHIPPED {
        for m in shipped(name).mappings.values() {
            assert!(!m.columns().is_empty());
        }
    }
}

#[test]
fn a_format_must_give_a_day() {
    let with = |format: &str| {
        faults(&format!(
            "into: events\nevent: order\nid: c\noccurred_at: {{column: d, format: \"{format}\"}}\nfields: {{amount: a}}"
        ))
    };
    for right in [
        "%Y-%m-%d %H:%M",
        "%d.%m.%y",
        "%m/%d/%Y %I:%M %p",
        "%s",
        "%Y%m%d",
        "%Y-%m-%dT%H:%M:%S%z",
        "%b %d, %Y",
    ] {
        assert_eq!(with(right), "", "{right}");
    }
    for (wrong, why) in [
        (
            "%Q",
            "m.yaml:4:34: out_of_range: `%Q` cannot be read as a time; ",
        ),
        ("%H:%M", "it gives no year, month and day"),
        ("%Y-%m", "it gives no year, month and day"),
        ("%Y-%m-%d %!", "a directive in it is not known"),
        ("yyyy-MM-dd", "it gives no year, month and day"),
    ] {
        let said = with(wrong);
        assert!(said.contains(why), "{wrong}: {said}");
    }
}

#[test]
fn words_of_other_systems_have_a_near_one() {
    let said = faults("into: customers\nid: c\nfile: {encoding: utf8x, format: json}\nfields: {}");
    assert!(said.contains("`utf8x`; did you mean `utf-8`?"), "{said}");
    assert!(said.contains("`json`; did you mean `jsonl`?"), "{said}");
    let said = faults("into: customers\nid: c\nfile: {encoding: gbk}\nfields: {}");
    assert!(said.contains("did you mean `gb18030`?"), "{said}");
    let said = faults("into: customers\nid: c\nfile: {encoding: zip}\nfields: {}");
    assert!(
        said.contains("write one of `auto`, `utf-8`, `gb18030`"),
        "{said}"
    );
}
