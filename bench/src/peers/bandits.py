"""Vowpal Wabbit's own driver over the tables that the measurement `bandits` wrote, turned into bandits by its --cbify.

Usage: bandits.py FOLDER SEEDS TUNING TABLE... . FOLDER/TABLE.rows holds a table's rows as Vowpal Wabbit reads them (a world of the
simulator has rows of its own for each seed, FOLDER/TABLE.SEED.rows, with what every arm costs), FOLDER/TABLE.classes how many arms there
are, FOLDER/TABLE.SEED.order the rows of a seed in their order (u32). Seeds above SEEDS, TUNING of them, are for choosing each
algorithm's learning rate and losses (0 and 1, or -1 and 0); then SEEDS orders are run with what was chosen. Prints
`TABLE.ALGORITHM.SEED` and the progressive loss, `TABLE.ALGORITHM.SEED.seconds` and the seconds of the run from the binary cache, the
loss of `supervised` (--oaa or --csoaa, told what every arm costs), and as comments (#) what was chosen.
"""

import itertools
import os
import sys
import time

import numpy as np
import vowpalwabbit

folder, seeds, tuning, tables = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
ALGORITHMS = {
    "greedy": "--cb_explore_adf --epsilon 0",
    "squarecb100": "--cb_explore_adf --squarecb --gamma_scale 100",
    "squarecb1000": "--cb_explore_adf --squarecb --gamma_scale 1000",
    "bag": "--cb_explore_adf --bag 10 --greedify",
    "regcb": "--cb_explore_adf --regcbopt --mellowness 0.001",
}
RATES = [0.1, 0.5, 2.0]
LOSSES = ["--loss0 0 --loss1 1", "--loss0 -1 --loss1 0"]


def shuffled(table, seed):
    """The rows of a seed with their binary cache."""
    own = f"{folder}/{table}.{seed}.rows"
    with open(own if os.path.exists(own) else f"{folder}/{table}.rows", "rb") as file:
        rows = file.read().splitlines()
    order = np.fromfile(f"{folder}/{table}.{seed}.order", dtype=np.uint32)
    name = f"{folder}/shuffled"
    with open(name, "wb") as file:
        file.write(b"\n".join(rows[i] for i in order) + b"\n")
    if os.path.exists(name + ".cache"):
        os.remove(name + ".cache")
    with open(f"{folder}/{table}.classes") as file:
        classes = int(file.read())
    # Rows of a world tell the cost of every arm.
    supervised, bandit = ("--csoaa", "--cbify_cs --cbify") if os.path.exists(own) else ("--oaa", "--cbify")
    vowpalwabbit.Workspace(f"--quiet -d {name} -c -k {supervised} {classes}").finish()
    return name, f"{supervised} {classes}", f"{bandit} {classes}"


def run(name, how):
    """The progressive loss and the seconds of a run."""
    start = time.perf_counter()
    workspace = vowpalwabbit.Workspace(f"--quiet -d {name} -c {how}")
    loss = workspace.get_sum_loss() / workspace.get_weighted_examples()
    workspace.finish()
    return loss, time.perf_counter() - start


for table in tables:
    chosen = {}
    tried = {}
    for seed in range(seeds + 1, seeds + tuning + 1):
        name, supervised, bandit = shuffled(table, seed)
        for algorithm, how in ALGORITHMS.items():
            for rate, losses in itertools.product(RATES, LOSSES):
                loss, _ = run(name, f"{bandit} {losses} {how} -l {rate} --random_seed {seed}")
                tried.setdefault(algorithm, {}).setdefault((rate, losses), []).append(loss)
    for algorithm, found in tried.items():
        chosen[algorithm] = min(found, key=lambda at: sum(found[at]))
        print("#", table, algorithm, "-l", chosen[algorithm][0], chosen[algorithm][1])
    for seed in range(1, seeds + 1):
        name, supervised, bandit = shuffled(table, seed)
        loss, seconds = run(name, supervised)
        print(f"{table}.supervised.{seed}", loss)
        for algorithm, how in ALGORITHMS.items():
            rate, losses = chosen[algorithm]
            loss, seconds = run(name, f"{bandit} {losses} {how} -l {rate} --random_seed {seed}")
            print(f"{table}.{algorithm}.{seed}", loss)
            print(f"{table}.{algorithm}.{seed}.seconds", seconds)
    sys.stdout.flush()
