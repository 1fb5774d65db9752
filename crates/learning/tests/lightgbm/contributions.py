"""Writes NAME.contributions beside each model that can be explained: LightGBM's `pred_contrib` of the rows of NAME.tsv, a row a line.

    pip install lightgbm==4.7.0 numpy scipy
    python crates/learning/tests/lightgbm/contributions.py
"""

import os

import lightgbm as lgb
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = [
    "binary",
    "categorical",
    "categorical_one_hot",
    "constant",
    "dart",
    "deep",
    "gamma",
    "lambdarank",
    "missing_nan",
    "missing_nan_categorical",
    "missing_off",
    "missing_zero",
    "multiclass",
    "poisson",
    "regression",
    "tiny",
    "tweedie",
]
ROWS = 40

for name in NAMES:
    model = lgb.Booster(model_file=os.path.join(HERE, name + ".txt"))
    with open(os.path.join(HERE, name + ".tsv")) as lines:
        rows = [[float(v) for v in line.split("|")[0].split()] for line in lines][:ROWS]
    found = np.asarray(model.predict(np.array(rows), pred_contrib=True)).reshape(len(rows), -1)
    with open(os.path.join(HERE, name + ".contributions"), "w") as out:
        for row in found:
            out.write(" ".join(f"{v:.10g}" for v in row) + "\n")
