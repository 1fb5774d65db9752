"""Made-up rows and what statsmodels and glum fit to them.

    pip install glum==3.4.1 statsmodels==0.15.0 numpy==2.4.6 pandas==3.1.1
    python crates/learning/tests/glm/make.py

Writes `glm.txt` beside itself: lines `name numbers`. Coefficients and errors begin with the intercept; then come x, z, and the levels
b, c, d of a category whose base is a. `FAMILY plain` and its errors are statsmodels' (robust: HC0 with the factor of HC1), `FAMILY net` (alpha .01, l1_ratio .5) and `FAMILY ridge`
(alpha .01, l1_ratio 0) glum's, with weights and offset.
"""

from pathlib import Path

import glum
import numpy as np
import statsmodels.api as sm
from glum import GeneralizedLinearRegressor, TweedieDistribution

ROWS = 240
rng = np.random.default_rng(20261123)
x = rng.normal(size=ROWS).round(3)
z = (1000 + 20 * rng.uniform(size=ROWS)).round(3)
code = rng.integers(4, size=ROWS)
weights = rng.integers(1, 5, size=ROWS).astype(float)
offset = rng.normal(scale=0.3, size=ROWS).round(3)
design = np.column_stack([np.ones(ROWS), x, z] + [(code == k).astype(float) for k in (1, 2, 3)])
predictor = offset + design @ np.array([-10.3, 0.4, 0.01, 0.3, -0.5, 0.1])
mean = np.exp(predictor)
counts = rng.poisson(mean)
amounts = rng.gamma(2.0, mean / 2.0).round(6) + 1e-6
outcomes = {
    "gaussian": (predictor + rng.normal(size=ROWS)).round(6),
    "binomial": (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-predictor))).astype(float),
    "poisson": counts.astype(float),
    "gamma": amounts,
    "tweedie": np.where(counts > 0, amounts * counts, 0.0).round(6),
}
log = sm.families.links.Log()
families = {
    "gaussian": (sm.families.Gaussian(), "normal", "identity"),
    "binomial": (sm.families.Binomial(), "binomial", "logit"),
    "poisson": (sm.families.Poisson(), "poisson", "log"),
    "gamma": (sm.families.Gamma(link=log), "gamma", "log"),
    "tweedie": (sm.families.Tweedie(link=log, var_power=1.5), TweedieDistribution(1.5), "log"),
}
lines = {"x": x, "z": z, "code": code, "weights": weights, "offset": offset}
for name, (family, distribution, link) in families.items():
    y = outcomes[name]
    lines[f"{name} outcomes"] = y
    model = sm.GLM(y, design, family=family, offset=offset, var_weights=weights)
    plain = model.fit(tol=1e-14, maxiter=200)
    lines[f"{name} plain"] = plain.params
    lines[f"{name} errors"] = plain.bse
    lines[f"{name} robust"] = model.fit(tol=1e-14, maxiter=200, cov_type="HC0").bse * np.sqrt(ROWS / (ROWS - 6))
    lines[f"{name} deviance"] = [plain.deviance]
    lines[f"{name} null"] = [plain.null_deviance]
    lines[f"{name} dispersion"] = [plain.pearson_chi2 / plain.df_resid]
    for kind, ratio in (("net", 0.5), ("ridge", 0.0)):
        fitted = GeneralizedLinearRegressor(
            family=distribution, link=link, alpha=0.01, l1_ratio=ratio, gradient_tol=1e-12, max_iter=1000,
        ).fit(design[:, 1:], y, sample_weight=weights, offset=offset)
        lines[f"{name} {kind}"] = np.concatenate([[fitted.intercept_], fitted.coef_])
with open(Path(__file__).parent / "glm.txt", "w") as out:
    for name, values in lines.items():
        print(name, *(repr(v.item()) for v in np.asarray(values).ravel()), file=out, sep="\t")
print(glum.__version__)
