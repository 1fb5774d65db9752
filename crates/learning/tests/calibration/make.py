"""Made-up scores and what scikit-learn makes of them.

    pip install scikit-learn==1.9.1 numpy==2.4.6
    python crates/learning/tests/calibration/make.py

Writes `calibration.txt` beside itself: lines `name numbers`. `platt` holds slope and intercept of `_SigmoidCalibration`, turned to
`1 / (1 + exp(-(slope x + intercept)))`. Bins of `calibration_curve` are mean probabilities, then mean outcomes; errors are of ten bins.
"""

from pathlib import Path

import numpy as np
from sklearn.calibration import _SigmoidCalibration, calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

ROWS = 300
rng = np.random.default_rng(20261123)
scores = rng.normal(size=ROWS).round(1)
outcomes = (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-(1.5 * scores - 0.7)))).astype(float)
weights = rng.integers(1, 4, size=ROWS).astype(float)
asked = np.linspace(-4, 4, 81) + 0.03
probabilities = rng.uniform(size=ROWS).round(6) ** 1.5
sigmoid = _SigmoidCalibration().fit(scores, outcomes, weights)
lines = {
    "scores": scores, "outcomes": outcomes, "weights": weights, "asked": asked, "probabilities": probabilities,
    "isotonic": IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes, weights).predict(asked),
    "platt": [-sigmoid.a_, -sigmoid.b_],
    "brier": [brier_score_loss(outcomes, probabilities)],
}
for name, strategy in (("width", "uniform"), ("rows", "quantile")):
    observed, predicted = calibration_curve(outcomes, probabilities, n_bins=10, strategy=strategy)
    edges = np.linspace(0, 1, 11) if name == "width" else np.percentile(probabilities, np.linspace(0, 1, 11) * 100)
    sizes = np.bincount(np.searchsorted(edges[1:-1], probabilities), minlength=10)
    lines[f"{name} bins"] = np.concatenate([predicted, observed])
    lines[f"{name} error"] = [(np.abs(predicted - observed) * sizes[sizes > 0]).sum() / ROWS]
with open(Path(__file__).parent / "calibration.txt", "w") as out:
    for name, values in lines.items():
        print(name, *(repr(float(v)) for v in values), file=out, sep="\t")
