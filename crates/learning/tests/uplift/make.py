"""Rows of a trial from a fixed seed, and what scikit-uplift 0.5.1 and causalml 0.18.0 say of rankings of them.

Usage: pip install causalml==0.18.0 scikit-uplift==0.5.1 numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1
       python make.py

Writes `uplift.txt` beside itself: lines `name numbers`. `tied` holds scores that several rows share: causalml, which takes such
rows as they happen to lie, is not asked for them. `real` are outcomes that scikit-uplift refuses.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from causalml.metrics import auuc_score, qini_score
from sklift.metrics import (
    qini_auc_score, qini_curve, uplift_at_k, uplift_auc_score, uplift_by_percentile, uplift_curve,
)

ROWS = 203
random = np.random.default_rng(20261123)
feature = random.normal(size=ROWS)
treated = (random.random(ROWS) < 0.6).astype(int)
chance = 1 / (1 + np.exp(-(-0.5 + 0.4 * feature + treated * (0.3 + 0.8 * feature))))
outcomes = {"binary": (random.random(ROWS) < chance).astype(int), "real": np.round(chance * 10 + random.normal(size=ROWS), 4)}
scores = {"apart": np.round(feature + 0.7 * random.normal(size=ROWS), 6)}
assert len(set(scores["apart"])) == ROWS
scores["tied"] = np.round(scores["apart"] * 2) / 2
# The first rows are all treated, so that the control has none for a while; then the other way round.
scores["treated first"] = np.where(treated == 1, scores["apart"] + 10 * (scores["apart"] > 1), scores["apart"])
scores["control first"] = np.where(treated == 0, scores["apart"] + 10 * (scores["apart"] > 1), scores["apart"])
lines = {}


def tell(name, numbers):
    lines[name] = "\t".join(repr(float(x)) for x in np.asarray(numbers).ravel())


tell("treated", treated)
for name, values in [*outcomes.items(), *scores.items()]:
    tell(name, values)
for score, values in scores.items():
    y = outcomes["binary"]
    tell(f"{score} sklift", [qini_auc_score(y, values, treated), uplift_auc_score(y, values, treated)])
    if score == "tied":
        for name, curve in [("qini", qini_curve), ("uplift", uplift_curve)]:
            tell(f"{score} sklift {name} curve", np.stack(curve(y, values, treated)))
        continue
    for strategy, name in [("overall", "overall"), ("by_group", "by group")]:
        tell(f"{score} at {name}", [uplift_at_k(y, values, treated, strategy, k) for k in (0.2, 0.3, 0.55)])
        table = uplift_by_percentile(y, values, treated, strategy, bins=10)
        columns = ["n_treatment", "n_control", "response_rate_treatment", "response_rate_control", "uplift"]
        tell(f"{score} table {name}", np.nan_to_num(table[columns].to_numpy(), nan=-1))
    for outcome, y in outcomes.items():
        frame = pd.DataFrame({"y": y, "w": treated, "score": values})
        tell(f"{score} causalml {outcome}", [qini_score(frame)["score"], auuc_score(frame)["score"]])
Path(__file__).with_name("uplift.txt").write_text("".join(f"{name}\t{numbers}\n" for name, numbers in lines.items()))
