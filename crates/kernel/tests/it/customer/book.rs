//! Orders and positions: every legal life of an order, every illegal step, books against an oracle that adds up, books of
//! linked identifiers, and the limits.

use super::fold::folded;
use super::world::{Act, field, identifier, scene};
use luopan_kernel::book::{
    Anomaly, BOOK_BYTES_MAX, Book, ENDED_KEPT, End, FAST_KEPT, HOLDINGS_MAX, LOTS_MAX,
    OPEN_ORDERS_MAX, Side, Stage, order_hash, positions, summary,
};
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::plan::*;
use luopan_kernel::profile::Profile;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::{NUMBER_QUANTA, Value, ValueType};
use proptest::prelude::*;

const ID: u64 = 4_711;
const DECISION: &str = "01920000-0000-7000-8000-0000000000aa";
/// A moment long after the start of other tests' events.
const START: i64 = 20_724 * DAY_US;

const FIELDS: [(&str, ValueType); 9] = [
    ("amount", ValueType::Money),
    ("decision_id", ValueType::Text),
    ("fee", ValueType::Money),
    ("item", ValueType::Text),
    ("nav", ValueType::Number),
    ("order_id", ValueType::Text),
    ("reason", ValueType::Text),
    ("shares", ValueType::Number),
    ("side", ValueType::Text),
];

fn event_name(step: OrderStep) -> &'static str {
    match step {
        OrderStep::Submitted => "order_submitted",
        OrderStep::Accepted => "order_accepted",
        OrderStep::Confirmed => "order_confirmed",
        OrderStep::Failed => "order_failed",
        OrderStep::Cancelled => "order_cancelled",
        OrderStep::Paid => "order_paid",
    }
}

/// Adds events of orders and a book over them, by the clock of Shanghai.
pub(crate) fn add_orders(scene: &mut ScenePlan) {
    for step in OrderStep::ALL {
        scene.events.push(EventSchema {
            name: event_name(step).to_owned(),
            fields: FIELDS.iter().map(|(n, k)| field(n, *k)).collect(),
        });
    }
    let first = (scene.events.len() - OrderStep::ALL.len()) as u16;
    let events = (OrderStep::ALL.into_iter().zip(first..))
        .map(|(step, event)| OrderEvent {
            step,
            event,
            order: 5,
            item: Some(3),
            side: Some(8),
            amount: Some(0),
            shares: Some(7),
            fee: Some(2),
            nav: Some(4),
            decision: Some(1),
            fast: None,
        })
        .collect();
    scene.orders.push(OrdersPlan {
        id: ID,
        catalogue: 0,
        currency: "CNY".to_owned(),
        minor_digits: 2,
        calendar: None,
        utc_offset_s: 28_800,
        events,
        nav: None,
        fee_attribute: None,
        fees: vec![],
        confirms_after: None,
        earns_after: None,
    });
}

/// As [`add_orders`], with a field that says which redemptions are fast.
pub(crate) fn add_fast_orders(scene: &mut ScenePlan) {
    add_orders(scene);
    for event in scene
        .events
        .iter_mut()
        .filter(|e| e.name == "order_submitted")
    {
        event.fields.push(field("fast", ValueType::Boolean));
    }
    scene.orders[0].events[0].fast = Some(9);
}

/// A fast redemption, of `amount` when it is told.
pub(crate) fn fast(hours: i64, order: &str, item: &'static str, amount: Option<i64>) -> Act {
    let mut act = redeem(hours, order, item, 1.0);
    (act.properties).extend(amount.map(|a| ("amount", Value::Int(a))));
    act.properties.push(("fast", Value::Bool(true)));
    act.properties.sort_by_key(|(n, _)| *n);
    act
}

fn fast_book_of(acts: &[Act]) -> Book {
    let mut scene = scene(vec![]);
    add_fast_orders(&mut scene);
    let plan = FoldPlan::new(&scene);
    folded(&plan, acts)[&9]
        .book(ID)
        .cloned()
        .unwrap_or_default()
}

/// What was redeemed fast of `item` on the day that is `days` after the first.
fn fast_on(book: &Book, item: &str, days: i64) -> Option<i128> {
    let found = positions(&[book]);
    found
        .get(item)
        .map_or(Some(0), |p| p.fast_on(20_724 + days))
}

#[test]
fn fast_redemptions_are_counted_by_their_day_until_they_fail() {
    // 08:00 of the first day by the clock of the orders; 16 hours later the next begins.
    let mut acts = vec![
        fast(0, "a", "cash", Some(600)),
        fast(15, "b", "cash", Some(400)),
        fast(15, "c", "other", Some(7)),
        fast(16, "d", "cash", Some(50)),
        // Neither a purchase nor an ordinary redemption counts.
        buy(16, "e", "cash", 5_000),
        redeem(16, "f", "cash", 3.0),
    ];
    let book = fast_book_of(&acts);
    let of = |book: &Book, days| (fast_on(book, "cash", days), fast_on(book, "other", days));
    assert_eq!(of(&book, 0), (Some(1_000), Some(7)));
    assert_eq!(of(&book, 1), (Some(50), Some(0)));
    assert_eq!(of(&book, 2), (Some(0), Some(0)));
    // Confirmed and paid it has used up the limit; failed or cancelled it has not. Told twice, it counts once.
    acts.extend([
        redeemed(17, "a", 600, 1.0),
        bare(OrderStep::Paid, 17, "a"),
        bare(OrderStep::Failed, 17, "b"),
        bare(OrderStep::Cancelled, 18, "d"),
        bare(OrderStep::Cancelled, 19, "d"),
        fast(20, "a", "cash", Some(600)),
        fast(20, "c", "other", Some(7)),
    ]);
    let book = fast_book_of(&acts);
    assert_eq!(of(&book, 0), (Some(600), Some(7)));
    assert_eq!(of(&book, 1), (Some(0), Some(0)));
    // Of which nobody said how much it was: from then on that day is not known, of this item.
    acts.push(fast(21, "g", "cash", None));
    let book = fast_book_of(&acts);
    assert_eq!(of(&book, 1), (None, Some(0)));
    // Two days later nothing of it is remembered.
    acts.push(fast(21 + 48, "h", "cash", Some(1)));
    let book = fast_book_of(&acts);
    assert_eq!((book.fast().len(), of(&book, 3)), (1, (Some(1), Some(0))));
    // Two identifiers of a customer share her limit.
    let both = positions(&[&book, &book]);
    assert_eq!(both["cash"].fast_on(20_727), Some(2));
}

#[test]
fn more_items_redeemed_fast_on_a_day_than_are_kept_make_the_day_unknown() {
    let items: Vec<&'static str> = (0..=FAST_KEPT)
        .map(|i| &*Box::leak(format!("i{i:02}").into_boxed_str()))
        .collect();
    let mut acts: Vec<Act> = (items.iter().enumerate())
        .map(|(i, item)| fast(1, &format!("o{i}"), item, Some(5)))
        .collect();
    let last = acts.pop().unwrap();
    let book = fast_book_of(&acts);
    assert_eq!(fast_on(&book, "i00", 0), Some(5));
    acts.push(last);
    let book = fast_book_of(&acts);
    assert_eq!(book.fast().len(), FAST_KEPT);
    assert_eq!(
        (fast_on(&book, "i00", 0), fast_on(&book, "i00", 1)),
        (None, Some(0))
    );
}

proptest! {
    #[test]
    fn fast_redemptions_add_up_and_are_stored_as_they_are(
        told in proptest::collection::vec((0usize..3, 0i64..60, 1i64..1_000, any::<bool>()), 0..40)
    ) {
        let items = ["one", "two", "three"];
        let mut told = told;
        told.sort_by_key(|t| t.1);
        let mut acts = Vec::new();
        for (i, (item, hours, amount, stops)) in told.iter().enumerate() {
            let order = format!("o{i}");
            acts.push(fast(*hours, &order, items[*item], Some(*amount)));
            if *stops {
                acts.push(bare(OrderStep::Failed, *hours, &order));
            }
        }
        let mut scene = scene(vec![]);
        add_fast_orders(&mut scene);
        let plan = FoldPlan::new(&scene);
        let day = |hours: i64| (hours + 8).div_euclid(24);
        let newest = told.iter().map(|t| day(t.1)).max().unwrap_or(0);
        if let Some(profile) = folded(&plan, &acts).get(&9) {
            let again = Profile::decode(&profile.encode()).unwrap();
            prop_assert_eq!(&again, profile);
            prop_assert_eq!(profile.encode()[0], 3);
            let book = again.book(ID).unwrap();
            for (i, item) in items.iter().enumerate() {
                for d in [newest - 1, newest] {
                    let sum: i64 = (told.iter())
                        .filter(|t| t.0 == i && day(t.1) == d && !t.3)
                        .map(|t| t.2)
                        .sum();
                    prop_assert_eq!(fast_on(book, item, d), Some(i128::from(sum)), "{} {}", item, d);
                }
            }
        }
    }
}

fn world() -> FoldPlan {
    let mut scene = scene(vec![]);
    add_orders(&mut scene);
    FoldPlan::new(&scene)
}

/// An event of an order, `hours` after the start.
fn act(step: OrderStep, hours: i64, order: &str, rest: &[(&'static str, Value<'static>)]) -> Act {
    let mut properties = vec![("order_id", Value::text(order.to_owned()))];
    properties.extend(rest.iter().cloned());
    properties.sort_by_key(|(n, _)| *n);
    let at = START + hours * HOUR_US;
    Act {
        who: 9,
        id: format!("{}-{order}-{hours}", step.word()),
        kind: event_name(step),
        occurred_at: at,
        received_at: at,
        properties,
    }
}

fn text(v: &'static str) -> Value<'static> {
    Value::text(v)
}

fn buy(hours: i64, order: &str, item: &'static str, amount: i64) -> Act {
    let rest = [
        ("item", text(item)),
        ("side", text("buy")),
        ("amount", Value::Int(amount)),
    ];
    act(OrderStep::Submitted, hours, order, &rest)
}

fn bought(hours: i64, order: &str, amount: i64, shares: f64) -> Act {
    let rest = [
        ("amount", Value::Int(amount)),
        ("shares", Value::Number(shares)),
    ];
    act(OrderStep::Confirmed, hours, order, &rest)
}

fn redeem(hours: i64, order: &str, item: &'static str, shares: f64) -> Act {
    let rest = [
        ("item", text(item)),
        ("side", text("redeem")),
        ("shares", Value::Number(shares)),
    ];
    act(OrderStep::Submitted, hours, order, &rest)
}

/// A confirmation, for other tests.
pub(crate) fn confirmed(hours: i64, order: &str, amount: i64, shares: f64) -> Act {
    bought(hours, order, amount, shares)
}

fn redeemed(hours: i64, order: &str, amount: i64, shares: f64) -> Act {
    bought(hours, order, amount, shares)
}

fn bare(step: OrderStep, hours: i64, order: &str) -> Act {
    act(step, hours, order, &[])
}

/// A book that ends with something of everything.
pub(crate) fn story() -> Vec<Act> {
    let mut first = buy(0, "o1", "balanced", 100_000);
    first.properties.insert(1, ("decision_id", text(DECISION)));
    vec![
        first,
        bare(OrderStep::Accepted, 1, "o1"),
        bought(24, "o1", 100_000, 952.3809),
        buy(30, "o2", "balanced", 50_001),
        bought(72, "o2", 50_001, 470.25),
        redeem(80, "o3", "balanced", 1_000.0),
        act(
            OrderStep::Confirmed,
            100,
            "o3",
            &[
                ("amount", Value::Int(104_321)),
                ("shares", Value::Number(1_000.0)),
                ("fee", Value::Int(522)),
                ("nav", Value::Number(1.048_43)),
            ],
        ),
        buy(110, "o4", "growth", 7_000),
        bare(OrderStep::Cancelled, 111, "o4"),
        buy(112, "o5", "growth", 8_000),
        bare(OrderStep::Accepted, 113, "o5"),
        redeem(114, "o6", "balanced", 10.5),
        bare(OrderStep::Failed, 115, "never"),
        act(
            OrderStep::Confirmed,
            116,
            "o7",
            &[
                ("item", text("overseas")),
                ("side", text("redeem")),
                ("amount", Value::Int(900)),
                ("shares", Value::Number(3.0)),
            ],
        ),
    ]
}

fn book_of(acts: &[Act]) -> Book {
    let plan = world();
    folded(&plan, acts)[&9]
        .book(ID)
        .cloned()
        .unwrap_or_default()
}

fn quanta(shares: f64) -> i128 {
    luopan_kernel::value::to_quanta(shares).unwrap()
}

/// Kinds that were counted, with their counts.
fn counted(book: &Book) -> Vec<(Anomaly, u64)> {
    (Anomaly::ALL.into_iter())
        .map(|kind| (kind, book.count(kind)))
        .filter(|(_, n)| *n > 0)
        .collect()
}

#[test]
fn an_order_lives_from_submission_to_the_money() {
    let story = story();
    let book = book_of(&story);
    let held = book.holding("balanced").unwrap();
    assert_eq!(
        (held.bought, held.redeemed, held.fees),
        (150_001, 104_321, 522)
    );
    // 952.3809 shares of the first lot and 47.6191 of the second were used up, first in, first out.
    assert_eq!(
        held.shares(),
        quanta(952.3809) + quanta(470.25) - quanta(1_000.0)
    );
    assert_eq!(held.lots.len(), 1);
    let used = 50_001 * quanta(47.6191) / quanta(470.25);
    assert_eq!(held.lots[0].cost, 50_001 - used);
    // To the fen: what was realised and what is left of the cost make up what was paid and what came.
    assert_eq!(held.realised, 104_321 - (150_001 - held.lots[0].cost));
    assert_eq!(held.lots[0].day, 20_724 + 3);
    assert_eq!(held.nav.unwrap().1, quanta(1.048_43));
    let stages: Vec<_> = (book.open().iter())
        .map(|o| (o.item.as_str(), o.side, o.stage))
        .collect();
    assert_eq!(
        stages,
        [
            ("balanced", Side::Redeem, Stage::Unpaid),
            ("growth", Side::Buy, Stage::Accepted),
            ("balanced", Side::Redeem, Stage::Submitted),
            ("overseas", Side::Redeem, Stage::Unpaid),
        ]
    );
    assert_eq!(
        counted(&book),
        [
            (Anomaly::Unknown, 1),
            (Anomaly::WithoutBeginning, 1),
            (Anomaly::Short, 1)
        ]
    );
    let sums = summary(&[&book], 2);
    assert_eq!(
        (sums.holdings, sums.open_orders, sums.open_amount),
        (1, 2, 8_000)
    );
    assert_eq!(sums.unpaid, 104_321 + 900);
    assert_eq!(sums.net_subscription, 150_001 - 104_321 - 900);
    assert_eq!(
        book.decision_of(order_hash("o1")).unwrap().to_string(),
        DECISION
    );
    assert_eq!(book.decision_of(order_hash("o2")), None);

    let paid = book_of(&[story, vec![bare(OrderStep::Paid, 200, "o3")]].concat());
    assert_eq!(summary(&[&paid], 2).unpaid, 900);
    assert_eq!(paid.ended().last().unwrap().end, End::Paid);
}

/// What was told again, late, in the wrong order, or of what never was: the whole table.
#[test]
fn illegal_steps_change_nothing_and_are_counted_by_kind() {
    use Anomaly::*;
    use OrderStep::*;
    let start = || vec![buy(0, "a", "balanced", 100), bought(24, "a", 100, 100.0)];
    let cases: Vec<(&str, Vec<Act>, Anomaly)> = vec![
        (
            "submitted again",
            vec![buy(30, "a", "balanced", 100)],
            OutOfOrder,
        ),
        (
            "accepted after the end",
            vec![bare(Accepted, 30, "a")],
            OutOfOrder,
        ),
        (
            "confirmed again",
            vec![bought(30, "a", 100, 100.0)],
            Repeated,
        ),
        (
            "confirmed with other numbers",
            vec![bought(30, "a", 100, 101.0)],
            Contradicted,
        ),
        (
            "cancelled after confirmed",
            vec![bare(Cancelled, 30, "a")],
            AfterEnd,
        ),
        (
            "failed after confirmed",
            vec![bare(Failed, 30, "a")],
            AfterEnd,
        ),
        ("a purchase paid out", vec![bare(Paid, 30, "a")], AfterEnd),
        (
            "accepted and never submitted",
            vec![bare(Accepted, 30, "x")],
            Unknown,
        ),
        (
            "paid and never submitted",
            vec![bare(Paid, 30, "x")],
            Unknown,
        ),
        (
            "cancelled and never submitted",
            vec![bare(Cancelled, 30, "x")],
            Unknown,
        ),
        ("no amount", vec![buy(30, "b", "balanced", 0)], Unusable),
        (
            "a negative amount",
            vec![buy(30, "b", "balanced", -5)],
            Unusable,
        ),
        (
            "no item",
            vec![act(Submitted, 30, "b", &[("amount", Value::Int(5))])],
            Unusable,
        ),
        (
            "a side that is none",
            vec![act(
                Submitted,
                30,
                "b",
                &[
                    ("item", text("i")),
                    ("side", text("swap")),
                    ("amount", Value::Int(5)),
                ],
            )],
            Unusable,
        ),
        (
            "a negative fee",
            vec![act(Confirmed, 30, "b", &[("fee", Value::Int(-1))])],
            Unusable,
        ),
        (
            "confirmed without a beginning and without numbers",
            vec![act(
                Confirmed,
                30,
                "b",
                &[("item", text("balanced")), ("amount", Value::Int(5))],
            )],
            Unusable,
        ),
        (
            "shares at a net asset value of zero",
            vec![act(
                Confirmed,
                30,
                "b",
                &[
                    ("item", text("balanced")),
                    ("amount", Value::Int(5)),
                    ("nav", Value::Number(0.0)),
                ],
            )],
            Unusable,
        ),
    ];
    let before = book_of(&start());
    assert_eq!(counted(&before), []);
    for (what, acts, kind) in cases {
        let book = book_of(&[start(), acts].concat());
        assert_eq!(counted(&book), [(kind, 1)], "{what}");
        assert_eq!(book.holdings(), before.holdings(), "{what}");
        assert_eq!(book.open(), before.open(), "{what}");
    }
    let mut unnamed = buy(0, "a", "balanced", 100);
    unnamed.properties.retain(|(n, _)| *n != "order_id");
    assert_eq!(counted(&book_of(&[unnamed])), [(Unnamed, 1)]);
}

#[test]
fn what_comes_in_the_wrong_order_still_ends_right() {
    use OrderStep::*;
    // Confirmed before it was submitted: applied, and the late submission opens nothing.
    let whole = act(
        Confirmed,
        24,
        "a",
        &[
            ("item", text("balanced")),
            ("amount", Value::Int(100)),
            ("shares", Value::Number(80.0)),
        ],
    );
    let book = book_of(&[whole, buy(25, "a", "balanced", 100)]);
    assert_eq!(book.holding("balanced").unwrap().shares(), quanta(80.0));
    assert_eq!(book.open(), []);
    assert_eq!(
        counted(&book),
        [(Anomaly::OutOfOrder, 1), (Anomaly::WithoutBeginning, 1)]
    );

    // Cancelled before it was submitted: nothing is opened either.
    let book = book_of(&[bare(Cancelled, 1, "a"), buy(2, "a", "balanced", 100)]);
    assert_eq!((book.open(), counted(&book).len()), (&[][..], 2));

    // Paid before it was confirmed.
    let book = book_of(&[
        buy(0, "a", "balanced", 100),
        bought(24, "a", 100, 100.0),
        redeem(30, "r", "balanced", 50.0),
        bare(Paid, 31, "r"),
        redeemed(32, "r", 60, 50.0),
    ]);
    assert_eq!(
        (book.open(), book.ended().last().unwrap().end),
        (&[][..], End::Paid)
    );
    assert_eq!(counted(&book), [(Anomaly::OutOfOrder, 1)]);

    // An end after another end: the first stands.
    let book = book_of(&[
        buy(0, "a", "balanced", 9),
        bare(Failed, 1, "a"),
        bought(2, "a", 9, 9.0),
    ]);
    assert_eq!(
        (book.holdings().len(), counted(&book)),
        (0, vec![(Anomaly::AfterEnd, 1)])
    );

    // Another item than was ordered: the order's own.
    let mut other = bought(24, "a", 100, 100.0);
    other.properties.insert(1, ("item", text("growth")));
    let book = book_of(&[buy(0, "a", "balanced", 100), other]);
    assert!(book.holding("growth").is_none() && book.holding("balanced").is_some());
    assert_eq!(counted(&book), [(Anomaly::Contradicted, 1)]);

    // A confirmation without what it needs leaves the order open for the right one.
    let book = book_of(&[
        buy(0, "a", "balanced", 100),
        bare(Confirmed, 1, "a"),
        bought(2, "a", 100, 100.0),
    ]);
    assert_eq!(
        (book.open().len(), counted(&book)),
        (0, vec![(Anomaly::Unusable, 1)])
    );
}

#[test]
fn more_than_is_held_may_be_ordered_and_stands_as_a_short() {
    let start = [
        buy(0, "a", "balanced", 1_000),
        bought(24, "a", 1_000, 100.0),
    ];
    // 60 and 60 of 100: the second is more than is left.
    let asked = [
        redeem(30, "r", "balanced", 60.0),
        redeem(31, "s", "balanced", 60.0),
    ];
    let book = book_of(&[&start[..], &asked].concat());
    assert_eq!(counted(&book), [(Anomaly::MoreThanHeld, 1)]);
    let done = [redeemed(48, "r", 660, 60.0), redeemed(49, "s", 720, 60.0)];
    let book = book_of(&[&start[..], &asked, &done].concat());
    assert_eq!(
        counted(&book),
        [(Anomaly::MoreThanHeld, 1), (Anomaly::Short, 1)]
    );
    let held = book.holding("balanced").unwrap();
    // 40 of the 60 were there: 480 of the 720 fen are theirs, 240 stand with the short.
    assert_eq!(
        (held.lots.len(), held.short.shares, held.short.proceeds),
        (0, quanta(20.0), 240)
    );
    assert_eq!(held.realised, 660 - 600 + 480 - 400);
    // A purchase covers the short first.
    let more = [buy(60, "b", "balanced", 250), bought(72, "b", 250, 25.0)];
    let book = book_of(&[&start[..], &asked, &done, &more].concat());
    let held = book.holding("balanced").unwrap();
    assert_eq!((held.shares(), held.short.shares), (quanta(5.0), 0));
    assert_eq!(held.lots[0].cost, 50);
    assert_eq!(held.realised, 660 + 720 - 1_000 - 200);
}

#[test]
fn what_a_confirmation_leaves_out_is_reckoned_from_the_price() {
    use OrderStep::Confirmed;
    // 1,000.00 less a fee of 1.50, at 1.25: 798.8 shares.
    let confirmed = act(
        Confirmed,
        24,
        "a",
        &[("fee", Value::Int(150)), ("nav", Value::Number(1.25))],
    );
    let start = [buy(0, "a", "balanced", 100_000), confirmed];
    let book = book_of(&start);
    assert_eq!(book.holding("balanced").unwrap().shares(), quanta(798.8));
    // All of it at 1.5, less 5.99: 1,192.21.
    let out = act(
        Confirmed,
        60,
        "r",
        &[("fee", Value::Int(599)), ("nav", Value::Number(1.5))],
    );
    let book = book_of(&[&start[..], &[redeem(50, "r", "balanced", 798.8), out]].concat());
    let held = book.holding("balanced").unwrap();
    assert_eq!(
        (held.redeemed, held.realised, held.fees),
        (119_221, 19_221, 749)
    );
}

#[test]
fn late_events_are_dated_when_they_happened() {
    let plan = world();
    let mut acts = vec![
        buy(240, "new", "balanced", 100),
        bought(264, "new", 100, 10.0),
    ];
    // Arrives last, happened first.
    let mut late = act(
        OrderStep::Confirmed,
        24,
        "old",
        &[
            ("item", text("balanced")),
            ("amount", Value::Int(90)),
            ("shares", Value::Number(10.0)),
        ],
    );
    late.received_at = START + 300 * HOUR_US;
    acts.push(late);
    let profiles = folded(&plan, &acts);
    let book = profiles[&9].book(ID).unwrap();
    let held = book.holding("balanced").unwrap();
    let days: Vec<i64> = held.lots.iter().map(|l| l.day - 20_724).collect();
    assert_eq!(days, [1, 11]);
    assert_eq!(held.first_buy_at, Some(Micros(START + 24 * HOUR_US)));
    assert_eq!(held.last_buy_at, Some(Micros(START + 264 * HOUR_US)));
    // A clock that runs ahead reaches no day to come.
    let mut ahead = bought(330, "fast", 100, 10.0);
    ahead.properties.insert(1, ("item", text("growth")));
    ahead.received_at = START + 310 * HOUR_US;
    let profiles = folded(&plan, &[ahead]);
    let lots = &profiles[&9].book(ID).unwrap().holdings()[0].lots;
    assert_eq!(lots[0].day, 20_724 + 310 / 24 + i64::from(310 % 24 >= 16));
}

#[test]
fn a_full_book_forgets_by_rule_and_says_so() {
    // Open orders.
    let mut acts: Vec<Act> = (0..=OPEN_ORDERS_MAX as i64)
        .map(|i| buy(i, &format!("o{i}"), "balanced", 100))
        .collect();
    let mut whole = bought(1_000, "o0", 100, 10.0);
    whole.properties.insert(1, ("item", text("balanced")));
    acts.push(whole);
    let book = book_of(&acts);
    assert_eq!(book.open().len(), OPEN_ORDERS_MAX);
    // The one that was forgotten is confirmed all the same.
    assert_eq!(
        counted(&book),
        [(Anomaly::WithoutBeginning, 1), (Anomaly::Forgotten, 1)]
    );
    assert_eq!(book.holding("balanced").unwrap().bought, 100);

    // Lots: one a day for so many days and five more.
    let days = LOTS_MAX as i64 + 5;
    let acts: Vec<Act> = (0..days)
        .flat_map(|d| {
            let order = format!("o{d}");
            [
                buy(d * 24, &order, "balanced", 100 + d),
                bought(d * 24 + 1, &order, 100 + d, 10.0),
            ]
        })
        .collect();
    let book = book_of(&acts);
    let held = book.holding("balanced").unwrap();
    assert_eq!(held.lots.len(), LOTS_MAX);
    assert_eq!(held.shares(), quanta(10.0) * i128::from(days));
    let cost: i128 = held.lots.iter().map(|l| l.cost).sum();
    assert_eq!(cost, (0..i128::from(days)).map(|d| 100 + d).sum::<i128>());
    // The oldest lots are one of the latest of their days: a holding time is never overstated.
    assert_eq!(
        (held.lots[0].day, held.lots[0].shares),
        (20_724 + 5, quanta(60.0))
    );
    assert_eq!(book.ended().count(), ENDED_KEPT.min(days as usize));

    // Holdings: what is no longer held makes room, and its totals stay; when all are held, totals take the rest.
    let items: Vec<&'static str> = (0..HOLDINGS_MAX + 2)
        .map(|i| format!("i{i:04}").leak() as &str)
        .collect();
    let mut acts: Vec<Act> = Vec::new();
    for (i, item) in (0i64..).zip(&items[..HOLDINGS_MAX]) {
        let order = format!("o{i}");
        acts.extend([
            buy(i * 2, &order, item, 100),
            bought(i * 2 + 1, &order, 100, 10.0),
        ]);
    }
    acts.push(redeem(900, "r", items[3], 10.0));
    acts.push(redeemed(901, "r", 130, 10.0));
    acts.push(bare(OrderStep::Paid, 902, "r"));
    for (order, item, at) in [
        ("p", items[HOLDINGS_MAX], 910),
        ("q", items[HOLDINGS_MAX + 1], 920),
    ] {
        acts.extend([buy(at, order, item, 100), bought(at + 1, order, 100, 10.0)]);
    }
    let book = book_of(&acts);
    assert_eq!(book.holdings().len(), HOLDINGS_MAX);
    assert!(book.holding(items[3]).is_none() && book.holding(items[HOLDINGS_MAX]).is_some());
    assert_eq!(counted(&book), [(Anomaly::NoRoom, 1)]);
    let sums = summary(&[&book], 2);
    assert_eq!(sums.realised, 30);
    assert_eq!(
        sums.net_subscription,
        100 * (HOLDINGS_MAX as i128 + 2) - 130
    );
}

#[test]
fn the_largest_book_fits_its_bound() {
    // Long keys, the widest numbers, every list full.
    let mut acts: Vec<Act> = Vec::new();
    let mut hours = 0;
    for i in 0..HOLDINGS_MAX {
        let item: &'static str = format!("{i:0>128}").leak();
        for lot in 0..LOTS_MAX as i64 {
            hours += 24;
            let order = format!("{i}-{lot}");
            let mut whole = bought(hours, &order, 1_000_000_000_000_000_000, 1e18);
            whole.properties.insert(1, ("item", text(item)));
            whole.properties.push(("nav", Value::Number(1e18)));
            whole.properties.sort_by_key(|(n, _)| *n);
            acts.push(whole);
        }
    }
    for i in 0..OPEN_ORDERS_MAX {
        let item: &'static str = format!("{i:0>128}").leak();
        let mut order = redeem(hours, &format!("open{i}"), item, 1e18);
        order.properties.insert(0, ("decision_id", text(DECISION)));
        acts.push(order);
    }
    let plan = world();
    let profiles = folded(&plan, &acts);
    let with = profiles[&9].encode().len();
    let mut bare = Profile::new(identifier(9), plan.layout(), Micros(START));
    bare.last_log_time = profiles[&9].last_log_time;
    let bytes = with - bare.encode().len();
    assert!(
        bytes <= BOOK_BYTES_MAX && bytes > BOOK_BYTES_MAX / 2,
        "{bytes} of {BOOK_BYTES_MAX}"
    );
    let back = Profile::decode_for(&profiles[&9].encode(), plan.layout()).unwrap();
    assert_eq!(back, profiles[&9]);
}

/// Orders of a few ids and items in any order, confirmed with whatever numbers, some by other identifiers.
fn any_acts(people: u8) -> impl Strategy<Value = Vec<Act>> {
    type One = (
        (usize, i64, u8, u8),
        (Option<usize>, Option<bool>),
        (Option<i64>, Option<f64>),
        (Option<i64>, Option<f64>),
        (i64, i64),
    );
    let one = (
        (0usize..6, 0i64..8, 0u8..5, 0..people),
        (
            prop::option::weighted(0.8, 0usize..3),
            prop::option::weighted(0.8, any::<bool>()),
        ),
        (
            prop::option::weighted(0.8, -5i64..5_000),
            prop::option::weighted(0.8, -1.0f64..300.0),
        ),
        (
            prop::option::weighted(0.3, 0i64..50),
            prop::option::weighted(0.3, 0.5f64..3.0),
        ),
        (0i64..60, 0i64..900),
    );
    proptest::collection::vec(one, 1..60).prop_map(|all| {
        let mut now = 0;
        let make = |(
            i,
            ((step, order, _, who), (item, side), (amount, shares), (fee, nav), (gap, late)),
        ): (usize, One)| {
            now += gap;
            let mut rest: Vec<(&'static str, Value<'static>)> = Vec::new();
            rest.extend(item.map(|i: usize| ("item", text(["a", "b", "c"][i]))));
            rest.extend(side.map(|s| ("side", text(if s { "buy" } else { "redeem" }))));
            rest.extend(amount.map(|a| ("amount", Value::Int(a))));
            rest.extend(shares.map(|s| ("shares", Value::Number(s))));
            rest.extend(fee.map(|f| ("fee", Value::Int(f))));
            rest.extend(nav.map(|n| ("nav", Value::Number(n))));
            let mut out = act(OrderStep::ALL[step], now, &format!("o{order}"), &rest);
            out.who = who;
            out.id = format!("e{i}");
            out.occurred_at -= late * HOUR_US;
            out
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

/// The laws that hold of any book.
fn assert_sound(book: &Book) {
    for h in book.holdings() {
        assert!(h.lots.iter().all(|l| l.shares > 0 && l.cost >= 0), "{h:?}");
        assert!(h.lots.is_sorted_by(|a, b| a.day < b.day) && h.lots.len() <= LOTS_MAX);
        assert!(h.short.shares == 0 || h.lots.is_empty());
        // Money is kept: paid = cost left + cost of what was redeemed; received = realised + that cost + proceeds of the short.
        let cost: i128 = h.lots.iter().map(|l| l.cost).sum();
        assert_eq!(
            h.bought - cost + h.realised + h.short.proceeds,
            h.redeemed,
            "{h:?}"
        );
    }
    assert!(book.holdings().is_sorted_by(|a, b| a.item < b.item));
    let mut ids: Vec<u128> = book.open().iter().map(|o| o.order).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), book.open().len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_events_keep_the_money_and_every_event_is_a_step_or_an_anomaly(acts in any_acts(1)) {
        let acts: Vec<Act> = acts.into_iter().map(|a| Act { who: 9, ..a }).collect();
        let plan = world();
        let mut profile = Profile::new(identifier(9), plan.layout(), Micros(START));
        let mut before = Book::default();
        for act in &acts {
            fold(&plan, &mut profile, &act.event());
            let book = profile.book(ID).unwrap().clone();
            assert_sound(&book);
            let bytes = profile.encode();
            prop_assert_eq!(&Profile::decode_for(&bytes, plan.layout()).unwrap(), &profile);
            let total = |b: &Book| Anomaly::ALL.iter().map(|k| b.count(*k)).sum::<u64>();
            let moved = book.holdings() != before.holdings() || book.open() != before.open() || book.ended().ne(before.ended());
            prop_assert!(moved || total(&book) > total(&before), "{act:?} left no trace");
            before = book;
        }
    }

    #[test]
    fn books_of_linked_identifiers_add_up_in_any_order(acts in any_acts(3)) {
        let plan = world();
        let profiles = folded(&plan, &acts);
        let books: Vec<&Book> = profiles.values().filter_map(|p| p.book(ID)).collect();
        let backward: Vec<&Book> = books.iter().rev().copied().collect();
        let sums = |books: &[&Book]| {
            let mut s = summary(books, 2);
            s.value = None;
            s
        };
        let (a, b) = (positions(&books), positions(&backward));
        prop_assert_eq!(sums(&books), sums(&backward));
        for ((item, a), (other, b)) in a.iter().zip(&b) {
            prop_assert_eq!(item, other);
            prop_assert_eq!((&a.lots, a.short, a.realised, a.stage()), (&b.lots, b.short, b.realised, b.stage()));
            // Shares held less those short, and money, are those of all books together.
            let net: i128 = books.iter().filter_map(|k| k.holding(item)).map(|h| h.shares() - h.short.shares).sum();
            prop_assert_eq!(a.shares() - a.short.shares, net);
            prop_assert!(a.lots.is_empty() || a.short.shares == 0);
            prop_assert_eq!(a.bought - a.cost() + a.realised + a.short.proceeds, a.redeemed);
        }
    }

    /// Confirmations of purchases and redemptions with ids of their own, of whichever identifier and in whichever order:
    /// what is held, paid, received and lost in fees is the sum.
    #[test]
    fn shares_and_money_do_not_depend_on_the_order_or_the_identifier(
        (trades, shuffled) in proptest::collection::vec((any::<bool>(), 1i64..9_000, 1u32..90_000, 0i64..9, 0u8..3), 1..30)
            .prop_flat_map(|t| {
                let numbered: Vec<_> = t.into_iter().enumerate().collect();
                (Just(numbered.clone()), Just(numbered).prop_shuffle())
            })
    ) {
        let plan = world();
        type Trade = (usize, (bool, i64, u32, i64, u8));
        let acts = |trades: &[Trade], linked: bool| -> Vec<Act> {
            (0i64..).zip(trades).map(|(hour, (i, (is_buy, amount, shares, fee, who)))| {
                let rest = [
                    ("item", text("a")),
                    ("side", text(if *is_buy { "buy" } else { "redeem" })),
                    ("amount", Value::Int(*amount)),
                    ("shares", Value::Number(f64::from(*shares) / 8.0)),
                    ("fee", Value::Int(*fee)),
                ];
                let mut act = act(OrderStep::Confirmed, hour, &format!("o{i}"), &rest);
                act.who = if linked { *who } else { 9 };
                act
            }).collect()
        };
        let one = folded(&plan, &acts(&trades, false));
        let many = folded(&plan, &acts(&shuffled, true));
        let read = |profiles: Vec<&Profile>| {
            let books: Vec<&Book> = profiles.iter().filter_map(|p| p.book(ID)).collect();
            let positions = positions(&books);
            let p = &positions["a"];
            (p.shares() - p.short.shares, p.bought, p.redeemed, p.fees)
        };
        let expected = trades.iter().fold((0i128, 0i128, 0i128, 0i128), |s, (_, (is_buy, amount, shares, fee, _))| {
            let (q, m) = (i128::from(*shares) * NUMBER_QUANTA / 8, i128::from(*amount));
            let fees = s.3 + i128::from(*fee);
            if *is_buy { (s.0 + q, s.1 + m, s.2, fees) } else { (s.0 - q, s.1, s.2 + m, fees) }
        });
        prop_assert_eq!(read(one.values().collect()), expected);
        prop_assert_eq!(read(many.values().collect()), expected);
    }
}

#[test]
fn an_order_that_two_identifiers_tell_of_is_one() {
    let plan = world();
    let mut acts = story();
    // Confirmed under another identifier of the same customer than it was submitted under.
    let mut elsewhere = bought(150, "o5", 8_000, 77.0);
    elsewhere.properties.insert(1, ("item", text("growth")));
    elsewhere.who = 3;
    acts.push(elsewhere);
    let profiles = folded(&plan, &acts);
    let books: Vec<&Book> = profiles.values().filter_map(|p| p.book(ID)).collect();
    let linked = positions(&books);
    assert_eq!(
        (linked["growth"].stage(), linked["growth"].open.len()),
        ("held", 0)
    );
    assert_eq!(summary(&books, 2).open_amount, 0);
    // Un-linked, each is as it was.
    let alone = positions(&[profiles[&9].book(ID).unwrap()]);
    assert_eq!(
        (alone["growth"].stage(), alone["growth"].open.len()),
        ("ordered", 1)
    );
}
