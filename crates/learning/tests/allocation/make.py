"""Writes highs.txt beside it: optima of linear relaxations by HiGHS, for `tests/it/allocation/reference.rs`.

    pip install highspy==1.15.1 numpy
    python crates/learning/tests/allocation/make.py

A line a problem: its seed, customers, actions, share of the floor, and the optimum. Problems are drawn by the splitmix64 generator, which
the test draws from as well: values, costs of two budgets, and the values of a second objective, each customer by customer.
"""

import os

import highspy
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def draws(seed, count):
    state = (np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(float) * 2.0**-53


def problem(seed, customers, actions):
    return draws(seed, 4 * customers * actions).reshape(4, customers * actions)


def optimum(seed, customers, actions, floor):
    values, first, second, other = problem(seed, customers, actions)
    cells = customers * actions
    rows = [first, second, (np.arange(cells) % actions == 0) * 1.0, other]
    infinite = highspy.kHighsInf
    limits = [(-infinite, 0.1 * customers), (-infinite, 0.2 * customers), (-infinite, customers // 10), (floor * customers, infinite)]
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = cells, customers + len(rows)
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_ = values
    model.col_lower_, model.col_upper_ = np.zeros(cells), np.ones(cells)
    model.row_lower_ = np.concatenate([np.full(customers, -infinite), [low for low, _ in limits]])
    model.row_upper_ = np.concatenate([np.ones(customers), [high for _, high in limits]])
    entries = np.stack([np.ones(cells), *rows], axis=1)
    places = np.stack([np.arange(cells) // actions, *[np.full(cells, customers + at) for at in range(len(rows))]], axis=1)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.arange(cells + 1) * entries.shape[1]
    model.a_matrix_.index_ = places.ravel()
    model.a_matrix_.value_ = entries.ravel()
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.passModel(model)
    highs.run()
    return highs.getObjectiveValue()


with open(os.path.join(HERE, "highs.txt"), "w") as out:
    for seed, customers, actions, floor in [(1, 200, 3, 0.0), (2, 1000, 5, 0.25), (3, 3000, 4, 0.2), (4, 12000, 3, 0.18)]:
        out.write(f"{seed} {customers} {actions} {floor} {optimum(seed, customers, actions, floor)!r}\n")
