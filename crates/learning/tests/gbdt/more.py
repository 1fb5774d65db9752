"""Writes two more fixtures beside it: what LightGBM makes of offsets, and of a column of many categories.

    pip install lightgbm==4.7.0 numpy scipy
    python crates/learning/tests/gbdt/more.py

offsets.tsv: for each row of features.tsv its offset (LightGBM's `init_score`), then the target and the raw score, without the offset, of
binary, regression, poisson, gamma and tweedie. The first 700 rows are trained on.
many.tsv: a category, a number, the target and the raw score of a regression; the first 1,800 rows are trained on, the others hold
categories that those do not.
"""

import os

import lightgbm as lgb
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
COMMON = {
    "num_leaves": 12,
    "min_data_in_leaf": 10,
    "min_data_per_group": 10,
    "cat_smooth": 3.0,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
}


def write(name, columns):
    with open(os.path.join(HERE, name), "w") as out:
        for row in zip(*columns):
            out.write("\t".join(f"{v:.12g}" for v in row) + "\n")


def offsets():
    x = np.loadtxt(os.path.join(HERE, "features.tsv"))
    rng = np.random.default_rng(21)
    z = np.nan_to_num(x)
    s = z[:, 0] * z[:, 1] + np.sin(2 * z[:, 2]) + 0.5 * z[:, 5]
    offset = rng.normal(scale=0.5, size=len(x)).round(3)
    mean = np.exp(0.5 * s + offset)
    targets = {
        "binary": (s + offset + rng.logistic(size=len(x)) > 0.5) * 1.0,
        "regression": (s + offset + 0.3 * rng.normal(size=len(x))).round(4),
        "poisson": rng.poisson(mean) * 1.0,
        "gamma": rng.gamma(2, mean / 2).round(4) + 1e-4,
        "tweedie": np.where(rng.random(len(x)) < 0.4, 0, rng.gamma(2, mean / 2)).round(4),
    }
    columns = [offset]
    for objective, target in targets.items():
        data = lgb.Dataset(x[:700], target[:700], init_score=offset[:700], categorical_feature=[4, 5])
        model = lgb.train(COMMON | {"objective": objective}, data, 15)
        columns += [target, model.predict(x, raw_score=True)]
    write("offsets.tsv", columns)


def many():
    rng = np.random.default_rng(22)
    rows, trained = 2000, 1800
    category = (600 * rng.random(rows) ** 1.5).astype(int) * 7 % 997
    category[trained:] += rng.integers(0, 2, rows - trained) * 1000
    number = rng.normal(size=rows).round(4)
    effect = rng.normal(size=3000)
    target = (effect[category] + 0.5 * number + 0.2 * rng.normal(size=rows)).round(4)
    x = np.column_stack([category, number])
    data = lgb.Dataset(x[:trained], target[:trained], categorical_feature=[0])
    given = COMMON | {"objective": "regression", "min_data_per_group": 4, "cat_smooth": 1.0, "min_data_in_leaf": 4}
    model = lgb.train(given, data, 15)
    write("many.tsv", [category, number, target, model.predict(x, raw_score=True)])


offsets()
many()
