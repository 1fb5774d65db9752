"""Alternating least squares by `implicit` on pairs of customers and items, and where later choices stand in its rankings.

Usage: factors.py PAIRS ASKED USERS ITEMS WIDTH. PAIRS holds 32-bit words, three a pair (user, item, weight as binary32), ASKED two
an example (user or 2^32 - 1 for one that is not among the pairs, item). Who is not is given what is popular. Of three weights of
confidence the best one by recall is told: recall at 50, NDCG at 10, and the seconds that its training took.
"""

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import coo_matrix

pairs, asked, users, items, width = sys.argv[1:]
users, items, width = int(users), int(items), int(width)
pairs = np.fromfile(pairs, "<u4").reshape(-1, 3)
weights = pairs[:, 2].copy().view("<f4").astype(np.float32)
matrix = coo_matrix((weights, (pairs[:, 0], pairs[:, 1])), shape=(users, items)).tocsr()
asked = np.fromfile(asked, "<u4").reshape(-1, 2)
popular = np.asarray(matrix.sum(axis=0)).ravel()
best = None
for alpha in (1.0, 10.0, 40.0):
    model = AlternatingLeastSquares(factors=width, alpha=alpha, iterations=15, num_threads=2, random_state=1, use_gpu=False)
    start = time.perf_counter()
    model.fit(matrix, show_progress=False)
    seconds = time.perf_counter() - start
    recall = ndcg = 0.0
    for user, item in asked:
        scores = popular if user == 2**32 - 1 else model.item_factors @ model.user_factors[user]
        place = int((scores > scores[item]).sum())
        recall += place < 50
        ndcg += 1 / np.log2(place + 2) if place < 10 else 0.0
    found = (float(recall / len(asked)), float(ndcg / len(asked)), seconds, alpha)
    best = found if best is None or found > best else best
print("recall", repr(best[0]))
print("ndcg", repr(best[1]))
print("seconds", repr(best[2]))
print("alpha", repr(best[3]))
