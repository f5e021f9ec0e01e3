#!/usr/bin/env python3
"""Compares `twin hydraulics` with EPANET's own toolkit (version 2.2, as the Python package wntr carries it).

    pip install wntr six setuptools
    cargo build --release --example twin
    benches/peers/epanet.py diff --seeds 200 [--first 1]    generated networks, heads and flows of every record
    benches/peers/epanet.py file A.inp [B.inp ...]          the same for given networks
    benches/peers/epanet.py time A.inp [B.inp ...]          microseconds a hydraulic step, both in one run

The toolkit is asked for accuracy 1e-5 and 500 trials, as `twin hydraulics` does by itself. The timing leaves out reading and
set-up on both sides: `cargo bench -p benches --bench water` prints ours, this script the toolkit's.
"""
import argparse, ctypes, glob, json, os, random, subprocess, sys, tempfile, time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOLERANCE = 1e-3


def library():
    import wntr
    folder = os.path.join(os.path.dirname(wntr.__file__), "epanet", "libepanet", "linux-x64")
    return ctypes.CDLL(os.path.join(folder, "libepanet22.so"))


class Peer:
    """The toolkit on one file."""
    FLOW, HEAD, ACCURACY, TRIALS = 8, 10, 1, 0

    def __init__(self, path, tight=True):
        self.lib, self.ph = library(), ctypes.c_void_p()
        self.call("EN_createproject", ctypes.byref(self.ph), bare=True)
        self.call("EN_open", path.encode(), b"/dev/null", b"")
        if tight:
            self.call("EN_setoption", self.ACCURACY, ctypes.c_double(1e-5))
            self.call("EN_setoption", self.TRIALS, ctypes.c_double(500))
        count = ctypes.c_int()
        self.call("EN_getcount", 0, ctypes.byref(count)); self.nodes = count.value
        self.call("EN_getcount", 2, ctypes.byref(count)); self.links = count.value

    def call(self, name, *arguments, bare=False):
        code = getattr(self.lib, name)(*(() if bare else (self.ph,)), *arguments)
        if code > 100:
            raise RuntimeError(f"{name}: error {code}")
        return code

    def run(self):
        records, t, step, value = [], ctypes.c_long(), ctypes.c_long(), ctypes.c_double()
        self.call("EN_openH"); self.call("EN_initH", 10)
        while True:
            warning = self.call("EN_runH", ctypes.byref(t))
            head, flow = [], []
            for n in range(1, self.nodes + 1):
                self.call("EN_getnodevalue", n, self.HEAD, ctypes.byref(value)); head.append(value.value)
            for k in range(1, self.links + 1):
                self.call("EN_getlinkvalue", k, self.FLOW, ctypes.byref(value)); flow.append(value.value)
            records.append((t.value, head, flow, warning))
            self.call("EN_nextH", ctypes.byref(step))
            if step.value == 0:
                break
        self.call("EN_closeH")
        return records

    def time(self):
        """Seconds and steps of one run without reading anything out."""
        t, step, steps = ctypes.c_long(), ctypes.c_long(), 0
        self.call("EN_openH"); self.call("EN_initH", 10)
        start = time.perf_counter()
        while True:
            self.lib.EN_runH(self.ph, ctypes.byref(t)); steps += 1
            self.lib.EN_nextH(self.ph, ctypes.byref(step))
            if step.value == 0:
                break
        spent = time.perf_counter() - start
        self.call("EN_closeH")
        return spent, steps

    def close(self):
        self.call("EN_close"); self.lib.EN_deleteproject(self.ph)


def ours(path):
    program = os.environ.get("TWIN", os.path.join(ROOT, "target", "release", "examples", "twin"))
    done = subprocess.run([program, "hydraulics", path, "--json"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def compare(path):
    """None if alike, else what differs first; with the toolkit's warnings."""
    theirs, found = None, None
    try:
        peer = Peer(path); theirs = peer.run(); peer.close()
    except RuntimeError as error:
        theirs = str(error)
    try:
        found = ours(path)
    except RuntimeError as error:
        found = str(error)
    if isinstance(theirs, str) or isinstance(found, str):
        return None if isinstance(theirs, str) and isinstance(found, str) else f"toolkit: {str(theirs)[:60]}; twin: {str(found)[:120]}"
    for at, (t, head, flow, warning) in enumerate(theirs):
        if warning == 1:
            return None  # the toolkit did not balance: nothing to compare with
        if at >= len(found["time_s"]):
            return f"record {at} at {t}: missing"
        if abs(found["time_s"][at] - t) > 1:
            return f"record {at}: time {found['time_s'][at]} for {t}"
        for what, one, other, names in (("head", found["head"][at], head, found["node_ids"]), ("flow", found["flow"][at], flow, found["link_ids"])):
            for k, (x, y) in enumerate(zip(one, other)):
                if abs(x - y) > max(TOLERANCE, 1e-6 * abs(y)):
                    return f"record {at} at {t} (warning {warning}): {what} of {names[k]} {x} for {y}"
    return None if len(found["time_s"]) == len(theirs) else f"{len(found['time_s'])} records for {len(theirs)}"


def generate(seed):
    """A random looped network with everything that may be in one."""
    r = random.Random(seed)
    units = r.choice(["GPM", "CFS", "LPS", "CMH", "MGD", "LPM", "AFD", "IMGD", "MLD", "CMD"])
    metric = units in ("LPS", "LPM", "CMH", "CMD", "MLD")
    per_cfs = dict(CFS=1, GPM=448.831, MGD=.64632, IMGD=.5382, AFD=1.9837, LPS=28.317, LPM=1699, CMH=101.94, CMD=2446.6, MLD=2.4466)[units]
    length = .3048 if metric else 1.
    diameter = 304.8 / 12 if metric else 1.
    pressure = .3048 if metric else .4333
    formula = r.choice(["H-W", "H-W", "D-W", "C-M"])
    wide, high = r.randint(2, 6), r.randint(2, 5)
    out, junctions, links = {}, [], []
    section = lambda name, line: out.setdefault(name, []).append(line)
    rough = lambda: {"H-W": r.uniform(80, 140), "D-W": r.uniform(.05, 2) * (.3048 if metric else 1), "C-M": r.uniform(.009, .015)}[formula]
    patterns = [f"p{k}" for k in range(r.randint(0, 3))]
    for name in patterns:
        section("PATTERNS", f"{name} " + " ".join(f"{r.uniform(.3, 1.7):.3f}" for _ in range(r.randint(1, 24))))
    pattern = lambda: r.choice(patterns + [""]) if patterns else ""
    for i in range(wide):
        for j in range(high):
            name = f"j{i}_{j}"
            junctions.append(name)
            section("JUNCTIONS", f"{name} {r.uniform(0, 60) * length:.3f} {max(0, r.gauss(.08, .08)) * per_cfs:.4f} {pattern()}")
            for a, b in ((i - 1, j), (i, j - 1)):
                if a >= 0 and b >= 0:
                    k = len(links)
                    links.append(f"l{k}")
                    extra = r.choice(["", "", "", f"{r.uniform(0, 5):.2f}", "0 CV"])
                    section("PIPES", f"l{k} j{a}_{b} {name} {r.uniform(200, 3000) * length:.2f} {r.choice([6, 8, 10, 12]) * diameter:.1f} {rough():.4f} {extra}")
    section("RESERVOIRS", f"r {r.uniform(20, 90) * length:.2f}")
    kind = r.choice(["one", "three", "points", "power"])
    lift = r.uniform(80, 200) * length
    q = r.uniform(.5, 3) * per_cfs
    if kind == "one":
        section("CURVES", f"c {q:.4f} {lift:.3f}")
    elif kind == "three":
        section("CURVES", f"c 0 {lift * 1.3:.3f}"); section("CURVES", f"c {q:.4f} {lift:.3f}"); section("CURVES", f"c {q * 2:.4f} {lift * .4:.3f}")
    elif kind == "points":
        for f, h in ((0, 1.4), (.5, 1.25), (1, 1), (1.5, .7), (2.2, .2)):
            section("CURVES", f"c {q * f:.4f} {lift * h:.3f}")
    rest = f"POWER {r.uniform(5, 40) * (.7457 if metric else 1):.2f}" if kind == "power" else "HEAD c"
    rest += r.choice(["", "", f" SPEED {r.uniform(.8, 1.2):.3f}", f" PATTERN {patterns[0]}" if patterns else ""])
    section("PUMPS", f"pump r {junctions[0]} {rest}")
    section("RESERVOIRS", f"high {r.uniform(180, 260) * length:.2f}")
    section("PIPES", f"main high {junctions[-1]} {r.uniform(500, 2000) * length:.1f} {12 * diameter:.1f} {rough():.4f}")
    tanks = []
    for k in range(r.randint(0, 3)):
        name, node = f"t{k}", r.choice(junctions)
        low, most = r.uniform(0, 5), r.uniform(15, 40)
        start = r.uniform(low, most)
        curve = ""
        if r.random() < .3:
            curve = f"v{k}"
            for level in (0, 10, 25, 50):
                section("CURVES", f"v{k} {level * length:.3f} {(500 * level + 12 * level * level) * length ** 3:.3f}")
        section("TANKS", f"{name} {r.uniform(120, 200) * length:.2f} {start * length:.3f} {low * length:.3f} {most * length:.3f} {r.uniform(20, 60) * length:.2f} 0 {curve or '*'} {r.choice(['', 'YES', 'NO'])}")
        section("PIPES", f"tp{k} {node} {name} {r.uniform(50, 500) * length:.1f} {r.choice([8, 12]) * diameter:.1f} {rough():.4f}")
        tanks.append((name, low, most))
    for k in range(r.randint(0, 3)):
        valve = r.choice(["PRV", "PSV", "PBV", "FCV", "TCV", "GPV"])
        a = r.choice(junctions)
        section("JUNCTIONS", f"v{k}a {r.uniform(0, 40) * length:.2f} {.05 * per_cfs:.4f}")
        section("JUNCTIONS", f"v{k}b {r.uniform(0, 40) * length:.2f} {.05 * per_cfs:.4f}")
        section("PIPES", f"vp{k} {a} v{k}a {200 * length:.1f} {10 * diameter:.1f} {rough():.4f}")
        section("PIPES", f"vq{k} v{k}b {r.choice(junctions)} {900 * length:.1f} {6 * diameter:.1f} {rough():.4f}")
        setting = {"PRV": r.uniform(20, 150) * pressure, "PSV": r.uniform(20, 150) * pressure, "PBV": r.uniform(1, 30) * pressure, "FCV": r.uniform(.02, .5) * per_cfs, "TCV": r.uniform(0, 100), "GPV": 0}[valve]
        if valve == "GPV":
            for f, h in ((0, 0), (.2, 3), (.6, 12), (1.5, 60)):
                section("CURVES", f"g{k} {f * per_cfs:.4f} {h * length:.3f}")
        section("VALVES", f"valve{k} v{k}a v{k}b {8 * diameter:.1f} {valve} {f'g{k}' if valve == 'GPV' else f'{setting:.4f}'} {r.choice([0, 0, 3.5])}")
    for name, low, most in tanks:
        if r.random() < .6 and kind != "power":
            section("CONTROLS", f"LINK pump CLOSED IF NODE {name} ABOVE {r.uniform(low + .6 * (most - low), most) * length:.3f}")
            section("CONTROLS", f"LINK pump OPEN IF NODE {name} BELOW {r.uniform(low, low + .4 * (most - low)) * length:.3f}")
    if r.random() < .5:
        section("CONTROLS", f"LINK {links[0]} CLOSED AT TIME {r.uniform(1, 12):.2f}")
        section("CONTROLS", f"LINK main {r.choice(['OPEN', 'CLOSED'])} AT CLOCKTIME {r.randint(1, 11)}:30 {r.choice(['AM', 'PM'])}")
    if r.random() < .4:
        target = r.choice(["TANK " + tanks[0][0] + f" LEVEL ABOVE {.5 * (tanks[0][1] + tanks[0][2]) * length:.3f}" if tanks else "SYSTEM TIME >= 5", f"JUNCTION {junctions[-1]} PRESSURE BELOW {r.uniform(20, 90) * pressure:.2f}", "SYSTEM CLOCKTIME >= 6 PM"])
        for line in ("RULE 1", f"IF {target}", "THEN PIPE main STATUS IS CLOSED", "ELSE PIPE main STATUS IS OPEN", "PRIORITY 2"):
            section("RULES", line)
    for node in junctions:
        if r.random() < .08:
            section("EMITTERS", f"{node} {r.uniform(.001, .01) * per_cfs / pressure ** .5:.5f}")
        if r.random() < .1:
            section("DEMANDS", f"{node} {r.uniform(0, .1) * per_cfs:.4f} {pattern()}"); section("DEMANDS", f"{node} {r.uniform(0, .1) * per_cfs:.4f} {pattern()}")
    section("OPTIONS", f"UNITS {units}"); section("OPTIONS", f"HEADLOSS {formula}"); section("OPTIONS", f"EMITTER EXPONENT {r.choice([.5, .5, .7])}")
    section("OPTIONS", "UNBALANCED CONTINUE 10")
    if r.random() < .25:
        section("OPTIONS", "DEMAND MODEL PDA"); section("OPTIONS", f"REQUIRED PRESSURE {r.uniform(20, 90) * pressure:.2f}")
        section("OPTIONS", f"MINIMUM PRESSURE {r.uniform(0, 10) * pressure:.2f}"); section("OPTIONS", f"PRESSURE EXPONENT {r.choice([.5, .6])}")
    section("TIMES", f"DURATION {r.choice([0, 24, 48])}"); section("TIMES", f"HYDRAULIC TIMESTEP {r.choice(['1:00', '0:30', '0:15'])}")
    section("TIMES", f"PATTERN TIMESTEP {r.choice(['1:00', '2:00'])}"); section("TIMES", f"PATTERN START {r.choice(['0:00', '3:00', '1:20'])}")
    section("TIMES", f"REPORT TIMESTEP {r.choice(['1:00', '0:45'])}"); section("TIMES", f"START CLOCKTIME {r.choice(['12 am', '6 am', '3 pm'])}")
    section("TIMES", f"REPORT START {r.choice(['0:00', '2:00'])}")
    order = ["JUNCTIONS", "RESERVOIRS", "TANKS", "PIPES", "PUMPS", "VALVES", "DEMANDS", "EMITTERS", "CURVES", "PATTERNS", "CONTROLS", "RULES", "OPTIONS", "TIMES"]
    return "\n".join(f"[{name}]\n" + "\n".join(out.get(name, [])) for name in order) + "\n[END]\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["diff", "file", "time"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    if options.mode == "time":
        for path in options.files:
            peer = Peer(path)
            runs = [peer.time() for _ in range(7)]
            spent, steps = min(runs)
            print(f"{path}: toolkit {1e6 * spent / steps:.1f} us a step, {steps} steps, least of {len(runs)} runs")
            peer.close()
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = list(options.files)
        if options.mode == "diff":
            for seed in range(options.first, options.first + options.seeds):
                path = os.path.join(folder, f"{seed}.inp")
                open(path, "w").write(generate(seed))
                paths.append(path)
        for path in paths:
            what = compare(path)
            if what:
                failed += 1
                print(os.path.basename(path), what)
    print(f"{len(paths)} networks, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
