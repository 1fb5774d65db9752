//! Faults: a deliberately broken pack tells everything at once, each fault at its place.

use crate::support::{compile, faults, lines};
use luopan_scene::{Code, load_folder};
use std::path::Path;

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

/// The places and kinds of a pack's faults, `line:code` each.
#[track_caller]
fn only(text: &str, wanted: &[&str]) -> String {
    let found = compile(text).map_or_else(|f| f, |_| Vec::new());
    let places: Vec<String> = found
        .iter()
        .map(|f| format!("{}:{}", f.line, f.code.word()))
        .collect();
    assert_eq!(places, wanted, "{}", lines(&found));
    lines(&found)
}

#[test]
fn what_is_declared_wrongly_is_declared_all_the_same() {
    let mapped = |scene: &str, mapping: &str| {
        let files = [("scene.yaml", scene), ("mappings/m.yaml", mapping)];
        let files = files.map(|(p, t)| (p.to_owned(), t.to_owned())).to_vec();
        lines(&luopan_scene::compile(files).unwrap_err())
    };
    // An attribute, named by a mapping and by a rule, and near to what was mistyped.
    let found = mapped(
        "scene: a\ncustomer: {recency: integr, age: integer}\nsegments: {s: recency > 1, t: recncy > 1}",
        "into: customers\nid: c\nfields: {recency: r, recncy: r}",
    );
    assert_eq!(found.lines().count(), 3, "{found}");
    assert_eq!(
        found.matches("did you mean `recency`?").count(),
        2,
        "{found}"
    );
    // A policy that a mapping names, an event type of whose fields nothing is known, a request field.
    let found = mapped(
        "scene: a\nrequest: {page: txt}\nevents: {visit: {feilds: {x: text}}}\ncatalogues: {c: {}}\n\
         policies:\n  p: {catalogue: c, channel: app, score: '1', exploration: greedi, null_action: {name: n}}",
        "into: campaign\npolicy: p\nrequest: {page: g}\noutcomes: [{event: visit, fields: {x: y}}]",
    );
    assert_eq!(found.lines().count(), 3, "{found}");
    let tag = "tags: {since_visit: {event: visit, aggregate: recensy}}\nsegments: {s: 'since_vist > duration(\"1d\")'}";
    let found = only(
        &format!("scene: a\nevents: {{visit: {{}}}}\n{tag}"),
        &["3:out_of_range", "4:unknown_name"],
    );
    assert!(found.contains("did you mean `since_visit`?"), "{found}");
}

#[test]
fn a_mistyped_key_or_section_is_one_fault() {
    only(
        "scene: a\nevnts: {e: {fields: {x: integer}}}\ntags: {t: {evnt: e, aggregate: count}, u: {event: e, aggregate: sum, fo: x}}",
        &["2:unknown_key", "3:unknown_key", "3:unknown_key"],
    );
    // What stands in it is still looked at.
    only(
        "scene: a\ncustmer: {x: integr}\nsegments: {s: x > 1 && y > 1}",
        &["2:unknown_key", "2:out_of_range", "3:unknown_name"],
    );
    only(
        "scene: a\ncustomer: [x]\nsegments: {s: x > 1}",
        &["2:wrong_type"],
    );
    let long = format!(
        "scene: a\nsegments: {{s: '{}true'}}",
        "true && ".repeat(600)
    );
    only(&long, &["2:limit"]);
}

#[test]
fn what_stands_behind_an_unknown_name_is_looked_at() {
    let found = only(
        "scene: a\ncatalogues: {c: {}}\nrewards:\n  r:\n    event: nowhere\n    join: custmer\n    value: '\"yes\"'\n    window: 7d\n\
         tags:\n  t: {event: nowhere, aggregate: count, window: 365d, where: x = 1}\n\
         policies:\n  p:\n    catalogue: d\n    channel: app\n    score: '\"a\"'\n    exploration: greedy\n    null_action: {name: n}\n    \
         suitability: [{name: s, rule: item.x > 1 && foo}]\n",
        &[
            "5:unknown_name",
            "6:out_of_range",
            "7:expression_type",
            "10:unknown_name",
            "10:missing_key",
            "10:expression_syntax",
            "13:unknown_name",
            "15:expression_type",
            "18:unknown_name",
        ],
    );
    assert!(found.contains("no tag is called `foo`"), "{found}");
}

#[test]
fn a_policy_tells_its_own_faults_once() {
    let pack = |policies: &str| {
        format!(
            "scene: a\nevents: {{e: {{}}}}\ncatalogues: {{c: {{}}}}\n\
             rewards: {{r: {{event: e, join: customer, value: '1', window: 1d}}}}\n\
             models: {{m: {{kind: logistic, scope: shared, reward: r, catalogue: c, features: [intercept]}}}}\n\
             budgets: {{count: {{limit: 5, period: daily}}, usd: {{limit: {{amount: '5.00', currency: USD}}, period: daily}}}}\n\
             policies:\n{policies}"
        )
    };
    // The model's reward may be the one that is mistyped.
    only(
        &pack(
            "  p: {catalogue: c, channel: app, score: {model: m}, exploration: greedy, null_action: {name: n}, rewards: [s]}\n",
        ),
        &["8:unknown_name"],
    );
    // What the first leaves out is not missed again in those that are like it.
    only(
        &pack(
            "  p: {catalogue: c, channel: app, exploration: greedy, null_action: {name: n}}\n  q: {like: p}\n",
        ),
        &["8:missing_key"],
    );
    let cost = |budget: &str, cost: &str| {
        pack(&format!(
            "  p: {{catalogue: c, channel: app, score: '1', exploration: greedy, null_action: {{name: n}}, budgets: [{{budget: {budget}, cost: '{cost}'}}]}}\n"
        ))
    };
    compile(&cost("count", "2")).unwrap();
    compile(&cost("usd", "money(\"0.05\", \"USD\") * 2")).unwrap();
    let said = only(&cost("count", "-1"), &["8:out_of_range"]);
    assert!(said.contains("a cost below zero"), "{said}");
    only(
        &cost("usd", "money(\"-0.05\", \"USD\")"),
        &["8:out_of_range"],
    );
    let said = only(
        &cost("usd", "money(\"0.05\", \"USD\") * 0.5"),
        &["8:expression_type"],
    );
    assert!(
        said.contains("a part of the smallest unit of USD"),
        "{said}"
    );
    for amount in ["12.5", "\"12.5\"", "13"] {
        let said = only(&cost("usd", amount), &["8:expression_type"]);
        let bare = amount.trim_matches('"');
        assert!(
            said.contains(&format!(
                "write an amount such as `money(\"{bare}\", \"USD\")`"
            )),
            "{said}"
        );
    }
}

#[test]
fn values_that_never_come_are_faults() {
    let pack = |rule: &str, where_: &str| {
        format!(
            "scene: a\ncustomer: {{zip_code: {{type: text, one_of: [urban, rural]}}, free: text}}\n\
             events: {{e: {{fields: {{t: {{type: text, one_of: [x, y]}}}}}}}}\n\
             tags:\n  last_t: {{event: e, aggregate: last, of: t, default: none}}\n  n: {{event: e, aggregate: count, where: '{where_}'}}\n\
             \u{20} sent: {{event: luopan.decision, aggregate: count, where: 'channel == \"app\" && policy == \"p\"'}}\n\
             derived: {{wears: 'n > 1 ? \"mens\" : \"womens\"'}}\n\
             request: {{page: {{type: text, one_of: [home]}}}}\n\
             catalogues: {{c: {{attributes: {{kind: {{type: text, one_of: [bond]}}}}}}}}\n\
             policies:\n  p:\n    catalogue: c\n    channel: app\n    score: '1'\n    exploration: greedy\n    null_action: {{name: n}}\n    \
             suitability: [{{name: s, rule: '{rule}'}}]\n"
        )
    };
    for right in [
        "zip_code == \"rural\" && free == \"zzz\"",
        "last_t in [\"x\", \"none\"] && wears != \"mens\"",
        "zip_code.orElse(\"?\") == \"?\" && item.kind == \"bond\"",
        "item.key == \"imported\" && request.page == \"home\"",
    ] {
        assert_eq!(faults(&pack(right, "t == \"x\"")), "", "{right}");
    }
    for (wrong, near) in [
        ("zip_code == \"Rural\"", "did you mean `rural`?"),
        ("\"Urban\" != zip_code", "did you mean `urban`?"),
        ("last_t in [\"x\", \"z\"]", "`last_t` is never `z`"),
        ("wears == \"both\"", "it is one of `mens`, `womens`"),
        ("item.kind == \"bnod\"", "did you mean `bond`?"),
        ("request.page == \"hoem\"", "did you mean `home`?"),
    ] {
        let said = faults(&pack(wrong, "true"));
        assert!(
            said.contains("out_of_range") && said.contains(near),
            "{wrong}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let said = faults(&pack("true", "t == \"zzz\""));
    assert!(said.contains("`t` is never `zzz`"), "{said}");
    for (wrong, near) in [
        ("== \"app\"", "== \"fax\""),
        ("policy == \"p\"", "policy == \"q\""),
    ] {
        let said = faults(&pack("true", "true").replace(wrong, near));
        assert!(said.contains("is never"), "{said}");
    }
    let caps = "    caps: [{name: c, limit: 1, window: 1d, scope: {channel: appp}}]\n";
    let said = faults(&(pack("true", "true") + caps));
    assert!(
        said.contains("no policy has the channel `appp`; did you mean `app`?"),
        "{said}"
    );
    // A rule from outside is held to the same.
    let plan = compile(&pack("true", "true")).unwrap().plan;
    let said = luopan_scene::rule(
        &plan,
        luopan_scene::Place::Segment,
        "r",
        "zip_code == \"Rural\"",
    );
    assert_eq!(said.unwrap_err()[0].nearest.as_deref(), Some("rural"));
    // Categories of a feature are values too.
    let model = "\nrewards: {r: {event: e, join: customer, value: '1', window: 1d}}\n\
                 models: {m: {kind: logistic, scope: shared, reward: r, catalogue: c, features: [{one_hot: zip_code, categories: [Rural]}]}}\n";
    let said = faults(&(pack("true", "true") + model));
    assert!(said.contains("`zip_code` is never `Rural`"), "{said}");
    only(
        "scene: a\ncustomer: {x: {type: text, one_of: [1, true, a]}}\nsegments: {s: x == \"b\"}",
        &["2:wrong_type", "2:wrong_type"],
    );
}

#[test]
fn personal_fields_are_refused_where_they_stand() {
    let said = only(
        "scene: a\ncustomer:\n  name: {type: text, personal: true}\nevents: {e: {fields: {x: {type: text, personal: true}}}}",
        &["3:out_of_range", "4:out_of_range"],
    );
    assert!(
        said.contains("`name` is personal; this release cannot seal personal fields"),
        "{said}"
    );
}

#[test]
fn a_segment_or_event_is_not_a_tag() {
    let said = faults(
        "scene: a\ncustomer: {x: integer}\nevents: {visit: {}}\nsegments: {lapsing: x > 1, both: lapsing && x > 2, v: visit > 1}",
    );
    assert!(
        said.contains("`lapsing` cannot be read here; it is a segment"),
        "{said}"
    );
    assert!(
        said.contains("`visit` cannot be read here; it is a type of event"),
        "{said}"
    );
    let plan = compile("scene: a\ncustomer: {x: integer}\nsegments: {lapsing: x > 1}")
        .unwrap()
        .plan;
    let said = luopan_scene::rule(&plan, luopan_scene::Place::Segment, "r", "lapsing").unwrap_err();
    assert!(said[0].write.contains("it is a segment"), "{}", said[0]);
}

fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let pack = tempfile::tempdir().unwrap();
    write(
        pack.path(),
        "scene.yaml",
        "scene: a\nsegments: {s: unheard_of > 1 && 1 == \"a\"}\n",
    );
    write(
        pack.path(),
        "tags/latin.yaml",
        b"scene: b\ntags: {caf\xe9: x}\n",
    );
    write(pack.path(), "big.yml", format!("# {}", "x".repeat(1 << 20)));
    let loaded = load_folder(pack.path()).unwrap();
    let found = luopan_scene::compile(loaded).unwrap_err();
    let places: Vec<_> = (found.iter())
        .map(|f| (f.file.as_str(), f.line, f.column, f.code))
        .collect();
    assert_eq!(
        places,
        [
            ("big.yml", 1, 1, Code::Limit),
            ("scene.yaml", 2, 33, Code::ExpressionType),
            ("tags/latin.yaml", 2, 11, Code::Yaml),
        ],
        "{}",
        lines(&found)
    );
    // A mapping declares nothing: what the sections name is told.
    let pack = tempfile::tempdir().unwrap();
    write(
        pack.path(),
        "scene.yaml",
        "scene: a\nsegments: {s: unheard_of > 1}\n",
    );
    write(pack.path(), "mappings/m.yaml", b"\xff");
    let found = luopan_scene::compile(load_folder(pack.path()).unwrap()).unwrap_err();
    assert_eq!(found.len(), 2, "{}", lines(&found));
}

#[cfg(unix)]
#[test]
fn links_are_read_or_told_of() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    write(elsewhere.path(), "tags/t.yaml", "tags: {}\n");
    write(elsewhere.path(), "c.yaml", "customer: {x: integer}\n");
    let pack = tempfile::tempdir().unwrap();
    write(
        pack.path(),
        "scene.yaml",
        "scene: a\nsegments: {s: x > 1 && y > 1}\n",
    );
    symlink(elsewhere.path().join("tags"), pack.path().join("tags")).unwrap();
    symlink(elsewhere.path().join("c.yaml"), pack.path().join("c.yaml")).unwrap();
    symlink(
        elsewhere.path().join("gone.yaml"),
        pack.path().join("gone.yaml"),
    )
    .unwrap();
    let loaded = load_folder(pack.path()).unwrap();
    assert_eq!(loaded.files.len(), 2, "a link to a file is read");
    let found = lines(&luopan_scene::compile(loaded).unwrap_err());
    assert!(found.contains("tags:1:1: yaml: a symbolic link to a folder, which is not followed; put the folder itself there"), "{found}");
    assert!(
        found.contains("gone.yaml:1:1: yaml: a symbolic link that leads nowhere"),
        "{found}"
    );
    // `y` may be declared behind the link.
    assert_eq!(found.lines().count(), 2, "{found}");
}

#[test]
fn a_file_of_comments_alone_is_no_fault() {
    let files = [("a.yaml", "# nothing yet\n"), ("scene.yaml", "scene: a\n")];
    let files = files.map(|(p, t)| (p.to_owned(), t.to_owned())).to_vec();
    luopan_scene::compile(files).unwrap();
}
