//! The type check, a line a case: what compiles and what is refused with which words.

use crate::support::{EVERY_TYPE, compile};
use luopan_scene::Place;

const CATALOGUE: Place = Place::Item(0);

/// Compiles `source` as a condition; `wanted` is empty when it must pass, else what the first fault must say, with its
/// column before a colon.
#[track_caller]
fn check_at(place: Place, source: &str, wanted: &str) {
    let plan = compile(EVERY_TYPE).unwrap().plan;
    match (luopan_scene::rule(&plan, place, "rule", source), wanted) {
        (Ok(_), "") => {}
        (Ok(rule), _) => panic!("`{source}` compiled to {:?}", rule.expr),
        (Err(faults), _) => {
            let said = format!("{}: {}", faults[0].column, faults[0]);
            let (column, words) = wanted.split_once(": ").unwrap_or(("", wanted));
            assert!(
                !wanted.is_empty()
                    && said.contains(words)
                    && faults[0].column.to_string() == column,
                "`{source}`\n said   {said}\n wanted {wanted}"
            );
        }
    }
}

#[track_caller]
fn check(source: &str, wanted: &str) {
    check_at(CATALOGUE, source, wanted);
}

#[test]
fn what_fits() {
    for source in [
        "b",
        "!b && i > 1 || s == \"x\"",
        "i > 1.5",
        "n * 2 > i",
        "i in [1, 2, 3]",
        "n in [1, 2.5]",
        "i in [1, 2.5]",
        "s in [\"a\", '中文']",
        "s.startsWith(\"a\") || s.endsWith(\"b\") || s.contains(\"c\") || size(s) > 3 || s.size() > 3",
        "known(s) && s.orElse(\"x\") != \"y\"",
        "i.orElse(1.5) > n",
        "m > money(\"12.50\", \"CNY\")",
        "m * 2 > money(\"1\", \"CNY\")",
        "m * 0.5 > money(\"1\", \"CNY\")",
        "m / 3 <= m",
        "m / money(\"1\", \"CNY\") > 2.5",
        "mean_order > money(\"3\", \"CNY\") && mean_order < m",
        "double(m) / 100.0 > 12.5",
        "d > duration(\"1d12h\") && d * 2 < duration(\"30d\") && d / duration(\"1d\") > 1.5",
        "t + duration(\"1d\") > env.now && env.now - t < d",
        "t > timestamp(\"2026-01-01T00:00:00+08:00\")",
        "(i > 1 ? 1 : 2.5) > n",
        "min(i, n) < max(1, j) && abs(i - j) < 3 && min(m, mean_order) > m",
        "-i < 0 && -m < m && -9223372036854775807 < i",
        "i % 2 == 0 && i / 2 > 1",
        "env.hour >= 9 && !env.is_weekend && env.month == 11",
        "request.page == \"fund\"",
        "item.risk_level <= i && item.key != \"a\" && item.fee < m",
        "late",
        "true",
    ] {
        check(source, "");
    }
}

#[test]
fn what_does_not_fit() {
    check(
        "b == 1",
        "1: unlike things are compared: `b` is boolean and the constant is integer; a boolean is a condition by itself",
    );
    check(
        "i == \"1\"",
        "1: `i` is integer and the constant is text; write text in quotes, and numbers without",
    );
    check(
        "m > 12",
        "1: `m` is money in CNY and the constant is integer; write an amount as `money(\"12.50\", \"CNY\")`",
    );
    check(
        "m > usd",
        "1: amounts of different currencies are not comparable",
    );
    check("m + 1 > m", "1: money goes with money of the same currency");
    check("m * m > m", "1: money goes with money");
    check("d > 30", "1: write a length of time as `duration(\"30d\")`");
    check("t > \"2026-01-01\"", "1: write a time as `timestamp(");
    check("t + t > t", "1: times and lengths of time go together");
    check("n % 2 == 0", "1: `%` takes two integers");
    check("s + s == s", "1: numbers are needed here");
    check("b < b", "1: booleans have no order");
    check("i && b", "1: a condition is needed here");
    check("b || !s", "7: `s` is text");
    check("i", "1: this gives integer, and a condition is needed here");
    check("b ? i : s", "1: `? :` gives unlike things");
    check("i in [1, \"a\"]", "10: unlike things are compared");
    check("i in [j]", "7: a list holds constants only");
    check("i in s", "6: `in` needs a list written out");
    check("min(s, s) == s", "1: `min` does not fit");
    check("s.startsWith(1)", "1: both must be text");
    check("duration(\"30\") > d", "1: `30` has no unit");
    check(
        "money(\"1.005\", \"CNY\") > m",
        "1: more decimal places than the currency",
    );
    check("money(\"1\", \"RMB\") > m", "1: `RMB` is not a currency");
    check("timestamp(\"soon\") > t", "1: write a time with its offset");
    check(
        "known(i, j)",
        "1: `known` does not take 2 values; write `known(x)`",
    );
}

#[test]
fn what_is_not_in_the_subset() {
    check(
        "has(item.fee)",
        "1: expression_unsupported: the macro `has` is not part of the subset; write `known(item.fee)`",
    );
    check(
        "[1, 2].exists(x, x > 1)",
        "8: macros (all, exists, map, filter) are not part of the subset",
    );
    check("s.matches(\"a.*\")", "1: no regular expressions");
    check("{\"a\": 1}.a == 1", "1: expression_unsupported");
    check(
        "{\"a\": 1} == 1",
        "1: a map or message stands here by itself; choose from a map at once",
    );
    check("i == null", "6: there is no null; ask `known(x)`");
    check("i == 1u", "6: write the number without `u`");
    check("s[0] == \"a\"", "1: `[ ]` behind something that is no map");
    check("lenght(s) > 1", "1: there is no function `lenght`");
    check("starsWith(s, \"a\")", "1: did you mean `startsWith`?");
    check("i > ", "5: expression_syntax");
    check("i >> 1", "4: expression_syntax");
    check("", "1: expression_syntax");
}

/// Every fault's place and words for a text that the parser refuses: none of them the parser's own.
#[test]
fn slips_of_other_languages_are_answered() {
    let plan = compile(EVERY_TYPE).unwrap().plan;
    for (source, wanted) in [
        ("i = 5", &["3: a single `=`; write `==`"][..]),
        ("b & late", &["3: a single `&`; write `&&`"]),
        ("b &", &["3: a single `&`; write `&&`"]),
        ("b | late", &["3: a single `|`; write `||`"]),
        ("i = 5 & b | late", &["3: `==`", "7: `&&`", "11: `||`"]),
        ("i <> 5", &["3: `<>` is not an operator here; write `!=`"]),
        ("i => 5", &["3: write `>=`"]),
        ("i === 5", &["3: write `==`"]),
        ("i == 1 and not b", &["8: write `&&`", "12: write `!`"]),
        (
            "i == 1 OR b",
            &["8: `OR` is not a word of expressions; write `||`"],
        ),
        ("s not in [\"a\"]", &["3: write `!(x in"]),
        ("s in (\"a\", \"b\")", &["3: square brackets"]),
        ("i is null", &["3: `known(x)`"]),
        ("s like \"a%\"", &["3: x.startsWith"]),
        ("i between 1 and 3", &["3: `x >= 1 && x <= 9`", "13: `&&`"]),
        (
            "if b then 1 else 2",
            &["1: `condition ? value : other`", "6: ", "13: "],
        ),
        (
            "d > 30d",
            &["5: `30d` stands without quotes; write a length of time as `duration(\"30d\")`"],
        ),
        ("m > ¥500", &["5: money("]),
        ("n > 5%", &["6: write a share as a number"]),
        (
            "i ≥ 5",
            &["3: `≥` is not a sign of expressions; write `>=`"],
        ),
        ("（i > 5）", &["1: write `(`", "7: write `)`"]),
        ("s == “a”", &["6: write `\"`", "8: "]),
        ("i >\u{a0}5", &["4: a space of another kind"]),
        ("s == \"a", &["6: a quote `\"` that is not closed"]),
        ("(i > 5", &["1: a `(` that is not closed"]),
        ("i > 5)", &["6: a `)` that nothing opens"]),
        ("i > 5;", &["6: without `;`"]),
        ("s ~ \"a.*\"", &["3: no regular expressions"]),
        (
            "has(i)",
            &["1: the macro `has` is not part of the subset; write `known(i)`"],
        ),
        ("b && has(i)", &["6: write `known(i)`"]),
        (
            "i > 99999999999999999999",
            &["5: a number that cannot be kept"],
        ),
        (
            "s == \"a\\q\"",
            &["6: a text with an escape that is not known"],
        ),
        ("i 5", &["3: `5` does not belong here"]),
        ("i > ", &["5: it ends too soon"]),
        ("if > 3", &["1: "]),
        (
            "var > 3",
            &["1: `var` is a word that expressions keep for themselves"],
        ),
    ] {
        let faults = luopan_scene::rule(&plan, CATALOGUE, "rule", source).unwrap_err();
        let said: Vec<String> = faults
            .iter()
            .map(|f| format!("{}: {f}", f.column))
            .collect();
        assert_eq!(said.len(), wanted.len(), "`{source}`: {said:#?}");
        for (said, wanted) in said.iter().zip(wanted) {
            let (column, words) = wanted.split_once(": ").unwrap();
            assert!(
                said.starts_with(&format!("{column}: ")) && said.contains(words),
                "`{source}`\n said   {said}\n wanted {wanted}"
            );
            for leak in [
                "token recognition",
                "extraneous",
                "mismatched",
                "viable",
                "EOF",
                "macro`",
                "expecting",
            ] {
                assert!(!said.contains(leak), "`{source}` leaks: {said}");
            }
        }
    }
}

#[test]
fn words_of_other_languages_are_answered() {
    check(
        "b == True",
        "6: `True` is not a value of rules; write `true`",
    );
    check("b == yes", "6: write `true`");
    check("i == None", "6: there is no null; ask `known(x)`");
    check(
        "coalesce(i, 1) > 2",
        "1: there is no function `coalesce`; write `x.orElse(value)`",
    );
    check("len(s) > 1", "1: write `size(x)`");
    check("isNull(i)", "1: write `!known(x)`");
    check("not(b)", "1: write `!` before the condition");
    check("now() > t", "1: write `env.now`");
    check("count(i) > 1", "1: declare a tag with this aggregate");
    check("s == mens", "6: write text in quotes: `\"mens\"`");
    check("page == \"x\"", "1: did you mean `request.page`?");
    check("risk_level > 1", "1: did you mean `item.risk_level`?");
}

#[test]
fn names_and_places() {
    check(
        "late && request.pages == \"x\"",
        "9: no tag is called `request.pages`; did you mean `request.page`?",
    );
    check("\n\n  recency > 1", "3: no tag is called `recency`");
    check_at(
        Place::Customer,
        "item.risk_level > 1",
        "1: `item.risk_level` cannot be read here; the item is read in suitability",
    );
    check_at(
        Place::Segment,
        "env.hour > 1",
        "1: a segment is kept up to date by events and time alone",
    );
    check_at(
        Place::Segment,
        "late",
        "1: a segment is kept up to date by events and time alone",
    );
    check_at(
        Place::Segment,
        "since_order > duration(\"30d\") && i > 1",
        "",
    );
    check_at(
        Place::Segment,
        "since_order > d",
        "1: compares the time since something with more than a constant",
    );
    check_at(
        Place::Segment,
        "double(since_order) > 1.0",
        "8: a segment computes with the time since something",
    );
    // A plan that seals them would have personal attributes that are not tags.
    let mut plan = compile(EVERY_TYPE).unwrap().plan;
    let customer = plan
        .events
        .iter_mut()
        .find(|e| e.name == "luopan.customer")
        .unwrap();
    customer.fields[0].name = "name".into();
    customer.fields[0].personal = true;
    let faults = luopan_scene::rule(&plan, CATALOGUE, "rule", "name == \"x\"").unwrap_err();
    assert!(faults[0].write.contains("it is personal"), "{}", faults[0]);
}

#[test]
fn expressions_are_bounded() {
    let nested = format!("{}b{}", "(".repeat(70), ")".repeat(70));
    check(&nested, "1: limit: the expression is nested deeper than 64");
    let chain = vec!["i"; 70].join(" + ") + " > 1";
    check(&chain, "1: nested deeper than 64");
    let long = vec!["b"; 1100].join(" && ");
    check(&long, "1: limit");
    let huge = format!("s == \"{}\"", "x".repeat(5000));
    check(&huge, "1: limit: an expression of 5007 bytes");
    let wide = vec!["b"; 250].join(" && ");
    check(&wide, "");
    let wider = vec!["b"; 300].join(" && ");
    check(
        &wider,
        "1: limit: an expression of 599 names, values and signs; write at most 512",
    );
}
