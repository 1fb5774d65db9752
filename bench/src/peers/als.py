"""Factors by implicit on interactions that the measurement `als` wrote.

Usage: als.py FOLDER SEEDS FACTORS REGULARIZATION ALPHA ITERATIONS. FOLDER/SEED.offsets holds the ends of users' rows from 0 (u64),
FOLDER/SEED.columns the items (u32), FOLDER/SEED.strengths how much of each (f32), FOLDER/items how many items there are. The package
takes confidences where the paper's are 1 + alpha strength, so these are given to it with an alpha of 1. Writes the factors of users and
items (f32, row by row) by conjugate gradients and by Cholesky as FOLDER/SEED.METHOD.users and .items, and prints the `METHOD.SEED`
seconds of each fit, in one thread.
"""

import sys
import time

import numpy as np
import scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares

folder, seeds = sys.argv[1], int(sys.argv[2])
factors, regularization, alpha, iterations = int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
with open(f"{folder}/items") as file:
    items = int(file.read())
for seed in range(1, seeds + 1):
    offsets = np.fromfile(f"{folder}/{seed}.offsets", dtype=np.uint64).astype(np.int32)
    columns = np.fromfile(f"{folder}/{seed}.columns", dtype=np.uint32).astype(np.int32)
    strengths = np.fromfile(f"{folder}/{seed}.strengths", dtype=np.float32)
    confidences = (1 + alpha * strengths).astype(np.float32)
    matrix = scipy.sparse.csr_matrix((confidences, columns, offsets), shape=(len(offsets) - 1, items))
    for method, by_gradients in [("cg", True), ("cholesky", False)]:
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=1.0,
            iterations=iterations,
            use_cg=by_gradients,
            num_threads=1,
            random_state=seed,
        )
        start = time.perf_counter()
        model.fit(matrix, show_progress=False)
        print(f"{method}.{seed}", repr(time.perf_counter() - start))
        model.user_factors.astype(np.float32).tofile(f"{folder}/{seed}.{method}.users")
        model.item_factors.astype(np.float32).tofile(f"{folder}/{seed}.{method}.items")
