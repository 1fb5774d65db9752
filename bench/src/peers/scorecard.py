"""Scorecards by optbinning on folds that the measurement `scorecard` wrote: the AUC of each fold's held-out rows.

Usage: scorecard.py FOLDER TABLE. FOLDER/TABLE.csv has a header; the column `outcome` is 0 or 1, `fold` is a number, columns of words are
categories and of numbers numbers. Scores are those of optbinning's binning process (as it comes) and a logistic regression without a
penalty. Prints `auc.K` and the `seconds` of fitting and scoring all folds.
"""

import sys
import time
import warnings

import pandas as pd
from optbinning import BinningProcess, Scorecard
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

warnings.filterwarnings("ignore")
folder, table = sys.argv[1:]
frame = pd.read_csv(f"{folder}/{table}.csv")
fold, outcome = frame.pop("fold"), frame.pop("outcome")
names = list(frame.columns)
words = [name for name in names if not pd.api.types.is_numeric_dtype(frame[name])]
for name in words:
    frame[name] = frame[name].astype(object)
seconds = 0.0
for k in sorted(fold.unique()):
    learned, held = (fold != k).to_numpy(), (fold == k).to_numpy()
    start = time.perf_counter()
    process = BinningProcess(names, categorical_variables=words, n_jobs=1)
    card = Scorecard(binning_process=process, estimator=LogisticRegression(C=1e9, max_iter=1000))
    card.fit(frame[learned], outcome[learned])
    told = card.predict_proba(frame[held])[:, 1]
    seconds += time.perf_counter() - start
    print(f"auc.{k}", repr(float(roc_auc_score(outcome[held], told))))
print("seconds", repr(seconds))
