//! Orders move as they really do, and nothing appears or vanishes on the way.

use super::follow::Book;
use super::{played, settings, told, world};
use luopan_simulator::fund::{Happening, Refusal, Side, World, truth};

#[test]
fn a_year_of_orders_keeps_the_rules_the_calendar_and_the_money() {
    let mut world = world(11, 3_000, 365);
    let at_start: Vec<(i64, i64)> = (0..3_000)
        .map(|c| truth::purse(&world, c).unwrap())
        .collect();
    let events = played(&mut world);
    let said = told(&world);
    let mut book = Book::new(&world, &said);
    for event in &events {
        book.follow(event);
    }
    let counts = &book.counts;
    // The test looks at what it means to look at.
    assert!(counts.buys > 4_000 && counts.redeems > 1_500, "{counts:?}");
    assert!(counts.fast > 200 && counts.cancelled > 50, "{counts:?}");
    assert!(
        counts.late > 1_000 && counts.not_a_trading_day > 1_000,
        "{counts:?}"
    );
    assert!(
        counts.with_fee > 300 && counts.cash_with_income > 100,
        "{counts:?}"
    );
    for customer in 0..3_000u32 {
        let known = &book.known[customer as usize];
        let (cash, left) = truth::purse(&world, customer).unwrap();
        let open: i64 = (known.orders.iter())
            .filter(|o| o.accepted && o.end.is_none() && o.told.side == Side::Buy)
            .map(|o| o.told.amount)
            .sum();
        let has = at_start[customer as usize].0 + known.deposits - known.bought - open + known.paid;
        assert_eq!(cash + left, has, "customer {customer}: money is conserved");
        assert!(cash >= 0);
        let mut held = std::collections::BTreeMap::new();
        for (product, _, shares) in &known.lots {
            assert!(*shares > 0);
            *held.entry(*product).or_insert(0) += shares;
        }
        let held: Vec<(u32, i64)> = held.into_iter().collect();
        assert_eq!(
            held,
            truth::holdings(&world, customer),
            "shares are conserved"
        );
        for order in &known.orders {
            let is_new = world.end().since(order.at) < 25 * luopan_kernel::time::DAY_US;
            assert!(
                order.end.is_some() || is_new,
                "an order that was forgotten: {order:?}"
            );
        }
    }
}

#[test]
fn refusals_are_the_stated_small_share_and_of_many_reasons() {
    let mut world = world(12, 20_000, 365);
    let events = played(&mut world);
    let said = told(&world);
    let mut book = Book::new(&world, &said);
    events.iter().for_each(|e| book.follow(e));
    let counts = &book.counts;
    let refused: u64 = counts.refused.values().sum();
    let share = refused as f64 / counts.submitted as f64;
    assert!((0.005..0.03).contains(&share), "{share}");
    for why in [
        Refusal::NoAssessment,
        Refusal::AssessmentExpired,
        Refusal::NoRating,
        Refusal::RiskAboveAppetite,
        Refusal::BuyingSuspended,
        Refusal::FastLimit,
        Refusal::FundHouse,
    ] {
        assert!(
            counts.refused.contains_key(&why),
            "{why:?}: {:?}",
            counts.refused
        );
    }
}

#[test]
fn holders_of_a_product_that_ends_are_paid_out_with_its_last_price() {
    // Rare: worlds are tried until one has holders at an end.
    let mut found = 0;
    for seed in 0..6 {
        let mut settings = settings(seed, 4_000, 300);
        settings.products = Some(luopan_simulator::fund::made_up(seed, 60));
        let mut world = World::new(settings).unwrap();
        let said = told(&world);
        let ended: Vec<u32> = (said.iter())
            .filter(|e| e.change.word() == "ended")
            .map(|e| e.product)
            .collect();
        if ended.is_empty() {
            continue;
        }
        let events = played(&mut world);
        let mut book = Book::new(&world, &said);
        events.iter().for_each(|e| book.follow(e));
        for customer in 0..4_000 {
            let held = truth::holdings(&world, customer);
            assert!(
                held.iter().all(|(p, _)| !ended.contains(p)),
                "{customer} still holds"
            );
        }
        found += (events.iter())
            .filter(|e| matches!(&e.what, Happening::Confirmed(o) if o.side == Side::Redeem && ended.contains(&o.product)))
            .count();
    }
    assert!(found > 10, "{found}");
}

/// An order that the platform does not take is heard of no more, and its money and shares are there again.
#[test]
fn an_order_that_is_not_taken_comes_to_nothing() {
    let mut world = world(13, 2_000, 120);
    let (end, mut refused) = (world.end(), std::collections::BTreeSet::new());
    let at_start: Vec<i64> = (0..2_000)
        .map(|c| truth::purse(&world, c).unwrap().0)
        .collect();
    let mut deposits = vec![0i64; 2_000];
    let (mut late, mut told_of) = (0, 0);
    while world.now() < end.plus(-1) {
        let until = world.now().plus(luopan_kernel::time::HOUR_US);
        let mut heard = Vec::new();
        world.advance(until, &mut |e| heard.push(e.clone()));
        let before = refused.clone();
        for event in &heard {
            let name = |order: u32| (event.customer, order);
            let of = match &event.what {
                Happening::Submitted(told) => {
                    refused.insert(name(told.order));
                    told_of += 1;
                    continue;
                }
                Happening::Deposit(fen) => {
                    deposits[event.customer as usize] += fen;
                    continue;
                }
                Happening::Accepted(o) | Happening::Cancelled(o) | Happening::Failed(o, _) => *o,
                Happening::Confirmed(told) => told.order,
                _ => continue,
            };
            // What was said in the same step as the order itself stands.
            assert!(!before.contains(&name(of)), "{event:?}");
            late += 1;
        }
        for (customer, order) in refused.difference(&before) {
            world.refuse(*customer, *order).unwrap();
        }
    }
    assert!(told_of > 300 && late > 100, "{told_of} {late}");
    for customer in 0..2_000u32 {
        assert_eq!(truth::holdings(&world, customer), [], "nothing was bought");
        let (cash, left) = truth::purse(&world, customer).unwrap();
        let all = at_start[customer as usize] + deposits[customer as usize];
        // What was placed last may still hold its money.
        assert!(left == 0 && cash <= all && cash >= 0);
    }
    let short = (0..2_000u32).filter(|c| {
        let all = at_start[*c as usize] + deposits[*c as usize];
        truth::purse(&world, *c).unwrap().0 < all
    });
    assert!(short.count() < 60, "money of untaken orders was kept");
    assert!(world.refuse(2_000, 0).is_err());
}
