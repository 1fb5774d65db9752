//! What is learned of a decision is what was known when it was made, whatever became known before its answer came.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_kernel::codec::Reader;
use luopan_kernel::id::{PartitionId, Position};
use luopan_kernel::learn::Sample;

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
    let sample = Sample::decode(r.bytes().unwrap()).unwrap();
    assert_eq!(sample.id.0, id);
    assert_eq!(sample.reward, 1.0);
    // Intercept; fewer than one visit, one or two, three and more; not known.
    assert_eq!(sample.features, [1.0, 1.0, 0.0, 0.0, 0.0]);
}
