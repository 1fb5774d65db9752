//! What cannot be learned from or ranked is refused by name.

use luopan_learning::als::{
    Error, Interactions, Model, STRENGTH_MAX, Settings, Solver, Start, evaluate, fit, fit_from,
};
use proptest::prelude::*;

use super::small;

fn new(offsets: &[usize], columns: &[u32], strengths: &[f32]) -> Result<Interactions, Error> {
    Interactions::new(3, offsets.to_vec(), columns.to_vec(), strengths.to_vec())
}

fn sound() -> Interactions {
    new(&[0, 2, 2, 3], &[0, 2, 1], &[1.0, 2.0, 3.0]).expect("sound")
}

fn says(found: Result<impl Sized, Error>, words: &str) {
    let told = found.err().expect("refused").to_string();
    assert!(told.contains(words), "{told:?} does not say {words:?}");
}

#[test]
fn interactions() {
    says(new(&[], &[], &[]), "number of users is 0");
    says(new(&[0], &[], &[]), "number of users is 0");
    says(
        Interactions::new(0, vec![0, 0], vec![], vec![]),
        "number of items is 0",
    );
    says(
        new(&[0, 0, 0], &[], &[]),
        "no interaction with a strength above zero",
    );
    says(new(&[0, 2], &[0, 1], &[0.0, 0.0]), "nothing to learn");
    says(
        new(&[0, 1], &[0], &[]),
        "strengths has 0 entries: wanted are 1",
    );
    says(new(&[1, 1], &[0], &[1.0]), "offset 0 is 1");
    says(new(&[0, 1, 0], &[0], &[1.0]), "offset 2 is 0");
    says(
        new(&[0, 2], &[0], &[1.0]),
        "last offset has 2 entries: wanted are 1",
    );
    says(
        new(&[0, 1, 2], &[0, 3], &[1.0, 1.0]),
        "interaction 1: item 3 is not there",
    );
    says(
        new(&[0, 2], &[1, 1], &[1.0, 1.0]),
        "interaction 1: item 1 of user 0",
    );
    says(new(&[0, 0, 2], &[2, 1], &[1.0, 1.0]), "item 1 of user 1");
    for wrong in [f32::NAN, -1.0, f32::INFINITY, 2.0 * STRENGTH_MAX] {
        says(new(&[0, 1], &[1], &[wrong]), "strength 0 is");
        says(
            Interactions::gathered(1, 1, &[(0, 0, wrong)]),
            "strength 0 is",
        );
    }
    let gathered = |of: &[(u32, u32, f32)]| Interactions::gathered(2, 2, of);
    says(gathered(&[]), "nothing to learn");
    says(
        gathered(&[(0, 0, 1.0), (2, 0, 1.0)]),
        "interaction 1: user 2 is not there",
    );
    says(gathered(&[(0, 5, 1.0)]), "item 5 is not there: there are 2");
    // Each may be, their sum not.
    says(
        gathered(&[(1, 0, 9e5), (1, 0, 9e5)]),
        "strength 0 is 1800000",
    );
}

#[test]
fn zeros_are_as_none_and_doubles_are_added() {
    let found = new(&[0, 2, 3], &[0, 1, 2], &[0.0, 2.0, 1.5]).expect("sound");
    let same = [(1, 2, 1.0), (0, 1, 2.0), (1, 2, 0.5), (1, 0, 0.0)];
    assert_eq!(Interactions::gathered(2, 3, &same).expect("sound"), found);
    assert_eq!((found.users(), found.items(), found.len()), (2, 3, 2));
    assert_eq!(found.of(0), (&[1][..], &[2.0][..]));
    assert_eq!(found.of(7), (&[][..], &[][..]));
    assert!(!found.is_empty());
}

#[test]
fn settings() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = small(Solver::Cholesky);
        change(&mut settings);
        fit(&sound(), &settings)
    };
    says(with(|s| s.factors = 0), "number of factors is 0");
    says(with(|s| s.factors = 5000), "number of factors is 5000");
    says(with(|s| s.regularization = 0.0), "regularization is 0");
    says(
        with(|s| s.regularization = f64::NAN),
        "regularization is NaN",
    );
    says(with(|s| s.alpha = 0.0), "alpha is 0");
    says(with(|s| s.alpha = f64::INFINITY), "alpha is inf");
    says(with(|s| s.iterations = 0), "number of iterations is 0");
    says(
        with(|s| s.solver = Solver::ConjugateGradient { steps: 0 }),
        "steps of conjugate gradients is 0",
    );
}

#[test]
fn vectors_and_questions() {
    let settings = small(Solver::Cholesky);
    let nine = [0.1f32; 9];
    let start = |users, items| fit_from(&sound(), &settings, Start { users, items });
    says(
        start(&nine[..8], &nine),
        "vectors of users has 8 entries: wanted are 9",
    );
    says(start(&nine, &[]), "vectors of items has 0 entries");
    let mut wrong = nine;
    wrong[4] = f32::NAN;
    says(start(&nine, &wrong), "vectors of items 4 is NaN");
    says(
        Model::of(&nine, &wrong, &settings),
        "vectors of items 4 is NaN",
    );
    says(
        Model::of(&nine[..7], &nine, &settings),
        "vectors of users has 7",
    );
    let model = start(&nine, &nine).expect("fitted");
    says(
        model.recommend(3, 1, None),
        "user 3 is not there: there are 3",
    );
    says(model.similar_items(9, 1), "item 9 is not there");
    says(
        model.recommend_for(&nine[..2], 1, &[]),
        "a vector has 2 entries",
    );
    says(
        model.recommend_for(&wrong[3..6], 1, &[]),
        "a vector 1 is NaN",
    );
    says(
        model.recommend_for(&nine[..3], 1, &[0, 8]),
        "interaction 1: item 8",
    );
    says(model.recalculate(&[0], &[]), "strengths has 0 entries");
    says(
        model.recalculate(&[0, 4], &[1.0, 1.0]),
        "item 4 is not there",
    );
    says(
        model.recalculate(&[2, 1, 2], &[1.0; 3]),
        "interaction 2: item 2",
    );
    says(model.recalculate(&[2], &[-1.0]), "strength 0 is -1");
    assert_eq!(model.recalculate(&[], &[]).expect("a vector"), [0.0; 3]);
    let other = Interactions::gathered(2, 3, &[(0, 0, 1.0)]).expect("sound");
    says(
        model.loss(&other),
        "rows of users has 2 entries: wanted are 3",
    );
    says(model.recommend(0, 1, Some(&other)), "rows of users has 2");
    says(evaluate(&model, &sound(), &other, 1), "rows of users has 2");
    says(evaluate(&model, &sound(), &sound(), 0), "k is 0");
    says(evaluate(&model, &sound(), &sound(), 1), "not seen before");
    // More than there are, whatever the number.
    let all = model.recommend(0, usize::MAX, None).expect("a ranking");
    assert_eq!(all.len(), 3);
    let held_out = Interactions::gathered(3, 3, &[(1, 0, 1.0)]).expect("sound");
    evaluate(&model, &sound(), &held_out, usize::MAX).expect("figures");
}

proptest! {
    /// Whatever the numbers are: an error that says so, or factors that are finite.
    #[test]
    fn nothing_panics(
        offsets in proptest::collection::vec(0usize..6, 0..5),
        columns in proptest::collection::vec(0u32..4, 0..6),
        strengths in proptest::collection::vec(prop_oneof![Just(1e6f32), Just(1e-30), Just(0.0), -1f32..1e6], 0..6),
        alpha in prop_oneof![Just(1e6), Just(1e-300), 0f64..9.0],
        regularization in prop_oneof![Just(1e6), Just(1e-6), 0f64..9.0],
        exact in any::<bool>(),
    ) {
        let solver = if exact { Solver::Cholesky } else { Solver::ConjugateGradient { steps: 9 } };
        let settings = Settings { alpha, regularization, iterations: 9, ..small(solver) };
        if let Ok(found) = new(&offsets, &columns, &strengths)
            && let Ok(model) = fit(&found, &settings)
        {
            prop_assert!(model.users().iter().chain(model.items()).all(|x| x.is_finite()));
            model.loss(&found).expect("a loss");
            model.recommend(0, 2, Some(&found)).expect("a ranking");
        }
    }
}
