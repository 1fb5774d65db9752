"""Logged decisions and slates from a fixed seed, and what obp 0.5.7 says of them.

Usage: pip install --no-deps --ignore-requires-python obp==0.5.7
       pip install numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1 scipy==1.17.1 tqdm pyyaml matplotlib seaborn
       python make.py

Writes `bandit.txt` and `slate.txt` beside itself: lines `name numbers`, with estimates by obp under `obp NAME`. obp imports torch
for its policies; its estimators do not use it, so an empty module stands in.
"""

import sys
import types
from pathlib import Path

import numpy as np



class Absent(types.ModuleType):
    """A module any name of which is an empty class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


ABSENT = ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data")
for name in ABSENT:
    sys.modules[name] = Absent(name)
    above, _, last = name.rpartition(".")
    if above:
        setattr(sys.modules[above], last, sys.modules[name])

from obp import ope  # noqa: E402

for name in ABSENT:
    del sys.modules[name]

here = Path(__file__).parent
rng = np.random.default_rng(20261123)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def write(path, columns):
    with open(here / path, "w") as out:
        for name, values in columns.items():
            flat = np.asarray(values).ravel()
            print(name, *(repr(x.item()) for x in flat), file=out, sep="\t")


def bandit():
    rows, actions, positions = 60, 4, 2
    logging = softmax(rng.normal(size=(rows, actions, positions)).swapaxes(1, 2)).swapaxes(1, 2)
    policy = softmax(1.5 * rng.normal(size=(rows, actions, positions)).swapaxes(1, 2)).swapaxes(1, 2)
    predictions = rng.uniform(size=(rows, actions, positions))
    position = rng.integers(positions, size=rows)
    action = np.array([rng.choice(actions, p=logging[i, :, position[i]]) for i in range(rows)])
    pscore = logging[np.arange(rows), action, position]
    reward = rng.normal(size=rows) + 0.3 * action
    given = dict(reward=reward, action=action, pscore=pscore, action_dist=policy, position=position,
                 estimated_rewards_by_reg_model=predictions)
    lambdas = [0.3, 0.7, 1.5, 3.0, 6.0, 100.0]
    found = {
        "ips": ope.InverseProbabilityWeighting().estimate_policy_value(**given),
        "ips, clipped": ope.InverseProbabilityWeighting(lambda_=2.0).estimate_policy_value(**given),
        "snips": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given),
        "dm": ope.DirectMethod().estimate_policy_value(**given),
        "dr": ope.DoublyRobust().estimate_policy_value(**given),
        "dr, clipped": ope.DoublyRobust(lambda_=2.0).estimate_policy_value(**given),
        "sndr": ope.SelfNormalizedDoublyRobust().estimate_policy_value(**given),
        "switch-dr": ope.SwitchDoublyRobust(lambda_=1.5).estimate_policy_value(**given),
    }
    for name, bound in (("bound", True), ("bias", False)):
        tuned = ope.SwitchDoublyRobustTuning(lambdas=list(lambdas), tuning_method="mse", use_bias_upper_bound=bound, delta=0.05)
        found[f"switch-dr by {name}"] = tuned.estimate_policy_value(**given)
        found[f"threshold by {name}"] = tuned.best_hyperparam
        found[f"errors by {name}"] = [tuned.estimated_mse_score_dict[x] for x in lambdas]
    write("bandit.txt", {
        "actions": action, "positions": position, "rewards": reward, "propensities": pscore,
        "policy": policy.swapaxes(1, 2), "predictions": predictions.swapaxes(1, 2), "thresholds": lambdas,
        **{f"obp {name}": value for name, value in found.items()},
    })


def slate():
    slates, places, actions = 40, 3, 4
    rows = slates * places
    logging = softmax(rng.normal(size=(slates, places, actions)))
    policy = softmax(rng.normal(size=(slates, places, actions)))
    predictions = rng.uniform(size=(slates, places, actions))
    action = np.array([[rng.choice(actions, p=logging[i, k]) for k in range(places)] for i in range(slates)])
    index = (np.arange(slates)[:, None], np.arange(places)[None, :], action)
    logged, asked = logging[index], policy[index]
    reward = rng.uniform(size=(slates, places)) * (action + 1)
    common = dict(slate_id=np.repeat(np.arange(slates), places), reward=reward.ravel(),
                  position=np.tile(np.arange(places), slates))
    whole = [np.repeat(x.prod(axis=1), places) for x in (logged, asked)]
    down = [x.cumprod(axis=1).ravel() for x in (logged, asked)]
    found = {
        "sips": ope.SlateStandardIPS(len_list=places).estimate_policy_value(
            pscore=whole[0], evaluation_policy_pscore=whole[1], **common),
        "iips": ope.SlateIndependentIPS(len_list=places).estimate_policy_value(
            pscore_item_position=logged.ravel(), evaluation_policy_pscore_item_position=asked.ravel(), **common),
        "rips": ope.SlateRewardInteractionIPS(len_list=places).estimate_policy_value(
            pscore_cascade=down[0], evaluation_policy_pscore_cascade=down[1], **common),
        "cascade-dr": ope.SlateCascadeDoublyRobust(len_list=places, n_unique_action=actions).estimate_policy_value(
            action=action.ravel(), pscore_cascade=down[0], evaluation_policy_pscore_cascade=down[1],
            q_hat=predictions.ravel(), evaluation_policy_action_dist=policy.ravel(), **common),
    }
    assert rows == len(common["reward"])
    write("slate.txt", {
        "places": [places], "actions": action, "rewards": reward, "propensities": logged, "probabilities": asked,
        "policy": policy, "predictions": predictions,
        **{f"obp {name}": value for name, value in found.items()},
    })


bandit()
slate()
