"""Poisson models of claims by glum, on columns that the measurement `glm` wrote.

Usage: glm.py FOLDER ROWS NUMBERS LEVELS... FOLDER/NAME.column holds binary64 for `outcomes`, `exposure` and number-K, 32-bit words for
category-K, whose count of levels is the K-th of LEVELS; the first level is the base. Weights are exposures and outcomes rates, which
is what a logarithm of exposure as offset fits. Prints seconds of glum's own settings and, from a fit to a gradient of 1e-10,
coefficients: the intercept, numbers, levels.
"""

import sys
import time

import numpy as np
import pandas as pd
from glum import GeneralizedLinearRegressor

folder, rows, numbers, levels = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(x) for x in sys.argv[4:]]
load = lambda name, kind: np.fromfile(f"{folder}/{name}.column", kind)  # noqa: E731
exposure = load("exposure", "<f8")
rate = load("outcomes", "<f8") / exposure
frame = pd.DataFrame({f"number-{k}": load(f"number-{k}", "<f8") for k in range(numbers)})
for k, count in enumerate(levels):
    frame[f"category-{k}"] = pd.Categorical.from_codes(load(f"category-{k}", "<u4").astype(int), categories=range(count))
assert len(frame) == rows
for name, alpha in (("plain", 0.0), ("net", 1e-4)):
    model = lambda tolerance: GeneralizedLinearRegressor(  # noqa: E731
        family="poisson", alpha=alpha, l1_ratio=0.5 if alpha else 0.0, drop_first=True, gradient_tol=tolerance, max_iter=1000,
    )
    start = time.perf_counter()
    model(None).fit(frame, rate, sample_weight=exposure)
    print(f"{name}.seconds", repr(time.perf_counter() - start))
    fitted = model(1e-10).fit(frame, rate, sample_weight=exposure)
    for at, value in enumerate([fitted.intercept_, *fitted.coef_]):
        print(f"{name}.{at}", repr(float(value)))
