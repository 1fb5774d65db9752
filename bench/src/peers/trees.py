"""Trains the models of the measurement `trees` and makes the rows that are predicted: synthetic, from a fixed seed.

Usage: trees.py FOLDER. Prints where LightGBM's library lies.
"""

import glob
import os
import sys

import lightgbm as lgb
import numpy as np

FEATURES, TRAINED, PREDICTED = 64, 20_000, 10_000
folder = sys.argv[1]
rng = np.random.default_rng(20261122)


def rows(count):
    return rng.normal(size=(count, FEATURES))


def holes(x):
    return np.where(rng.random(x.shape) < 0.1, np.nan, x)


x = rows(TRAINED)
score = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.3 * np.tanh(x[:, 3:]).sum(axis=1) + rng.normal(size=TRAINED)
parameters = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "deterministic": True, "seed": 1}
for name, made in [("whole", lambda v: v), ("holes", holes)]:
    model = lgb.train(parameters, lgb.Dataset(made(x), (score > 0).astype(float)), 100)
    model.save_model(os.path.join(folder, name + ".txt"))
    made(rows(PREDICTED)).astype("<f8").tofile(os.path.join(folder, name + ".rows"))
print(glob.glob(os.path.join(os.path.dirname(lgb.__file__), "lib", "lib_lightgbm.*"))[0])
