//! The report of a model as one HTML page that needs nothing else: figures with intervals, gains, calibration, importance,
//! stability. It shows what [`super::model::Trained`] holds and must never compute a figure of its own.

pub mod effects;

use super::model::Trained;
use crate::problem::{Problem, Result};
use minijinja::{Environment, context};
use serde::Serialize;

/// Features of the chart of importance.
const SHOWN: usize = 20;
/// Width and height of a chart's field, in its own units.
const FIELD: (f64, f64) = (320.0, 240.0);

/// A point of a chart in its field, with what is said of it.
#[derive(Debug, Serialize)]
struct Point {
    x: f64,
    y: f64,
    words: String,
}

/// A line of points with the labels of its axes.
#[derive(Debug, Serialize)]
struct Chart {
    points: Vec<Point>,
    /// Labels on the way up and along, with where they stand.
    up: Vec<(f64, String)>,
    along: Vec<(f64, String)>,
}

/// Four significant digits.
fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{v:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn percent(v: f64) -> String {
    format!("{:.0} %", 100.0 * v)
}

/// A chart of values between bounds, which are widened where they are one.
fn chart(
    values: &[(f64, f64, String)],
    (left, right): (f64, f64),
    (low, high): (f64, f64),
    label: impl Fn(f64) -> String,
    below: Vec<(f64, String)>,
) -> Chart {
    let high = if high > low { high } else { low + 1.0 };
    let right = if right > left { right } else { left + 1.0 };
    let x = |v: f64| (v - left) / (right - left) * FIELD.0;
    let y = |v: f64| FIELD.1 - (v - low) / (high - low) * FIELD.1;
    Chart {
        points: (values.iter())
            .map(|(a, b, words)| Point {
                x: x(*a),
                y: y(*b),
                words: words.clone(),
            })
            .collect(),
        up: (0..=4)
            .map(|i| low + (high - low) * f64::from(i) / 4.0)
            .map(|v| (y(v), label(v)))
            .collect(),
        along: below.into_iter().map(|(v, words)| (x(v), words)).collect(),
    }
}

/// Share of the sum of targets against share of rows, highest predictions first.
fn gains(of: &Trained) -> Option<Chart> {
    let bins = &of.evaluation.lift;
    if bins.is_empty() {
        return None;
    }
    let mut values = vec![(0.0, 0.0, String::new())];
    values.extend(bins.iter().map(|b| {
        let words = format!(
            "the highest {}: {} of the total, {} times the mean",
            percent(b.share),
            percent(b.captured),
            short(b.lift)
        );
        (b.share, b.captured, words)
    }));
    let below = (0..=4)
        .map(|i| f64::from(i) / 4.0)
        .map(|v| (v, percent(v)))
        .collect();
    Some(chart(&values, (0.0, 1.0), (0.0, 1.0), percent, below))
}

fn calibration(of: &Trained) -> Option<Chart> {
    let bins = &of.evaluation.calibration;
    let most = (bins.iter())
        .flat_map(|b| [b.predicted, b.observed])
        .fold(f64::NAN, f64::max);
    if !most.is_finite() {
        return None;
    }
    let values: Vec<_> = (bins.iter())
        .map(|b| {
            let words = format!(
                "predicted {}, happened {} ({} rows)",
                short(b.predicted),
                short(b.observed),
                short(b.weight)
            );
            (b.predicted, b.observed, words)
        })
        .collect();
    let below = (0..=4)
        .map(|i| most * f64::from(i) / 4.0)
        .map(|v| (v, short(v)))
        .collect();
    Some(chart(&values, (0.0, most), (0.0, most), short, below))
}

fn stability(of: &Trained) -> Option<Chart> {
    let periods = &of.evaluation.stability;
    let found: Vec<(f64, f64, String)> = (periods.iter().enumerate())
        .filter_map(|(i, p)| {
            let v = p.figure?;
            Some((i as f64, v, format!("{}: {}", p.name, short(v))))
        })
        .collect();
    let least = found.iter().map(|v| v.1).fold(f64::NAN, f64::min);
    let most = found.iter().map(|v| v.1).fold(f64::NAN, f64::max);
    if found.len() < 2 || !least.is_finite() {
        return None;
    }
    let room = ((most - least) * 0.25).max(most.abs() * 0.01);
    let right = (periods.len() - 1) as f64;
    let below = (0..periods.len())
        .map(|i| (i as f64, (i + 1).to_string()))
        .collect();
    Some(chart(
        &found,
        (0.0, right),
        (least - room, most + room),
        short,
        below,
    ))
}

/// The page.
///
/// # Errors
/// `internal` when the page cannot be made.
pub fn page(of: &Trained) -> Result<String> {
    let failed = |e: minijinja::Error| Problem::internal(format!("making the report failed: {e}"));
    let mut environment = Environment::new();
    environment.add_filter("short", short);
    environment
        .add_template(
            "report.html",
            concat!(include_str!("parts.html"), include_str!("report.html")),
        )
        .map_err(failed)?;
    let page = environment.get_template("report.html").map_err(failed)?;
    let importance = &of.evaluation.importance;
    let most = importance.first().map_or(0.0, |i| i.contribution);
    let bars: Vec<_> = (importance.iter().take(SHOWN))
        .map(|i| {
            let share = if most > 0.0 { i.contribution / most } else { 0.0 };
            context! { name => i.feature, share => share, contribution => i.contribution, gain => i.gain }
        })
        .collect();
    page.render(context! {
        of => of,
        field => FIELD,
        gains => gains(of),
        calibration => calibration(of),
        stability => stability(of),
        bars => bars,
        more => importance.len().saturating_sub(SHOWN),
    })
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use crate::learn::model::{self, PAGE, REPORT};
    use luopan_learning::tabular::{Kind, Settings, Task};
    use std::fmt::Write;

    #[test]
    fn the_page_shows_what_the_report_holds_and_no_markup_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("t.csv");
        let mut text = "x,<b>y</b>,city\n".to_owned();
        for i in 0..400 {
            let x = f64::from(i * 37 % 101) / 10.0;
            let y = u32::from(x + f64::from(i % 7) > 7.0);
            writeln!(text, "{x},{y},<i>{}</i>", i % 3).unwrap();
        }
        std::fs::write(&input, text).unwrap();
        for kind in [Kind::Gbdt, Kind::Glm, Kind::Scorecard] {
            let out = folder.path().join(kind.name());
            let asked = Settings::new(Task::Binary, kind, "<b>y</b>");
            let trained = model::from_file(&input, asked, &out, &mut |_| ()).unwrap();
            let page = std::fs::read_to_string(out.join(PAGE)).unwrap();
            assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
            for words in [
                "Gains",
                "Calibration",
                "Stability",
                "Importance",
                "&lt;b&gt;y",
                &trained.sha256,
            ] {
                assert!(page.contains(words), "{words}");
            }
            assert_eq!(page.contains("(intercept)"), kind == Kind::Glm);
            assert_eq!(page.contains("<h2>Scorecard</h2>"), kind == Kind::Scorecard);
            let auc = trained.evaluation.metrics["auc"].mean;
            assert!(auc > 0.8 && page.contains(&super::short(auc)), "{auc}");
            let json = std::fs::read_to_string(out.join(REPORT)).unwrap();
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["metrics"]["auc"]["folds"].as_array().unwrap().len(), 5);
            assert_eq!(json["rows"], 400);
            if kind == Kind::Scorecard {
                let bins = json["card"][0]["bins"].as_array().unwrap();
                assert!(bins.len() > 2 && bins.iter().all(|b| b["points"].is_number()));
                let told: Vec<_> = bins.iter().filter_map(|b| b["values"].as_str()).collect();
                assert!(
                    told[0].starts_with("below ") && told.contains(&"missing"),
                    "{told:?}"
                );
                let rows = |b: &serde_json::Value| {
                    b["events"].as_f64().unwrap() + b["nonevents"].as_f64().unwrap()
                };
                assert_eq!(bins.iter().map(rows).sum::<f64>(), 400.0);
            } else {
                assert!(json.get("card").is_none());
            }
            let kept = model::open(&out).unwrap();
            let wanted = model::Wanted {
                keep: vec!["city".into()],
                contributions: true,
            };
            for name in ["p.csv", "p.parquet"] {
                let output = out.join(name);
                let done = model::predict(&kept, &input, &output, &wanted).unwrap();
                assert_eq!(
                    done.columns,
                    [
                        "city",
                        "prediction",
                        "contribution.x",
                        "contribution.city",
                        "contribution.base"
                    ]
                );
                let again = crate::learn::table::read(&output, &Default::default()).unwrap();
                assert_eq!(again.rows(), 400);
            }
        }
    }
}
