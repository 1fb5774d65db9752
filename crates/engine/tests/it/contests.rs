//! Contests: a share of the customers is decided for by the challenger, always the same, and the records say so.

use crate::support::{SHOP, World};
use luopan_engine::dataset::DatasetSpec;
use std::collections::BTreeMap;

fn pack(share: &str) -> String {
    format!(
        "{SHOP}  bold:\n    like: learned\n    exploration: uniform\n    rewards: [bought]\ncontests:\n  bolder: {{champion: learned, challenger: bold, share: {share}}}\n"
    )
}

async fn decided(w: &World, customers: &[String]) -> BTreeMap<String, (String, Option<String>)> {
    let mut out = BTreeMap::new();
    for name in customers {
        let record = w.decide("learned", name).await.unwrap().record;
        out.insert(name.clone(), (record.policy, record.contest));
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_challenger_decides_for_its_share_and_the_record_says_so() {
    let w = World::new(&pack("0.3")).await;
    let names: Vec<String> = (0..200).map(|i| format!("c{i}")).collect();
    let first = decided(&w, &names).await;
    let bold = |of: &BTreeMap<String, (String, Option<String>)>| -> Vec<String> {
        (of.iter())
            .filter(|(_, (policy, _))| policy == "bold")
            .map(|(name, _)| name.clone())
            .collect()
    };
    let its = bold(&first);
    assert!((35..=85).contains(&its.len()), "{}", its.len());
    assert!(
        first
            .values()
            .all(|(_, contest)| contest.as_deref() == Some("bolder"))
    );
    assert_eq!(decided(&w, &names).await, first, "a customer stays");
    // By its own name, and for an item that is asked for, it is no contest.
    let record = w.decide("bold", &names[0]).await.unwrap().record;
    assert_eq!((record.policy.as_str(), record.contest), ("bold", None));
    let mut request = w.request("learned", &its[0]);
    request.item = Some("gift".into());
    let record = w.engine.decide(request).await.unwrap().record;
    assert_eq!((record.policy.as_str(), record.contest), ("learned", None));
    w.verify().await;

    // The rows of each side, and of nothing else.
    w.settle().await;
    for (policy, wanted) in [("bold", its.len()), ("learned", names.len() - its.len())] {
        let dataset = w.engine.dataset("shop", policy).unwrap();
        let mut rows = 0;
        dataset
            .read(&DatasetSpec::default(), &mut |row| {
                rows += usize::from(row.contest == Some("bolder"));
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(rows, 2 * wanted, "{policy}");
    }

    // A larger share keeps who was there.
    let larger = crate::support::plan(&pack("0.6"));
    w.engine.apply_scene(&larger, &[], "test").await.unwrap();
    w.settle().await;
    let now = bold(&decided(&w, &names).await);
    assert!(now.len() > its.len() && its.iter().all(|n| now.contains(n)));
    w.verify().await;
}
