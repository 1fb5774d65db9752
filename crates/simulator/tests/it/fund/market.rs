//! The market: resampled history, stated volatilities, ratings that fit, crashes, bad input.

use super::{settings, start_day, told, world};
use luopan_simulator::fund::days::{TradingDays, day_of};
use luopan_simulator::fund::{
    BadHistory, BadWorld, History, Kind, Listed, ProductChange, Settings, UNRATED_SHARE, World,
    made_up, truth,
};

/// Closes of two indexes over 600 days, whose returns are told by their size.
fn closes() -> (Vec<f64>, Vec<f64>) {
    let mut large = vec![3_000.0];
    let mut growth = vec![2_000.0];
    for i in 0..600 {
        let r = 0.02 * f64::sin(f64::from(i) * 0.7);
        large.push(large[large.len() - 1] * (r + 0.001).exp());
        growth.push(growth[growth.len() - 1] * (1.5 * r - 0.002).exp());
    }
    (large, growth)
}

#[test]
fn a_given_history_is_resampled_in_blocks_of_both_indexes_together() {
    let (large, growth) = closes();
    let history = History::from_closes(&large, &growth).unwrap();
    assert_eq!(history.days(), 600);
    let mut settings = settings(3, 1, 365);
    settings.price_history_days = 1_000;
    settings.history = Some(history);
    let world = World::new(settings).unwrap();
    let crash = truth::crashes(&world)[0].min(start_day());
    let before: Vec<[f64; 2]> = truth::forces(&world)
        .filter(|(day, _)| *day < crash)
        .map(|(_, f)| [f[0] - 0.04 / 244.0, f[1] - 0.05 / 244.0])
        .collect();
    assert!(before.len() > 600, "{}", before.len());
    // The means are taken out: a day of the history is 1.5 times as much for growth as for large shares.
    let mut follows = 0;
    for pair in before.windows(2) {
        assert!((pair[0][1] - 1.5 * pair[0][0]).abs() < 2e-3, "{pair:?}");
        // The next day of the history: sin(x + 0.7) is one of two values given sin(x).
        let s = (pair[0][0] / 0.02).clamp(-1.0, 1.0).asin();
        let next = [
            0.02 * (s + 0.7).sin(),
            0.02 * (std::f64::consts::PI - s + 0.7).sin(),
        ];
        follows += usize::from(next.iter().any(|n| (n - pair[1][0]).abs() < 1.5e-3));
    }
    let share = follows as f64 / before.len() as f64;
    assert!(
        (0.85..0.99).contains(&share),
        "blocks of about ten days: {share}"
    );
}

#[test]
fn kinds_have_the_volatility_and_the_ratings_of_their_kind() {
    let mut settings = Settings::new(5, 1, start_day());
    settings.price_history_days = 1_000;
    let world = World::new(settings).unwrap();
    let mut by_kind = std::collections::BTreeMap::<Kind, (Vec<f64>, [u32; 6])>::new();
    let mut prices = std::collections::BTreeMap::<u32, Vec<f64>>::new();
    for event in told(&world) {
        if let ProductChange::Nav { nav_e4, .. } = event.change {
            prices.entry(event.product).or_default().push(nav_e4 as f64);
        }
    }
    let mut unrated = 0;
    for (number, product) in world.products().iter().enumerate() {
        assert!(product.generated);
        let row = by_kind.entry(product.kind).or_default();
        row.1[product.rating.map_or(0, usize::from)] += 1;
        unrated += u32::from(product.rating.is_none());
        let Some(prices) = prices.get(&(number as u32)).filter(|p| p.len() > 400) else {
            continue;
        };
        let returns: Vec<f64> = prices.windows(2).map(|w| (w[1] / w[0]).ln()).collect();
        let mean = returns.iter().sum::<f64>() / returns.len() as f64;
        let variance = returns.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>();
        row.0.push((variance / returns.len() as f64 * 244.0).sqrt());
    }
    let share = f64::from(unrated) / world.products().len() as f64;
    assert!((share - UNRATED_SHARE).abs() < 0.006, "{share}");
    let median = |kind: Kind| {
        let mut v = by_kind[&kind].0.clone();
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let ratings = |kind: Kind| by_kind[&kind].1;
    assert_eq!(ratings(Kind::Cash)[2..], [0, 0, 0, 0]);
    assert!(
        (0.003..0.03).contains(&median(Kind::ShortBond)),
        "{}",
        median(Kind::ShortBond)
    );
    assert!(
        (0.01..0.05).contains(&median(Kind::LongBond)),
        "{}",
        median(Kind::LongBond)
    );
    assert!((0.12..0.35).contains(&median(Kind::MixedTowardsShares)));
    assert!(median(Kind::Equity) > median(Kind::MixedTowardsShares));
    assert!(median(Kind::MixedTowardsBonds) < median(Kind::Balanced));
    let equity = ratings(Kind::Equity);
    assert_eq!(equity[1..3], [0, 0], "no fund of shares is R1 or R2");
    assert!(equity[4] + equity[5] > equity[3]);
    for r in 1..=5 {
        assert!(by_kind.values().map(|v| v.1[r]).sum::<u32>() > 100, "R{r}");
    }
}

#[test]
fn a_crash_is_seen_in_prices_and_all_rare_things_happen() {
    let mut settings = Settings::new(2, 1, start_day());
    settings.products = Some(made_up(2, 6_000));
    let world = World::new(settings).unwrap();
    let crash = truth::crashes(&world)[0];
    let forces = truth::forces(&world)
        .find(|(day, _)| *day == crash)
        .unwrap()
        .1;
    assert!(forces[0] < -0.03 && forces[1] < -0.03, "{forces:?}");
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    let mut up = 0;
    for event in told(&world) {
        *counts.entry(event.change.word()).or_default() += 1;
        if let ProductChange::Rerated { from, to } = event.change {
            assert_ne!(from, to);
            up += u32::from(to > from);
        }
        if let ProductChange::Restated {
            wrong_e4,
            right_e4,
            day,
        } = event.change
        {
            assert_eq!(world.nav_e4(event.product, day), Some(wrong_e4));
            assert!(wrong_e4 != right_e4 && right_e4 > 0);
        }
    }
    for (word, least) in [
        ("rerated", 200),
        ("suspended", 200),
        ("resumed", 100),
        ("end_announced", 20),
        ("ended", 20),
        ("restated", 8),
        ("income", 10_000),
        ("nav", 1_000_000),
    ] {
        assert!(
            counts.get(word).copied().unwrap_or(0) >= least,
            "{word}: {counts:?}"
        );
    }
    assert!(up > 50 && up < counts["rerated"], "up and down");
}

#[test]
fn given_products_keep_their_codes_and_bad_input_is_refused() {
    let listed = |code: &str, fine: &str| Listed {
        code: code.to_owned(),
        name: "某基金".to_owned(),
        fine: fine.to_owned(),
    };
    let with = |products: Vec<Listed>| {
        let mut settings = Settings::new(1, 2, start_day());
        settings.days = 10;
        settings.products = Some(products);
        World::new(settings)
    };
    let world = with(vec![listed("000001", "货币型"), listed("1", "什么型")]).unwrap();
    assert_eq!(world.product("000001"), Some(0));
    assert_eq!(
        world.product("1"),
        Some(1),
        "leading zeros tell codes apart"
    );
    assert_eq!(world.products()[1].kind, Kind::Flexible);
    let no = |result: Result<World, BadWorld>| result.err().unwrap().to_string();
    assert!(no(with(vec![])).contains("list of 0 products"));
    assert!(
        no(with(vec![listed("a", ""), listed("a", "")])).contains("`a` stands in the list twice")
    );
    assert!(no(with(made_up(1, 18_301))).contains("18301"));
    let changed = |change: fn(&mut Settings)| {
        let mut settings = Settings::new(1, 2, start_day());
        change(&mut settings);
        World::new(settings)
    };
    assert!(no(changed(|s| s.customers = 0)).contains("number of customers is 0"));
    assert!(no(changed(|s| s.days = 5_000)).contains("number of days is 5000"));
    assert!(no(changed(|s| s.threads = 0)).contains("threads is 0"));
    let short = changed(|s| {
        let (from, to) = (day_of(2025, 1, 1), day_of(2026, 6, 1));
        s.calendar = Some(TradingDays::made_up(from, to).unwrap());
    });
    assert!(matches!(short, Err(BadWorld::Calendar { .. })));
    assert_eq!(
        History::from_closes(&[1.0], &[1.0, 2.0]),
        Err(BadHistory::Lengths(1, 2))
    );
    assert_eq!(
        History::from_closes(&[1.0; 250], &[1.0; 250]),
        Err(BadHistory::Short(250))
    );
    let mut zero = [1.0; 400];
    zero[7] = 0.0;
    assert_eq!(
        History::from_closes(&zero, &[1.0; 400]),
        Err(BadHistory::Close(7))
    );
}

#[test]
fn a_world_of_one_product_and_one_customer_lives() {
    for kind in ["货币型", "股票型", "QDII"] {
        let mut settings = Settings::new(1, 1, start_day());
        settings.products = Some(vec![Listed {
            code: "x".to_owned(),
            name: "x".to_owned(),
            fine: kind.to_owned(),
        }]);
        let mut world = World::new(settings).unwrap();
        assert!(!super::played(&mut world).is_empty());
    }
    assert!(world(1, 1, 1).end() > world(1, 1, 1).start());
}
