//! What a population should look like: paydays, Spring Festival, falls, rises, days of the week, proportions. Each test
//! compares two counts of the same world.

use super::{played, start_day, told, world};
use luopan_kernel::time::{DAY_US, HOUR_US};
use luopan_simulator::fund::days::{date_of, day_at, day_of};
use luopan_simulator::fund::{Event, Happening, Kind, ProductChange, Settings, Side, World, truth};
use std::collections::BTreeMap;

/// Events of a kind by day.
fn by_day(events: &[Event], is: impl Fn(&Event) -> bool) -> BTreeMap<i64, f64> {
    let mut out = BTreeMap::new();
    for e in events.iter().filter(|e| is(e)) {
        *out.entry(day_at(e.at)).or_insert(0.0) += 1.0;
    }
    out
}

fn mean(days: &BTreeMap<i64, f64>, which: impl Fn(i64) -> bool) -> f64 {
    let chosen: Vec<f64> = (start_day() + 40..start_day() + 365)
        .filter(|d| which(*d))
        .map(|d| days.get(&d).copied().unwrap_or(0.0))
        .collect();
    chosen.iter().sum::<f64>() / chosen.len() as f64
}

#[test]
fn paydays_peak_and_the_spring_festival_is_a_trough() {
    let mut world = world(21, 12_000, 365);
    let events = played(&mut world);
    let logins = by_day(&events, |e| e.what == Happening::Login);
    let deposits = by_day(&events, |e| matches!(e.what, Happening::Deposit(_)));
    let orders = by_day(&events, |e| matches!(e.what, Happening::Submitted(_)));
    let of_month = |d: i64| date_of(d).2;
    // The 10th and the 15th are the paydays of half of them; four days before the 1st hardly anybody is paid.
    let peak = mean(&deposits, |d| [10, 15].contains(&of_month(d)));
    let calm = mean(&deposits, |d| [3, 4, 23, 24].contains(&of_month(d)));
    assert!(peak > 2.0 * calm, "{peak} {calm}");
    let festival = day_of(2026, 2, 17);
    let is_festival = |d: i64| (festival - 1..=festival + 5).contains(&d);
    for (name, counts) in [
        ("logins", &logins),
        ("deposits", &deposits),
        ("orders", &orders),
    ] {
        let trough = mean(counts, is_festival);
        let ordinary = mean(counts, |d| !is_festival(d));
        assert!(trough < 0.65 * ordinary, "{name}: {trough} {ordinary}");
        assert!(trough > 0.0);
    }
    // The bonus: more money comes in in the month before than in an ordinary one.
    let mut fen = BTreeMap::new();
    for e in &events {
        if let Happening::Deposit(amount) = e.what {
            *fen.entry(day_at(e.at)).or_insert(0.0) += amount as f64;
        }
    }
    let bonus = mean(&fen, |d| (festival - 30..=festival - 2).contains(&d));
    let ordinary = mean(&fen, |d| d < festival - 40 || d > festival + 20);
    assert!(bonus > 1.15 * ordinary, "{bonus} {ordinary}");
    // Singles' Day takes money out of money-market funds.
    let products = world.products();
    let spent = by_day(
        &events,
        |e| matches!(&e.what, Happening::Submitted(o) if o.side == Side::Redeem && products[o.product as usize].is_cash()),
    );
    let singles = mean(&spent, |d| {
        (day_of(2025, 11, 9)..=day_of(2025, 11, 11)).contains(&d)
    });
    let ordinary = mean(&spent, |d| date_of(d).1 == 12 || date_of(d).1 == 10);
    assert!(singles > 1.5 * ordinary, "{singles} {ordinary}");
}

#[test]
fn people_sell_after_falls_and_buy_what_rose() {
    let mut settings = Settings::new(22, 20_000, start_day());
    settings.products = Some(luopan_simulator::fund::made_up(22, 1_000));
    let mut world = World::new(settings).unwrap();
    let events = played(&mut world);
    // Five-day returns by product as published, by the day from which everybody has seen them.
    let mut prices: BTreeMap<u32, Vec<(i64, f64)>> = BTreeMap::new();
    for e in told(&world) {
        if let ProductChange::Nav { day, nav_e4 } = e.change {
            prices
                .entry(e.product)
                .or_default()
                .push((day, nav_e4 as f64));
        }
    }
    let week = |product: u32, day: i64| -> Option<f64> {
        let of = prices.get(&product)?;
        let at = of.partition_point(|(d, _)| *d < day);
        let (now, before) = (of.get(at.checked_sub(1)?)?, of.get(at.checked_sub(6)?)?);
        Some(now.1 / before.1 - 1.0)
    };
    // Exposure: what is held at each session, against what is sold in it, by those who panic and those who do not.
    let mut held: BTreeMap<(u32, u32), i64> = BTreeMap::new();
    let mut by_customer: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut seen = [[0.0f64; 2]; 4];
    for e in &events {
        match &e.what {
            Happening::Login => {
                let panics = truth::person(&world, e.customer, e.at).unwrap().panic > 0.55;
                for product in by_customer.get(&e.customer).into_iter().flatten() {
                    if held.get(&(e.customer, *product)).copied().unwrap_or(0) > 0
                        && let Some(r) = week(*product, day_at(e.at))
                    {
                        let cell = usize::from(r < -0.04) + 2 * usize::from(panics);
                        seen[cell][0] += 1.0;
                    }
                }
            }
            Happening::Submitted(o) if o.side == Side::Redeem => {
                let panics = truth::person(&world, e.customer, e.at).unwrap().panic > 0.55;
                if let Some(r) = week(o.product, day_at(e.at)) {
                    seen[usize::from(r < -0.04) + 2 * usize::from(panics)][1] += 1.0;
                }
            }
            Happening::Confirmed(o) => {
                let shares = if o.side == Side::Buy {
                    o.shares
                } else {
                    -o.shares
                };
                let now = held.entry((e.customer, o.product)).or_default();
                *now += shares;
                assert!(*now >= 0);
                let own = by_customer.entry(e.customer).or_default();
                if !own.contains(&o.product) {
                    own.push(o.product);
                }
            }
            _ => {}
        }
    }
    let rate = |cell: usize| seen[cell][1] / seen[cell][0];
    assert!(seen.iter().all(|c| c[0] > 300.0), "{seen:?}");
    assert!(rate(1) > 2.0 * rate(0), "a fall: {seen:?}");
    assert!(
        rate(3) > 2.0 * rate(2) && rate(3) > 1.3 * rate(1),
        "panic: {seen:?}"
    );

    // Chasing: kinds that rose over a month are bought more by those who chase.
    let mut bought = [[0.0f64; 2]; 2];
    for e in &events {
        let Happening::Submitted(o) = &e.what else {
            continue;
        };
        if o.side == Side::Redeem || world.products()[o.product as usize].kind == Kind::Cash {
            continue;
        }
        let Some(of) = prices.get(&o.product) else {
            continue;
        };
        let at = of.partition_point(|(d, _)| *d < day_at(e.at));
        if at < 22 {
            continue;
        }
        let month = of[at - 1].1 / of[at - 21].1 - 1.0;
        let chases = truth::person(&world, e.customer, e.at).unwrap().chase > 0.5;
        let cell = &mut bought[usize::from(chases)];
        cell[0] += 1.0;
        cell[1] += f64::from(u8::from(month > 0.03));
    }
    let share = |c: [f64; 2]| c[1] / c[0];
    assert!(share(bought[1]) > 1.1 * share(bought[0]), "{bought:?}");
}

#[test]
fn proportions_are_those_of_a_platform() {
    let mut world = world(23, 8_000, 365);
    let events = played(&mut world);
    let count = |is: &dyn Fn(&Event) -> bool| events.iter().filter(|e| is(e)).count() as f64;
    let all = events.len() as f64;
    let share = |kind: &str| count(&|e| e.what.kind() == kind) / all;
    assert!(
        (60.0..400.0).contains(&(all / 8_000.0)),
        "{}",
        all / 8_000.0
    );
    assert!((0.4..0.75).contains(&share("page_view")));
    assert!((0.15..0.4).contains(&share("login")));
    assert!((0.005..0.06).contains(&share("order_submitted")));
    assert!((0.005..0.06).contains(&share("deposit")));
    let confirmed = share("order_confirmed") / share("order_submitted");
    assert!((0.93..0.99).contains(&confirmed), "{confirmed}");
    // By day and by night, at noon and in the evening.
    let hour = |e: &Event| (e.at.0 + 8 * HOUR_US).rem_euclid(DAY_US) / HOUR_US;
    let night = count(&|e| (2..5).contains(&hour(e))) / 3.0;
    let evening = count(&|e| (19..22).contains(&hour(e))) / 3.0;
    assert!(evening > 4.0 * night, "{evening} {night}");
    // Friday before 15:00 money-market funds are bought more than on other days, by those who wish a gain every day.
    let products = world.products();
    let bought = |weekday: i64| {
        count(&|e| {
            let is_day = (day_at(e.at) + 3).rem_euclid(7) + 1 == weekday;
            is_day
                && hour(e) < 15
                && matches!(&e.what, Happening::Submitted(o) if o.side == Side::Buy && products[o.product as usize].is_cash())
        })
    };
    assert!(bought(5) > 1.6 * bought(3), "{} {}", bought(5), bought(3));
    // Customers: who is there, assessed, expires, joins.
    let at_start = count(&|e| e.at == world.start() && matches!(e.what, Happening::Attributes(_)));
    assert!((0.72..0.78).contains(&(at_start / 8_000.0)));
    let mut appetites = [0; 6];
    let mut changed = 0;
    for e in &events {
        if let Happening::Attributes(a) = &e.what {
            if e.number == 0 {
                appetites[a.appetite.map_or(0, usize::from)] += 1;
            } else {
                changed += 1;
            }
        }
    }
    assert!(appetites.iter().all(|n| *n > 150), "{appetites:?}");
    assert!(changed > 1_500, "assessed again: {changed}");
    let linked = world.links().count();
    assert!((350..900).contains(&linked), "{linked}");
}
