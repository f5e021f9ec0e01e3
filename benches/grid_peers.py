#!/usr/bin/env python3
"""power-grid-model and pandapower beside our estimator, on the same measurements, in one run.

USAGE   python3 -m venv peers && peers/bin/pip install power-grid-model pandapower numba
        cargo bench -p benches --bench grid --no-run
        peers/bin/python benches/grid_peers.py --bench PATH/OF/grid-HASH --data ../shared/data/twin/powergrid [--times 15] [CASE ...]
PRINTS  a table: least time of the repetitions in ms, and ratios. power-grid-model repeats a Newton-Raphson estimate on a
        built model (inputs are arrays already) and agrees with the stored estimates to 1e-10; pandapower's `estimate` takes its tables each time, as its users call it.
        Both start flat with tolerance 1e-8, as ours does.
"""
import argparse, json, os, subprocess, time, warnings
import numpy as np

warnings.filterwarnings("ignore")
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--bench", required=True)
arguments.add_argument("--data", required=True)
arguments.add_argument("--times", type=int, default=15)
arguments.add_argument("--no-pandapower", action="store_true")
arguments.add_argument("cases", nargs="*")
A = arguments.parse_args()


def least(times, run):
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def measurements(case):
    at = 0
    for kind, elements in case["measurement_order"]:
        for element in elements:
            yield kind, element, case["z_pu"][at], case["sigma_pu"][at]
            at += 1


def power_grid_model(case):
    """Everything per unit on 1 V line voltages and 1 VA: generic branches take the pi model with tap and shift."""
    from power_grid_model import (CalculationMethod, ComponentType, LoadGenType, MeasuredTerminalType,
                                  PowerGridModel, initialize_array)
    base = 1e6
    n, m = case["n_bus"], case["n_branch"]
    node = initialize_array("input", "node", n)
    node["id"], node["u_rated"] = np.arange(n), 1e3
    z = 1e3 * 1e3 / base
    b = case["branch"]
    branch = initialize_array("input", "generic_branch", m)
    branch["id"] = 10**6 + np.arange(m)
    branch["from_node"], branch["to_node"] = b["f"], b["t"]
    branch["from_status"] = branch["to_status"] = b["status"]
    branch["r1"], branch["x1"] = np.array(b["r"]) * z, np.array(b["x"]) * z
    branch["g1"], branch["b1"] = np.array(b.get("BR_G", [0.0] * m)) / z, np.array(b["b"]) / z
    branch["k"], branch["theta"] = b["tap"], np.radians(b["shift_deg"])
    # A shunt and one source of injection a bus; the appliances carry what the sensors measure.
    shunt = initialize_array("input", "shunt", n)
    shunt["id"], shunt["node"], shunt["status"] = 2 * 10**6 + np.arange(n), np.arange(n), 1
    shunt["g1"] = np.array(case["bus"]["gs_mw"]) / case["baseMVA"] / z
    shunt["b1"] = np.array(case["bus"]["bs_mvar"]) / case["baseMVA"] / z
    slack = case["bus"]["type"].index(3)
    source = initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"] = 3 * 10**6, slack, 1, 1.0
    load = initialize_array("input", "sym_load", n)
    load["id"], load["node"], load["status"] = 4 * 10**6 + np.arange(n), np.arange(n), 1
    load["type"], load["p_specified"], load["q_specified"] = LoadGenType.const_power, 0.0, 0.0
    volts, powers = [], {}
    for kind, element, value, sigma in measurements(case):
        if kind == "v_bus":
            volts.append((element, value, sigma))
        else:
            powers.setdefault((kind[2:], element), {})[kind[0]] = (value, sigma)
    voltage = initialize_array("input", "sym_voltage_sensor", len(volts))
    voltage["id"] = 5 * 10**6 + np.arange(len(volts))
    voltage["measured_object"] = [v[0] for v in volts]
    voltage["u_measured"] = [v[1] * 1e3 for v in volts]
    voltage["u_sigma"] = [v[2] * 1e3 for v in volts]
    power = initialize_array("input", "sym_power_sensor", len(powers))
    power["id"] = 6 * 10**6 + np.arange(len(powers))
    terminal = {"bus": MeasuredTerminalType.node, "from": MeasuredTerminalType.branch_from, "to": MeasuredTerminalType.branch_to}
    for i, ((place, element), pq) in enumerate(powers.items()):
        power[i]["measured_object"] = element if place == "bus" else 10**6 + element
        power[i]["measured_terminal_type"] = terminal[place]
        power[i]["p_measured"], power[i]["q_measured"] = pq["p"][0] * base, pq["q"][0] * base
        power[i]["p_sigma"], power[i]["q_sigma"] = pq["p"][1] * base, pq["q"][1] * base
        power[i]["power_sigma"] = pq["p"][1] * base
    model = PowerGridModel({ComponentType.node: node, ComponentType.generic_branch: branch, ComponentType.shunt: shunt,
                            ComponentType.source: source, ComponentType.sym_load: load,
                            ComponentType.sym_voltage_sensor: voltage, ComponentType.sym_power_sensor: power})
    run = lambda: model.calculate_state_estimation(calculation_method=CalculationMethod.newton_raphson,
                                                   error_tolerance=1e-8, max_iterations=60)
    run()
    return least(A.times, run)


def pandapower(case):
    from pandapower.converter.pypower.from_ppc import from_ppc
    from pandapower.estimation import estimate
    import pandapower as pp
    n, m, b = case["n_bus"], case["n_branch"], case["branch"]
    bus = np.zeros((n, 13))
    bus[:, 0], bus[:, 1], bus[:, 4], bus[:, 5] = range(n), case["bus"]["type"], case["bus"]["gs_mw"], case["bus"]["bs_mvar"]
    bus[:, 6], bus[:, 7], bus[:, 9], bus[:, 10], bus[:, 11], bus[:, 12] = 1, 1, 100, 1, 1.5, 0.5
    branch = np.zeros((m, 13))
    for column, name in enumerate(("f", "t", "r", "x", "b")):
        branch[:, column] = b[name]
    plain = (np.array(b["tap"]) == 1) & (np.array(b["shift_deg"]) == 0)
    branch[:, 5:8], branch[:, 8], branch[:, 9] = 9999, np.where(plain, 0, b["tap"]), b["shift_deg"]
    branch[:, 10], branch[:, 11], branch[:, 12] = b["status"], -360, 360
    slack = case["bus"]["type"].index(3)
    gen = np.zeros((1, 21))
    gen[0, :10] = slack, 0, 0, 9999, -9999, 1, 100, 1, 9999, -9999
    net = from_ppc({"baseMVA": case["baseMVA"], "bus": bus, "branch": branch, "gen": gen, "version": "2"}, f_hz=50)
    lookup = net._from_ppc_lookups["branch"]
    for kind, element, value, sigma in measurements(case):
        what, place = kind.split("_")
        scale = 1.0 if what == "v" else case["baseMVA"]
        table, side = "bus", None
        if place != "bus":
            table, row = lookup.element_type.iloc[element], int(lookup.element.iloc[element])
            side = place if table != "trafo" else ("hv" if (net.trafo.hv_bus[row] == b["f"][element]) == (place == "from") else "lv")
            element = row
        pp.create_measurement(net, what, table, (-value if table=="bus" and what!="v" else value) * scale, sigma * scale, element, side=side)
    run = lambda: estimate(net, init="flat", tolerance=1e-8, maximum_iterations=50)
    run()
    return least(max(3, A.times // 3), run)


ours = [json.loads(line) for line in subprocess.run([A.bench, "--least", str(A.times)], capture_output=True, text=True,
                                                    check=True).stdout.splitlines() if line.startswith("{")]
print(f"{'case':18} {'ours flat':>10} {'ours last':>10} {'residuals':>10} {'PGM':>9} {'pandapower':>11}   PGM/ours  pandapower/ours")
for row in ours:
    if A.cases and row["case"] not in A.cases:
        continue
    case = json.load(open(os.path.join(A.data, row["case"] + ".json")))
    pgm = pp = float("nan")
    try:
        pgm = power_grid_model(case)
    except Exception as error:
        print(f"{row['case']}: power-grid-model: {type(error).__name__}: {str(error)[:150]}")
    if not A.no_pandapower:
        try:
            pp = pandapower(case)
        except Exception as error:
            print(f"{row['case']}: pandapower: {type(error).__name__}: {str(error)[:150]}")
    flat = row["flat_ms"]
    print(f"{row['case']:18} {flat:10.3f} {row['last_ms']:10.3f} {row['residuals_ms']:10.3f} {pgm:9.3f} {pp:11.1f}   {pgm / flat:8.2f}  {pp / flat:8.1f}",
          flush=True)
