"""Writes the fixtures beside it: what LightGBM makes of small made-up tables, for `tests/it/gbdt.rs`.

    pip install lightgbm==4.7.0 numpy scipy
    python crates/learning/tests/gbdt/make.py

features.tsv holds the rows' features; f4 has 30 categories, f5 has 3, f6 is constant, f7 is always missing. CASE.tsv begins with a
line of parameters; each further line holds a row's target, weight, group, raw scores, and, of the first EXPLAINED rows, `pred_contrib`,
in groups that are split by "|". The first TRAINED rows are trained on; by the others training ends early where a case says so.
"""

import os

import lightgbm as lgb
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, TRAINED, EXPLAINED = 900, 700, 40


def number(v):
    return repr(float(v))


def features():
    rng = np.random.default_rng(20)
    x = rng.normal(size=(ROWS, 8)).round(4)
    x[:, 1] = np.where(rng.random(ROWS) < 0.3, 0.0, x[:, 1])
    x[:, 4] = (30 * rng.random(ROWS) ** 2).astype(int)
    x[:, 5] = rng.integers(0, 3, ROWS)
    x[:, 6] = 2.5
    for column in (0, 3, 4):
        x[rng.random(ROWS) < 0.1, column] = np.nan
    x[:, 7] = np.nan
    return rng, x


def main():
    rng, x = features()
    with open(os.path.join(HERE, "features.tsv"), "w") as out:
        for row in x:
            out.write("\t".join(map(number, row)) + "\n")
    z = np.nan_to_num(x)
    s = z[:, 0] * z[:, 1] + np.sin(2 * z[:, 2]) + 0.7 * np.cos(z[:, 4]) + 0.5 * z[:, 5] + np.isnan(x[:, 3])
    noise = rng.normal(size=ROWS)
    weights = (rng.random(ROWS) + 0.3).round(3)
    mean = np.exp(0.5 * s)
    cases = [
        ("regression", {}, s + noise, None),
        ("regression_weights", {}, s + noise, weights),
        ("penalties", {"lambda_l1": 0.7, "lambda_l2": 2.0, "min_gain_to_split": 0.5, "max_depth": 4}, s + noise, None),
        ("monotone", {"monotone_constraints": [-1, 1, 1, -1, 0, 0, 0, 0]}, s + noise, None),
        ("binary", {"objective": "binary"}, (s + noise > 0.5) * 1.0, None),
        ("binary_weights", {"objective": "binary"}, (s + noise > 0.5) * 1.0, weights),
        ("stopped", {"objective": "binary", "early_stopping_round": 5, "num_iterations": 200}, (s + noise > 0.5) * 1.0, None),
        ("poisson", {"objective": "poisson"}, rng.poisson(mean) * 1.0, None),
        ("gamma", {"objective": "gamma"}, rng.gamma(2, mean / 2).round(5) + 1e-5, None),
        ("tweedie", {"objective": "tweedie"}, np.where(rng.random(ROWS) < 0.4, 0, rng.gamma(2, mean / 2)).round(5), None),
        ("multiclass", {"objective": "multiclass", "num_class": 3}, np.digitize(s + noise, [-0.2, 1]) * 1.0, None),
        ("lambdarank", {"objective": "lambdarank"}, np.clip(np.digitize(s + noise, [-1, 0, 1, 2]), 0, 4) * 1.0, None),
    ]
    for name, given, target, weight in cases:
        parameters = {
            "objective": "regression",
            "num_iterations": 20,
            "num_leaves": 12,
            "min_data_in_leaf": 10,
            "min_data_per_group": 10,
            "cat_smooth": 3.0,
            **given,
        }
        told = " ".join(f"{k}={','.join(map(str, v)) if isinstance(v, list) else v}" for k, v in parameters.items())
        group = np.arange(ROWS) // 20
        ranked = given.get("objective") == "lambdarank"
        train = lgb.Dataset(
            x[:TRAINED],
            target[:TRAINED],
            weight=None if weight is None else weight[:TRAINED],
            group=[20] * (TRAINED // 20) if ranked else None,
            categorical_feature=[4, 5],
        )
        valid = train.create_valid(x[TRAINED:], target[TRAINED:])
        parameters |= {"verbose": -1, "num_threads": 1, "deterministic": True, "force_col_wise": True}
        watched = {"valid_sets": [valid]} if "early_stopping_round" in given else {}
        model = lgb.train(parameters, train, **watched)
        raw = np.asarray(model.predict(x, raw_score=True)).reshape(ROWS, -1)
        shap = np.asarray(model.predict(x[:EXPLAINED], pred_contrib=True)).reshape(EXPLAINED, -1)
        with open(os.path.join(HERE, name + ".tsv"), "w") as out:
            out.write(f"{told} rounds={model.best_iteration or model.current_iteration()}\n")
            for at in range(ROWS):
                line = [number(target[at]), number(1 if weight is None else weight[at]), str(group[at]), "|"]
                line += [*map(number, raw[at])]
                if at < EXPLAINED:
                    line += ["|", *map(number, shap[at])]
                out.write("\t".join(line) + "\n")


main()
