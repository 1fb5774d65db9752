"""Customers from a fixed seed, and what Lifetimes 0.11.3 makes of them.

Usage: pip install lifetimes==0.11.3 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 autograd==1.9.1 mpmath==1.4.1
       python make.py

Writes `value.txt` beside itself: lines `name numbers`. Lifetimes ends its search when a step gains little; the parameters here are where
Newton's method ends on Lifetimes' own likelihood from there. Means are by mpmath at 40 digits from equations 9 and 10 of the
paper, as scipy's hypergeometric function is not exact everywhere; Lifetimes' are beside them.
"""

import warnings
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
from autograd import grad, hessian
from lifetimes import BetaGeoFitter, GammaGammaFitter
from lifetimes.utils import calibration_and_holdout_data

warnings.filterwarnings("ignore")
mpmath.mp.dps = 40
random = np.random.default_rng(20261123)
lines = []


def tell(name, numbers):
    lines.append(name + "\t" + "\t".join(repr(float(x)) for x in np.asarray(numbers, dtype=float).ravel()))


N, R, ALPHA, A, B, P, Q, V = 240, 0.7, 5.0, 0.9, 2.5, 4.0, 3.5, 20.0
age = random.integers(200, 280, N) / 7
frequency, recency, spend = np.zeros(N), np.zeros(N), np.zeros(N)
for i in range(N):
    rate, leaves, each = random.gamma(R) / ALPHA, random.beta(A, B), random.gamma(Q) / V
    at, paid = 0.0, []
    while True:
        at += random.exponential(1 / rate)
        if at > age[i]:
            break
        frequency[i], recency[i] = frequency[i] + 1, round(at, 3)
        paid.append(random.gamma(P) / each)
        if random.random() < leaves:
            break
    spend[i] = round(np.mean(paid), 2) if paid else 0
recency = np.minimum(recency, age)
weights = random.integers(1, 4, N)
for name, numbers in [("frequency", frequency), ("recency", recency), ("age", age), ("spend", spend), ("weights", weights)]:
    tell(name, numbers)


def polished(fitter, log, *data):
    """The minimum of a fitter's own loss near `log`, and the standard errors there."""
    loss = fitter._negative_log_likelihood
    for _ in range(20):
        log = log - np.linalg.solve(hessian(loss)(log, *data), grad(loss)(log, *data))
    deviations = np.sqrt(np.diag(np.linalg.inv(hessian(loss)(log, *data))) / data[-2].sum())
    return log, np.exp(log), np.exp(log) * deviations


later = np.array([1.0, 10.0, 39.0, 400.0])
for name, penalizer, of in [("plain", 0.0, np.ones(N, int)), ("penalty", 0.01, np.ones(N, int)), ("weighted", 0.0, weights)]:
    fitter = BetaGeoFitter(penalizer_coef=penalizer).fit(frequency, recency, age, weights=of)
    scale = fitter._scale
    log = np.log(fitter.params_.values) + [0, np.log(scale), 0, 0]
    log, parameters, errors = polished(fitter, log, frequency, recency * scale, age * scale, of, penalizer)
    parameters[1], errors[1] = parameters[1] / scale, errors[1] / scale
    tell(f"{name} parameters", parameters)
    tell(f"{name} errors", errors)
    if name == "plain":
        one = -fitter._negative_log_likelihood(np.log(parameters), frequency, recency, age, of, 0.0)
        tell("plain log likelihood", [one * N])
        fitter.params_[:] = parameters
        tell("alive", fitter.conditional_probability_alive(frequency, recency, age))
        for t in later[:3]:
            tell(f"expected in {t}", fitter.conditional_expected_number_of_purchases_up_to_time(t, frequency, recency, age))
        tell("expected of new", [fitter.expected_number_of_purchases_up_to_time(t) for t in later[:3]])
    bgf = fitter if name == "plain" else bgf

some = frequency > 0
for name, penalizer in [("spend plain", 0.0), ("spend penalty", 0.0001)]:
    fitter = GammaGammaFitter(penalizer_coef=penalizer).fit(frequency[some], spend[some])
    ones = np.ones(some.sum())
    log, parameters, errors = polished(fitter, np.log(fitter.params_.values), frequency[some], spend[some], ones, penalizer)
    tell(f"{name} parameters", parameters)
    tell(f"{name} errors", errors)
    if name == "spend plain":
        loss = fitter._negative_log_likelihood(np.log(parameters), frequency[some], spend[some], ones, 0.0)
        tell("spend log likelihood", [-loss * some.sum()])
        fitter.params_[:] = parameters
        tell("spend expected", fitter.conditional_expected_average_profit(frequency, spend))
        # Months of 30 units where the unit is a day.
        tell("lifetime", fitter.customer_lifetime_value(bgf, pd.Series(frequency), pd.Series(recency), pd.Series(age), pd.Series(spend), time=12, discount_rate=0.01, freq="D"))

# Means of customers that are not everyday ones: t, r, alpha, a, b and the mean.
rare = []
for t in ["1e-6", "0.5", "39", "4000", "1e7"]:
    for r in ["0.02", "0.24", "30", "1200"]:
        for a in ["0.01", "0.79", "1.5", "60"]:
            for b in ["0.05", "2.4", "900"]:
                alpha = mpmath.mpf("4.4")
                t_, r_, a_, b_ = (mpmath.mpf(x) for x in (t, r, a, b))
                with mpmath.workdps(60):
                    hyp = mpmath.hyp2f1(r_, a_ - 1, a_ + b_ - 1, -t_ / alpha)
                    mean = (a_ + b_ - 1) / (a_ - 1) * (1 - hyp)
                rare.append([float(x) for x in (t_, r_, alpha, a_, b_, mean)])
tell("means", rare)

# Transactions and the histories that Lifetimes counts, in weeks of 7 days, split at the end of day 200.
customer, day, amount = random.integers(0, 25, 260), random.integers(0, 400, 260), random.integers(1, 900, 260) / 4
start = pd.Timestamp("2025-01-01")
table = pd.DataFrame({"id": customer, "at": start + pd.to_timedelta(day, "D") + pd.to_timedelta(random.integers(0, 86400, 260), "s"), "amount": amount})
tell("transactions", np.column_stack([customer, (table["at"] - pd.Timestamp("1970-01-01")) / pd.Timedelta("1us"), amount]))
split, end = start + pd.Timedelta(200, "D"), start + pd.Timedelta(300, "D")
found = calibration_and_holdout_data(
    table, "id", "at", split + pd.Timedelta("23h59m59s"), observation_period_end=end + pd.Timedelta("23h59m59s"), freq="D", freq_multiplier=7, monetary_value_col="amount"
)
tell("split", [(x - pd.Timestamp("1970-01-01")) / pd.Timedelta("1us") for x in (split, end)])
tell("counted", found.reset_index()[["id", "frequency_cal", "recency_cal", "T_cal", "monetary_value_cal", "frequency_holdout", "duration_holdout"]])
Path(__file__).with_name("value.txt").write_text("\n".join(lines) + "\n")
