//! A scorecard as people read it: the bins of each column in words, with their weights of evidence and points. This room must never
//! round a figure.

use super::encode::Feature;
use super::learn::Points;
use crate::scorecard::Place;
use serde::Serialize;

/// A column of a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardColumn {
    /// The feature.
    pub feature: String,
    /// Its information value.
    pub information: f64,
    /// Coefficient of its weight of evidence, in the log odds of the positive class.
    pub coefficient: f64,
    /// Its bins.
    pub bins: Vec<CardBin>,
}

/// A bin of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardBin {
    /// What it holds, in words.
    pub values: String,
    /// Rows of the negative class that it was made of, by their weights.
    pub nonevents: f64,
    /// Those of the positive class.
    pub events: f64,
    /// `ln(share of non-events / share of events)`.
    pub weight_of_evidence: f64,
    /// What it adds to a row's points.
    pub points: f64,
}

/// The columns of a card, the one with the most information first.
pub(super) fn told(points: &Points, features: &[Feature]) -> Vec<CardColumn> {
    let mut out: Vec<CardColumn> = (points.attributes.iter())
        .map(|attribute| {
            let feature = &features[attribute.variable];
            let bins = attribute.binning.bins().iter().zip(&attribute.points);
            CardColumn {
                feature: feature.name.clone(),
                information: attribute.binning.information(),
                coefficient: attribute.coefficient,
                bins: bins
                    .map(|(bin, points)| CardBin {
                        values: words(&bin.place, feature.levels()),
                        nonevents: bin.nonevents,
                        events: bin.events,
                        weight_of_evidence: bin.weight_of_evidence,
                        points: *points,
                    })
                    .collect(),
            }
        })
        .collect();
    out.sort_by(|a, b| b.information.total_cmp(&a.information));
    out
}

fn words(place: &Place, levels: &[String]) -> String {
    match place {
        Place::Numbers {
            from: None,
            below: None,
        } => "all numbers".to_owned(),
        Place::Numbers {
            from: None,
            below: Some(below),
        } => format!("below {below}"),
        Place::Numbers {
            from: Some(from),
            below: None,
        } => format!("{from} and above"),
        Place::Numbers {
            from: Some(from),
            below: Some(below),
        } => format!("{from} to below {below}"),
        Place::Categories(codes) => {
            let name = |code: &u32| match levels.get(*code as usize) {
                Some(level) => level.clone(),
                None if *code as usize == levels.len() => "never seen".to_owned(),
                None => "missing".to_owned(),
            };
            let names: Vec<String> = codes.iter().map(name).collect();
            names.join(", ")
        }
        Place::Other => "rare or never seen".to_owned(),
        Place::Special(value) => value.to_string(),
        Place::Missing => "missing".to_owned(),
    }
}
