//! Faults: a deliberately broken pack tells everything at once, each fault at its place.

use crate::support::{compile, faults, lines};

#[test]
fn a_broken_pack_tells_everything_at_once() {
    let files = [
        ("scene.yaml", include_str!("broken/scene.yaml")),
        ("tags/tags.yaml", include_str!("broken/tags.yaml")),
        ("policies.yaml", include_str!("broken/policies.yaml")),
        (
            "mappings/customers.yaml",
            include_str!("broken/mapping.yaml"),
        ),
    ];
    let files = files.map(|(p, t)| (p.to_owned(), t.to_owned())).to_vec();
    let found = luopan_scene::compile(files).unwrap_err();
    insta::assert_snapshot!("broken_pack", lines(&found));
}

#[test]
fn a_file_that_cannot_be_read_is_told_of_alone() {
    insta::assert_snapshot!(faults(
        "scene: a\nevents: [\n  x: 1\ntags: {t: {event: nowhere, aggregate: count}}"
    ));
}

#[test]
fn an_empty_pack_names_what_is_missing() {
    insta::assert_snapshot!(faults(""));
    insta::assert_snapshot!(faults("- a\n- b\n"));
}

#[test]
fn limits_are_named() {
    let many: String = (0..1100)
        .map(|i| format!("  t{i}: {{event: e, aggregate: count}}\n"))
        .collect();
    let text = format!("scene: a\nevents: {{e: {{}}}}\ntags:\n{many}");
    assert!(
        faults(&text).contains("limit: the scene has 1100 tags and attributes; write at most 1024")
    );
    let files: Vec<(String, String)> = (0..1001)
        .map(|i| (format!("f{i}.yaml"), String::new()))
        .collect();
    let found = luopan_scene::compile(files).unwrap_err();
    assert!(lines(&found).contains("the pack has 1001 files"));
    let big = format!("scene: a\ndescription: {}\n", "x".repeat(1 << 20));
    assert!(faults(&big).contains("limit: the file has"));
}

#[test]
fn a_fault_is_said_once_and_not_for_what_follows_from_it() {
    // The field is broken; tags, filters and rules over it say nothing more.
    let text = "scene: a\nevents: {e: {fields: {x: integr, y: integer}}}\n\
                tags: {sum_x: {event: e, aggregate: sum, of: x}, n: {event: e, aggregate: count, where: x > y}}\n\
                derived: {twice: sum_x * 2}\nsegments: {s: twice > 4 && n > 1}";
    let found = compile(text).unwrap_err();
    assert_eq!(found.len(), 1, "{}", lines(&found));
    assert_eq!(found[0].nearest.as_deref(), Some("integer"));
}
