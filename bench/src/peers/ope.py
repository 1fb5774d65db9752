"""Values and intervals by obp of policies on logs of the measurement `ope`.

Usage: ope.py FOLDER RESAMPLES LOG... Of each log, FOLDER/LOG.rows holds lines of 64-bit words: action, position, reward (binary64),
propensity (binary64), fold; FOLDER/LOG.policy the policy, positions x actions, and FOLDER/LOG.model the model, folds x positions x
actions, both binary64. Prints the values, the seconds that values took, the seconds that intervals took on top of it, and the bounds of dr.

obp imports torch, matplotlib and seaborn, which its estimators do not use: empty modules stand in for them.
"""

import sys
import time
import types

import numpy as np


class Absent(types.ModuleType):
    """A module any name of which is an empty class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


ABSENT = ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data",
          "matplotlib", "matplotlib.pyplot", "seaborn")
for name in ABSENT:
    sys.modules[name] = Absent(name)
    above, _, last = name.rpartition(".")
    if above:
        setattr(sys.modules[above], last, sys.modules[name])

from obp import ope  # noqa: E402

for name in ABSENT:
    del sys.modules[name]

folder, resamples, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
POSITIONS = 3
estimators = [ope.InverseProbabilityWeighting(), ope.SelfNormalizedInverseProbabilityWeighting(), ope.DoublyRobust()]
for log in names:
    rows = np.fromfile(f"{folder}/{log}.rows", "<i8").reshape(-1, 5)
    policy = np.fromfile(f"{folder}/{log}.policy", "<f8").reshape(POSITIONS, -1)
    model = np.fromfile(f"{folder}/{log}.model", "<f8").reshape(-1, *policy.shape)
    action, position, fold = (np.ascontiguousarray(rows[:, k]) for k in (0, 1, 4))
    reward, pscore = (np.ascontiguousarray(rows[:, k]).view("<f8") for k in (2, 3))
    given = dict(
        action=action, position=position, reward=reward, pscore=pscore,
        action_dist=np.ascontiguousarray(np.broadcast_to(policy.T, (len(rows), *policy.T.shape))),
        estimated_rewards_by_reg_model=np.ascontiguousarray(model[fold].transpose(0, 2, 1)),
    )
    start = time.perf_counter()
    values = {each.estimator_name: each.estimate_policy_value(**given) for each in estimators}
    print(f"{log}.estimates", repr(time.perf_counter() - start))
    start = time.perf_counter()
    found = {
        each.estimator_name: each.estimate_interval(n_bootstrap_samples=resamples, random_state=1, **given)
        for each in estimators
    }
    print(f"{log}.intervals", repr(time.perf_counter() - start))
    for name, value in values.items():
        print(f"{log}.{name}", repr(float(value)))
    _, lower, upper = found["dr"].values()
    print(f"{log}.lower", repr(float(lower)))
    print(f"{log}.upper", repr(float(upper)))
