//! LightGBM's objectives, as far as a prediction depends on them. This room must never guess: an objective that it does not
//! know is refused, since its predictions would be raw scores under another name.

use luopan_kernel::trees::Transform;

use super::Error;
use super::lines::{cut, fault};

/// Objectives whose predictions are the raw scores.
const IDENTITY: &[&str] = &[
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "quantile",
    "mape",
    "lambdarank",
    "rank_xendcg",
];
const EXP: &[&str] = &["poisson", "gamma", "tweedie"];
const OTHERS: &[&str] = &[
    "binary",
    "multiclass",
    "multiclassova",
    "cross_entropy",
    "cross_entropy_lambda",
];

/// The transform of `objective=text`, which stands in `line`, for `outputs` outputs.
pub(super) fn transform(line: usize, text: &str, outputs: usize) -> Result<Transform, Error> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let mut steepness = 1.0;
    let mut roots = false;
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", value)) if matches!(name, "binary" | "multiclassova") => {
                steepness = match value.parse::<f64>() {
                    Ok(number) if number.is_finite() && number > 0.0 => number,
                    _ => {
                        return Err(fault(
                            line,
                            format!("sigmoid:{} where a number above zero is wanted", cut(value)),
                        ));
                    }
                };
            }
            Some(("num_class", value)) if matches!(name, "multiclass" | "multiclassova") => {
                if value.parse() != Ok(outputs) {
                    return Err(fault(
                        line,
                        format!(
                            "num_class:{} in the objective, {outputs} in the header",
                            cut(value)
                        ),
                    ));
                }
            }
            None if word == "sqrt" && name == "regression" => roots = true,
            _ => {
                return Err(fault(
                    line,
                    format!(
                        "{:?} is not known of the objective {:?}",
                        cut(word),
                        cut(name)
                    ),
                ));
            }
        }
    }
    let found = match name {
        "regression" if roots => Transform::SignedSquare,
        "binary" | "multiclassova" | "cross_entropy" => Transform::Sigmoid { steepness },
        "multiclass" => Transform::Softmax,
        "cross_entropy_lambda" => Transform::LogOnePlusExp,
        name if IDENTITY.contains(&name) => Transform::Identity,
        name if EXP.contains(&name) => Transform::Exp,
        _ => {
            return Err(fault(
                line,
                format!(
                    "the objective {:?} is not known: there are {}",
                    cut(name),
                    [IDENTITY, EXP, OTHERS].concat().join(", ")
                ),
            ));
        }
    };
    let classes = matches!(name, "multiclass" | "multiclassova");
    if !classes && outputs != 1 {
        return Err(fault(
            line,
            format!("the objective {name} has one output, the header says {outputs}"),
        ));
    }
    Ok(found)
}
