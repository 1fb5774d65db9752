"""Vowpal Wabbit in the closed loop of the measurement `closed-loop`: whom to offer what, asked and answered line by line.

Usage: closed_loop.py HOW EXPLORER SETTING SEED . HOW is what Vowpal Wabbit is run with beside `--cb_adf`; EXPLORER is `squarecb` (SETTING
is gamma) or `epsilon` (SETTING is the share left to chance). Lines on standard input:

  d KEY PRICE PRODUCT/VALUE/VALUE,PRODUCT/... PLACE:VALUE...   what could be offered, at which price an offer, and what is known
  n KEY PRODUCT PROBABILITY PRODUCT,... PLACE:VALUE...   what was offered by lot
  l KEY REWARD                                    what came of it, 0 or 1
  go                                              answers all `d` since the last one, a line each: `PRODUCT PROBABILITY BEST` or `- PROBABILITY BEST`,
                                                  BEST being what the best product is predicted to be worth

Silence is an action worth 0; a product is worth what Vowpal Wabbit predicts less the price. SquareCB's distribution (Foster and Rakhlin
2020) is over both, as the scene's policies have it.
"""

import random
import sys

import vowpalwabbit

how, explorer, setting, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
shift = -1.0 if "--shifted" in how else 0.0
workspace = vowpalwabbit.Workspace(f"--quiet --cb_adf --cb_type mtr {how.replace('--shifted', '')} --random_seed {seed}")
draw = random.Random(seed)
waiting, pending = [], {}


def lines(products, known, taken=None):
    """An example as Vowpal Wabbit reads it; `taken` is the place, cost and probability of what was offered."""
    out = ["shared |u " + known]
    for place, product in enumerate(products):
        label = ""
        if taken is not None and taken[0] == place:
            label = f"0:{taken[1]}:{taken[2]} "
        name, *pairs = product.split("/")
        told = " ".join(f"p{k}:{v}" for k, v in enumerate(pairs) if v != "NaN")
        out.append(f"{label}|i {name} |p {told}")
    return out


def distribution(scores):
    best = max(range(len(scores)), key=lambda i: scores[i])
    n = len(scores)
    if explorer == "epsilon":
        out = [setting / n] * n
        out[best] += 1.0 - setting
        return out
    out = [1.0 / (n + setting * (scores[best] - s)) for s in scores]
    out[best] = 1.0 - (sum(out) - out[best])
    return out


def decide(key, price, products, known):
    example = lines(products, known)
    costs = workspace.predict(example)
    # A cost is -1 where she answers and 0 where not, or 0 and 1.
    scores = [(-c if shift else 1.0 - c) - price for c in costs] + [0.0]
    probabilities = distribution(scores)
    best = max(scores[:-1]) + price
    left, at = draw.random(), 0
    while at + 1 < len(probabilities) and left >= probabilities[at]:
        left -= probabilities[at]
        at += 1
    if at == len(products):
        return f"- {probabilities[at]} {best}"
    pending[key] = (products, known, at, probabilities[at])
    return f"{products[at].split('/')[0]} {probabilities[at]} {best}"


for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "d":
        key, price, products, known = rest.split(" ", 3)
        waiting.append((key, float(price), products.split(","), known))
    elif word == "n":
        key, product, probability, products, known = rest.split(" ", 4)
        products = products.split(",")
        at = [p.split("/")[0] for p in products].index(product)
        pending[key] = (products, known, at, float(probability))
    elif word == "l":
        key, reward = rest.split(" ")
        if key in pending:
            products, known, at, probability = pending.pop(key)
            cost = (-float(reward)) if shift else 1.0 - float(reward)
            workspace.learn(lines(products, known, (at, cost, probability)))
    elif word == "go":
        for asked in waiting:
            print(decide(*asked))
        waiting = []
        sys.stdout.flush()
