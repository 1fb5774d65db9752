"""Whole allocations at floors that are the most that can be reached, and a little above and below, by HiGHS's branch and bound
(scipy 1.17.1, numpy 2.4.6): writes whole.txt, a line a problem: seed, customers, actions, floor, optimum (- where there is none).

Amounts are quarters, so that sums are exact. Usage: python whole.py
"""

import os

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

MASK = (1 << 64) - 1


def draws(seed, count):
    out, state = [], seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(((z ^ (z >> 31)) >> 11) * 2.0**-53)
    return np.array(out)


def optimum(customers, actions, wanted, costs, other, floor):
    cells = customers * actions
    ones = np.zeros((customers, cells))
    for row in range(customers):
        ones[row, row * actions : (row + 1) * actions] = 1
    first = np.tile([1.0] + [0.0] * (actions - 1), customers)
    rows = np.vstack([ones, costs, first, other])
    high = np.concatenate([np.ones(customers), [np.floor(0.6 * customers), customers // 3, np.inf]])
    low = np.concatenate([np.full(customers + 2, -np.inf), [floor]])
    found = milp(-wanted, constraints=LinearConstraint(rows, low, high), integrality=np.ones(cells), bounds=Bounds(0, 1),
                 options={"mip_rel_gap": 0})
    if found.status not in (0, 2):
        raise SystemExit(found.message)
    return None if found.x is None else round(-found.fun * 4) / 4


lines = []
for seed in range(1, 41):
    customers, actions = 5 + seed * 7 % 56, 2 + seed % 3
    tables = draws(seed, 3 * customers * actions).reshape(3, -1)
    values, other, costs = np.floor(tables[0] * 400) / 4, np.floor(tables[1] * 8) / 4, 0.25 + np.floor(tables[2] * 8) / 4
    most = optimum(customers, actions, other, costs, other, 0.0)
    for floor in (most + 0.25, most, most - 0.25, np.floor(0.97 * most * 4) / 4):
        best = optimum(customers, actions, values, costs, other, floor)
        lines.append(f"{seed} {customers} {actions} {floor} {'-' if best is None else best}")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "whole.txt"), "w") as file:
    file.write("\n".join(lines) + "\n")
