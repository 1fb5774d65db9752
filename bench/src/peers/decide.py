"""Vowpal Wabbit's own driver over one file of decisions, from its binary cache: seconds of each pass, one a line.

Arguments: the file, how many timed passes. The first pass writes the cache and the model.
"""

import sys
import time

import vowpalwabbit

file, passes = sys.argv[1], int(sys.argv[2])
common = f"--quiet --cb_explore_adf --squarecb --gamma_scale 100 -d {file} -c"
vowpalwabbit.Workspace(f"{common} -k -f {file}.model").finish()
for _ in range(passes):
    start = time.perf_counter()
    vowpalwabbit.Workspace(f"{common} -t -i {file}.model").finish()
    print(time.perf_counter() - start)
