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
    check("i == null", "6: there is no null; ask `known(x)`");
    check("i == 1u", "6: write the number without `u`");
    check(
        "s[0] == \"a\"",
        "1: indexing with `[ ]` is not part of the subset",
    );
    check("lenght(s) > 1", "1: there is no function `lenght`");
    check("starsWith(s, \"a\")", "1: did you mean `startsWith`?");
    check("i > ", "5: expression_syntax");
    check("i >> 1", "4: expression_syntax");
    check("", "1: expression_syntax");
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
    check("name == \"x\"", "1: it is personal");
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
