#!/usr/bin/env python3
"""Times of filterpy for one step (predict and update), beside `cargo bench -p benches --bench kalman`.

Usage: pip install filterpy; python3 benches/peers/filterpy_times.py [SECONDS]

Systems as in benches/kalman.rs: random linear ones with n states and n/2 measurements, and the cascade of tanks for the unscented
filter (Merwe's scaled points, alpha 0.5, beta 2, kappa 3 - n). Prints the least time a step of batches within SECONDS each.
"""
import json
import sys
import time

import numpy as np
from filterpy.kalman import KalmanFilter, MerweScaledSigmaPoints, UnscentedKalmanFilter

LIMIT = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0


def least(step, batch):
    best, end = float("inf"), time.perf_counter() + LIMIT
    while time.perf_counter() < end:
        start = time.perf_counter()
        for turn in range(batch):
            step(turn)
        best = min(best, (time.perf_counter() - start) / batch)
    return 1e6 * best


def linear(n, m):
    rng = np.random.default_rng(n)
    kf = KalmanFilter(dim_x=n, dim_z=m)
    kf.F, kf.H = rng.uniform(-0.9, 0.9, (n, n)) / np.sqrt(n), rng.uniform(-1, 1, (m, n))
    kf.Q, kf.R = 0.05 * np.eye(n), 0.2 * np.eye(m)
    z = rng.uniform(-1, 1, (256, m))

    def step(turn):
        kf.predict()
        kf.update(z[turn % 256])

    return least(step, 200)


def tanks(n, m):
    outlet = 0.03 + 0.02 * np.abs(np.sin(0.7 * np.arange(n)))

    def f(x, dt):
        flow = outlet * np.sqrt(np.maximum(x, 1e-9))
        rate = -flow
        rate[0] += 0.08
        rate[1:] += flow[:-1]
        return np.maximum(x + dt * rate, 1e-6)

    points = MerweScaledSigmaPoints(n, alpha=0.5, beta=2.0, kappa=3.0 - n)
    ukf = UnscentedKalmanFilter(dim_x=n, dim_z=m, dt=1.0, hx=lambda x: x[0::2], fx=f, points=points)
    ukf.x, ukf.P = np.full(n, 2.0), 0.25 * np.eye(n)
    ukf.Q, ukf.R = 2.5e-5 * np.eye(n), 4e-4 * np.eye(m)
    z = 2.0 + 0.02 * np.random.default_rng(n).uniform(-1, 1, (256, m))

    def step(turn):
        ukf.predict()
        ukf.update(z[turn % 256])

    return least(step, 100)


for name, run, n in [("kf", linear, 4), ("kf", linear, 16), ("kf", linear, 64), ("ukf_tanks", tanks, 4), ("ukf_tanks", tanks, 16)]:
    print(json.dumps({"peer": "filterpy", "filter": name, "n": n, "us": round(run(n, n // 2), 2)}))
