"""Rows from a fixed seed, a written function of them, and what PyALE 1.2.0 and scikit-learn 1.9.1 say of it.

Usage: pip install PyALE==1.2.0 scikit-learn==1.9.1 numpy==2.4.6 pandas==3.1.1
       python make.py

Writes `effects.txt` beside itself: lines `name numbers`. PyALE takes its quantiles among one row less than there are; with a multiple of
the bins as the number of rows they are those of type 1. Friedman's H is by its definition from scikit-learn's partial dependence.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PyALE._src.ALE_1D import aleplot_1D_categorical, aleplot_1D_continuous
from PyALE._src.ALE_2D import aleplot_2D_continuous
from PyALE._src.lib import order_groups
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence, permutation_importance

ROWS = 240
random = np.random.default_rng(20261123)
a = np.round(random.normal(size=ROWS), 6)
b = np.round(0.6 * a + random.normal(size=ROWS), 6)
c = random.integers(0, 7, size=ROWS).astype(float)
# Categories that follow a, in an order of their own.
d = np.array([3.0, 0.0, 4.0, 1.0, 2.0])[np.clip(np.floor(a + 2.5 + 0.3 * random.normal(size=ROWS)), 0, 4).astype(int)]
X = pd.DataFrame({"a": a, "b": b, "c": c, "d": d})
LEVELS = np.array([0.5, -1.0, 0.25, 2.0, -0.75])


def function(X):
    a, b, c, d = (np.asarray(X[name], dtype=float) for name in "abcd")
    return 2 * a + a * b - 0.5 * b * b * b + 0.1 * c * c + LEVELS[d.astype(int)] * (1 + 0.5 * a)


class Model(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return function(X)


model = Model()
y = function(X) + np.round(random.normal(size=ROWS), 6)
out = {name: X[name] for name in "abcd"} | {"y": y}

for name, bins in [("a", 8), ("b", 12), ("a", 40)]:
    found = aleplot_1D_continuous(X, model, name, grid_size=bins, include_CI=False)
    out[f"ale {name} {bins} values"] = found.index
    out[f"ale {name} {bins} effects"] = found["eff"]
    out[f"ale {name} {bins} sizes"] = found["size"].iloc[1:]

names = X.assign(d=X["d"].astype(int).astype(str))
order = order_groups(names.astype({"d": "category"}).assign(d=names["d"]), "d")
out["order d"] = [float(v) for v in order.index]
ordered = pd.CategoricalDtype(categories=list(order.index), ordered=True)
found = aleplot_1D_categorical(
    names.astype({"d": ordered}), model, "d", lambda D: D.astype(str).astype(float), list("abcd"), include_CI=False
)
out["ale d effects"] = found["eff"]
out["ale d sizes"] = found["size"]

found = aleplot_2D_continuous(X, model, ["a", "b"], grid_size=5)
out["ale a b 5 first"] = found.index
out["ale a b 5 second"] = found.columns
out["ale a b 5 effects"] = found.to_numpy().ravel()

for name in "ac":
    values = np.unique(X[name])[:: 24 if name == "a" else 1]
    found = partial_dependence(model, X, [name], custom_values={name: values}, kind="both", method="brute")
    out[f"pd {name} values"] = found["grid_values"][0]
    out[f"pd {name} means"] = found["average"][0]
    rows = found["individual"][0]
    out[f"pd {name} bands"] = np.quantile(rows, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T.ravel()


def at_rows(few, columns):
    whole = few.copy()
    told = np.empty(len(few))
    for row in range(len(few)):
        for column in columns:
            whole[column] = few[column].iloc[row]
        told[row] = function(whole).mean()
    return told - told.mean()


few = X.iloc[:60].copy()
for pair in ["ab", "cd", "bc"]:
    first, second, both = at_rows(few, pair[0]), at_rows(few, pair[1]), at_rows(few, pair)
    beyond = both - first - second
    out[f"h {pair}"] = [np.sqrt((beyond**2).sum() / (both**2).sum()), np.sqrt((beyond**2).mean())]
# The same, by scikit-learn's own function.
told = partial_dependence(model, few, ["c"], custom_values={"c": np.unique(few["c"])}, kind="average", method="brute")
own = dict(zip(told["grid_values"][0], told["average"][0]))
own = np.array([own[v] for v in few["c"]])
assert np.abs(at_rows(few, "c") - (own - own.mean())).max() < 1e-12

REPEATS = 5
found = permutation_importance(
    model, X, y, scoring="neg_root_mean_squared_error", n_repeats=REPEATS, random_state=7
)
# The orders that it drew: every column is shuffled by the same ones, each on top of the one before.
drawn = np.random.RandomState(np.random.RandomState(7).randint(np.iinfo(np.int32).max + 1))
now, orders = np.arange(ROWS), []
step = np.arange(ROWS)
for _ in range(REPEATS):
    drawn.shuffle(step)
    now = now[step]
    orders.append(now.copy())
out["orders"] = np.concatenate(orders)
for at, name in enumerate("abcd"):
    out[f"permuted {name}"] = found.importances[at]
    out[f"permuted {name} mean"] = [found.importances_mean[at]]

lines = [name + "".join(f"\t{float(v)!r}" for v in values) for name, values in out.items()]
(Path(__file__).parent / "effects.txt").write_text("\n".join(lines) + "\n")
