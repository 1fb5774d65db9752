"""The measures of one fund, computed apart from the program: `python3 nav_measures.py 161725.csv.gz`.

Standard library only. Its figures stand in `products.rs`. Formulas: docs/measures.md.
"""

import csv
import datetime
import gzip
import io
import math
import statistics
import sys


def read(path):
    raw = open(path, "rb").read()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    rows = csv.DictReader(io.StringIO(raw.decode("gb18030", "replace")))
    found = {}
    for row in rows:
        day = datetime.date.fromisoformat(row["time"])
        found[day] = (float(row["value"]), float(row["hisvalue"]))
    return sorted((day, u, a) for day, (u, a) in found.items())


def step(u0, a0, u1, a1):
    paid = (a1 - u1) - (a0 - u0)
    if abs(paid) <= 0.0011 + 0.001 * u0 or abs(a1 / a0 - u1 / u0) <= 0.001 + 0.0011 / u0:
        return u1 / u0 - 1
    return (a1 - a0) / u0


def back(day, months):
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    length = (datetime.date(year + month // 11, (month + 1) % 12 + 1, 1) - datetime.date(year, month + 1, 1)).days
    return datetime.date(year, month + 1, min(day.day, length))


def main(path):
    navs = read(path)
    returns = [step(*x[1:], *y[1:]) for x, y in zip(navs, navs[1:])]
    worth = [1.0]
    for r in returns:
        worth.append(worth[-1] * (1 + r))
    last = navs[-1][0]
    print("navs", len(navs), "from", navs[0][0], "to", last, "nav", navs[-1][1])

    def base(months):
        return max(i for i, n in enumerate(navs) if n[0] <= back(last, months))

    for months in (1, 3, 6, 12):
        print(f"return_{months}m", repr(worth[-1] / worth[base(months)] - 1))
    print("return_all", repr(worth[-1] - 1))
    print("annualised_return", repr(worth[-1] ** (365 / (last - navs[0][0]).days) - 1))
    year = returns[base(12):]
    deviation = statistics.stdev(year)
    print("volatility_1y", repr(deviation * math.sqrt(250)))
    print("sharpe_1y", repr((statistics.mean(year) - 0.015 / 250) / deviation * math.sqrt(250)))
    peak, fall = 0.0, 0.0
    for w in worth[base(12):]:
        peak = max(peak, w)
        fall = max(fall, 1 - w / peak)
    print("drawdown_1y", repr(fall))
    down = 0
    for r in reversed(returns):
        if r >= 0:
            break
        down += 1
    print("days_down", down, "history_days", (last - navs[0][0]).days)


main(sys.argv[1])
