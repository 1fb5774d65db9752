//! The trading calendar at its edges: the order line to the microsecond, working Saturdays, long holidays, its end.

use luopan_kernel::plan::{Calendar, EnvironmentTag, Exchange, SlotPlan, SlotSource};
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, Moment};
use luopan_kernel::trading::{Phase, weekday};
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;

/// 2026-09-28, a Monday.
const MONDAY: i64 = 20_724;

/// Two weeks: Monday to Wednesday, then closed Thursday to the next Wednesday, open Thursday and Friday, nothing after. The
/// Saturday within the second week is a working day of offices, and none of the exchange.
fn calendar() -> Calendar {
    Calendar {
        name: "sse".to_owned(),
        from_day: MONDAY - 3,
        to_day: MONDAY + 13,
        days: [-3, 0, 1, 2, 10, 11].map(|d| MONDAY + d).to_vec(),
        exchange: Some(Exchange {
            utc_offset_s: 28_800,
            cutoff_minute: Some(15 * 60),
            sessions: vec![(570, 690), (780, 900)],
        }),
    }
}

/// A moment of the exchange's day.
fn at(day: i64, of_day_us: i64) -> Micros {
    Micros(day * DAY_US - 8 * HOUR_US + of_day_us)
}

#[test]
fn an_order_counts_for_the_day_until_the_order_line() {
    let c = calendar();
    assert_eq!(weekday(MONDAY), 1);
    let line = 15 * HOUR_US;
    let friday = MONDAY - 3;
    assert_eq!(c.order_day(at(friday, line - 1)), Some(friday));
    assert_eq!(c.order_day(at(friday, line)), Some(MONDAY));
    // The night between: the day is that of the exchange, not of UTC.
    assert_eq!(c.order_day(at(MONDAY, 0)), Some(MONDAY));
    assert_eq!(c.order_day(at(MONDAY, -1)), Some(MONDAY));
    // Wednesday after the line, the holiday, and the working Saturday in it all count for the Thursday after.
    for (day, us) in [(2, line), (3, 0), (5, line - 1), (5, line), (9, line)] {
        assert_eq!(c.order_day(at(MONDAY + day, us)), Some(MONDAY + 10));
    }
    assert_eq!(c.is_trading_day(MONDAY + 5), Some(false));
}

#[test]
fn past_the_calendars_end_nothing_is_known() {
    let c = calendar();
    let last = MONDAY + 11;
    assert_eq!(c.order_day(at(last, 0)), Some(last));
    assert_eq!(c.order_day(at(last, 15 * HOUR_US)), None);
    assert_eq!(c.confirmation_day(last, 1), None);
    assert_eq!(c.is_trading_day(MONDAY + 13), Some(false));
    assert_eq!(c.is_trading_day(MONDAY + 14), None);
    assert_eq!(c.is_trading_day(MONDAY - 4), None);
    assert_eq!(c.order_day(at(MONDAY + 14, 0)), None);
    assert_eq!(c.order_day(at(MONDAY - 4, 0)), None);
    assert_eq!(c.phase(at(MONDAY + 14, 0)), None);
    assert_eq!(
        (c.closed_ahead(last), c.is_eve_of_holiday(last)),
        (None, None)
    );
    for extreme in [Micros(i64::MAX), Micros(i64::MIN)] {
        assert_eq!((c.order_day(extreme), c.phase(extreme)), (None, None));
    }
}

#[test]
fn confirmation_and_earning_go_by_trading_days() {
    let c = calendar();
    assert_eq!(c.confirmation_day(MONDAY, 0), Some(MONDAY));
    assert_eq!(c.confirmation_day(MONDAY, 1), Some(MONDAY + 1));
    // Abroad, T+2: across the holiday.
    assert_eq!(c.confirmation_day(MONDAY + 1, 2), Some(MONDAY + 10));
    assert_eq!(c.confirmation_day(MONDAY + 3, 1), None);
    // Confirmed on the last day before the holiday, a money-market fund begins to earn after it.
    assert_eq!(c.earning_change(MONDAY + 2, 1), Some(MONDAY + 10));
    assert_eq!(c.earning_change(MONDAY + 2, 0), Some(MONDAY + 2));
    assert_eq!(c.nth_trading_day_after(MONDAY, u32::MAX), None);
}

#[test]
fn an_eve_has_a_closed_weekday_before_it_and_a_weekend_is_none() {
    let c = calendar();
    let eve = |d| c.is_eve_of_holiday(MONDAY + d);
    // Friday before an ordinary weekend.
    assert_eq!(
        (eve(-3), c.closed_ahead(MONDAY - 3)),
        (Some(false), Some(2))
    );
    assert_eq!((eve(1), c.closed_ahead(MONDAY + 1)), (Some(false), Some(0)));
    assert_eq!((eve(2), c.closed_ahead(MONDAY + 2)), (Some(true), Some(7)));
    // Within the holiday the closure is what is left of it, and no day of it is an eve.
    assert_eq!((eve(5), c.closed_ahead(MONDAY + 5)), (Some(false), Some(4)));
}

#[test]
fn phases_of_a_day_begin_at_their_first_minute() {
    let c = calendar();
    let phase = |h: i64, m: i64, us: i64| c.phase(at(MONDAY, h * HOUR_US + m * MINUTE_US + us));
    for (h, m, us, wanted) in [
        (0, 0, 0, Phase::BeforeOpen),
        (9, 30, -1, Phase::BeforeOpen),
        (9, 30, 0, Phase::InSession),
        (11, 30, -1, Phase::InSession),
        (11, 30, 0, Phase::Lunch),
        (13, 0, 0, Phase::InSession),
        (15, 0, -1, Phase::InSession),
        (15, 0, 0, Phase::AfterClose),
    ] {
        assert_eq!(phase(h, m, us), Some(wanted), "{h}:{m} {us}");
    }
    assert_eq!(c.phase(at(MONDAY + 5, 10 * HOUR_US)), Some(Phase::Closed));
    let silent = Calendar {
        exchange: None,
        ..calendar()
    };
    assert_eq!(
        (silent.phase(at(MONDAY, 0)), silent.order_day(at(MONDAY, 0))),
        (None, None)
    );
}

#[test]
fn the_environment_tells_of_the_exchange_wherever_the_customer_is() {
    let mut scene = super::world::scene(vec![]);
    scene.calendars = vec![calendar()];
    let tags = [
        EnvironmentTag::TradingPhase(0),
        EnvironmentTag::EveOfHoliday(0),
        EnvironmentTag::DaysClosedAhead(0),
        EnvironmentTag::OrderDay(0),
        EnvironmentTag::OrderDay(1),
    ];
    let first = scene.slots.len();
    scene.slots.extend(tags.map(|tag| SlotPlan {
        name: "env".to_owned(),
        kind: ValueType::Text,
        source: SlotSource::Environment(tag),
    }));
    // 14:59 on the eve at the exchange; the customer is in New York, where it is the night.
    let read = |now| {
        let moment = Moment {
            now,
            utc_offset_s: -4 * 3600,
        };
        let slots = CustomerSlots::read(&scene, &[], moment, &[]);
        slots.values[first..]
            .iter()
            .cloned()
            .map(Value::into_owned)
            .collect::<Vec<_>>()
    };
    let eve = MONDAY + 2;
    assert_eq!(
        read(at(eve, 14 * HOUR_US)),
        [
            Value::text("in_session"),
            Value::Bool(true),
            Value::Int(7),
            Value::Time(at(eve, 0)),
            Value::Missing,
        ]
    );
    assert_eq!(
        read(at(eve, 15 * HOUR_US))[3],
        Value::Time(at(MONDAY + 10, 0))
    );
    assert_eq!(read(at(MONDAY + 14, 0)), vec![Value::Missing; 5]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Against a count of the days one by one.
    #[test]
    fn any_calendar_agrees_with_counting_days(
        open in proptest::collection::vec(any::<bool>(), 1..60), day in -3i64..63, n in 0u32..8, of_day in 0i64..DAY_US
    ) {
        let days: Vec<i64> = (0i64..).zip(&open).filter(|(_, o)| **o).map(|(d, _)| d).collect();
        let to_day = open.len() as i64 - 1;
        let c = Calendar { from_day: 0, to_day, days, ..calendar() };
        let trades = |d: i64| usize::try_from(d).ok().and_then(|d| open.get(d)).copied();
        let after = |n: u32| {
            let mut left = n;
            let mut at = day;
            trades(at)?;
            while left > 0 {
                at += 1;
                left -= u32::from(trades(at)?);
            }
            (n > 0 || trades(at) == Some(true)).then_some(at)
        };
        prop_assert_eq!(c.is_trading_day(day), trades(day));
        prop_assert_eq!(c.nth_trading_day_after(day, n), after(n));
        let t = match trades(day) {
            Some(true) if of_day < 15 * HOUR_US => Some(day),
            _ => after(1),
        };
        prop_assert_eq!(c.order_day(at(day, of_day)), t);
        if let (Some(t), Some(confirmed)) = (t, t.and_then(|t| c.confirmation_day(t, n))) {
            prop_assert!(confirmed >= t && trades(confirmed) == Some(true));
        }
    }
}
