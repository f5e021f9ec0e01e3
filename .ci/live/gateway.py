"""pymodbus, client and server as they come, through the gateway; then the sidecar's stock process.

What is checked: allowed traffic is unchanged, what is forbidden or unknown is refused with the right exception code, an
unsafe value is brought to a safe one, a flood is limited, the server may be killed and come back, and bad configurations
are told. The server runs in a process of its own, so that it can be killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

from tap import free_port

TOKENS = {"platform": "a" * 40, "anna": "b" * 40}
PLANT = """
format = 1
name = "tank"
signal = [
  { path = "tank.level", unit = "m", range = [0.0, 10.0], sigma = 0.01 },
  { path = "tank.pump", role = "actuator", range = [0.0, 100.0] },
  { path = "tank.setpoint", role = "setpoint" },
]
point = [
  { signal = "tank.level", protocol = "modbus", tag = "u1/ir/0", scale = 0.001 },
  { signal = "tank.pump", protocol = "modbus", tag = "u1/hr/0", scale = 0.1, direction = "write" },
  { signal = "tank.setpoint", protocol = "modbus", tag = "u1/hr/1", type = "f32", direction = "write" },
]
principal = [
  { name = "plc", addresses = ["127.0.0.1"], roles = ["controller"] },
  { name = "anna", roles = ["operator"] },
]
rule = [
  { name = "the controller drives the pump", effect = "allow", roles = ["controller"], signals = ["tank.pump"] },
  { name = "set-points need two", effect = "allow", roles = ["controller", "operator"], signals = ["tank.setpoint"], two_person = true },
]
limit = [{ signal = "tank.level", max = 1.5, kind = "never_exceed", horizon_s = 600.0 }]
[dynamics]
kind = "differential"
equations = "d(h)/dt = 0.001 * pump - 0.05 * h"
states = { h = { initial = 0.5, sigma = 0.05, process_sigma = 1e-4 } }
inputs = { pump = { signal = "tank.pump", default = 25.0 } }
outputs = { h = "tank.level" }
[time]
sampling_s = 0.1
stale_s = 30.0
"""


def serve(port):
    import asyncio

    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import StartAsyncTcpServer

    blocks = {key: ModbusSequentialDataBlock(1, [500] * 100) for key in ("hr", "ir")}
    blocks["hr"] = ModbusSequentialDataBlock(1, [250] * 100)
    device = ModbusDeviceContext(co=ModbusSequentialDataBlock(1, [False] * 100), di=ModbusSequentialDataBlock(1, [True] * 100), **blocks)
    context = ModbusServerContext(devices={1: device}, single=False)
    asyncio.run(StartAsyncTcpServer(context, address=("127.0.0.1", port)))


def start_server(port):
    import socket

    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)], stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def configure(folder, server, modbus, api):
    os.makedirs(folder, exist_ok=True)
    for name, secret in TOKENS.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(secret)
    with open(f"{folder}/plant.toml", "w") as file:
        file.write(PLANT)
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[journal]
folder = "journal"
[api]
listen = "127.0.0.1:{api}"
[[token]]
principal = "platform"
file = "platform"
may = ["points", "commands", "read"]
speaks_for = true
[[token]]
principal = "anna"
file = "anna"
may = ["approve", "read"]
[[modbus]]
name = "tank"
listen = "127.0.0.1:{modbus}"
server = "127.0.0.1:{server}"
device = "10.0.0.2:502"
requests_per_second = 200
answer_s = 1.0
""")
    return f"{folder}/gateway.toml"


def api(port, path, body=None, token="anna"):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {TOKENS[token]}"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers), timeout=10) as answer:
        return json.load(answer)


def main(gateway, out):
    from pymodbus.client import ModbusTcpClient

    folder = os.path.abspath(f"{out}/gateway")
    subprocess.run(["rm", "-rf", folder], check=True)
    ports = server, modbus, http = free_port(), free_port(), free_port()
    config = configure(folder, *ports)
    subprocess.run([gateway, "--config", config, "--check"], check=True)
    with open(config) as good, open(f"{folder}/bad.toml", "w") as bad:
        bad.write(good.read().replace("answer_s", "anwser_s").replace('"enforce"', '"enforced"'))
    told = subprocess.run([gateway, "--config", f"{folder}/bad.toml", "--check"], capture_output=True, text=True)
    assert told.returncode == 2 and told.stderr.count("did you mean") == 2, told
    print(told.stderr, end="")

    running, process = start_server(server), subprocess.Popen([gateway, "--config", config])
    try:
        for _ in range(100):
            try:
                api(http, "/v1/state")
                break
            except OSError:
                time.sleep(0.1)
        direct = ModbusTcpClient("127.0.0.1", port=server)
        client = ModbusTcpClient("127.0.0.1", port=modbus, timeout=3, retries=0)
        assert direct.connect() and client.connect()

        # Reads are the server's own; the twin settles meanwhile.
        for _ in range(100):
            level = client.read_input_registers(0, count=3, device_id=1)
            assert level.registers == [500] * 3, level
            assert client.read_holding_registers(0, count=1, device_id=1).registers == [250]
            time.sleep(0.03)
        assert client.read_coils(0, count=9, device_id=1).bits == direct.read_coils(0, count=9, device_id=1).bits
        beyond = client.read_holding_registers(5000, count=2, device_id=1)
        assert beyond.exception_code == direct.read_holding_registers(5000, count=2, device_id=1).exception_code == 2
        print("reads: as the server says")

        # A held command passes when somebody agrees and it is asked again.
        words = [0x4120, 0]  # 10.0
        held = client.write_registers(1, words, device_id=1)
        assert held.exception_code == 6, held
        command = api(http, "/v1/state")["held"][0]
        word = {"approve": True, "signal": command["signal"], "value": command["value"]}
        assert api(http, f"/v1/held/{command['command']}", word)["decision"] == "allow"
        assert not client.write_registers(1, words, device_id=1).isError()
        assert direct.read_holding_registers(1, count=2, device_id=1).registers == words
        print("held: refused with 6, approved, passed")

        # Commands.
        assert not client.write_register(0, 300, device_id=1).isError()
        assert direct.read_holding_registers(0, count=1, device_id=1).registers == [300]
        unknown = client.write_register(40, 1, device_id=1)
        assert unknown.exception_code == 2, unknown
        assert client.write_coil(0, True, device_id=1).exception_code == 2
        assert direct.read_holding_registers(40, count=1, device_id=1).registers == [250]
        print("writes: allowed as it came, unknown refused with 2")

        # 100 % would lift the level to 2 m; the limit is 1.5 m.
        client.write_register(0, 1000, device_id=1)
        clamped = direct.read_holding_registers(0, count=1, device_id=1).registers[0]
        assert 300 <= clamped < 750, clamped
        print(f"unsafe: 100 % was brought to {clamped / 10} %")
        # The level of this server does not follow the pump: back, before the twin finds that it does not know the plant.
        assert not client.write_register(0, 250, device_id=1).isError()

        # A flood.
        busy = sum(getattr(client.read_input_registers(0, count=1, device_id=1), "exception_code", 0) == 6 for _ in range(1500))
        print(f"flood: {busy} of 1500 answered with 6")
        time.sleep(1.2)
        assert client.read_input_registers(0, count=1, device_id=1).registers == [500]

        # The server is killed, and comes back.
        running.send_signal(signal.SIGKILL)
        running.wait()
        codes = [client.read_input_registers(0, count=1, device_id=1).exception_code for _ in range(2)]
        assert codes in ([11, 10], [10, 10]), codes
        assert client.write_register(0, 250, device_id=1).exception_code == 10
        running = start_server(server)
        assert client.read_input_registers(0, count=1, device_id=1).registers == [500]
        assert not client.write_register(0, 300, device_id=1).isError()
        print(f"server killed: {codes}, then as before")

        # A stock process beside the wire.
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run([sys.executable, f"{here}/sidecar.py", f"http://127.0.0.1:{http}", f"{folder}/platform"], check=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway: ok")
    finally:
        running.kill()
        process.kill()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        main(sys.argv[1], sys.argv[2])
