"""The relaxed allocation of the measurement `allocation` by HiGHS, one thread.

Usage: allocation.py FOLDER CUSTOMERS ACTIONS METHOD. METHOD is HiGHS's `solver`: simplex or ipm. FOLDER/values and FOLDER/other hold what
actions are worth, customer by customer, 64-bit floats; FOLDER/cost-0 to -2 what they cost of three budgets; FOLDER/limits the budgets, a
cap on action 0 and a floor of `other`. Prints the `seconds` of solving alone, after the model was passed, and the `optimum`, or no optimum where
none was found in SECONDS_MAX.
"""

import os
import sys
import time

import highspy
import numpy as np

SECONDS_MAX = 30.0

folder, customers, actions, method = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
cells, infinite = customers * actions, highspy.kHighsInf


def read(name):
    return np.fromfile(os.path.join(folder, name), "<f8")


values, limits = read("values"), read("limits")
rows = [read(f"cost-{at}") for at in range(3)] + [(np.arange(cells) % actions == 0) * 1.0, read("other")]
model = highspy.HighsLp()
model.num_col_, model.num_row_ = cells, customers + len(rows)
model.sense_ = highspy.ObjSense.kMaximize
model.col_cost_ = values
model.col_lower_, model.col_upper_ = np.zeros(cells), np.full(cells, infinite)
model.row_lower_ = np.concatenate([np.full(customers + 4, -infinite), limits[4:]])
model.row_upper_ = np.concatenate([np.ones(customers), limits[:4], [infinite]])
entries = np.stack([np.ones(cells), *rows], axis=1)
places = np.stack([np.arange(cells) // actions, *[np.full(cells, customers + at) for at in range(len(rows))]], axis=1)
kept = entries != 0.0
model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
model.a_matrix_.index_, model.a_matrix_.value_ = places[kept], entries[kept]
highs = highspy.Highs()
for option, value in [("output_flag", False), ("threads", 1), ("parallel", "off"), ("solver", method)]:
    highs.setOptionValue(option, value)
highs.setOptionValue("time_limit", SECONDS_MAX)
highs.passModel(model)
start = time.perf_counter()
highs.run()
print("seconds", repr(time.perf_counter() - start))
if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
    print("optimum", repr(highs.getObjectiveValue()))
