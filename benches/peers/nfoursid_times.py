#!/usr/bin/env python3
"""Times of nfoursid on the record that `cargo bench -p benches --bench identify` takes, with the same order.

Usage: pip install nfoursid; python3 benches/peers/nfoursid_times.py PATH/OF/data/twin/kalman/sysid_n4.json [TIMES]

Prints the least time of TIMES runs: N4SID's subspace identification and the system of the chosen order, without noise covariances.
"""
import json
import sys
import time

import numpy as np
import pandas as pd
from nfoursid.nfoursid import NFourSID

record = json.load(open(sys.argv[1]))
times = int(sys.argv[2]) if len(sys.argv) > 2 else 7
u, y, order = np.array(record["u"]), np.array(record["y"]), len(record["A"])
columns = [f"u{k}" for k in range(u.shape[1])], [f"y{k}" for k in range(y.shape[1])]
table = pd.DataFrame(np.hstack([u, y]), columns=columns[0] + columns[1])
best = float("inf")
for _ in range(times):
    start = time.perf_counter()
    found = NFourSID(table, output_columns=columns[1], input_columns=columns[0], num_block_rows=10)
    found.subspace_identification()
    model, _ = found.system_identification(rank=order)
    best = min(best, time.perf_counter() - start)
truth = np.array(record["markov_true"])
a, b, c = model.a, model.b, model.c
markov = [c @ np.linalg.matrix_power(a, k) @ b for k in range(len(truth))]
error = max(np.abs(m - t).max() for m, t in zip(markov, truth))
print(json.dumps({"peer": "nfoursid", "n": order, "rows": len(u), "ms": round(1e3 * best, 2), "markov_error": error}))
