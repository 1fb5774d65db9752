//! What was measured, from the quarters of all seeds. Gains are in true chances of an answer: what a policy is worth less what lots are, over
//! what the oracle is less what lots are. This room must never leave a seed out.

use std::fmt;

use luopan_bench::{Fault, Measurement, Reference};
use luopan_kernel::plan::ScenePlan;

use super::drive::Played;
use super::judge::Judged;
use super::off_policy::{Estimated, LEVEL};
use super::scene::{limit, weekly};
use super::vw::NAME;
use super::world::WEEKS;

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrant {
    Random,
    Oracle,
    Blended,
    Trees,
    Learned,
    Peer,
}

impl Entrant {
    /// Those who play on the seeds that are counted.
    pub(crate) const COUNTED: [Self; 4] = [Self::Random, Self::Oracle, Self::Blended, Self::Peer];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "random" => Self::Random,
            "oracle" => Self::Oracle,
            "blended" => Self::Blended,
            "trees" => Self::Trees,
            "learned" => Self::Learned,
            "vw" => Self::Peer,
            _ => return None,
        })
    }

    fn words(self) -> &'static str {
        match self {
            Self::Random => "lots",
            Self::Oracle => "the oracle",
            Self::Blended => "trees and online model, blended",
            Self::Trees => "trees alone",
            Self::Learned => "online model alone, Thompson sampling",
            Self::Peer => NAME,
        }
    }
}

/// What came of a quarter of one entrant, by week where it is a list.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    worth: [f64; WEEKS],
    offers: [f64; WEEKS],
    answers: [f64; WEEKS],
    /// What the best permitted product would have been worth above what was offered, at the same offers.
    by_product: [f64; WEEKS],
    judged: Judged,
    seconds: f64,
}

impl Summary {
    pub(crate) fn of(played: &Played) -> Self {
        let mut out = Self {
            worth: [0.0; WEEKS],
            offers: [0.0; WEEKS],
            answers: [0.0; WEEKS],
            by_product: [0.0; WEEKS],
            judged: played.judged,
            seconds: played.seconds,
        };
        for row in played.rows.iter().filter(|r| r.chosen.is_some()) {
            let week = (row.day / 7) as usize;
            let best = row.chances.iter().copied().fold(0.0, f64::max);
            out.worth[week] += row.chance();
            out.by_product[week] += best - row.chance();
            out.offers[week] += 1.0;
            out.answers[week] += f64::from(u8::from(row.is_answered));
        }
        out
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: &[f64; WEEKS]| of.iter().sum::<f64>();
        write!(
            f,
            "worth {:.0} in {:.0} offers, {:.0} answered, {:?}, {:.0} s, by week",
            sum(&self.worth),
            sum(&self.offers),
            sum(&self.answers),
            self.judged,
            self.seconds
        )?;
        for (worth, offers) in self.worth.iter().zip(self.offers) {
            write!(f, " {worth:.0}/{offers:.0}")?;
        }
        Ok(())
    }
}

/// One seed's quarter.
pub(crate) struct Quarter {
    pub(crate) seed: u64,
    pub(crate) by: Vec<(Entrant, Summary)>,
    pub(crate) estimates: Vec<(&'static str, Estimated)>,
}

type Of = fn(&Summary) -> &[f64; WEEKS];
type Weeks = std::ops::Range<usize>;

fn sum(of: &[f64; WEEKS], weeks: &Weeks) -> f64 {
    of[weeks.clone()].iter().sum()
}

impl Quarter {
    fn find(&self, entrant: Entrant) -> Option<&Summary> {
        self.by.iter().find(|(e, _)| *e == entrant).map(|(_, s)| s)
    }

    /// What the entrant gained, and what the oracle did.
    fn gains(&self, entrant: Entrant, of: Of, weeks: &Weeks) -> Option<(f64, f64)> {
        let at = |e| Some(sum(of(self.find(e)?), weeks));
        let lots = at(Entrant::Random)?;
        Some((at(entrant)? - lots, at(Entrant::Oracle)? - lots))
    }
}

/// The entrant's gain over all seeds as a share of the oracle's, with the least and the most of one seed, and its standard error over seeds.
fn share(all: &[Quarter], entrant: Entrant, of: Of, weeks: &Weeks) -> Option<[f64; 4]> {
    let gains: Vec<(f64, f64)> = (all.iter())
        .map(|q| q.gains(entrant, of, weeks))
        .collect::<Option<_>>()?;
    let (own, best) = (gains.iter()).fold((0.0, 0.0), |(a, b), (g, o)| (a + g, b + o));
    let each: Vec<f64> = gains.iter().map(|(g, o)| g / o).collect();
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let squares: f64 = each.iter().map(|s| (s - mean) * (s - mean)).sum();
    Some([
        own / best,
        each.iter().copied().fold(f64::INFINITY, f64::min),
        each.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        (squares / (n - 1.0).max(1.0) / n).sqrt(),
    ])
}

fn plain(name: String, figure: f64, unit: &str) -> Measurement {
    Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: None,
    }
}

pub(crate) fn measured(all: &[Quarter], plan: &ScenePlan) -> Result<Vec<Measurement>, Fault> {
    let worth: Of = |s| &s.worth;
    let answers: Of = |s| &s.answers;
    let n = all.len() as f64;
    let first = all.first().ok_or("no seed was played")?;
    let entrants: Vec<Entrant> = first.by.iter().map(|(e, _)| *e).collect();
    let learners: Vec<Entrant> = (entrants.iter().copied())
        .filter(|e| !matches!(e, Entrant::Random | Entrant::Oracle | Entrant::Peer))
        .collect();
    let what = format!(
        "closed loop, a quarter of {} offers within {} a week and customer, {} seeds",
        limit(plan),
        weekly(plan),
        all.len()
    );
    let mut list = Vec::new();
    for learner in &learners {
        let spans: [(&str, Of, Weeks); 6] = [
            ("the whole quarter", worth, 0..WEEKS),
            ("the whole quarter, in answers that came", answers, 0..WEEKS),
            ("week 1", worth, 0..1),
            ("weeks 2 to 4", worth, 1..4),
            ("weeks 5 to 8", worth, 4..8),
            ("weeks 9 to 13", worth, 8..WEEKS),
        ];
        for (words, of, weeks) in spans {
            let Some([own, least, most, error]) = share(all, *learner, of, &weeks) else {
                continue;
            };
            let theirs = share(all, Entrant::Peer, of, &weeks);
            list.push(Measurement {
                name: format!(
                    "{what}, {words}: gain over lots as a share of the oracle's, {} (seeds {least:.2} to {most:.2}, standard error {error:.3})",
                    learner.words()
                ),
                figure: own,
                unit: "share".to_owned(),
                reference: theirs.map(|[figure, ..]| Reference {
                    name: NAME.to_owned(),
                    figure,
                }),
            });
        }
        for week in 0..WEEKS {
            if let Some([own, ..]) = share(all, *learner, worth, &(week..week + 1)) {
                let words = learner.words();
                let name = format!(
                    "{what}, week {}: share of the oracle's gain, {words}",
                    week + 1
                );
                list.push(plain(name, own, "share"));
            }
        }
        lost(all, *learner, &what, &mut list);
    }
    for entrant in &entrants {
        let of = |f: &dyn Fn(&Summary) -> f64| {
            all.iter()
                .filter_map(|q| q.find(*entrant))
                .map(f)
                .sum::<f64>()
                / n
        };
        let name = |w: &str| format!("{what}, {}: {w}, mean", entrant.words());
        let whole = 0..WEEKS;
        let value = of(&|s| sum(&s.worth, &whole));
        list.push(plain(name("expected answers"), value, "answers"));
        list.push(plain(
            name("offers"),
            of(&|s| sum(&s.offers, &whole)),
            "offers",
        ));
        list.push(plain(name("time of a quarter"), of(&|s| s.seconds), "s"));
    }
    let judged: Vec<Judged> = (all.iter().flat_map(|q| &q.by))
        .map(|(_, s)| s.judged)
        .collect();
    let offers: usize = judged.iter().map(|j| j.offers).sum();
    let broken: usize = judged.iter().map(|j| j.broken).sum();
    let differ: u64 = judged.iter().map(|j| j.differ).sum();
    let name = format!(
        "{what}: of {offers} offers, those that the log shows above cap or budget or against a rule"
    );
    list.push(plain(name, broken as f64, "offers"));
    let name = format!("{what}: recorded reads that differ from what was folded anew");
    list.push(plain(name, differ as f64, "reads"));
    estimates(all, &what, &mut list);
    Ok(list)
}

/// Where the rest of the oracle's gain is.
fn lost(all: &[Quarter], learner: Entrant, what: &str, list: &mut Vec<Measurement>) {
    let of = |weeks: Weeks| -> (f64, f64) {
        let mut out = (0.0, 0.0);
        for quarter in all {
            if let (Some(own), Some(best)) = (quarter.find(learner), quarter.find(Entrant::Oracle))
            {
                out.0 += sum(&best.worth, &weeks) - sum(&own.worth, &weeks);
                out.1 += sum(&own.by_product, &weeks);
            }
        }
        (out.0, out.1)
    };
    let (whole, _) = of(0..WEEKS);
    let (later, product) = of(4..WEEKS);
    let words = learner.words();
    for (name, figure) in [
        ("in week 1", of(0..1).0),
        ("in weeks 2 to 4", of(1..4).0),
        ("in weeks 5 to 13, by the product that was offered", product),
        ("in weeks 5 to 13, by whom and when", later - product),
    ] {
        let name = format!("{what}, {words}: of what the oracle earns more, lost {name}");
        list.push(plain(name, figure / whole, "share"));
    }
}

/// What logs say of the frozen policy, beside the truth.
fn estimates(all: &[Quarter], what: &str, list: &mut Vec<Measurement>) {
    for log in ["random", "own"] {
        for estimator in ["ips", "snips", "dr"] {
            let found: Vec<&Estimated> = (all.iter().flat_map(|q| &q.estimates))
                .filter(|(l, e)| *l == log && e.estimator == estimator)
                .map(|(_, e)| e)
                .collect();
            if found.is_empty() {
                continue;
            }
            let n = found.len() as f64;
            let mean =
                |of: &dyn Fn(&Estimated) -> f64| found.iter().map(|e| of(e)).sum::<f64>() / n;
            let holds = found.iter().filter(|e| e.holds()).count();
            list.push(Measurement {
                name: format!(
                    "{what}, off-policy by {estimator} on the {log} log: quarters whose truth lies within the interval (mean estimate {:.4}, truth {:.4}, width {:.4}, logged {:.4}, {:.0} rows worth {:.0})",
                    mean(&|e| e.value),
                    mean(&|e| e.truth),
                    mean(&|e| e.upper - e.lower),
                    mean(&|e| e.logged),
                    mean(&|e| e.rows as f64),
                    mean(&|e| e.effective),
                ),
                figure: holds as f64 / n,
                unit: "share".to_owned(),
                reference: Some(Reference {
                    name: "stated".to_owned(),
                    figure: LEVEL,
                }),
            });
        }
    }
}
