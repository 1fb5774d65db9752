"""Uplift learners of causalml and scikit-uplift with LightGBM, one thread, for the measurement `uplift`.

Usage: uplift.py FOLDER TRIAL SEEDS COLUMNS ROUNDS RATE LEAVES LEAST FOLDS
FOLDER/TRIAL holds lines of 64-bit floats: outcome, treated, columns. FOLDER/TRIAL.SEED holds a byte a row, 1 where it is judged.
Writes the scores of those rows, as 64-bit floats, into FOLDER/TRIAL.SEED.LEARNER, and prints the CPU seconds that a learner took
for learning and scoring, over all seeds.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd

from causalml.inference.meta import (
    BaseDRLearner, BaseRClassifier, BaseSClassifier, BaseTClassifier, BaseXClassifier,
)
from lightgbm import LGBMClassifier, LGBMRegressor
from sklift.models import ClassTransformation, SoloModel, TwoModels

warnings.filterwarnings("ignore")
folder, trial, seeds, width = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rounds, rate, leaves, least, folds = int(sys.argv[5]), float(sys.argv[6]), *map(int, sys.argv[7:10])
settings = dict(n_estimators=rounds, learning_rate=rate, num_leaves=leaves, min_child_samples=least, num_threads=1, verbose=-1)


def outcome():
    return LGBMClassifier(**settings)


def effect():
    return LGBMRegressor(**settings)


def causalml(learner, has_shares=True, has_seed=False):
    def run(x, w, y, held, share, seed):
        model = learner()
        shares = {"p": np.full(len(x), share)} if has_shares else {}
        model.fit(x, w, y, **shares, **({"seed": seed} if has_seed else {}))
        return model.predict(held, **({"p": np.full(len(held), share)} if has_shares else {}))

    return run


def sklift(learner):
    def run(x, w, y, held, share, seed):
        model = learner()
        model.fit(pd.DataFrame(x), pd.Series(y), pd.Series(w))
        return model.predict(pd.DataFrame(held))

    return run


LEARNERS = {
    "causalml.s": causalml(lambda: BaseSClassifier(outcome()), False),
    "causalml.t": causalml(lambda: BaseTClassifier(outcome()), False),
    "causalml.x": causalml(lambda: BaseXClassifier(outcome_learner=outcome(), effect_learner=effect())),
    "causalml.r": causalml(
        lambda: BaseRClassifier(outcome_learner=outcome(), effect_learner=effect(), n_fold=folds, random_state=1)
    ),
    "causalml.dr": causalml(lambda: BaseDRLearner(learner=effect()), has_seed=True),
    "sklift.s": sklift(lambda: SoloModel(outcome())),
    "sklift.t": sklift(lambda: TwoModels(outcome(), outcome(), method="vanilla")),
    "sklift.transformation": sklift(lambda: ClassTransformation(outcome())),
}

rows = np.fromfile(f"{folder}/{trial}", "<f8").reshape(-1, 2 + width)
y, w, x = rows[:, 0].astype(int), rows[:, 1].astype(int), np.ascontiguousarray(rows[:, 2:])
seconds = dict.fromkeys(LEARNERS, 0.0)
for seed in range(1, seeds + 1):
    held = np.fromfile(f"{folder}/{trial}.{seed}", "u1") == 1
    given = ~held
    for name, run in LEARNERS.items():
        start = time.process_time()
        scores = run(x[given], w[given], y[given], x[held], w[given].mean(), seed)
        seconds[name] += time.process_time() - start
        np.ravel(scores).astype("<f8").tofile(f"{folder}/{trial}.{seed}.{name}")
for name, took in seconds.items():
    print(name, repr(took))
