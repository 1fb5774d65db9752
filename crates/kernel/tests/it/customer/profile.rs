//! Stored profiles: golden files of every released format, changes of plan, and bytes that are no profile.

use super::fold::folded;
use super::world::{Act, acts, all_specs, identifier, scene, specs};
use crate::decision::record::golden as written_as;
use luopan_kernel::codec;
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::profile::{Held, Layout, Members, Profile};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use proptest::prelude::*;

fn every_tag() -> ScenePlan {
    scene(specs().into_iter().map(|s| s.plan).collect())
}

/// A profile that holds something of everything, made by fixed rules.
fn sample() -> Profile {
    sample_of(&every_tag())
}

fn sample_of(scene: &ScenePlan) -> Profile {
    let plan = FoldPlan::new(scene);
    let start = 1_700_000_000_000_000;
    let mut profile = Profile::new(identifier(9), plan.layout(), Micros(start));
    for i in 0..300i64 {
        let at = start + i * 1_300_000;
        let act = Act {
            who: 9,
            id: format!("sample-{i}"),
            kind: "act",
            occurred_at: at - (i % 7) * 900_000,
            received_at: at,
            properties: vec![
                ("amount", Value::Int(i * 3 - 40)),
                ("count", Value::Int(i % 11)),
                ("flag", Value::Bool(i % 3 == 0)),
                ("name", Value::text(format!("名{}", i % 140))),
                ("when", Value::Time(Micros(at - 5))),
                ("x", Value::Number(i as f64 / 8.0 - 9.0)),
            ],
        };
        let event = act.event();
        profile.seen.admit(
            event.dedup_hash(),
            event.received_at,
            scene.dedup_horizon_us,
        );
        fold(&plan, &mut profile, &event);
    }
    profile.segments = Members {
        definitions: 0x0123_4567_89ab_cdef,
        indexes: vec![0, 3, 500],
    };
    profile.flip_at = Some(Micros(start + 900_000_000));
    profile
}

#[test]
fn the_golden_profile_of_format_1_is_read() {
    let golden = include_bytes!("../../golden/profile-1.bin");
    let sample = sample();
    let plan = FoldPlan::new(&every_tag());
    // A profile without books is still written so.
    written_as("profile-1.bin", &sample.encode());
    assert_eq!(Profile::decode(golden).unwrap(), sample);
    assert_eq!(Profile::decode_for(golden, plan.layout()).unwrap(), sample);
}

/// The sample with a book that holds something of everything.
fn sample_with_book() -> (Profile, FoldPlan) {
    let mut scene = every_tag();
    super::book::add_orders(&mut scene);
    let plan = FoldPlan::new(&scene);
    let mut profile = Profile::decode_for(&sample().encode(), plan.layout()).unwrap();
    for act in super::book::story() {
        fold(&plan, &mut profile, &act.event());
    }
    (profile, plan)
}

#[test]
fn the_golden_profile_of_format_2_is_read() {
    let golden = include_bytes!("../../golden/profile-2.bin");
    let (sample, plan) = sample_with_book();
    // A profile with books and nothing newer is still written so.
    written_as("profile-2.bin", &sample.encode());
    assert_eq!(Profile::decode(golden).unwrap(), sample);
    assert_eq!(Profile::decode_for(golden, plan.layout()).unwrap(), sample);
}

/// The sample of every aggregate, with a book in which redemptions are fast: one open and counted, one of an amount that
/// nobody told.
fn newest_sample() -> (Profile, FoldPlan) {
    let mut scene = scene(all_specs().into_iter().map(|s| s.plan).collect());
    let bare = sample_of(&scene);
    super::book::add_fast_orders(&mut scene);
    let plan = FoldPlan::new(&scene);
    let mut profile = Profile::decode_for(&bare.encode(), plan.layout()).unwrap();
    let mut story = super::book::story();
    story.push(super::book::fast(200, "f1", "balanced", Some(1_234)));
    story.push(super::book::fast(201, "f2", "growth", None));
    for act in story {
        fold(&plan, &mut profile, &act.event());
    }
    (profile, plan)
}

#[test]
fn the_golden_profile_of_format_3_is_read() {
    let golden = include_bytes!("../../golden/profile-3.bin");
    let (sample, plan) = newest_sample();
    // While format 3 is the newest, it is also what is written of a profile with what is newer.
    written_as("profile-3.bin", &sample.encode());
    assert_eq!(Profile::decode(golden).unwrap(), sample);
    assert_eq!(Profile::decode_for(golden, plan.layout()).unwrap(), sample);
    // Formats before it do not hold them, and it is not written without them.
    for older in [1, 2] {
        let mut bytes = golden.to_vec();
        bytes[0] = older;
        assert!(Profile::decode(&bytes).is_err());
    }
    // Format 1 with no book after it, which format 3 would say as a count of zero.
    let mut bytes = include_bytes!("../../golden/profile-1.bin").to_vec();
    bytes[0] = 3;
    bytes.push(0);
    assert!(matches!(
        Profile::decode(&bytes).unwrap_err(),
        codec::Error::Malformed { what, .. } if what.contains("format 3")
    ));
}

#[test]
fn a_book_whose_orders_are_declared_no_more_is_dropped() {
    let (sample, _) = sample_with_book();
    let plan = FoldPlan::new(&every_tag());
    let bare = Profile::decode_for(&sample.encode(), plan.layout()).unwrap();
    assert_eq!(bare.books().count(), 0);
    assert_eq!(bare.encode()[0], 1);
    let mut adapted = sample;
    assert!(adapted.adapt(plan.layout()));
    assert_eq!(adapted, bare);
}

/// Writes the golden file of a format that has none yet; never over one that is released.
#[test]
#[ignore = "run once by hand when a format is added"]
fn write_the_golden_profile() {
    let path = format!(
        "{}/tests/golden/profile-{}.bin",
        env!("CARGO_MANIFEST_DIR"),
        luopan_kernel::profile::PROFILE_FORMAT
    );
    let mut file =
        std::fs::File::create_new(path).expect("the golden file of a format is written once");
    std::io::Write::write_all(&mut file, &newest_sample().0.encode()).unwrap();
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let mut bytes = sample().encode();
    bytes[0] = 4;
    assert_eq!(
        Profile::decode(&bytes).unwrap_err(),
        codec::Error::Newer {
            what: "profile",
            found: 4,
            known: 3
        }
    );
    // Formats 2 and 3 without a book in them are not written, and not taken.
    for format in [2, 3] {
        bytes[0] = format;
        assert!(matches!(
            Profile::decode(&bytes).unwrap_err(),
            codec::Error::Short { .. } | codec::Error::Malformed { .. }
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, tail in proptest::collection::vec(any::<u8>(), 0..40)) {
        let layout = Layout::new(&every_tag().tags);
        let _ = Profile::decode(&bytes);
        let _ = Profile::decode_for(&bytes, &layout);
        // A sound head with anything behind it reaches the cells.
        let mut bytes = Profile::new(identifier(1), &Layout::new(&[]), Micros(5)).encode();
        bytes.truncate(30);
        bytes.extend(tail);
        let _ = Profile::decode(&bytes);
    }

    #[test]
    fn a_damaged_profile_is_refused_or_read_and_folded_without_panic(
        place in 0usize..60_000, value: u8, acts in acts(3, 1)
    ) {
        let (_, plan) = newest_sample();
        let mut bytes = include_bytes!("../../golden/profile-3.bin").to_vec();
        // Half of the damage within the book, which stands at the end.
        let place = match place % 2 {
            0 => place % bytes.len(),
            _ => bytes.len() - 1 - place % (bytes.len() / 4).min(1_500),
        };
        bytes[place] = value;
        if let Ok(mut profile) = Profile::decode_for(&bytes, plan.layout()) {
            let again = profile.encode();
            prop_assert_eq!(Profile::decode(&again).unwrap(), profile.clone());
            for act in acts.iter().chain(&super::book::story()) {
                fold(&plan, &mut profile, &act.event());
            }
            for (_, book) in profile.books() {
                let _ = luopan_kernel::book::summary(&[book, book], 2);
            }
            let _ = luopan_kernel::slots::CustomerSlots::read(
                &scene(all_specs().into_iter().map(|s| s.plan).collect()), &[&profile], super::fold::moment(0), &[],
            ).values.len();
        }
        let cut = place % bytes.len();
        prop_assert!(Profile::decode(&bytes[..cut]).is_err());
    }

    #[test]
    fn tags_that_did_not_change_keep_their_state(
        acts in acts(30, 1), order in Just((0..specs().len()).collect::<Vec<_>>()).prop_shuffle(), kept in 0usize..100
    ) {
        let old = every_tag();
        let old_plan = FoldPlan::new(&old);
        let profile = &folded(&old_plan, &acts)[&0];
        // The new plan has some of the tags in another order, a new one before them, and one of the old under a second name.
        let mut tags: Vec<_> = order.iter().take(kept).map(|i| specs()[*i].plan.clone()).collect();
        let mut fresh = specs()[0].plan.clone();
        fresh.id = 12345;
        tags.insert(0, fresh);
        if let Some(mut twin) = tags.get(1).cloned() {
            twin.name = "twin".to_owned();
            tags.push(twin);
        }
        let new = scene(tags);
        let new_plan = FoldPlan::new(&new);
        let adapted = Profile::decode_for(&profile.encode(), new_plan.layout()).unwrap();
        let mut in_place = profile.clone();
        prop_assert!(in_place.adapt(new_plan.layout()));
        prop_assert_eq!(&adapted, &in_place);
        for (i, tag) in new.tags.iter().enumerate() {
            let found = adapted.cell(i, tag.id).unwrap();
            match old.tags.iter().position(|t| t.id == tag.id) {
                Some(was) => prop_assert_eq!(found, profile.cell(was, tag.id).unwrap()),
                None => prop_assert_eq!(found, &Held::Nothing),
            }
        }
        prop_assert!(!in_place.adapt(new_plan.layout()));
    }
}
