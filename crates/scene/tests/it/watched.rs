//! Monitors and contests: what they compile to, and what is wrong with them.

use crate::support::{compile, faults};
use luopan_kernel::time::{DAY_US, HOUR_US};

const SHOP: &str = "\
scene: shop
events: {buy: {fields: {decision_id: text}}}
catalogues:
  offers: {attributes: {price: integer}, items: {tea: {price: 1}}}
  others: {attributes: {price: integer}, items: {cup: {price: 1}}}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: \"1.0\", window: 1d}
  again: {event: buy, join: {decision: decision_id}, value: \"1.0\", window: 7d}
policies:
  one: {catalogue: offers, channel: app, score: \"1.0\", exploration: uniform, null_action: {name: no}, rewards: [bought]}
  two: {like: one, exploration: greedy, rewards: [bought, again]}
  three: {like: one, rewards: []}
  wide: {like: one, slots: 3}
  other: {like: one, catalogue: others}
  paced: {like: one, budgets: [{budget: daily, cost: \"1\", price: {rate: 0.5}}]}
  metered: {like: one, budgets: [{budget: daily, cost: \"1\"}]}
budgets: {daily: {limit: 9, period: daily}}
";

#[test]
fn monitors_and_contests_are_compiled() {
    let text = format!(
        "{SHOP}monitors:\n  m: {{policy: one, every: 2h, limits: {{psi: 0.2, reward: 0.3}}}}\n  n: {{policy: two, reward: again, recent: 3d, reference: 9d, limits: {{calibration: 0.1}}}}\n  p: {{policy: three, limits: {{psi: 0.1}}}}\n  q: {{policy: paced, limits: {{psi: 0.1, reward: 0.1}}}}\n  r: {{policy: metered, limits: {{calibration: 0.1}}}}\ncontests:\n  c: {{champion: one, challenger: two, share: 0.1234}}\n"
    );
    let plan = compile(&text).unwrap().plan;
    let [m, n, p, q, r] = &plan.monitors[..] else {
        panic!("{:?}", plan.monitors)
    };
    assert_eq!((m.policy, m.reward, m.every_us), (0, Some(0), 2 * HOUR_US));
    assert_eq!((m.recent_us, m.reference_us), (7 * DAY_US, 28 * DAY_US));
    assert_eq!(
        (m.limits.psi, m.limits.calibration, m.limits.reward),
        (Some(0.2), None, Some(0.3))
    );
    assert_eq!((n.policy, n.reward, n.every_us), (1, Some(1), DAY_US));
    assert_eq!((n.recent_us, n.reference_us), (3 * DAY_US, 9 * DAY_US));
    assert_eq!((p.policy, p.reward), (2, None));
    // What a price takes off no score foretells; without a price scores are what they were.
    assert_eq!((q.policy, q.limits.calibration), (5, None));
    assert_eq!((r.policy, r.limits.calibration), (6, Some(0.1)));
    let c = &plan.contests[0];
    assert_eq!(
        (c.name.as_str(), c.champion, c.challenger, c.share),
        ("c", 0, 1, 1_234)
    );
    // A plan without them is what it was before there were any.
    let bare = String::from_utf8(compile(SHOP).unwrap().plan.encode()).unwrap();
    assert!(!bare.contains("monitors") && !bare.contains("contests"));
}

#[test]
fn what_is_wrong_with_them_is_told() {
    let monitor = |of: &str| faults(&format!("{SHOP}monitors: {{m: {of}}}\n"));
    for (of, words) in [
        (
            "{policy: won, limits: {psi: 1}}",
            "no policy is called `won`",
        ),
        ("{policy: one, limits: {}}", "nothing would be watched"),
        ("{policy: one}", "limits"),
        ("{policy: one, limits: {psi: 0}}", "above zero"),
        ("{policy: one, limits: {psy: 1}}", "psi"),
        (
            "{policy: one, every: 5m, limits: {psi: 1}}",
            "`every` is 5m",
        ),
        (
            "{policy: one, recent: 800d, limits: {psi: 1}}",
            "`recent` is 800d",
        ),
        (
            "{policy: two, limits: {reward: 1}}",
            "has 2 rewards, and none is named",
        ),
        ("{policy: three, limits: {calibration: 1}}", "has 0 rewards"),
        (
            "{policy: paced, limits: {calibration: 1}}",
            "takes the price of a budget off its scores",
        ),
        (
            "{policy: one, reward: again, limits: {reward: 1}}",
            "do not wait for reward `again`",
        ),
        (
            "{policy: one, reward: agian, limits: {reward: 1}}",
            "`agian`",
        ),
    ] {
        let found = monitor(of);
        assert!(found.contains(words), "{of}: {found}");
    }
    let contest = |of: &str| faults(&format!("{SHOP}contests: {{c: {of}}}\n"));
    for (of, words) in [
        (
            "{champion: one, challenger: tow, share: 0.1}",
            "no policy is called `tow`",
        ),
        (
            "{champion: one, challenger: one, share: 0.1}",
            "cannot challenge itself",
        ),
        (
            "{champion: one, challenger: wide, share: 0.1}",
            "does not answer like",
        ),
        (
            "{champion: one, challenger: other, share: 0.1}",
            "does not answer like",
        ),
        (
            "{champion: one, challenger: two, share: 0}",
            "write 0.0001 to 1",
        ),
        (
            "{champion: one, challenger: two, share: 1.5}",
            "here stands 1.5",
        ),
        ("{champion: one, challenger: two}", "share"),
    ] {
        let found = contest(of);
        assert!(found.contains(words), "{of}: {found}");
        assert_eq!(found.lines().count(), 1, "{of}: {found}");
    }
    let two = "contests: {c: {champion: one, challenger: two, share: 0.1}, d: {champion: two, challenger: three, share: 0.1}}\n";
    let found = faults(&format!("{SHOP}{two}"));
    assert!(
        found.contains("contest `c` has a policy of this one"),
        "{found}"
    );
}
