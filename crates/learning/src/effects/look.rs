//! A kept model asked about the rows of a table.

use super::Axis;
use super::dependence::{interaction, partial_dependence};
use super::local::first_order;
use super::pair::second_order;
use super::permute::{permutation, shuffles};
use super::rows::{Predict, Rows, drawn, mean};
use super::settings::{ROWS_LEAST, Settings};
use super::told::{
    Contributed, Effects, FeatureEffect, Importances, PairEffect, Point, Shuffled, Value,
};
use crate::tabular::{Encoded, Error, Feature, Frame, Kept, Kind, LeftOut, Metric, Scale};

/// What a text is called that was never seen in training.
const UNSEEN: &str = "(never seen in training)";
/// Share of the rows that a model has learned from above which importance is of little worth.
const SEEN_MOST: f64 = 0.01;

/// A model, the rows it is asked about, and which of its numbers is told.
struct Asked<'a> {
    model: &'a Kept,
    settings: &'a Settings,
    output: usize,
    rows: Rows,
    is_category: Vec<bool>,
}

impl Asked<'_> {
    fn feature(&self, at: usize) -> &Feature {
        &self.model.features()[at]
    }

    /// What is told of rows: one number each.
    fn predict(&self) -> impl Fn(&[Vec<f64>]) -> Result<Vec<f64>, Error> + use<'_> {
        let outputs = self.model.outputs();
        move |columns: &[Vec<f64>]| {
            let found = self.model.ask(columns, self.settings.scale)?;
            Ok(match outputs {
                1 => found,
                _ => found
                    .into_iter()
                    .skip(self.output)
                    .step_by(outputs)
                    .collect(),
            })
        }
    }

    fn first(&self, most: usize) -> Rows {
        let places: Vec<u32> = (0..self.rows.len().min(most) as u32).collect();
        self.rows.take(&places)
    }

    fn axis(&self, at: usize, most: usize) -> Axis {
        match self.is_category[at] {
            true => Axis::category(&self.rows, at, &self.is_category, most),
            false => Axis::number(self.rows.column(at), most),
        }
    }

    /// Why nothing can be said of a feature.
    fn constant(&self, at: usize) -> Option<String> {
        let column = self.rows.column(at);
        let first = column[0];
        let same = |v: &f64| *v == first || (v.is_nan() && first.is_nan());
        column
            .iter()
            .all(same)
            .then(|| match self.value(at, first) {
                Value::Missing => "every value is missing in these rows".to_owned(),
                Value::Number(v) => format!("every value is {v} in these rows"),
                Value::Text(text) => format!("every value is `{text}` in these rows"),
            })
    }

    fn value(&self, at: usize, v: f64) -> Value {
        match self.feature(at) {
            _ if v.is_nan() => Value::Missing,
            of if of.is_category() => {
                let level = of.levels().get(v as usize);
                Value::Text(level.map_or_else(|| UNSEEN.to_owned(), String::clone))
            }
            _ => Value::Number(v),
        }
    }

    fn effect(&self, at: usize, curve: &mut Rows) -> Result<FeatureEffect, Error> {
        let predict = self.predict();
        let axis = self.axis(at, self.settings.bins);
        let local = first_order(&mut self.rows.clone(), at, &axis, &predict)?;
        let mut values = axis.values().to_vec();
        let mut effects = local.effects.clone();
        let mut counts = local.counts.clone();
        if matches!(axis, Axis::Number(_)) && values.len() > 1 {
            counts.insert(0, 0);
        }
        if let Some((effect, rows)) = local.missing {
            values.push(f64::NAN);
            effects.push(effect);
            counts.push(rows);
        }
        let depends = partial_dependence(curve, at, &values, &predict)?;
        let points = (0..values.len())
            .map(|i| Point {
                value: self.value(at, values[i]),
                rows: counts[i],
                effect: effects[i],
                expected: depends.means[i],
                bands: depends.bands[i],
            })
            .collect();
        Ok(FeatureEffect {
            feature: self.feature(at).name.clone(),
            is_category: self.is_category[at],
            deviation: local.deviation(&axis),
            points,
            others: local.others,
        })
    }

    fn pair(&self, at: [usize; 2]) -> Result<PairEffect, Error> {
        let predict = self.predict();
        let axes = at.map(|at| self.axis(at, self.settings.pair_bins));
        let told = [&axes[0], &axes[1]];
        let found = second_order(&mut self.rows.clone(), at, told, &predict)?;
        let mut few = self.first(self.settings.pair_rows);
        let beyond = interaction(&mut few, at, &predict)?;
        let value = |which: usize| -> Vec<Value> {
            let values = axes[which].values().iter();
            values.map(|v| self.value(at[which], *v)).collect()
        };
        Ok(PairEffect {
            features: at.map(|at| self.feature(at).name.clone()),
            values: [value(0), value(1)],
            effects: (found.effects.chunks(axes[1].values().len()))
                .map(<[f64]>::to_vec)
                .collect(),
            rows: (found.counts.chunks(axes[1].places()))
                .map(<[usize]>::to_vec)
                .collect(),
            deviation: found.deviation(told),
            h: beyond.h,
            beyond: beyond.beyond,
            others: found.others,
        })
    }

    fn contributions(&self, curve: &Rows) -> Result<Vec<Contributed>, Error> {
        if self.model.kind() != Kind::Gbdt {
            return Ok(Vec::new());
        }
        let columns: Vec<Vec<f64>> = (0..curve.width())
            .map(|c| curve.column(c).to_vec())
            .collect();
        let found = self.model.contributed(&columns)?;
        let features = self.model.features();
        let width = features.len() + 1;
        let line = width * self.model.outputs();
        let mut out: Vec<Contributed> = (features.iter().enumerate())
            .map(|(at, feature)| {
                let own = found.iter().skip(self.output * width + at).step_by(line);
                Contributed {
                    feature: feature.name.clone(),
                    mean_absolute: own.map(|v| v.abs()).sum::<f64>() / curve.len() as f64,
                }
            })
            .collect();
        out.sort_by(|a, b| b.mean_absolute.total_cmp(&a.mean_absolute));
        Ok(out)
    }
}

/// The place of a feature by its name.
fn place(model: &Kept, name: &str) -> Result<usize, Error> {
    let features = model.features();
    features.iter().position(|f| f.name == name).ok_or_else(|| {
        let some: Vec<String> = features
            .iter()
            .take(20)
            .map(|f| format!("`{}`", f.name))
            .collect();
        Error::Unknown {
            name: name.to_owned(),
            there: some.join(", "),
        }
    })
}

/// What a model makes of its features, by the rows of a table that holds them by name; for importance rows that it has not learned from.
/// Permuting the table's rows changes nothing.
///
/// # Errors
/// Features, classes and figures that are not the model's, settings out of range, fewer than [`ROWS_LEAST`] rows, infinite numbers,
/// columns that are not there, outcomes that the figure is not for.
pub fn effects(model: &Kept, frame: &Frame, settings: &Settings) -> Result<Effects, Error> {
    settings.check()?;
    let output = settings.output(model)?;
    let features: Vec<usize> = match settings.features.is_empty() {
        true => (0..model.features().len()).collect(),
        false => (settings.features.iter())
            .map(|name| place(model, name))
            .collect::<Result<_, Error>>()?,
    };
    let mut pairs = Vec::with_capacity(settings.pairs.len());
    for (a, b) in &settings.pairs {
        if a == b {
            return Err(Error::Setting {
                name: "pair",
                found: format!("`{a}` with itself"),
                wanted: "name two different features".to_owned(),
            });
        }
        pairs.push([place(model, a)?, place(model, b)?]);
    }
    let metric = settings.target.as_ref().map(|_| settings.figure(model));
    let metric = metric.transpose()?;
    if frame.rows() < ROWS_LEAST {
        return Err(Error::Rows {
            found: frame.rows(),
            least: ROWS_LEAST,
            of: "looking at a model",
        });
    }
    let encoded = model.encoded(frame)?;
    let columns: Vec<&[f64]> = encoded.columns.iter().map(Vec::as_slice).collect();
    let mut order = drawn(&columns, settings.seed);
    order.truncate(settings.rows);
    let asked = Asked {
        model,
        settings,
        output,
        rows: Rows::new(encoded.columns.clone())?.take(&order),
        is_category: model.features().iter().map(Feature::is_category).collect(),
    };
    let mut flags: Vec<String> = (model.features().iter().zip(&encoded.unseen))
        .filter(|(_, n)| **n > 0)
        .map(|(f, n)| {
            format!(
                "`{}`: {n} rows have a text that was never seen in training; the model takes them all alike",
                f.name
            )
        })
        .collect();
    let mut curve = asked.first(settings.curve_rows);
    let mut left_out = Vec::new();
    let mut told = Vec::with_capacity(features.len());
    for at in features.iter().copied() {
        match asked.constant(at) {
            Some(why) => left_out.push(LeftOut {
                column: asked.feature(at).name.clone(),
                why,
            }),
            None => told.push(asked.effect(at, &mut curve)?),
        }
    }
    told.sort_by(|a, b| b.deviation.total_cmp(&a.deviation));
    let mut together = Vec::with_capacity(pairs.len());
    for at in pairs {
        match at.iter().find_map(|at| Some((*at, asked.constant(*at)?))) {
            Some((own, why)) => left_out.push(LeftOut {
                column: at.map(|at| asked.feature(at).name.clone()).join(":"),
                why: format!("`{}`: {why}", asked.feature(own).name),
            }),
            None => together.push(asked.pair(at)?),
        }
    }
    let importance = match (metric, &settings.target) {
        (Some(metric), Some(target)) => {
            let found = importance(&asked, &features, frame, &encoded, (target, metric))?;
            if let Some(share) = found.learned_from.filter(|s| *s > SEEN_MOST) {
                flags.push(format!(
                    "the model has learned from {:.0} % of these rows, and importance is overstated: name rows that it has not seen",
                    100.0 * share
                ));
            }
            Some(found)
        }
        _ => None,
    };
    let predict: &Predict<'_> = &asked.predict();
    Ok(Effects {
        scale: settings.scale,
        unit: model.unit(settings.scale),
        class: settings.class.clone(),
        mean: mean(&asked.rows.clone().ask(Vec::new(), predict)?),
        rows: frame.rows(),
        looked_at: asked.rows.len(),
        curve_rows: curve.len(),
        contributions: asked.contributions(&curve)?,
        features: told,
        pairs: together,
        importance,
        left_out,
        flags,
    })
}

fn importance(
    asked: &Asked<'_>,
    places: &[usize],
    frame: &Frame,
    encoded: &Encoded,
    (target, metric): (&str, Metric),
) -> Result<Importances, Error> {
    let (model, settings) = (asked.model, asked.settings);
    if model.features().iter().any(|f| f.name == target) {
        return Err(Error::Column {
            name: target.to_owned(),
            why: "the model learned from it: name the column that it predicts".to_owned(),
        });
    }
    let outcomes = model.outcomes(frame, target)?;
    let own = Rows::new(encoded.columns.clone())?.take(&outcomes.rows);
    let mut columns: Vec<&[f64]> = (0..own.width()).map(|c| own.column(c)).collect();
    columns.push(&outcomes.targets);
    columns.extend(outcomes.weights.as_deref());
    let mut order = drawn(&columns, settings.seed);
    order.truncate(settings.rows);
    let take = |v: &[f64]| -> Vec<f64> { order.iter().map(|r| v[*r as usize]).collect() };
    let targets = take(&outcomes.targets);
    let weights = outcomes.weights.as_deref().map(take);
    let mut rows = own.take(&order);
    let predict = |columns: &[Vec<f64>]| model.ask(columns, Scale::Response);
    let judge = |found: &[f64]| model.figure(metric.name, &targets, weights.as_deref(), found);
    let orders = shuffles(rows.len(), settings.repeats, settings.seed);
    let sign = if metric.rises { 1.0 } else { -1.0 };
    let mut features = Vec::with_capacity(places.len());
    for at in places {
        let found = permutation(&mut rows, *at, &orders, &predict, &judge, sign)?;
        features.push(Shuffled {
            feature: asked.feature(*at).name.clone(),
            worse: found.mean,
            standard_error: found.standard_error,
        });
    }
    features.sort_by(|a, b| b.worse.total_cmp(&a.worse));
    let now = rows.asked(Vec::new(), &predict)?;
    Ok(Importances {
        metric: metric.name,
        rises: metric.rises,
        figure: judge(&now).unwrap_or(f64::NAN),
        rows: rows.len(),
        repeats: settings.repeats,
        learned_from: model.has_seen(frame, &model.target().column),
        features,
    })
}
