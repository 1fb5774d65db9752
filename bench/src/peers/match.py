"""The best items of every customer by `implicit`, timed once after a warm-up.

Usage: match.py CUSTOMERS ITEMS WIDTH TOP THREADS OUTPUTS. Factors are binary32, row by row; the items found are written to
OUTPUTS as 32-bit integers. Prints the seconds it took.
"""

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares

customers, items, width, top, threads, outputs = sys.argv[1:]
model = AlternatingLeastSquares(factors=int(width), num_threads=int(threads), use_gpu=False)
model.user_factors = np.fromfile(customers, "<f4").reshape(-1, int(width))
model.item_factors = np.fromfile(items, "<f4").reshape(-1, int(width))
everyone = np.arange(len(model.user_factors))


def recommend(users):
    return model.recommend(users, None, N=int(top), filter_already_liked_items=False)


recommend(everyone[: len(everyone) // 8])
start = time.perf_counter()
found, _ = recommend(everyone)
print("seconds", repr(time.perf_counter() - start))
found.astype("<i4").tofile(outputs)
