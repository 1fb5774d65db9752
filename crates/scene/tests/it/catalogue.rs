//! Measures of catalogues, and the steps of mappings that bring products in.

use luopan_kernel::value::Value;
use luopan_scene::mapping::Mapping;
use luopan_scene::{MappedRow, compile, mapping};

fn faults(measures: &str) -> String {
    let yaml = format!(
        "scene: x\ncatalogues:\n  funds:\n    attributes: {{kind: text, fee: number}}\n    measures:\n      attributes:\n{measures}"
    );
    match compile(vec![("scene.yaml".into(), yaml)]) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|f| format!("{f}\n")).collect(),
    }
}

#[test]
fn measures_that_mean_nothing_are_faults() {
    for (measures, words) in [
        (
            "        a: {measure: volatility, window: 6m}",
            "nothing is annualised under a year",
        ),
        (
            "        a: {measure: return}",
            "the measure `a` without `window`",
        ),
        (
            "        a: {measure: return, window: fortnight}",
            "`fortnight` is no window",
        ),
        (
            "        a: {measure: nav, window: 1y}",
            "`window` of a measure `nav`",
        ),
        (
            "        fee: {measure: nav}",
            "`fee` is declared as an attribute too",
        ),
        (
            "        a: {measure: rank, of: fee}",
            "ranks without the day of the newest NAV",
        ),
        (
            "        n: {measure: nav_at}\n        a: {measure: rank, of: kind}",
            "only numbers have a rank",
        ),
        ("        a: {measure: retrun, window: 1y}", "retrun"),
        ("      peer_group: fee", "`fee` is no text attribute"),
    ] {
        let found = faults(measures);
        assert!(found.contains(words), "{measures}: {found}");
    }
    let right = "        n: {measure: nav_at}\n        r: {measure: return, window: 1y}\n        a: {measure: quantile, of: r}";
    assert_eq!(faults(right), "");
}

fn checked(text: &str) -> Result<Mapping, String> {
    let yaml = "scene: x\ncatalogues:\n  funds:\n    attributes: {name: text, risk: integer, fee: number, generated: text}\n    measures: {attributes: {nav: {measure: nav}}}\n  bare: {attributes: {risk: integer}}\n";
    let plan = compile(vec![("scene.yaml".into(), yaml.into())])
        .unwrap_or_else(|f| panic!("{f:?}"))
        .plan;
    mapping::parse("m.yaml", text, &plan)
        .map_err(|faults| faults.iter().map(|f| format!("{f}\n")).collect())
}

fn row(mapping: &Mapping, header: &[&str], cells: &[&str]) -> Result<MappedRow, String> {
    let cells: Vec<Value<'_>> = cells.iter().map(|c| Value::text(*c)).collect();
    let bound = mapping.bind(header).map_err(|f| format!("{f:?}"))?;
    let bound = bound.of_file("161725_2023");
    bound.row(1, &cells).map_err(|f| f.to_string())
}

#[test]
fn codes_are_filled_with_zeros_and_made_up_values_are_marked() {
    let m = checked("into: products\ncatalogue: funds\nid: {column: c, prefix: J, pad: 6}\ngenerated: [risk]\nfields: {risk: {column: k, map: {bond: \"2\", other: ~}}, fee: {column: f, unit: percent}}").unwrap();
    for (code, key) in [
        ("J000001", "000001"),
        ("1", "000001"),
        ("000001", "000001"),
        (" 17 ", "000017"),
    ] {
        let MappedRow::Product { item, .. } =
            row(&m, &["c", "k", "f"], &[code, "bond", "0.15%"]).unwrap()
        else {
            panic!("no product");
        };
        assert_eq!(item.key, key);
        assert_eq!(
            item.values[1..4],
            [Value::Int(2), Value::Number(0.0015), Value::text("risk")]
        );
    }
    // What is not made up in a row is not marked in it.
    let MappedRow::Product { item, .. } = row(&m, &["c", "k", "f"], &["1", "other", ""]).unwrap()
    else {
        panic!("no product");
    };
    assert_eq!(
        item.values[1..4],
        [Value::Missing, Value::Missing, Value::Missing]
    );
    for bad in ["1234567", "A1", "1.5"] {
        let words = row(&m, &["c", "k", "f"], &[bad, "bond", ""]).unwrap_err();
        assert!(
            words.contains("write a code of at most 6 digits"),
            "{words}"
        );
    }
    let faults =
        checked("into: products\ncatalogue: bare\nid: c\ngenerated: [risk]\nfields: {risk: r}")
            .unwrap_err();
    assert!(
        faults.contains("no attribute `generated` to mark them by"),
        "{faults}"
    );
    let faults = checked("into: products\ncatalogue: funds\nid: c\nfields: {nav: n}").unwrap_err();
    assert!(faults.contains("nav"), "{faults}");
}

#[test]
fn a_nav_takes_its_code_from_the_name_of_its_file_and_keeps_its_day() {
    let m = checked("into: navs\ncatalogue: funds\nid: {template: \"{file:6}\"}\nfields: {day: {column: d, format: \"%Y-%m-%d\"}, nav: n}").unwrap();
    let MappedRow::Happened { key, values, .. } =
        row(&m, &["d", "n"], &["2026-01-05", "1.25"]).unwrap()
    else {
        panic!("no NAV");
    };
    assert_eq!(key, "161725");
    let Value::Time(day) = &values[0].1 else {
        panic!("no day")
    };
    assert_eq!(day.0 % luopan_kernel::time::DAY_US, 0);
    assert_eq!(values[1], ("nav".to_owned(), Value::Number(1.25)));
    let faults = checked("into: navs\ncatalogue: funds\nid: c\nfields: {day: d}").unwrap_err();
    assert!(
        faults.contains("the required `nav` is not mapped"),
        "{faults}"
    );
}
