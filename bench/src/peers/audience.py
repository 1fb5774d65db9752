"""White-box rules by a decision tree and by RIPPER on a table that the measurement `audience` wrote.

Usage: audience.py FILE SECONDS. FILE is CSV with columns `audience` and `held_out` (0 or 1) and features. For each budget `RULES x CONDITIONS` a
tree (scikit-learn, texts one-hot) of that depth grows best-first for as long as the conditions on the paths to its leaves in the audience
are no more than the budget; wittgenstein's RIPPER learns at most so many rules of so many conditions; one that is not done within
SECONDS is told of as having found nothing. Prints lines `name number`: fidelity,
purity and coverage on rows held out, conditions and seconds.
"""

import signal
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from sklearn.tree import DecisionTreeClassifier  # noqa: E402
from wittgenstein import RIPPER  # noqa: E402

table = pd.read_csv(sys.argv[1])
limit = int(sys.argv[2])
inside, held = table.pop("audience").to_numpy() == 1, table.pop("held_out").to_numpy() == 1
spread = pd.get_dummies(table).astype(float)


def tell(name, predicted, conditions, seconds):
    agreed = (predicted == inside)[held].mean()
    hits = (predicted & inside)[held].sum()
    print(f"{name}.fidelity", agreed)
    print(f"{name}.purity", hits / max(predicted[held].sum(), 1))
    print(f"{name}.coverage", hits / inside[held].sum())
    print(f"{name}.conditions", conditions)
    print(f"{name}.seconds", seconds)


def paths(tree):
    """Conditions on the paths to leaves that are in the audience."""
    total, stack = 0, [(0, 0)]
    while stack:
        node, depth = stack.pop()
        if tree.children_left[node] == -1:
            total += depth if tree.value[node][0][1] > tree.value[node][0][0] else 0
        else:
            stack += [(tree.children_left[node], depth + 1), (tree.children_right[node], depth + 1)]
    return total


def out_of_time(*_):
    raise TimeoutError


for rules, most in [(2, 2), (3, 3), (5, 3)]:
    start, best = time.perf_counter(), None
    for leaves in range(2, 4 * rules + 2):
        tree = DecisionTreeClassifier(max_depth=most, max_leaf_nodes=leaves, random_state=0).fit(spread[~held], inside[~held])
        if paths(tree.tree_) <= rules * most:
            agreed = (tree.predict(spread[~held]) == inside[~held]).mean()
            if best is None or agreed > best[0]:
                best = (agreed, tree)
    tree = best[1]
    tell(f"tree.{rules}x{most}", tree.predict(spread) == 1, paths(tree.tree_), time.perf_counter() - start)
    start = time.perf_counter()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(limit)
    try:
        model = RIPPER(max_rules=rules, max_rule_conds=most, random_state=1)
        model.fit(table[~held].reset_index(drop=True), inside[~held], pos_class=True)
        signal.alarm(0)
        took = time.perf_counter() - start
        conditions = sum(len(rule.conds) for rule in model.ruleset_.rules)
        tell(f"ripper.{rules}x{most}", np.asarray(model.predict(table), dtype=bool), conditions, took)
    except TimeoutError:
        tell(f"ripper.{rules}x{most}", np.zeros(len(inside), dtype=bool), 0, limit)
