//! What is learned of a decision is what was known when it was made, whatever became known before its answer came.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_engine::dataset::DatasetSpec;
use luopan_kernel::codec::Reader;
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::learn::Sample;

/// The first sample of the only model.
async fn first_sample(w: &World) -> Sample {
    let stream = w.stores.control.streams().await.unwrap()[0].1;
    assert!(stream > PartitionId(luopan_kernel::ENVIRONMENT_PARTITION));
    let messages = w
        .stores
        .log
        .read(stream, Position(0), 1 << 20)
        .await
        .unwrap();
    let mut r = Reader::new(&messages[0].message);
    r.format("sample message", 1).unwrap();
    assert_eq!(r.uint().unwrap(), 1);
    Sample::decode(r.bytes().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_made_of_what_the_decision_saw() {
    let w = World::new(SHOP).await;
    let id = w
        .decide("learned", "ann")
        .await
        .unwrap()
        .record
        .request
        .decision;
    // By the time she buys, she has visited four times: another bin of `visits_7d`.
    for _ in 0..4 {
        w.event("ann", "visit", &[]).await;
    }
    w.event(
        "ann",
        "buy",
        &[
            ("amount", Raw::Int(5)),
            ("decision_id", Raw::Text(id.to_string().into())),
        ],
    )
    .await;
    w.settle().await;
    let sample = first_sample(&w).await;
    assert_eq!(sample.id.0, id);
    assert_eq!(sample.reward, 1.0);
    // Intercept; fewer than one visit, one or two, three and more; not known.
    assert_eq!(sample.features, [1.0, 1.0, 0.0, 0.0, 0.0]);
}

/// The shop, whose model reads what is computed of a customer and an item.
fn with_liking() -> String {
    SHOP.replace(
        "    attributes: {cost: integer, level: integer}\n",
        "    attributes: {cost: integer, level: integer}\n    derived: {liking: '{\"coupon\": visits_7d, \"gift\": seconds}[item.key] + item.cost'}\n",
    )
    .replace(
        "    scope: per_item\n    reward: bought\n    catalogue: offers\n    features: [intercept, {bins: visits_7d, edges: [1, 3]}]",
        "    scope: shared\n    reward: bought\n    catalogue: offers\n    features: [intercept, {standard: item.liking, mean: 0, scale: 1, clip: 100}]",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_computed_of_customer_and_item_is_learned_as_it_was_seen() {
    let mut w = World::new(&with_liking()).await;
    for _ in 0..2 {
        w.event("ann", "visit", &[("seconds", Raw::Int(20))]).await;
    }
    w.settle().await;
    let record = w.decide("learned", "ann").await.unwrap().record;
    let id = record.request.decision;
    // Visits and seconds, each with what the item costs; of silence nothing.
    let liking = match record.decision.choices.first().map(|c| c.item.as_str()) {
        Some("coupon") => 3.0,
        Some("gift") => 42.0,
        _ => 0.0,
    };
    if let Some(choice) = record.decision.choices.first() {
        let told = choice.reads.iter().find(|(n, _)| n == "item.liking");
        assert_eq!(told.unwrap().1.as_number(), Some(liking));
    }
    w.event("ann", "visit", &[("seconds", Raw::Int(70))]).await;
    let answer = [
        ("amount", Raw::Int(5)),
        ("decision_id", Raw::Text(id.to_string().into())),
    ];
    w.event("ann", "buy", &answer).await;
    w.settle().await;
    let sample = first_sample(&w).await;
    assert_eq!((sample.id.0, sample.features), (id, vec![1.0, liking]));
    for n in 0..40 {
        let record = w.decide("learned", &format!("c{n}")).await.unwrap().record;
        let explained = w.engine.explain(record.request.decision).await.unwrap();
        assert_eq!(explained.not_recomputed, None);
        assert_eq!(explained.differences, Vec::<String>::new());
    }
    // Folded anew from the log, every row has what its decision read.
    w.settle().await;
    let dataset = w.engine.dataset("shop", "learned").unwrap();
    let place = (dataset.features().iter()).position(|f| f.name == "item.liking");
    let mut seen = Vec::new();
    let told = dataset
        .read(&DatasetSpec::default(), &mut |row| {
            seen.push((row.decision, row.features[place.unwrap()].as_number()));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((told.differ, told.rows), (0, 41));
    assert!(told.compared > 41, "{told:?}");
    let own = seen.iter().find(|(d, _)| *d == id).unwrap();
    assert_eq!(own.1.unwrap_or(0.0), liking);
    w.verify().await;
    w.restart().await;
    w.verify().await;
}
