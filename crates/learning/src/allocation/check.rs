//! What of a problem cannot be used, said before anything is worked out. This room must never mend an amount.

use super::{ACTIONS_MAX, Amounts, CUSTOMERS_MAX, Error, LIMITS_MAX, Prices, Problem};

/// What amounts of all customers may add up to.
pub(super) const SUM_MAX: f64 = 1e300;

pub(super) fn check(problem: &Problem<'_>) -> Result<(), Error> {
    let floors = problem.objectives.iter().filter(|of| of.floor.is_some());
    let limits = problem.budgets.len() + problem.groups.len() + floors.count();
    for (what, found, least, most) in [
        ("customers", problem.customers, 1, CUSTOMERS_MAX),
        ("actions", problem.actions, 1, ACTIONS_MAX),
        ("objectives", problem.objectives.len(), 1, LIMITS_MAX),
        ("budgets, groups and floors", limits, 0, LIMITS_MAX),
    ] {
        if !(least..=most).contains(&found) {
            return Err(Error::Number {
                what,
                found,
                least,
                most,
            });
        }
    }
    let setting = |what: String, found: f64, fits: bool, wanted| {
        if fits && found.is_finite() {
            return Ok(());
        }
        Err(Error::Setting {
            what,
            found,
            wanted,
        })
    };
    for objective in problem.objectives {
        let name = objective.name;
        let wanted = "wanted is a finite number from 0 on";
        setting(
            format!("the weight of {name:?}"),
            objective.weight,
            objective.weight >= 0.0,
            wanted,
        )?;
        if let Some(floor) = objective.floor {
            let wanted = "wanted is a finite number, or none";
            setting(format!("the floor of {name:?}"), floor, true, wanted)?;
        }
        let what = format!("the values of {name:?}");
        amounts(problem, &what, &objective.values, false, objective.weight)?;
    }
    if problem.objectives.iter().all(|of| of.weight == 0.0) {
        return Err(Error::Setting {
            what: "the weight of every objective".to_owned(),
            found: 0.0,
            wanted: "some must be above 0",
        });
    }
    for budget in problem.budgets {
        let (name, limit) = (budget.name, budget.limit);
        setting(
            format!("the limit of {name:?}"),
            limit,
            limit >= 0.0,
            "wanted is a finite number from 0 on",
        )?;
        amounts(
            problem,
            &format!("the costs of {name:?}"),
            &budget.costs,
            true,
            1.0,
        )?;
    }
    for group in problem.groups {
        let mut seen = vec![false; problem.actions];
        for action in group.actions {
            match seen.get_mut(*action) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    return Err(Error::Action {
                        group: group.name.to_owned(),
                        action: *action,
                        last: problem.actions - 1,
                    });
                }
            }
        }
    }
    if let Some(eligible) = problem.eligible {
        length(
            "eligible",
            eligible.len(),
            problem.customers * problem.actions,
        )?;
    }
    Ok(())
}

fn length(what: &str, found: usize, wanted: usize) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::Length {
        what: what.to_owned(),
        found,
        wanted,
    })
}

fn amounts(
    problem: &Problem<'_>,
    what: &str,
    amounts: &Amounts<'_>,
    costs: bool,
    weight: f64,
) -> Result<(), Error> {
    let (values, wanted) = match amounts {
        Amounts::Each(values) => (values, problem.customers * problem.actions),
        Amounts::Action(values) => (values, problem.actions),
    };
    length(what, values.len(), wanted)?;
    let least = if costs { 0.0 } else { f64::MIN };
    // No branch a value: the table is looked through for the place only when there is one.
    let fits = |value: &f64| (*value >= least) & (*value <= f64::MAX);
    let refused = |at: usize, wanted| Error::Amount {
        what: what.to_owned(),
        customer: at / problem.actions,
        action: at % problem.actions,
        found: values[at],
        wanted,
    };
    if values.iter().fold(true, |all, value| all & fits(value)) {
        let most = values
            .iter()
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        // What all add up to at most, and what products with prices leave room for.
        if most * weight.max(1.0) * problem.customers as f64 <= SUM_MAX {
            return Ok(());
        }
        let at = values.iter().position(|value| value.abs() == most);
        let wanted = "values add up to 1e300 at most: write them in a larger unit";
        return Err(refused(at.unwrap_or_default(), wanted));
    }
    match values.iter().position(|value| !fits(value)) {
        None => Ok(()),
        Some(at) => Err(refused(
            at,
            match costs {
                true => "costs are finite numbers from 0 on",
                false => "values are finite numbers",
            },
        )),
    }
}

/// Prices to start from, one a limit in the order of the lines.
pub(super) fn start(problem: &Problem<'_>, prices: &Prices) -> Result<Vec<f64>, Error> {
    length(
        "the prices of budgets",
        prices.budgets.len(),
        problem.budgets.len(),
    )?;
    length(
        "the prices of groups",
        prices.groups.len(),
        problem.groups.len(),
    )?;
    length(
        "the prices of floors",
        prices.floors.len(),
        problem.objectives.len(),
    )?;
    let floors = (problem.objectives.iter().zip(&prices.floors))
        .filter(|(of, _)| of.floor.is_some())
        .map(|(_, price)| price);
    let all: Vec<f64> = (prices.budgets.iter())
        .chain(&prices.groups)
        .chain(floors)
        .copied()
        .collect();
    match all
        .iter()
        .find(|price| !(**price >= 0.0 && price.is_finite()))
    {
        None => Ok(all),
        Some(price) => Err(Error::Setting {
            what: "a price to start from".to_owned(),
            found: *price,
            wanted: "wanted is a finite number from 0 on",
        }),
    }
}
