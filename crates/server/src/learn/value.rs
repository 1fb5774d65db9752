//! What customers are worth who come and go without saying so, from a file of their purchases.

use super::model::cpu_seconds;
use super::{table, written};
use crate::problem::{Problem, Result};
use luopan_learning::tabular::{Frame, MISSING, Series};
use luopan_learning::value::{
    BgNbd, BgNbdFit, Calibration, Churn, Customer, Error, GammaGamma, GammaGammaFit, History,
    Period, Settings, Span, Transaction, calibrate, churn, fit_bg_nbd, fit_gamma_gamma, interval,
    summarise,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Groups of customers that expectations are compared in.
const GROUPS: usize = 10;

/// Of rows one in so many, and one at least, may be taken for slips of the pen where their times lie far from all others.
const FEW: usize = 100;
/// Rows below which no time is taken for one.
const LEAST: usize = 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Column of customers.
    pub customer: String,
    /// Column of times.
    pub time: String,
    /// Column of amounts; without it only how often they buy is told.
    pub amount: Option<String>,
    /// Purchases of one customer within so many microseconds are one.
    pub moment_us: i64,
    /// The unit in which time is told, microseconds.
    pub unit_us: i64,
    /// How long the last part of the time is that the model is judged by, microseconds.
    pub holdout_us: i64,
    /// Units ahead that are predicted.
    pub horizon: usize,
    /// What a purchase a unit later is worth less, as a share.
    pub discount: f64,
    /// Customers who are alive with a smaller probability count as gone.
    pub threshold: f64,
    /// Weight of the squares of the parameters.
    pub penalizer: f64,
    /// Draws of the intervals; none are made with 0.
    pub draws: usize,
    /// Level of the intervals.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// A parameter.
#[derive(Debug, Clone, Serialize)]
pub struct Parameter {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error, by the observed information.
    pub standard_error: f64,
}

/// How the model of the first part of the time told the last part.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// Customers that were known in the first part.
    pub customers: usize,
    /// Length of the last part, in units.
    pub units: f64,
    /// Expected purchases beside those that came, in groups.
    pub purchases: Calibration,
    /// Who counted as gone beside who came.
    pub churn: Churned,
}

/// [`Churn`] without the rows.
#[derive(Debug, Clone, Serialize)]
pub struct Churned {
    /// Alive with a smaller probability counts as gone.
    pub threshold: f64,
    /// Customers who count as gone.
    pub gone: usize,
    /// Of these, the share that bought nothing.
    pub silent_of_gone: luopan_learning::proportion::Share,
    /// Of the others.
    pub silent_of_others: luopan_learning::proportion::Share,
    /// Of all who bought nothing, the share that counted as gone.
    pub gone_of_silent: luopan_learning::proportion::Share,
}

/// What is said of customers' value.
#[derive(Debug, Clone, Serialize)]
pub struct Valued {
    /// Rows of the file.
    pub transactions: usize,
    /// Customers.
    pub customers: usize,
    /// BG/NBD: r, alpha, a, b.
    pub bg_nbd: BTreeMap<&'static str, Parameter>,
    /// Its log likelihood.
    pub bg_nbd_log_likelihood: f64,
    /// Gamma-Gamma: p, q, v; none without amounts.
    pub gamma_gamma: Option<BTreeMap<&'static str, Parameter>>,
    /// Its log likelihood.
    pub gamma_gamma_log_likelihood: Option<f64>,
    /// Customers expected to be alive.
    pub alive: f64,
    /// Expected purchases of all within the horizon.
    pub expected_purchases: f64,
    /// Their lifetime value within the horizon; none without amounts.
    pub lifetime_value: Option<f64>,
    /// How a model of the first part of the time told the last.
    pub judged: Judged,
    /// What to look at.
    pub flags: Vec<String>,
    /// CPU seconds without reading the file.
    pub cpu_seconds: f64,
    /// The file that was written; none where none was asked for.
    pub output: Option<PathBuf>,
}

/// A customer's purchases, by the place of her name.
type Known = Customer<u32>;

struct Fitted {
    purchases: BgNbdFit,
    spend: Option<GammaGammaFit>,
}

/// Tells what the customers of a file are worth; a model of all but the last part of the time is judged by that part, and what is
/// written and told is of a model of all of it.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then no file is written.
pub fn from_file(input: &Path, asked: &Asked, output: Option<&Path>) -> Result<Valued> {
    if let Some(output) = output {
        written::ready(&[input], output)?;
    }
    let wanted = table::Wanted {
        texts: vec![asked.customer.clone()],
        only: Some(
            [&asked.time]
                .into_iter()
                .chain(&asked.amount)
                .cloned()
                .collect(),
        ),
        ..table::Wanted::default()
    };
    let frame = table::read(input, &wanted)?;
    let (frame, _) = table::with_times(input, frame, &asked.time)?;
    let begun = cpu_seconds();
    let bad = |e: Error| refused(input, &e.to_string());
    let (transactions, names) = transactions(input, &frame, asked)?;
    let times = || transactions.iter().map(|t| t.at_us);
    let last = times().max().unwrap_or_default();
    let whole = Span {
        moment_us: asked.moment_us,
        unit_us: asked.unit_us,
        until_us: last,
        holdout_until_us: None,
    };
    let first_part = Span {
        until_us: last.saturating_sub(asked.holdout_us),
        holdout_until_us: Some(last),
        ..whole
    };
    let judged = judged(&transactions, &first_part, asked).map_err(|e| {
        refused(
            input,
            &format!(
                "in the time before the last part, which the model is judged by (--holdout): {e}"
            ),
        )
    })?;
    let (customers, _) = summarise(&transactions, &whole).map_err(bad)?;
    let fitted = fit(&customers, asked).map_err(bad)?;
    let told = predict(&customers, &fitted, asked).map_err(bad)?;
    if let Some(output) = output {
        let columns = columns(asked, &names, &customers, &told);
        written::write(output, &columns, customers.len())?;
    }
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let mut flags = Vec::new();
    if let Some(c) = fitted
        .spend
        .as_ref()
        .map(|s| s.correlation)
        .filter(|c| c.matters())
    {
        flags.push(format!(
            "who buys often spends {} at a purchase (correlation {:.3}, {:.3} to {:.3}): Gamma-Gamma takes the two for independent, so values of such customers are told too {}",
            if c.estimate > 0.0 { "more" } else { "less" },
            c.estimate,
            c.lower,
            c.upper,
            if c.estimate > 0.0 { "low" } else { "high" }
        ));
    }
    let free = customers.iter().filter(|c| paid_nothing(c)).count();
    if free > 0 && fitted.spend.is_some() {
        flags.push(format!(
            "{free} customers came back and paid nothing each time: what others spend was learned without them, and their own is predicted as next to nothing so far"
        ));
    }
    let gone = &judged.churn;
    if gone.silent_of_gone.of > 0 && gone.silent_of_gone.share <= gone.silent_of_others.share {
        flags.push(
            "who counted as gone stayed away no more often than the others: who never came again counts as alive here, whatever the threshold; go by expected_purchases"
                .to_owned(),
        );
    }
    let errors = fitted.purchases.standard_errors;
    let m = &fitted.purchases.model;
    Ok(Valued {
        transactions: transactions.len(),
        customers: customers.len(),
        bg_nbd: parameters(["r", "alpha", "a", "b"], [m.r, m.alpha, m.a, m.b], errors),
        bg_nbd_log_likelihood: fitted.purchases.log_likelihood,
        gamma_gamma: fitted.spend.as_ref().map(|s| {
            let m = &s.model;
            parameters(["p", "q", "v"], [m.p, m.q, m.v], s.standard_errors)
        }),
        gamma_gamma_log_likelihood: fitted.spend.as_ref().map(|s| s.log_likelihood),
        alive: sum(&told.alive),
        expected_purchases: sum(&told.purchases.estimate),
        lifetime_value: told.value.as_ref().map(|v| sum(&v.estimate)),
        judged,
        flags,
        cpu_seconds: cpu_seconds() - begun,
        output: output.map(Path::to_owned),
    })
}

fn refused(input: &Path, words: &str) -> Box<Problem> {
    Problem::new("cannot_learn", format!("{}: {words}", input.display()))
}

fn parameters<const N: usize>(
    names: [&'static str; N],
    estimates: [f64; N],
    errors: [f64; N],
) -> BTreeMap<&'static str, Parameter> {
    let each = names.into_iter().zip(estimates.into_iter().zip(errors));
    each.map(|(name, (estimate, standard_error))| {
        let parameter = Parameter {
            estimate,
            standard_error,
        };
        (name, parameter)
    })
    .collect()
}

/// The rows as transactions, and the names of the customers.
fn transactions(
    input: &Path,
    frame: &Frame,
    asked: &Asked,
) -> Result<(Vec<Transaction<u32>>, Vec<String>)> {
    let column = |name: &str| {
        frame
            .get(name)
            .ok_or_else(|| refused(input, &written::unknown(frame, name)))
    };
    let value = |name: &str, row: usize, found: &str, wanted: &str| {
        refused(
            input,
            &format!("row {}, column `{name}`: found {found}; {wanted}", row + 1),
        )
    };
    let numbers = |name: &str| match column(name)? {
        Series::Numbers(values) => Ok(values),
        Series::Texts { .. } => Err(refused(input, &format!("column `{name}` holds texts"))),
    };
    let Series::Texts { codes, levels } = column(&asked.customer)? else {
        return Err(refused(
            input,
            &format!("column `{}` holds no names", asked.customer),
        ));
    };
    let times = numbers(&asked.time)?;
    let amounts = match &asked.amount {
        Some(name) => Some(numbers(name)?),
        None => None,
    };
    // Times of computers since 1970 have more digits.
    let is_day = |t: &f64| (19_000_101.0..=21_001_231.0).contains(t) && t.fract() == 0.0;
    if times.iter().all(is_day) {
        return Err(value(
            &asked.time,
            0,
            &times[0].to_string(),
            "numbers are microseconds since 1970: write days as 1997-01-31",
        ));
    }
    if let Some((row, rows, nearest)) = apart(times) {
        let date = |us: f64| crate::time::write(luopan_kernel::time::Micros(us as i64));
        let others = match rows {
            1 => String::new(),
            n => format!(", and {} other rows like it", n - 1),
        };
        return Err(value(
            &asked.time,
            row,
            &format!("{}{others}", date(times[row])),
            &format!(
                "it lies further from all other purchases, the nearest of which is of {}, than these from each other, and the model would take the time between for silence: mend the date, or leave the row out",
                date(nearest)
            ),
        ));
    }
    let mut out = Vec::with_capacity(frame.rows());
    for (row, (code, time)) in codes.iter().zip(times).enumerate() {
        if *code == MISSING {
            let wanted = "every purchase is somebody's";
            return Err(value(&asked.customer, row, "nothing", wanted));
        }
        if !time.is_finite() || time.abs() > 9e18 {
            let found = if time.is_nan() {
                "nothing".to_owned()
            } else {
                time.to_string()
            };
            return Err(value(&asked.time, row, &found, "every purchase has a time"));
        }
        let amount = match amounts.map(|a| a[row]) {
            None => 0.0,
            Some(amount) if amount >= 0.0 && amount.is_finite() => amount,
            Some(amount) => {
                let found = if amount.is_nan() {
                    "nothing".to_owned()
                } else {
                    amount.to_string()
                };
                let wanted = "what was paid, zero or a number above it; leave refunds out";
                let name = asked.amount.as_deref().unwrap_or_default();
                return Err(value(name, row, &found, wanted));
            }
        };
        out.push(Transaction {
            customer: *code,
            at_us: *time as i64,
            amount,
        });
    }
    Ok((out, levels.clone()))
}

/// Few rows whose times lie further from all others than these from each other, on one side: the first of them, how many they are, and the
/// time of the nearest other.
fn apart(times: &[f64]) -> Option<(usize, usize, f64)> {
    let mut sorted: Vec<f64> = times.iter().copied().filter(|t| t.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let few = (sorted.len() / FEW).max(1);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    if sorted.len() < LEAST {
        return None;
    }
    let found = (1..=few).find_map(|n| {
        let at = sorted.len() - n;
        let late = (sorted[at] - sorted[at - 1], sorted[at - 1] - first);
        let early = (sorted[n] - sorted[n - 1], last - sorted[n]);
        let is_apart = |(gap, others): (f64, f64)| gap > others && others > 0.0;
        if is_apart(late) {
            Some((sorted[at], n, sorted[at - 1], true))
        } else if is_apart(early) {
            Some((sorted[n - 1], n, sorted[n], false))
        } else {
            None
        }
    });
    let (bound, rows, nearest, is_late) = found?;
    let is_of = |t: &f64| if is_late { *t >= bound } else { *t <= bound };
    Some((times.iter().position(is_of)?, rows, nearest))
}

fn fit(customers: &[Known], asked: &Asked) -> std::result::Result<Fitted, Error> {
    let settings = Settings {
        penalizer: asked.penalizer,
    };
    let histories: Vec<History> = customers.iter().map(|c| c.history).collect();
    let spend = match asked.amount {
        Some(_) => {
            let paying = customers.iter().filter(|c| !paid_nothing(c));
            let (of, spends): (Vec<History>, Vec<f64>) =
                paying.map(|c| (c.history, c.spend)).unzip();
            Some(fit_gamma_gamma(&of, &spends, &settings)?)
        }
        None => None,
    };
    Ok(Fitted {
        purchases: fit_bg_nbd(&histories, None, &settings)?,
        spend,
    })
}

/// True of a customer whose repeat purchases cost nothing: Gamma-Gamma knows no mean of 0, and learns from the others.
fn paid_nothing(of: &Known) -> bool {
    of.history.frequency() > 0 && of.spend == 0.0
}

fn judged(
    transactions: &[Transaction<u32>],
    span: &Span,
    asked: &Asked,
) -> std::result::Result<Judged, Error> {
    let (customers, units) = summarise(transactions, span)?;
    let units = units.unwrap_or_default();
    let histories: Vec<History> = customers.iter().map(|c| c.history).collect();
    let settings = Settings {
        penalizer: asked.penalizer,
    };
    let model = fit_bg_nbd(&histories, None, &settings)?.model;
    let expected: std::result::Result<Vec<f64>, Error> = (histories.iter())
        .map(|of| model.expected_purchases(units, of))
        .collect();
    let observed: Vec<f64> = (customers.iter())
        .map(|c| f64::from(c.holdout_purchases))
        .collect();
    let alive: Vec<f64> = histories
        .iter()
        .map(|of| model.probability_alive(of))
        .collect();
    let found: Churn = churn(&alive, &observed, asked.threshold, asked.level)?;
    Ok(Judged {
        customers: customers.len(),
        units,
        purchases: calibrate(&expected?, &observed, GROUPS)?,
        churn: Churned {
            threshold: found.threshold,
            gone: found.gone.len(),
            silent_of_gone: found.silent_of_gone,
            silent_of_others: found.silent_of_others,
            gone_of_silent: found.gone_of_silent,
        },
    })
}

/// Estimates with bounds, a row a customer; no bounds where none were asked for.
#[derive(Default)]
struct Sure {
    estimate: Vec<f64>,
    bounds: Option<(Vec<f64>, Vec<f64>)>,
}

impl Sure {
    fn push(&mut self, estimate: f64, bounds: Option<(f64, f64)>) {
        self.estimate.push(estimate);
        if let Some((lower, upper)) = bounds {
            let (lowers, uppers) = self.bounds.get_or_insert_default();
            lowers.push(lower);
            uppers.push(upper);
        }
    }
}

/// Parameters that were drawn.
type Drawn = (BgNbd, Option<GammaGamma>);

struct Told {
    alive: Vec<f64>,
    purchases: Sure,
    spend: Option<Vec<f64>>,
    value: Option<Sure>,
}

fn predict(
    customers: &[Known],
    fitted: &Fitted,
    asked: &Asked,
) -> std::result::Result<Told, Error> {
    let model = &fitted.purchases.model;
    let horizon = asked.horizon as f64;
    let periods = Period {
        length: 1.0,
        count: asked.horizon,
        discount_rate: asked.discount,
    };
    let spend = fitted.spend.as_ref();
    let draws: Vec<Drawn> = match asked.draws {
        0 => Vec::new(),
        n => {
            let first = fitted.purchases.draws(n, asked.seed)?;
            let second = match spend {
                Some(s) => s
                    .draws(n, asked.seed.wrapping_add(1))?
                    .into_iter()
                    .map(Some)
                    .collect(),
                None => vec![None; n],
            };
            first.into_iter().zip(second).collect()
        }
    };
    let mut out = Told {
        alive: Vec::new(),
        purchases: Sure::default(),
        spend: spend.map(|_| Vec::new()),
        value: spend.map(|_| Sure::default()),
    };
    for of in customers {
        let history = &of.history;
        let bounds = |estimate: f64, f: &dyn Fn(&Drawn) -> f64| {
            if draws.is_empty() {
                return Ok(None);
            }
            let found = interval(estimate, &draws, asked.level, f)?;
            Ok::<_, Error>(Some((found.lower, found.upper)))
        };
        out.alive.push(model.probability_alive(history));
        let expected = model.expected_purchases(horizon, history)?;
        let of_draw = |d: &Drawn| {
            d.0.expected_purchases(horizon, history)
                .unwrap_or(f64::INFINITY)
        };
        out.purchases.push(expected, bounds(expected, &of_draw)?);
        let (Some(fit), Some(spends), Some(values)) = (spend, &mut out.spend, &mut out.value)
        else {
            continue;
        };
        // What is expected is linear in the mean, so that one next to 0 says what 0 would.
        let mean = match paid_nothing(of) {
            true => f64::MIN_POSITIVE,
            false => of.spend,
        };
        spends.push(fit.model.expected_spend(history.frequency(), mean)?);
        let worth = fit.model.lifetime_value(model, &periods, history, mean)?;
        let of_draw = |d: &Drawn| {
            let each =
                d.1.as_ref()
                    .map(|g| g.lifetime_value(&d.0, &periods, history, mean));
            // A draw of which the mean is not finite.
            each.and_then(std::result::Result::ok)
                .unwrap_or(f64::INFINITY)
        };
        values.push(worth, bounds(worth, &of_draw)?);
    }
    Ok(out)
}

fn columns(
    asked: &Asked,
    names: &[String],
    customers: &[Known],
    told: &Told,
) -> Vec<(String, Series)> {
    let numbers = |name: &str, of: &dyn Fn(&Known) -> f64| {
        (
            name.to_owned(),
            Series::Numbers(customers.iter().map(of).collect()),
        )
    };
    let mut out = vec![
        (
            asked.customer.clone(),
            Series::Texts {
                codes: customers.iter().map(|c| c.customer).collect(),
                levels: names.to_vec(),
            },
        ),
        numbers("frequency", &|c| f64::from(c.history.frequency())),
        numbers("recency", &|c| c.history.recency()),
        numbers("age", &|c| c.history.age()),
        ("alive".to_owned(), Series::Numbers(told.alive.clone())),
    ];
    let mut sure = |name: &str, of: &Sure| {
        out.push((name.to_owned(), Series::Numbers(of.estimate.clone())));
        if let Some((lower, upper)) = &of.bounds {
            out.push((format!("{name}.lower"), Series::Numbers(lower.clone())));
            out.push((format!("{name}.upper"), Series::Numbers(upper.clone())));
        }
    };
    sure("expected_purchases", &told.purchases);
    if let (Some(spend), Some(value)) = (&told.spend, &told.value) {
        sure("lifetime_value", value);
        out.push(("expected_spend".to_owned(), Series::Numbers(spend.clone())));
    }
    out
}
