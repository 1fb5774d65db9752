"""Interactions from a fixed seed, and the factors that implicit 0.7.3 makes of them from given ones.

Usage: pip install implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
       OPENBLAS_NUM_THREADS=1 python make.py

Writes `als.txt` beside itself: lines `name numbers`. Confidences are 1 + ALPHA strength, which implicit is given with an alpha of 1.
Factors are in binary64 there. The loss is summed over all pairs by numpy; the figures at 5 are counted here, from the
factors by Cholesky.
"""

from pathlib import Path

import numpy as np
import scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares

USERS, ITEMS, FACTORS, ALPHA, REGULARIZATION, ITERATIONS = 40, 30, 5, 1.5, 0.3, 4
random = np.random.default_rng(20261123)
taste, kind = random.normal(size=(USERS, 3)), random.normal(size=(ITEMS, 3))
likes = taste @ kind.T + random.normal(size=(USERS, ITEMS)) > 1.6
likes[7] = False
likes[:, 11] = False
held = likes & (random.random((USERS, ITEMS)) < 0.25)
strengths = np.where(likes & ~held, random.integers(1, 9, (USERS, ITEMS)) / 2, 0)
start_users, start_items = (random.random((n, FACTORS)).astype(np.float32) / 10 for n in (USERS, ITEMS))
lines = {}


def tell(name, numbers):
    lines[name] = "\t".join(repr(float(x)) for x in np.asarray(numbers).ravel())


learned = scipy.sparse.csr_matrix(strengths)
tell("sizes", [USERS, ITEMS, FACTORS, ALPHA, REGULARIZATION, ITERATIONS])
for name, matrix in [("learned", learned), ("held", scipy.sparse.csr_matrix(held.astype(float)))]:
    tell(f"{name} offsets", matrix.indptr)
    tell(f"{name} columns", matrix.indices)
    tell(f"{name} strengths", matrix.data)
tell("start users", start_users)
tell("start items", start_items)
confidences = learned.copy()
confidences.data = 1 + ALPHA * confidences.data
for method, by_gradients in [("cg", True), ("cholesky", False)]:
    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=REGULARIZATION,
        alpha=1.0,
        dtype=np.float64,
        use_cg=by_gradients,
        iterations=ITERATIONS,
        num_threads=1,
    )
    model.user_factors, model.item_factors = start_users.astype(np.float64), start_items.astype(np.float64)
    model.fit(confidences, show_progress=False)
    users, items = model.user_factors, model.item_factors
    tell(f"{method} users", users)
    tell(f"{method} items", items)
    errors = (1 + ALPHA * strengths) * ((strengths > 0) - users @ items.T) ** 2
    tell(f"{method} loss", [errors.sum() + REGULARIZATION * ((users**2).sum() + (items**2).sum())])
tell("folded in", model.recalculate_user(3, confidences[3]))
found, scores = model.recommend(3, learned[3], N=6, filter_already_liked_items=True)
tell("recommended items", found)
tell("recommended scores", scores)
found, scores = model.similar_items(4, N=7)
tell("similar items", found[1:])
tell("similar scores", scores[1:])

K, recall, ndcg, average = 5, [], [], []
for user in range(USERS):
    wanted = set(np.flatnonzero(held[user]))
    if not wanted:
        continue
    order = [i for i in np.argsort(-(users[user] @ items.T), kind="stable") if strengths[user, i] == 0][:K]
    hits = np.array([i in wanted for i in order], dtype=float)
    most = min(len(wanted), K)
    discounts = 1 / np.log2(np.arange(2, K + 2))
    recall.append(hits.sum() / len(wanted))
    ndcg.append((hits * discounts).sum() / discounts[:most].sum())
    average.append((hits * hits.cumsum() / np.arange(1, K + 1)).sum() / most)
tell("figures", [len(recall), np.mean(recall), np.mean(ndcg), np.mean(average)])
Path(__file__).with_name("als.txt").write_text("".join(f"{name}\t{numbers}\n" for name, numbers in lines.items()))
