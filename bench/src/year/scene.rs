//! The fund pack as it is shipped, ready for the kernel: compiled, with what its ways of deciding read, and one policy more:
//! the text message without its model. It must never change a rule; a test that wants to see a rule missed takes it out by [`Scene::without`].

use crate::Fault;
use luopan_kernel::artifact::{Artifact, Artifacts};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::plan::policy::CapPlan;
use luopan_kernel::plan::{PolicyPlan, ScenePlan, SlotSource};
use luopan_kernel::slots::SlotSet;
use luopan_kernel::time::DAY_US;
use luopan_scene::Checked;
use luopan_server::checked::Purpose;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the pack.
pub const SCENE: &str = "fund";
/// Contacts older than the longest window of a cap count for nothing; this long they are kept at least.
const CONTACTS_KEPT_US: i64 = DAY_US;

/// The pack as it lies in the repository, compiled.
///
/// # Errors
/// A pack that does not compile.
pub fn compiled() -> Result<Checked, Fault> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scenes")
        .join(SCENE);
    let decode = |kind, bytes: &[u8]| Artifact::decode(kind, bytes).map_err(|e| e.to_string());
    let checked = luopan_scene::compile_with(luopan_scene::load_folder(&folder)?, &decode);
    checked.map_err(|faults| {
        let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
        words.join("\n").into()
    })
}

/// The ways of deciding, by the pack's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A push in the app as the pack ships it, with its model.
    Learned,
    /// The same within the same rules, any suitable fund alike.
    Random,
    /// The same as a text message, with its model.
    TextMessage,
    /// The same within the same rules, any suitable fund alike.
    TextRandom,
    /// The shelf.
    Shelf,
    /// The check of a purchase before it is placed.
    OwnPurchase,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Learned,
        Self::Random,
        Self::TextMessage,
        Self::TextRandom,
        Self::Shelf,
        Self::OwnPurchase,
    ];

    /// Name of the policy.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Random => "random",
            Self::TextMessage => "text_message",
            Self::TextRandom => "text_random",
            Self::Shelf => "shelf",
            Self::OwnPurchase => "own_purchase",
        }
    }

    /// What its decisions are for.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Learned | Self::Random | Self::TextMessage | Self::TextRandom => Purpose::Push,
            Self::Shelf => Purpose::Show,
            Self::OwnPurchase => Purpose::Buy,
        }
    }
}

/// One way, found in the plan.
#[derive(Debug)]
pub struct Used {
    /// Index of the policy.
    pub policy: usize,
    /// What it reads.
    pub slots: SlotSet,
}

/// The scene.
#[derive(Debug)]
pub struct Scene {
    /// The plan.
    pub plan: ScenePlan,
    /// How events are folded.
    pub fold: FoldPlan,
    /// Trained files of the pack.
    pub artifacts: Artifacts,
    /// In the order of [`Way::ALL`].
    pub used: Vec<Used>,
    /// Number of the catalogue of funds.
    pub catalogue: u16,
    /// Index of the tag that holds the customer's zone.
    pub zone_tag: Option<usize>,
    /// Offsets from UTC of zones without summer time, seconds.
    pub zones: BTreeMap<String, i32>,
    /// How long contacts are kept, microseconds.
    pub contacts_kept_us: i64,
    /// A policy reads a measure, so that prices have to be followed.
    pub needs_measures: bool,
}

impl Scene {
    /// The pack `scenes/fund`.
    ///
    /// # Errors
    /// A pack that does not compile, or lacks one of the policies.
    pub fn shipped() -> Result<Self, Fault> {
        Self::without(&[])
    }

    /// The pack without these rules, wherever a policy has them.
    ///
    /// # Errors
    /// As [`Scene::shipped`]; a rule that no policy has.
    pub fn without(rules: &[&str]) -> Result<Self, Fault> {
        let checked = compiled()?;
        let mut plan = checked.plan;
        for name in rules {
            let mut found = false;
            for policy in &mut plan.policies {
                for list in [
                    &mut policy.eligibility,
                    &mut policy.suitability,
                    &mut policy.exclusions,
                ] {
                    let before = list.len();
                    list.retain(|r| r.name != *name);
                    found |= list.len() < before;
                }
            }
            if !found {
                return Err(format!("no policy has a rule `{name}`").into());
            }
        }
        Self::of(plan, checked.artifacts)
    }

    fn of(mut plan: ScenePlan, artifacts: Vec<Artifact>) -> Result<Self, Fault> {
        // What `random` is to `learned`, for text messages: the same rules, caps and budgets, any suitable fund alike.
        if let (Some(text), Some(random)) = (plan.policy("text_message"), plan.policy("random")) {
            let alike = PolicyPlan {
                name: Way::TextRandom.policy().to_owned(),
                scorer: random.scorer.clone(),
                exploration: random.exploration.clone(),
                retrieval: random.retrieval.clone(),
                ranking: random.ranking.clone(),
                ..text.clone()
            };
            plan.policies.push(alike);
        }
        let mut used = Vec::new();
        for way in Way::ALL {
            let policy = (plan.policies.iter().position(|p| p.name == way.policy()))
                .ok_or_else(|| format!("scene `{}` has no policy `{}`", plan.name, way.policy()))?;
            used.push(Used {
                policy,
                slots: SlotSet::of_policy(&plan, &plan.policies[policy]),
            });
        }
        let catalogue = plan.policies[used[0].policy].catalogue;
        let measures = plan.catalogues[usize::from(catalogue)].measures.as_ref();
        let needs_measures = used.iter().any(|u| {
            u.slots
                .iter()
                .any(|slot| match plan.slots[usize::from(slot.0)].source {
                    SlotSource::Item(c, a) => {
                        c == catalogue && measures.is_some_and(|m| m.fills(usize::from(a)))
                    }
                    _ => false,
                })
        });
        let windows = |p: &PolicyPlan| {
            let caps = p.caps.iter().filter_map(|c: &CapPlan| c.window_us).max();
            caps.max(p.quiet_period_us)
        };
        let longest = plan.policies.iter().filter_map(windows).max();
        let zones = [
            plan.default_zone.as_str(),
            "Asia/Shanghai",
            "Asia/Urumqi",
            "Asia/Hong_Kong",
            "Asia/Tokyo",
        ];
        let offset = |zone: &str| -> Result<(String, i32), Fault> {
            let found = jiff::tz::TimeZone::get(zone)?;
            let seconds = found.to_offset(
                jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55),
            );
            Ok((zone.to_owned(), seconds.seconds()))
        };
        Ok(Self {
            fold: FoldPlan::new(&plan),
            artifacts: Artifacts::of(artifacts),
            zone_tag: (plan.zone_attribute.as_ref())
                .and_then(|name| plan.tags.iter().position(|t| t.name == *name)),
            zones: zones.into_iter().map(offset).collect::<Result<_, _>>()?,
            contacts_kept_us: longest.unwrap_or(0).max(CONTACTS_KEPT_US),
            used,
            catalogue,
            needs_measures,
            plan,
        })
    }

    /// A way and its policy.
    pub fn way(&self, way: Way) -> (&Used, &PolicyPlan) {
        let used = &self.used[way as usize];
        (used, &self.plan.policies[used.policy])
    }
}
