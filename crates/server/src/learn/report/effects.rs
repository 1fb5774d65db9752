//! What a model makes of its features as one HTML page that needs nothing else. It shows what [`crate::learn::effects::Looked`] holds
//! and must never compute a figure of its own.

use super::{Chart, FIELD, SHOWN, chart, short};
use crate::learn::effects::Looked;
use crate::problem::{Problem, Result};
use luopan_learning::effects::{FeatureEffect, PairEffect, Point, Value};
use minijinja::{Environment, context};
use serde::Serialize;

/// Labels along a chart of numbers.
const LABELS: usize = 5;
/// Letters of a category's name in a chart.
const LETTERS: usize = 10;
/// Pairs that are drawn.
const PAIRS_SHOWN: usize = 12;

/// A feature as two charts: what it adds, and what is expected at its values.
#[derive(Debug, Serialize)]
struct Drawn {
    name: String,
    deviation: f64,
    is_category: bool,
    others: usize,
    effect: Chart,
    expected: Chart,
    /// Points of the polygons of rows between 5 and 95, and 25 and 75 %.
    bands: Vec<String>,
}

/// A cell of a pair.
#[derive(Debug, Serialize)]
struct Cell {
    x: f64,
    y: f64,
    is_above: bool,
    opacity: f64,
    words: String,
}

#[derive(Debug, Serialize)]
struct DrawnPair {
    first: String,
    second: String,
    h: Option<f64>,
    beyond: f64,
    deviation: f64,
    width: f64,
    height: f64,
    cells: Vec<Cell>,
    up: Vec<(f64, String)>,
    along: Vec<(f64, String)>,
}

/// A value in words.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::Number(v) => short(*v),
        Value::Text(text) => text.clone(),
        Value::Missing => "(missing)".to_owned(),
    }
}

fn label(value: &Value) -> String {
    let words = words(value);
    match words.chars().count() > LETTERS {
        true => words.chars().take(LETTERS - 1).chain(['…']).collect(),
        false => words,
    }
}

/// Labels of values side by side: of many some.
fn labels(values: &[&Value]) -> Vec<(f64, String)> {
    let last = values.len().saturating_sub(1);
    let each = (last as f64 / LABELS as f64).max(1.0);
    let mut out: Vec<(f64, String)> = Vec::new();
    let mut next = 0.0;
    for (at, value) in values.iter().enumerate() {
        if at as f64 + 0.5 >= next {
            out.push((at as f64, label(value)));
            next += each;
        }
    }
    out
}

fn bounds(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(f64::NEG_INFINITY, f64::max);
    let room = ((most - least) * 0.05).max(most.abs() * 1e-3);
    (least - room, most + room)
}

/// Values stand side by side, whatever lies between them.
fn drawn(of: &FeatureEffect) -> Drawn {
    let right = of.points.len().saturating_sub(1) as f64;
    let values: Vec<&Value> = of.points.iter().map(|p| &p.value).collect();
    let plot = |pick: &dyn Fn(&Point) -> f64, (low, high): (f64, f64)| {
        let told: Vec<_> = (of.points.iter().enumerate())
            .map(|(at, p)| {
                let rows = p.rows;
                let words = format!("{}: {} ({rows} rows)", words(&p.value), short(pick(p)));
                (at as f64, pick(p), words)
            })
            .collect();
        chart(&told, (0.0, right), (low, high), short, labels(&values))
    };
    let effect = plot(&|p| p.effect, bounds(of.points.iter().map(|p| p.effect)));
    let spread = bounds(
        of.points
            .iter()
            .flat_map(|p| p.bands.into_iter().chain([p.expected])),
    );
    let expected = plot(&|p| p.expected, spread);
    let band = |low: usize, high: usize| {
        let of_band = |which: usize| plot(&|p: &Point| p.bands[which], spread).points;
        let (below, above) = (of_band(low), of_band(high));
        let around = above.iter().chain(below.iter().rev());
        around.map(|p| format!("{},{} ", p.x, p.y)).collect()
    };
    Drawn {
        name: of.feature.clone(),
        deviation: of.deviation,
        is_category: of.is_category,
        others: of.others,
        bands: vec![band(0, 4), band(1, 3)],
        effect,
        expected,
    }
}

fn pair(of: &PairEffect) -> DrawnPair {
    let [down, across] = [of.values[0].len(), of.values[1].len()];
    let (width, height) = (FIELD.0 / across as f64, FIELD.1 / down as f64);
    let most = (of.effects.iter().flatten()).fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut cells = Vec::with_capacity(down * across);
    for (i, line) in of.effects.iter().enumerate() {
        for (j, v) in line.iter().enumerate() {
            cells.push(Cell {
                x: j as f64 * width,
                y: (down - 1 - i) as f64 * height,
                is_above: *v > 0.0,
                opacity: if most > 0.0 { v.abs() / most } else { 0.0 },
                words: format!(
                    "{} {}, {} {}: {}",
                    of.features[0],
                    words(&of.values[0][i]),
                    of.features[1],
                    words(&of.values[1][j]),
                    short(*v)
                ),
            });
        }
    }
    let side = |which: usize| labels(&of.values[which].iter().collect::<Vec<_>>());
    let up = |(at, words): (f64, String)| ((down as f64 - 0.5 - at) * height, words);
    let along = |(at, words): (f64, String)| ((at + 0.5) * width, words);
    DrawnPair {
        first: of.features[0].clone(),
        second: of.features[1].clone(),
        h: of.h,
        beyond: of.beyond,
        deviation: of.deviation,
        width,
        height,
        cells,
        up: side(0).into_iter().map(up).collect(),
        along: side(1).into_iter().map(along).collect(),
    }
}

/// The page.
///
/// # Errors
/// `internal` when the page cannot be made.
pub fn page(of: &Looked) -> Result<String> {
    let failed = |e: minijinja::Error| Problem::internal(format!("making the report failed: {e}"));
    let mut environment = Environment::new();
    environment.add_filter("short", short);
    environment
        .add_template(
            "effects.html",
            concat!(include_str!("parts.html"), include_str!("effects.html")),
        )
        .map_err(failed)?;
    let page = environment.get_template("effects.html").map_err(failed)?;
    let found = &of.effects;
    let share = |v: f64, most: f64| if most > 0.0 { (v / most).max(0.0) } else { 0.0 };
    let shuffled: Vec<_> = (found.importance.iter().flat_map(|i| i.features.iter().take(SHOWN)))
        .map(|s| {
            let most = found.importance.as_ref().map_or(0.0, |i| i.features[0].worse);
            context! { name => s.feature, worse => s.worse, error => s.standard_error, share => share(s.worse, most) }
        })
        .collect();
    let moved: Vec<_> = (found.contributions.iter().take(SHOWN))
        .map(|c| {
            let most = found.contributions[0].mean_absolute;
            context! { name => c.feature, size => c.mean_absolute, share => share(c.mean_absolute, most) }
        })
        .collect();
    page.render(context! {
        of => of,
        field => FIELD,
        features => found.features.iter().take(SHOWN).map(drawn).collect::<Vec<_>>(),
        more => found.features.len().saturating_sub(SHOWN),
        pairs => found.pairs.iter().take(PAIRS_SHOWN).map(pair).collect::<Vec<_>>(),
        shuffled => shuffled,
        moved => moved,
    })
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use crate::learn::effects::{Asked, from_file};
    use crate::learn::model;
    use luopan_learning::effects::Settings as Effects;
    use luopan_learning::tabular::{Kind, Settings, Task};
    use std::fmt::Write;

    #[test]
    fn the_page_shows_what_was_found_and_no_markup_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("t.csv");
        let mut text = "<i>x</i>,<b>y</b>,city\n".to_owned();
        for i in 0..400 {
            let x = f64::from(i * 37 % 101) / 10.0;
            let y = u32::from(x + f64::from(i % 7) > 7.0);
            writeln!(text, "{x},{y},<u>{}</u>", i % 3).unwrap();
        }
        std::fs::write(&input, text).unwrap();
        let out = folder.path().join("m");
        let trained = Settings::new(Task::Binary, Kind::Gbdt, "<b>y</b>");
        model::from_file(&input, trained, &out, &mut |_| ()).unwrap();
        let file = folder.path().join("page.html");
        let looked = from_file(&Asked {
            model: out,
            input,
            pairs: vec!["<i>x</i>:city".into()],
            settings: Effects {
                target: Some("<b>y</b>".into()),
                ..Effects::default()
            },
            output: Some(file.clone()),
        })
        .unwrap();
        assert_eq!(looked.output, std::slice::from_ref(&file));
        let page = std::fs::read_to_string(file).unwrap();
        for markup in ["<b>", "<i>", "<u>", "<script", "http"] {
            assert!(!page.contains(markup), "{markup}");
        }
        let deviation = super::short(looked.effects.features[0].deviation);
        let named = [
            "Importance",
            "Contributions",
            "&lt;i&gt;x",
            "Friedman's H",
            "<polygon",
        ];
        for words in named
            .into_iter()
            .chain([deviation.as_str(), &looked.sha256])
        {
            assert!(page.contains(words), "{words}");
        }
    }
}
