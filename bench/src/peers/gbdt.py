"""Gradient-boosted trees by LightGBM, one thread, for the measurement `gbdt`.

Usage: gbdt.py make DATASETS FOLDER NAME     writes a data set as columns of 64-bit floats, with folds from a fixed seed
       gbdt.py run FOLDER FOLD EXPLAINED     trains on all folds but one, predicts that one, and explains the model `own.txt`

Times are this process's CPU seconds around the calls alone. `theirs.raw` holds LightGBM's raw scores of the fold, `again.raw` and
`again.shap` what LightGBM makes of the other program's model.
"""

import csv
import gzip
import json
import os
import sys
import time

import numpy as np

# Numbers of LightGBM's text that stay its defaults: 255 bins, 31 leaves, 20 rows a leaf, rate 0.1.
ROUNDS = 100
FOLDS = 5


def table(path, separator=","):
    with gzip.open(path, "rt") as lines:
        rows = list(csv.reader(lines, delimiter=separator))
    return {name: column for name, column in zip(rows[0], zip(*rows[1:]))}


def numbers(column):
    """Numbers as they are, else categories in the order of their names."""
    try:
        return np.array(column, dtype=float), False
    except ValueError:
        places = {name: at for at, name in enumerate(sorted(set(column)))}
        return np.array([places[name] for name in column], dtype=float), True


def made(datasets, name):
    exposure = None
    if name == "bank_marketing":
        found = table(os.path.join(datasets, name, "bank-additional-full.csv.gz"), ";")
        target = np.array([answer == "yes" for answer in found.pop("y")], dtype=float)
        found.pop("duration")
    elif name == "credit_taiwan":
        found = table(os.path.join(datasets, name, "UCI_Credit_Card.csv.gz"))
        target = np.array(found.pop(list(found)[-1]), dtype=float)
        found.pop("ID")
    elif name == "freMTPL2":
        found = table(os.path.join(datasets, "insurance_fremtpl2", "freMTPL2freq.csv.gz"))
        target = np.array(found.pop("ClaimNb"), dtype=float)
        exposure = np.array(found.pop("Exposure"), dtype=float)
        found.pop("IDpol")
    elif name == "synthetic":
        rng = np.random.default_rng(20261123)
        x = rng.normal(size=(1_000_000, 50))
        score = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.3 * np.tanh(x[:, 3:]).sum(axis=1)
        target = (score + rng.normal(size=len(x)) > 0).astype(float)
        return [(f"f{at}", column, False) for at, column in enumerate(x.T)], target, exposure
    else:
        raise SystemExit(f"no data set {name}")
    return [(name, *numbers(column)) for name, column in found.items()], target, exposure


def make(datasets, folder, name):
    columns, target, exposure = made(datasets, name)
    os.makedirs(folder, exist_ok=True)
    np.concatenate([values for _, values, _ in columns]).astype("<f8").tofile(os.path.join(folder, "x"))
    target.astype("<f8").tofile(os.path.join(folder, "y"))
    (np.ones(len(target)) if exposure is None else exposure).astype("<f8").tofile(os.path.join(folder, "exposure"))
    folds = np.random.default_rng(5).permutation(len(target)) % FOLDS
    folds.astype("<f8").tofile(os.path.join(folder, "folds"))
    with open(os.path.join(folder, "columns.json"), "w") as out:
        json.dump([[column.replace(" ", "_"), bool(category)] for column, _, category in columns], out)


def run(folder, fold, explained):
    import lightgbm as lgb

    def read(name):
        return np.fromfile(os.path.join(folder, name), "<f8")

    def write(name, values):
        np.ascontiguousarray(values, "<f8").tofile(os.path.join(folder, name))

    def timed(call):
        start = time.process_time()
        done = call()
        return time.process_time() - start, done

    with open(os.path.join(folder, "columns.json")) as text:
        categories = [at for at, (_, category) in enumerate(json.load(text)) if category]
    y, exposure, folds = read("y"), read("exposure"), read("folds")
    x = np.ascontiguousarray(read("x").reshape(-1, len(y)).T)
    out = folds == fold
    rate = not np.all(exposure == 1)
    parameters = {"objective": "poisson" if rate else "binary", "num_threads": 1, "verbose": -1, "seed": 1}
    held, given, target = np.ascontiguousarray(x[out]), np.ascontiguousarray(x[~out]), (y / exposure)[~out]
    weight = exposure[~out] if rate else None

    def binned():
        made = lgb.Dataset(given, target, weight=weight, categorical_feature=categories, params=parameters)
        return made.construct()

    bins, data = timed(binned)
    training, model = timed(lambda: lgb.train(parameters, data, ROUNDS))
    write("theirs.raw", model.predict(held, raw_score=True, num_threads=1))
    own = lgb.Booster(model_file=os.path.join(folder, "own.txt"))
    own.predict(held[:100], raw_score=True, num_threads=1)
    predicting, raw = timed(lambda: own.predict(held, raw_score=True, num_threads=1))
    write("again.raw", raw)
    explaining, values = timed(lambda: own.predict(held[:explained], pred_contrib=True, num_threads=1))
    write("again.shap", values)
    for name, seconds in [("bins", bins), ("training", training), ("predicting", predicting), ("explaining", explaining)]:
        print(name, repr(seconds))


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
