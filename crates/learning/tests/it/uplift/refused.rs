//! What cannot be learned from or judged is refused, with what was found and what to write instead.

use luopan_learning::gbdt::{Column, Kind, Objective};
use luopan_learning::uplift::{
    Arms, Bootstrap, Economics, Effects, Error, Learner, Offers, Propensities, Ranking, Rows,
    Settings, Strategy, Trial, fit, net_scores, targeting,
};

use super::World;

fn refused(trial: &Trial<'_>, settings: &Settings) -> Error {
    fit(trial, settings).expect_err("refused")
}

fn small(learner: Learner) -> Settings {
    let mut settings = Settings::new(learner, Objective::Regression);
    settings.outcome.min_data_in_leaf = 5;
    settings.effect.min_data_in_leaf = 5;
    settings
}

#[test]
fn arms_need_a_control_that_is_named() {
    let arms = ["mail", "none", "mail", "letter"];
    let error = Arms::of_texts(&arms, Some("nobody")).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "no arm is called \"nobody\"; the arms are \"letter\", \"mail\", \"none\": name one of them as the control"
    );
    let error = Arms::of_texts(&arms, None).expect_err("refused");
    assert!(
        matches!(&error, Error::Control { found, .. } if found.starts_with("no control is named")),
        "{error}"
    );
    assert!(matches!(
        Arms::of_texts(&["0", "control", "a"], None),
        Err(Error::Control { .. })
    ));
    let found = Arms::of_texts(&["b", "Control", "a", "b"], None).expect("arms");
    assert_eq!(
        (found.names(), found.codes()),
        (
            &["Control", "a", "b"].map(str::to_owned)[..],
            &[2, 0, 1, 2][..]
        )
    );
    assert!(matches!(
        Arms::of_texts(&["a", "a"], Some("a")),
        Err(Error::Arms { found: 1, .. })
    ));
    assert!(matches!(
        Arms::of_texts(&["a", ""], Some("a")),
        Err(Error::Value { row: 1, .. })
    ));
    assert_eq!(Arms::of_texts(&[], Some("a")), Err(Error::Empty));
    let many: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(
        Arms::of_texts(&many, None),
        Err(Error::Arms { .. })
    ));
    assert_eq!(Arms::of_codes(&[0, 2, 1]).expect("arms").treatments(), 2);
    assert!(matches!(
        Arms::of_codes(&[0, 400]),
        Err(Error::Arms { found: 401, .. })
    ));
    assert!(matches!(
        Arms::of_codes(&[0, 0]),
        Err(Error::Arms { found: 1, .. })
    ));
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let world = World::new(60, 1, false, false, 1);
    let columns = world.columns();
    let good = world.trial(&columns, Propensities::Shares);
    let at = |learner| small(learner);
    let wrong = Trial {
        outcomes: &world.outcomes[..59],
        ..good
    };
    assert!(matches!(
        refused(&wrong, &at(Learner::S)),
        Error::Length {
            found: 60,
            wanted: 59,
            ..
        }
    ));
    let mut outcomes = world.outcomes.clone();
    for value in [f64::INFINITY, f64::NAN] {
        outcomes[7] = value;
        let wrong = Trial {
            outcomes: &outcomes,
            ..good
        };
        let error = refused(&wrong, &at(Learner::T));
        assert!(
            matches!(
                error,
                Error::Value {
                    column: "the outcome",
                    row: 7,
                    ..
                }
            ),
            "{error}"
        );
    }
    let alike = vec![2.5; 60];
    let wrong = Trial {
        outcomes: &alike,
        ..good
    };
    assert_eq!(
        refused(&wrong, &at(Learner::T)),
        Error::Constant { found: 2.5 }
    );
    let mut infinite = world.features[0].clone();
    infinite[3] = f64::INFINITY;
    let columns = [Column {
        name: "a",
        values: &infinite,
        kind: Kind::Number,
    }];
    let wrong = Trial {
        columns: &columns,
        ..good
    };
    for learner in Learner::ALL {
        let error = refused(&wrong, &at(learner)).to_string();
        assert!(error.contains("row 3: inf"), "{error}");
    }
    let weights = vec![-1.0; 60];
    let wrong = Trial {
        weights: Some(&weights),
        ..good
    };
    assert!(matches!(
        refused(&wrong, &at(Learner::T)),
        Error::Value {
            column: "the weight",
            ..
        }
    ));
    let weights = vec![0.0; 60];
    let wrong = Trial {
        weights: Some(&weights),
        ..good
    };
    assert!(matches!(
        refused(&wrong, &at(Learner::T)),
        Error::Value {
            column: "the weight",
            ..
        }
    ));
    let binary = Settings::new(Learner::S, Objective::Binary);
    let mut binary = Settings { folds: 2, ..binary };
    binary.outcome.min_data_in_leaf = 5;
    assert!(
        refused(&good, &binary)
            .to_string()
            .contains("binary targets are 0 or 1")
    );
    // Outcomes of an arm that are alike are a model by themselves.
    let half: Vec<f64> = world
        .arms
        .codes()
        .iter()
        .map(|code| f64::from(*code))
        .collect();
    let alike = Trial {
        outcomes: &half,
        ..good
    };
    let model = fit(&alike, &at(Learner::T)).expect("a model");
    assert!(
        model
            .effects(&world.columns())
            .expect("effects")
            .values
            .iter()
            .all(|x| *x == 1.0)
    );
}

#[test]
fn arms_that_are_empty_or_tiny_and_too_many_folds_are_refused() {
    let world = World::new(60, 1, false, false, 1);
    let columns = world.columns();
    let mut codes = vec![0; 60];
    codes[..4].fill(1);
    let tiny = Arms::of_codes(&codes).expect("arms");
    let trial = Trial {
        arms: &tiny,
        ..world.trial(&columns, Propensities::Shares)
    };
    for (learner, least) in [(Learner::S, 5), (Learner::T, 10), (Learner::X, 10)] {
        let error = refused(&trial, &small(learner));
        assert!(
            matches!(&error, Error::Few { arm, rows: 4, least: found, .. } if arm == "1" && *found == least),
            "{error}"
        );
    }
    for learner in [Learner::R, Learner::DoublyRobust] {
        assert_eq!(
            refused(&trial, &small(learner)),
            Error::Folds { rows: 4, folds: 5 }
        );
    }
    codes[..6].fill(1);
    let few = Arms::of_codes(&codes).expect("arms");
    let trial = Trial {
        arms: &few,
        ..trial
    };
    assert!(matches!(
        refused(&trial, &small(Learner::DoublyRobust)),
        Error::Few {
            rows: 6,
            least: 14,
            ..
        }
    ));
    // Arm 1 of 0, 1, 2 has no row.
    codes.iter_mut().for_each(|code| *code *= 2);
    let gap = Arms::of_codes(&codes).expect("arms");
    let trial = Trial {
        arms: &gap,
        ..trial
    };
    for learner in Learner::ALL {
        let error = refused(&trial, &small(learner));
        assert!(
            matches!(&error, Error::Few { arm, rows: 0, .. } if arm == "1"),
            "{error}"
        );
    }
    for folds in [0, 1, 2_000] {
        let settings = Settings {
            folds,
            ..small(Learner::R)
        };
        assert!(matches!(refused(&trial, &settings), Error::Setting { .. }));
    }
}

#[test]
fn propensities_that_are_none_are_refused_with_the_row() {
    let world = World::new(60, 1, false, false, 1);
    fn of(world: &World, propensities: Propensities<'_>, learner: Learner) -> Error {
        let columns = world.columns();
        refused(&world.trial(&columns, propensities), &small(learner))
    }
    let world = &world;
    for learner in [Learner::X, Learner::R, Learner::DoublyRobust] {
        for wrong in [0.0, 1.0, f64::NAN, -0.5] {
            let error = of(world, Propensities::Known(&[1.0 - wrong, wrong]), learner);
            assert!(matches!(error, Error::Propensity { row: 0, .. }), "{error}");
            let mut own = vec![0.5; 60];
            own[9] = wrong;
            let error = of(world, Propensities::Logged(&own), learner);
            assert!(matches!(error, Error::Propensity { row: 9, .. }), "{error}");
            assert!(error.to_string().contains("above 0 and below 1"));
            let mut table = vec![0.5; 120];
            table[23] = wrong;
            let error = of(world, Propensities::PerRow(&table), learner);
            assert!(
                matches!(error, Error::Propensity { row: 11, .. }),
                "{error}"
            );
        }
        assert_eq!(
            of(world, Propensities::Known(&[0.5, 0.25]), learner),
            Error::Sum {
                row: 0,
                found: 0.75
            }
        );
        assert!(matches!(
            of(world, Propensities::PerRow(&[0.5; 60]), learner),
            Error::Length { wanted: 120, .. }
        ));
        assert!(matches!(
            of(world, Propensities::Logged(&[0.5; 30]), learner),
            Error::Length { wanted: 60, .. }
        ));
    }
    let world = World::new(600, 2, false, false, 1);
    let columns = world.columns();
    let trial = world.trial(&columns, Propensities::Logged(&[0.3; 600]));
    for learner in [Learner::X, Learner::R] {
        let error = refused(&trial, &small(learner));
        assert!(
            matches!(error, Error::NeedsPropensities { arms: 3, .. }),
            "{error}"
        );
    }
}

#[test]
fn rankings_and_curves_are_refused_with_what_was_found() {
    let treated = [Some(true), Some(false), None, Some(true)];
    let good = Rows {
        scores: &[1.0, 2.0, 3.0, 4.0],
        outcomes: &[1.0, 0.0, 0.0, 1.0],
        treated: &treated,
        weights: None,
    };
    let refuse = |rows: Rows<'_>| Ranking::new(&rows).expect_err("refused");
    let error = refuse(Rows {
        scores: &[1.0, f64::NAN, 3.0, 4.0],
        ..good
    });
    assert!(
        matches!(
            error,
            Error::Value {
                column: "the score",
                row: 1,
                ..
            }
        ),
        "{error}"
    );
    let error = refuse(Rows {
        outcomes: &[1.0; 3],
        ..good
    });
    assert!(
        matches!(
            error,
            Error::Length {
                found: 3,
                wanted: 4,
                ..
            }
        ),
        "{error}"
    );
    let error = refuse(Rows {
        treated: &[Some(true); 4],
        ..good
    });
    assert!(
        matches!(&error, Error::Few { arm, .. } if arm == "control"),
        "{error}"
    );
    let error = refuse(Rows {
        weights: Some(&[1.0, 0.0, 1.0, 1.0]),
        ..good
    });
    assert!(
        matches!(&error, Error::Few { arm, .. } if arm == "control"),
        "{error}"
    );
    let ranking = Ranking::new(&good).expect("a ranking");
    for share in [0.0, 1.5, f64::NAN] {
        assert!(matches!(
            ranking.uplift_at(share, Strategy::Overall),
            Err(Error::Setting { .. })
        ));
    }
    assert_eq!(
        ranking.uplift_at(0.34, Strategy::Overall),
        Ok(None),
        "one row has one arm"
    );
    for count in [0, 4, 20_000] {
        assert!(matches!(
            ranking.bins(count, Strategy::Overall, None),
            Err(Error::Setting { .. })
        ));
    }
    for (resamples, level) in [(1, 0.95), (100, 1.0), (100, 0.0)] {
        let bootstrap = Bootstrap {
            resamples,
            seed: 1,
            level,
        };
        assert!(matches!(
            ranking.intervals(&bootstrap),
            Err(Error::Setting { .. })
        ));
    }
    let effects = Effects {
        values: vec![0.1, 0.2],
        treatments: 1,
    };
    let each = Economics {
        value: 1.0,
        cost: 0.0,
        cost_per_outcome: 0.5,
    };
    let error = net_scores(&effects, None, &[each]).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("give predicted outcomes under treatment"),
        "{error}"
    );
    assert!(matches!(
        net_scores(&effects, None, &[]),
        Err(Error::Length { .. })
    ));
    let offers = Offers {
        scores: &effects,
        outcomes: &[0.0, 1.0],
        arms: &Arms::of_codes(&[0, 1]).expect("arms"),
        weights: None,
        economics: &[Economics { cost: -1.0, ..each }],
    };
    let bootstrap = Bootstrap::default();
    let error = targeting(&offers, 10, &bootstrap).expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("the cost of a treatment is -1 for treatment 1"),
        "{error}"
    );
    let offers = Offers {
        economics: &[each],
        outcomes: &[0.0],
        ..offers
    };
    assert!(matches!(
        targeting(&offers, 10, &bootstrap),
        Err(Error::Length { .. })
    ));
}

#[test]
fn a_model_takes_the_columns_that_it_learned_from() {
    let world = World::new(600, 1, false, false, 1);
    let columns = world.columns();
    let model = fit(
        &world.trial(&columns, Propensities::Shares),
        &small(Learner::X),
    )
    .expect("a model");
    assert!(matches!(
        model.effects(&columns[..2]),
        Err(Error::Length { .. })
    ));
    let mut turned = columns.clone();
    turned.swap(0, 1);
    assert!(matches!(model.effects(&turned), Err(Error::Setting { .. })));
    assert!(model.treated_outcomes(&columns).expect("columns").is_some());
    let model = fit(
        &world.trial(&columns, Propensities::Shares),
        &small(Learner::R),
    )
    .expect("a model");
    assert_eq!(model.treated_outcomes(&columns), Ok(None));
    assert_eq!(Learner::named("dr"), Ok(Learner::DoublyRobust));
    assert!(matches!(Learner::named("z"), Err(Error::Setting { .. })));
}
