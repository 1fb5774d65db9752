"""BG/NBD and Gamma-Gamma by Lifetimes on customers that the measurement `value` wrote.

Usage: value.py FILE ROUNDS. FILE holds lines `frequency recency age spend`. Fits with the package's own settings, then predicts. Prints
lines `name number`: parameters, log likelihoods, and the least seconds of ROUNDS for each of fits and predictions.
"""

import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
from lifetimes import BetaGeoFitter, GammaGammaFitter  # noqa: E402

x, recency, age, spend = np.loadtxt(sys.argv[1], unpack=True)
rounds = int(sys.argv[2])
some = x > 0


def least(of):
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        found = of()
        best = min(best, time.perf_counter() - start)
    return best, found


seconds, model = least(lambda: BetaGeoFitter().fit(x, recency, age))
print("fit.seconds", seconds)
for name in ["r", "alpha", "a", "b"]:
    print(name, repr(float(model.params_[name])))
    print(f"{name}.error", repr(float(model.standard_errors_[name])))
loss = model._negative_log_likelihood(np.log(model.params_.values), x, recency, age, np.ones(len(x)), 0.0)
print("likelihood", repr(-float(loss) * len(x)))
seconds, spent = least(lambda: GammaGammaFitter().fit(x[some], spend[some]))
print("spend.seconds", seconds)
for name in ["p", "q", "v"]:
    print(name, repr(float(spent.params_[name])))
print("spend.likelihood", repr(-float(spent._negative_log_likelihood_) * int(some.sum())))
seconds, next39 = least(lambda: model.conditional_expected_number_of_purchases_up_to_time(39, x, recency, age))
print("predict.seconds", seconds)
alive = model.conditional_probability_alive(x, recency, age)
each = spent.conditional_expected_average_profit(x, spend)
np.savetxt(sys.argv[1] + ".predicted", np.column_stack([next39, alive, each]), fmt="%.17g")
