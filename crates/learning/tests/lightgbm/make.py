"""Writes the fixtures beside it: small models trained by LightGBM on made-up data, and what LightGBM itself predicts.

    pip install lightgbm==4.7.0 numpy scipy
    python crates/learning/tests/lightgbm/make.py

NAME.txt is LightGBM's text model. NAME.tsv holds one row a line: the features, the raw scores and the predictions, in three
groups that are split by "|", every number as Python's repr prints it. Rows hold what people get wrong: missing values where
none were seen in training, both zeros, numbers too small to be told from zero, thresholds hit exactly, infinities, categories
never seen, negative, broken and huge.
"""

import os
import re

import lightgbm as lgb
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 1500
PROBES = 64


def data(seed, features=6):
    """Features and a hidden score; the last feature is a category."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, features)).round(3)
    x[:, 1] = np.where(rng.random(ROWS) < 0.3, 0.0, x[:, 1])
    x[:, features - 1] = rng.integers(0, 70, ROWS)
    score = (
        x[:, 0] * x[:, 1]
        + np.sin(2 * x[:, 2])
        + np.where(x[:, 3] > 0.5, 1.0, -0.3)
        + np.cos(x[:, features - 1])
        + 0.3 * rng.normal(size=ROWS)
    )
    return rng, x, score


def probes(rng, x, model_text):
    """Rows to predict: rows like the training rows, with hard values put in."""
    p = x[rng.integers(0, len(x), PROBES)].copy()
    cuts = []
    for line in re.findall(r"^threshold=(.*)$", model_text, re.M):
        cuts += [float(v) for v in line.split()]
    hard = [0.0, -0.0, np.nan, 1e-36, -1e-36, 1.0000000180025095e-35, -1.0000000180025095e-35, 2e-35, -2e-35]
    hard += [np.inf, -np.inf, 1e300, -1e300, 69.0, 70.0, 1e6, -1.0, -0.5, 2.7, 3e9, -3e9, 1e19]
    for i in range(8, PROBES):
        for _ in range(rng.integers(1, 4)):
            j = rng.integers(0, p.shape[1])
            if cuts and rng.random() < 0.4:
                p[i, j] = cuts[rng.integers(0, len(cuts))]
            else:
                p[i, j] = hard[rng.integers(0, len(hard))]
    p[8, :] = np.nan
    p[9, :] = 0.0
    return p


def number(v):
    return repr(float(v))


def write(name, parameters, x, y, rng, rounds=6, group=None, fobj=None, categories="auto"):
    parameters = {
        "verbose": -1,
        "num_leaves": 13,
        "min_data_in_leaf": 5,
        "min_data_per_group": 5,
        "cat_smooth": 1,
        "learning_rate": 0.2,
        "num_threads": 1,
        "deterministic": True,
        "seed": 7,
        **parameters,
    }
    if fobj is not None:
        parameters["objective"] = fobj
    names = [f"f{i}" for i in range(x.shape[1])]
    train = lgb.Dataset(x, y, group=group, categorical_feature=categories, feature_name=names, params=parameters)
    text = lgb.train(parameters, train, rounds).model_to_string()
    # Read back: what is compared is the model as it is written, not as it stands in the trainer's memory.
    model = lgb.Booster(model_str=text)
    # The parameters are nothing that prediction reads, and they tell of the machine.
    text = text[: text.index("\nparameters:")] + "\n"
    with open(os.path.join(HERE, name + ".txt"), "w") as out:
        out.write(text)
    rows = probes(rng, x, text)
    raw = np.asarray(model.predict(rows, raw_score=True)).reshape(len(rows), -1)
    done = np.asarray(model.predict(rows)).reshape(len(rows), -1)
    with open(os.path.join(HERE, name + ".tsv"), "w") as out:
        for r, s, t in zip(rows, raw, done):
            groups = ("\t".join(map(number, g)) for g in (r, s, t))
            out.write("\t|\t".join(groups) + "\n")


def main():
    rng, x, s = data(1)
    write("regression", {"objective": "regression"}, x, s, rng)
    write("regression_l1", {"objective": "regression_l1"}, x, s, rng, rounds=5)
    write("regression_sqrt", {"objective": "regression", "reg_sqrt": True}, x, 5 * s, rng)
    write("binary", {"objective": "binary"}, x, (s > 0).astype(float), rng)
    write("binary_sigmoid", {"objective": "binary", "sigmoid": 1.7}, x, (s > 0).astype(float), rng)
    write("multiclass", {"objective": "multiclass", "num_class": 3}, x, np.digitize(s, [-0.5, 0.8]), rng, rounds=6)
    write("multiclassova", {"objective": "multiclassova", "num_class": 3}, x, np.digitize(s, [-0.5, 0.8]), rng, rounds=6)
    write("poisson", {"objective": "poisson"}, x, rng.poisson(np.exp(s / 3)).astype(float), rng)
    write("gamma", {"objective": "gamma"}, x, np.exp(s / 3), rng)
    write("tweedie", {"objective": "tweedie"}, x, np.maximum(0, s), rng)
    write("cross_entropy", {"objective": "cross_entropy"}, x, 1 / (1 + np.exp(-s)), rng)
    write("cross_entropy_lambda", {"objective": "cross_entropy_lambda"}, x, 1 / (1 + np.exp(-s)), rng)
    write("lambdarank", {"objective": "lambdarank"}, x, np.digitize(s, [-0.5, 0.8, 2]), rng, group=[50] * 30)

    def custom(score, train):
        return score - train.get_label(), np.ones_like(score)

    write("custom", {}, x, s, rng, fobj=custom)
    forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "feature_fraction": 0.8}
    write("forest_regression", {"objective": "regression", **forest}, x, s, rng)
    write("forest_binary", {"objective": "binary", **forest}, x, (s > 0).astype(float), rng)
    write("dart", {"objective": "regression", "boosting": "dart", "drop_rate": 0.5}, x, s, rng)
    write("categorical", {"objective": "binary", "max_cat_to_onehot": 1}, x, (s > 0).astype(float), rng, categories=[5])
    few = x.copy()
    few[:, 5] = few[:, 5] % 4
    write("categorical_one_hot", {"objective": "regression"}, few, s + few[:, 5] % 3, rng, categories=[5])
    holes = x.copy()
    holes[rng.random(x.shape) < 0.2] = np.nan
    t = s + np.isnan(holes[:, 0]) - np.isnan(holes[:, 3])
    write("missing_nan", {"objective": "regression"}, holes, t, rng)
    write("missing_nan_categorical", {"objective": "regression"}, holes, t, rng, categories=[5])
    write("missing_off", {"objective": "regression", "use_missing": False}, holes, t, rng)
    sparse = x.copy()
    sparse[rng.random(x.shape) < 0.4] = 0.0
    u = s + (sparse[:, 0] == 0) - (sparse[:, 3] == 0)
    write("missing_zero", {"objective": "regression", "zero_as_missing": True}, sparse, u, rng)
    tiny = x * 1e-34
    write("tiny", {"objective": "regression"}, tiny, s, rng)
    write("constant", {"objective": "regression", "min_data_in_leaf": ROWS}, x, s, rng, rounds=3)
    write("deep", {"objective": "binary", "num_leaves": 127, "min_data_in_leaf": 1}, x, (s > 0).astype(float), rng, rounds=3)
    write("linear", {"objective": "regression", "linear_tree": True}, x, s, rng, rounds=4)


if __name__ == "__main__":
    main()
