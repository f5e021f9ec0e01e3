"""compare.py EXPECTED.json POINTS.csv: every value that the client read or wrote has to be told.

An expected value names how it was accessed, a part of its tag, and the value; numbers are compared as numbers of the
width that the protocol has, `raw:0102` as bytes. Values that nobody asked about (an answer's other fields) are no
difference.
"""

import csv
import json
import math
import sys


def same(want, row):
    got = row["value"]
    if isinstance(want, str):
        return want == (f"raw:{row['raw']}" if want.startswith("raw:") else got)
    try:
        number = float(got)
    except ValueError:
        return False
    # A 32-bit float is told with its shortest digits.
    return math.isclose(number, float(want), rel_tol=1e-6, abs_tol=1e-9)


expected = json.load(open(sys.argv[1]))
rows = list(csv.DictReader(open(sys.argv[2])))
used, problems = set(), []
for access, where, value in expected:
    fits = (
        place
        for place, row in enumerate(rows)
        if place not in used and row["access"] == access and where in row["tag"] and same(value, row)
    )
    place = next(fits, None)
    if place is None:
        near = [row["value"] or row["raw"] for row in rows if where in row["tag"] and row["access"] == access][:5]
        problems.append(f"{access} {where}: {value!r} is not told; told were {near}")
    else:
        used.add(place)
for problem in problems[:20]:
    print(problem)
print(f"{len(expected)} values compared, {len(rows)} told, {len(problems)} differences")
sys.exit(bool(problems))
