//! Orders: what is declared, what becomes readable where, and what is told of them when they are wrong.

use crate::support::{compile, faults, lines, shipped};
use luopan_kernel::plan::{Join, OrderStep, SlotSource};
use luopan_scene::changes;

/// A shop with orders; `orders`, `more` and `policy` stand where their names say.
fn shop(orders: &str, more: &str, policy: &str) -> String {
    format!(
        r#"
scene: shop
events:
  placed:
    fields:
      order_no: text
      fund: text
      way: {{type: text, one_of: [buy, redeem]}}
      word: text
      fen: {{type: money, currency: CNY}}
      cents: {{type: money, currency: USD}}
      parts: number
      decision_id: text
      count: integer
  done:
    fields:
      order_no: text
      fen: {{type: money, currency: CNY}}
      parts: number
      price: number
calendars:
  sse: {{from: 2026-01-01, to: 2026-12-31, weekdays: [1, 2, 3, 4, 5], utc_offset: "+08:00", cutoff: "15:00"}}
  days: {{from: 2026-01-01, to: 2026-12-31, weekdays: [1, 2, 3, 4, 5]}}
catalogues:
  funds:
    attributes: {{price: number, fees: text, risk: integer}}
    items: {{a: {{price: 1.5, fees: "7d 1.5%", risk: 2}}}}
  articles:
    attributes: {{words: integer}}
    items: {{b: {{words: 5}}}}
orders:
  funds:
{orders}
policies:
  p:
    catalogue: funds
    channel: app
    score: {policy}
    exploration: greedy
    null_action: {{name: nothing}}
{more}
"#
    )
}

const ORDERS: &str = "    calendar: sse
    nav: price
    redemption_fees: fees
    fee_ladder: \"30d 0.5%\"
    submitted: {event: placed, order: order_no, item: fund, side: way, amount: fen, shares: parts, decision: decision_id}
    confirmed: {event: done, order: order_no, amount: fen, shares: parts, nav: price}";

#[test]
fn the_life_of_an_order_is_declared_by_names() {
    let plan = compile(&shop(
        ORDERS,
        "rewards: {bought: {event: done, join: {order: order_no}, value: \"true\", window: 7d}}
segments: {holders: 'book.funds.holdings > 0 && book.funds.net_subscription >= money(\"10\", \"CNY\")'}
derived: {lately: 'book.funds.since_last_buy < duration(\"3d\")', share: 'double(book.funds.cost) / 100.0'}",
        "'held.stage == \"held\" && held.days > 7 ? held.shares * item.price : double(held.value - held.cost)'",
    ))
    .unwrap_or_else(|f| panic!("{}", lines(&f)))
    .plan;
    let [orders] = plan.orders.as_slice() else {
        panic!("one catalogue has orders")
    };
    assert_eq!(
        (
            orders.catalogue,
            orders.currency.as_str(),
            orders.minor_digits
        ),
        (0, "CNY", 2)
    );
    assert_eq!((orders.calendar, orders.utc_offset_s), (Some(0), 28_800));
    assert_eq!((orders.nav, orders.fee_attribute), (Some(0), Some(1)));
    assert_eq!(
        (orders.fees[0].under_days, orders.fees[0].rate_ppm),
        (30, 5_000)
    );
    let steps: Vec<OrderStep> = orders.events.iter().map(|e| e.step).collect();
    assert_eq!(steps, [OrderStep::Submitted, OrderStep::Confirmed]);
    let placed = plan.event("placed").unwrap();
    let name = |i: Option<u16>| placed.fields[usize::from(i.unwrap())].name.as_str();
    let first = &orders.events[0];
    assert_eq!(
        [
            name(first.item),
            name(first.side),
            name(first.amount),
            name(first.decision)
        ],
        ["fund", "way", "fen", "decision_id"]
    );
    assert_eq!(
        plan.rewards[0].join,
        Join::Order(plan.event("done").unwrap().field("order_no").unwrap() as u16)
    );
    let held = plan
        .slots
        .iter()
        .filter(|s| matches!(s.source, SlotSource::Held(0, _)));
    assert!(held.count() == 8 && plan.slot("book.funds.anomalies").is_some());
}

#[test]
fn what_is_held_is_read_where_the_item_is() {
    let with = |more: &str, score: &str| faults(&shop(ORDERS, more, score));
    for (more, score, wanted) in [
        (
            "segments: {s: held.shares > 0.0}",
            "1",
            "suitability, exclusions, scores and costs",
        ),
        (
            "  q: {like: p, eligibility: [{name: e, rule: held.shares > 0.0}]}",
            "1",
            "suitability, exclusions, scores and costs",
        ),
        (
            "segments: {s: 'book.funds.since_last_buy > duration(\"3d\")'}",
            "1",
            "changes with every moment",
        ),
        (
            "derived: {late: 'book.funds.since_first_buy > duration(\"3d\")'}\nsegments: {s: late}",
            "1",
            "tags only",
        ),
        ("", "held.stage == \"gone\" ? 1 : 0", "gone"),
        ("", "held.sharse", "held.shares"),
        ("", "book.funds.cots", "book.funds.cost"),
        ("", "held.cost > money(\"1\", \"USD\") ? 1 : 0", "USD"),
    ] {
        let found = with(more, &format!("'{score}'"));
        assert!(
            found.contains(wanted) && found.lines().count() == 1,
            "{more} {score}: {found}"
        );
    }
    // Articles have no orders, so nothing is held of them.
    let other = shop(
        ORDERS,
        "  q: {catalogue: articles, channel: app, score: held.shares, exploration: greedy, null_action: {name: n}}",
        "1",
    );
    let found = faults(&other);
    assert!(
        found.contains("held.shares") && found.lines().count() == 1,
        "{found}"
    );
    // Nor has a model that has weights for each item a use for what differs by item.
    let per_item = "rewards: {r: {event: done, join: customer, value: \"1\", window: 1d}}
models: {m: {kind: linear, scope: per_item, reward: r, catalogue: funds, features: [{bins: held.days, edges: [7]}]}}";
    assert!(with(per_item, "1").contains("weights for each item"));
}

#[test]
fn wrong_orders_are_told_where_they_stand() {
    let submitted = "    submitted: {event: placed, order: order_no, item: fund, side: way, amount: fen, shares: parts}";
    let confirmed = "    confirmed: {event: done, order: order_no, amount: fen, shares: parts}";
    let both = |a: &str, b: &str| faults(&shop(&format!("{a}\n{b}"), "", "1"));
    assert_eq!(both(submitted, confirmed), "");
    let changed = |from: &str, to: &str| both(&submitted.replace(from, to), confirmed);
    for (found, wanted) in [
        (changed("event: placed", "event: placd"), "placed"),
        (changed("order: order_no, ", ""), "has no `order`"),
        (
            changed("order: order_no", "order: count"),
            "`count` is integer",
        ),
        (changed("item: fund, ", ""), "its `item`"),
        (changed("shares: parts", "shares: fen"), "`fen` is money"),
        (changed(", shares: parts", ""), "its `shares`"),
        (changed("side: way", "side: word"), "one_of: [buy, redeem]"),
        (changed("amount: fen", "amount: cents"), "one currency"),
        (changed("amount: fen", "amuont: fen"), "amount"),
        (
            both(submitted, &confirmed.replace(", shares: parts", "")),
            "its `shares`",
        ),
        (both(submitted, ""), "has no `confirmed`"),
        (
            both(submitted, &format!("{confirmed}\n    calendar: sze")),
            "sse",
        ),
        (
            both(submitted, &format!("{confirmed}\n    calendar: days")),
            "no order line",
        ),
        (
            both(
                submitted,
                &format!("{confirmed}\n    calendar: sse\n    utc_offset: \"+08:00\""),
            ),
            "leave `utc_offset` out",
        ),
        (
            both(
                submitted,
                &format!("{confirmed}\n    utc_offset: Asia/Shanghai"),
            ),
            "fixed offset",
        ),
        (
            both(submitted, &format!("{confirmed}\n    nav: risk")),
            "`risk` is integer",
        ),
        (
            both(submitted, &format!("{confirmed}\n    nav: prices")),
            "price",
        ),
        (
            both(
                submitted,
                &format!("{confirmed}\n    fee_ladder: \"30d 1%, 7d 2%\""),
            ),
            "ascending",
        ),
    ] {
        assert!(
            found.contains(wanted) && found.lines().count() == 1,
            "{wanted}: {found}"
        );
    }
    // What reads the book of orders that are wrong is not told of as well.
    let broken = shop(
        &format!("{}\n{confirmed}", submitted.replace("placed", "plced")),
        "segments: {s: book.funds.holdings > 0}",
        "held.shares",
    );
    assert_eq!(faults(&broken).lines().count(), 1, "{}", faults(&broken));
    let ladder = shop(ORDERS, "", "1").replace("7d 1.5%", "a week 1.5%");
    assert!(
        faults(&ladder).contains("the item `a` has the fees"),
        "{}",
        faults(&ladder)
    );
    let nowhere = shop(ORDERS, "", "1").replace("orders:\n  funds:", "orders:\n  fund:");
    assert!(
        faults(&nowhere).contains("did you mean `funds`"),
        "{}",
        faults(&nowhere)
    );
    let alone = "scene: a\nevents: {done: {fields: {order_no: text}}}\nrewards: {r: {event: done, join: {order: order_no}, value: \"1\", window: 1d}}";
    assert!(
        faults(alone).contains("no orders that would know"),
        "{}",
        faults(alone)
    );
}

#[test]
fn a_change_of_orders_says_what_it_means() {
    let plan = |text: &str| {
        compile(text)
            .unwrap_or_else(|f| panic!("{}", lines(&f)))
            .plan
    };
    let before = plan(&shop(ORDERS, "", "1"));
    let told = |after: &str| -> Vec<String> {
        (changes(&before, &plan(after)).iter())
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(told(&shop(ORDERS, "", "1")), Vec::<String>::new());
    let refolded = told(&shop(&ORDERS.replace("side: way, ", ""), "", "1"));
    assert!(
        refolded
            .iter()
            .any(|t| t.contains("orders of `funds`") && t.contains("anew")),
        "{refolded:?}"
    );
    let valued = told(&shop(&ORDERS.replace("    nav: price\n", ""), "", "1"));
    assert!(
        valued
            .iter()
            .any(|t| t.contains("orders of `funds`") && t.contains("valued")),
        "{valued:?}"
    );
}

#[test]
fn the_fund_shop_follows_its_orders() {
    let plan = shipped("fund").plan;
    let orders = &plan.orders[0];
    assert_eq!(orders.events.len(), OrderStep::ALL.len());
    let confirmed = plan.rewards.iter().find(|r| r.name == "confirmed").unwrap();
    assert!(matches!(confirmed.join, Join::Order(_)));
    // What senders told before there were orders still fits.
    let required = |event: &str| -> Vec<String> {
        let fields = &plan.event(event).unwrap().fields;
        fields
            .iter()
            .filter(|f| f.required)
            .map(|f| f.name.clone())
            .collect()
    };
    assert_eq!(required("order_submitted"), ["item"]);
    assert_eq!(required("order_confirmed"), ["item"]);
}

#[test]
fn days_of_an_order_are_declared_over_the_item_and_have_names_of_their_own() {
    let with = |more: &str, policy: &str| shop(&format!("{ORDERS}\n{more}"), "", policy);
    let plan = compile(&with(
        "    confirms_after: 'item.risk > 4 ? 2 : 1'\n    earns_after: 1",
        "'known(held.confirmation_day) && held.earning_day > env.now ? held.redeemable : 0.0'",
    ))
    .unwrap_or_else(|f| panic!("{}", lines(&f)))
    .plan;
    assert!(plan.orders[0].confirms_after.is_some() && plan.orders[0].tells_further());
    // Books that are folded do not depend on it: what was folded before stays.
    let bare = compile(&with("", "held.shares")).unwrap().plan;
    assert_eq!(bare.orders[0].id, plan.orders[0].id);
    assert!(bare.slot("held.order_day").is_some() && bare.slot("held.redeemable").is_none());
    assert!(bare.encode().windows(14).all(|w| w != b"confirms_after"));
    let fast = with("", "held.fast_today")
        .replace(
            "      count: integer\n",
            "      count: integer\n      quick: boolean\n",
        )
        .replace(
            "decision: decision_id}",
            "decision: decision_id, fast: quick}",
        );
    let fast = compile(&fast)
        .unwrap_or_else(|f| panic!("{}", lines(&f)))
        .plan;
    // What is redeemed fast is folded: another definition.
    assert_ne!(fast.orders[0].id, bare.orders[0].id);

    let told = |pack: &str, wanted: &str| {
        let found = faults(pack);
        assert!(found.contains(wanted), "{found}");
    };
    told(
        &with("    confirms_after: held.days", "held.shares"),
        "there are",
    );
    told(
        &with("    confirms_after: env.hour", "held.shares"),
        "`env.hour` cannot be read here; days of an order depend on the item alone",
    );
    told(
        &with("    confirms_after: item.price", "held.shares"),
        "this gives number, and days are whole; write a whole number of trading days",
    );
    told(&with("", "held.redeemable"), "`held.redeemable`");
    let wrong = with("", "held.shares").replace(
        "decision: decision_id}",
        "decision: decision_id, fast: word}",
    );
    told(&wrong, "`fast` is a field of type boolean");
    let late = ORDERS.replace("nav: price}", "nav: price, fast: quick}");
    let late = shop(&late, "", "held.shares").replace(
        "      price: number\ncal",
        "      price: number\n      quick: boolean\ncal",
    );
    told(
        &late,
        "`confirmed` does not say whether an order is fast; write `fast` under `submitted`",
    );
}
