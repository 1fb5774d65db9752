//! Records: nothing is lost in writing, every decision can be made again, and a changed one is told apart.

use super::wide::wide;
use super::world::{World, world};
use luopan_kernel::decide::considered;
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId};
use luopan_kernel::plan::Scorer;
use luopan_kernel::record::{
    DecisionRecord, Error, Idempotency, Known, ModelUsed, Unrepeatable, compare, plan_hash,
    recompute,
};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use proptest::prelude::*;

/// Compares `bytes` with the golden file `name`; `LUOPAN_BLESS=1` writes it anew.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests read the kernel's golden files; the kernel does not"
)]
pub(crate) fn golden(name: &str, bytes: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == bytes,
        "{name} would be written otherwise: raise the format, keep the old file"
    );
}

pub(crate) fn record(w: &World, seed: u64) -> DecisionRecord {
    let now = w.request.moment.now;
    let uses_model = matches!(w.policy().scorer, Scorer::Model(_));
    DecisionRecord {
        semantics: luopan_kernel::SEMANTICS,
        tenant: TenantId(1),
        scene: SceneNo(2),
        scene_version: 3,
        plan_hash: plan_hash(&w.scene),
        policy: w.policy().name.clone(),
        catalogue_version: w.catalogue.version,
        model: uses_model.then(|| ModelUsed {
            name: "response".into(),
            version: w.model.as_ref().map_or(0, |m| m.samples),
        }),
        objective_models: (w.objective_models().iter())
            .map(|(name, state)| ModelUsed {
                name: (*name).into(),
                version: state.samples,
            })
            .collect(),
        request: w.request.clone(),
        identifier: IdentifierId([9; 16]),
        identifiers: vec![IdentifierId([9; 16])],
        context: vec![("page".into(), Value::text("a"))],
        idempotency: Some(Idempotency {
            key_hash: "00ff".into(),
            body_hash: "11".into(),
        }),
        seed,
        positions: vec![(PartitionId(7), Position(u64::MAX))],
        contacts: considered(w.policy(), &w.contacts, now),
        spent: w.spent.clone(),
        elapsed: w.elapsed.clone(),
        attempt: 1,
        withheld: None,
        contest: None,
        valid_until: Micros(i64::MAX),
        decision: w.decide(seed),
    }
}

pub(crate) fn again(
    w: &World,
    r: &DecisionRecord,
) -> Result<Vec<luopan_kernel::record::Difference>, Unrepeatable> {
    let model = r.model.as_ref().and(w.model.as_ref());
    let known = Known {
        catalogue: &w.catalogue,
        model,
        objective_models: &w.objective_models(),
        artifacts: &w.artifacts,
    };
    recompute(r, &w.scene, &known).map(|d| compare(r, &d))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_record_is_written_read_and_made_again(seed: u64, draw: u64, is_wide: bool) {
        let w = if is_wide { wide(seed) } else { world(seed) };
        let r = record(&w, draw);
        let bytes = r.encode();
        let back = DecisionRecord::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &r);
        prop_assert_eq!(back.encode(), bytes);
        prop_assert_eq!(again(&w, &back).unwrap(), vec![]);
    }

    #[test]
    fn a_withheld_decision_is_made_again(seed: u64, draw: u64) {
        let w = world(seed);
        let mut r = record(&w, draw);
        r.decision = r.decision.withheld("budget changed");
        r.withheld = Some("budget changed".into());
        prop_assert!(r.decision.null && r.decision.debits.is_empty() && r.decision.distribution.probability(None) == 1.0);
        prop_assert_eq!(again(&w, &r).unwrap(), vec![]);
    }

    #[test]
    fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>) {
        let _ = DecisionRecord::decode(&bytes);
        bytes.insert(0, 1);
        let _ = DecisionRecord::decode(&bytes);
    }
}

#[test]
fn a_changed_record_is_told_apart() {
    let (w, r) = (0..)
        .map(|s| (world(s), record(&world(s), 5)))
        .find(|(_, r)| !r.decision.null && !r.decision.slots_read.is_empty())
        .unwrap();
    let mut changed = r.clone();
    let p = changed.decision.choices[0].propensity;
    changed.decision.choices[0].propensity = f64::from_bits(p.to_bits() ^ 1);
    let told = again(&w, &changed).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].path, "choices/0/propensity");
    let mut changed = r.clone();
    changed.decision.choices.clear();
    assert!(
        again(&w, &changed)
            .unwrap()
            .iter()
            .any(|d| d.path == "choices/0" && d.recorded == "absent")
    );
}

#[test]
fn what_cannot_be_made_again_says_why() {
    let w = (0..)
        .map(world)
        .find(|w| w.model.is_some() && matches!(w.policy().scorer, Scorer::Model(_)))
        .unwrap();
    let r = record(&w, 5);
    let mut other = r.clone();
    other.semantics = 99;
    assert!(
        again(&w, &other)
            .unwrap_err()
            .to_string()
            .contains("semantics 99")
    );
    let mut changed = w.clone();
    changed.policy_mut().valid_for_us += 1;
    assert!(matches!(
        again(&changed, &r),
        Err(Unrepeatable::Plan { .. })
    ));
    let mut changed = w.clone();
    changed.catalogue.version += 1;
    assert!(matches!(
        again(&changed, &r),
        Err(Unrepeatable::Catalogue {
            wanted: 5,
            found: 6
        })
    ));
    let mut changed = w.clone();
    changed.model = None;
    assert!(matches!(
        again(&changed, &r),
        Err(Unrepeatable::Model {
            wanted: 30,
            found: 0,
            ..
        })
    ));
}

#[test]
fn integers_and_numbers_survive_exactly() {
    let w = world(3);
    let mut r = record(&w, u64::MAX);
    r.context = vec![
        ("a".into(), Value::Int(i64::MIN)),
        ("b".into(), Value::Number(0.1 + 0.2)),
        ("c".into(), Value::Number(5e-324)),
        ("d".into(), Value::Time(Micros(i64::MAX))),
    ];
    assert_eq!(DecisionRecord::decode(&r.encode()).unwrap(), r);
}

#[test]
fn golden_file_of_format_1_is_read() {
    // One with a model, a slate, a budget and refusals.
    let interesting = |w: &World| {
        w.model.is_some()
            && w.policy().budgets.len() == 2
            && w.decide(5).choices.len() > 1
            && w.decide(5).refusals.len() > 1
            && matches!(w.policy().scorer, Scorer::Model(_))
    };
    let w = (0..).map(world).find(interesting).unwrap();
    let r = record(&w, 5);
    golden("decision-1.json", &r.encode());
    let back = DecisionRecord::decode(include_bytes!("../../golden/decision-1.json")).unwrap();
    assert_eq!(back, r);
    assert_eq!(again(&w, &back).unwrap(), vec![]);
    assert!(matches!(
        DecisionRecord::decode(&[2, b'{']),
        Err(Error::Newer { found: 2 })
    ));
    assert!(matches!(DecisionRecord::decode(&[]), Err(Error::NoFormat)));
}
