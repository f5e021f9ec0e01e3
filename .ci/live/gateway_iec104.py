"""A controlling and a controlled station as they come (c104, lib60870-C), with the gateway's IEC 60870-5-104 proxy between them.

What is checked: interrogation and spontaneous values reach the controlling station; allowed commands reach the controlled one
unchanged and once, with select before operate too; forbidden ones do not, and are answered with a negative confirmation; what was
refused leaves the sequence numbers of both ends in order; a flood is limited; the controlled station may be lost and come back.
"""

import os
import signal
import subprocess
import sys
import time

import c104
from tap import free_port

T = c104.Type
PLANT = """
format = 1
name = "feeder"
signal = [
  { path = "feeder.breaker", role = "actuator" },
  { path = "feeder.isolator", role = "actuator" },
  { path = "feeder.setpoint", role = "setpoint" },
  { path = "feeder.current" },
]
point = [
  { signal = "feeder.breaker", protocol = "iec104", tag = "47/31", type = "bit:0", direction = "write" },
  { signal = "feeder.isolator", protocol = "iec104", tag = "47/32", type = "u8", direction = "write" },
  { signal = "feeder.setpoint", protocol = "iec104", tag = "47/33", type = "f32", direction = "write" },
  { signal = "feeder.current", protocol = "iec104", tag = "47/11", type = "f32" },
]
principal = [{ name = "control centre", addresses = ["127.0.0.1"], roles = ["controller"] }]
rule = [
  { name = "switching", effect = "allow", roles = ["controller"], signals = ["feeder.breaker", "feeder.isolator"] },
  { name = "up to half", effect = "allow", roles = ["controller"], signals = ["feeder.setpoint"], range = [0.0, 50.0] },
]
"""
POLICY = """
format = 1
[[guard]]
kind = "select"
name = "the isolator is selected first"
signals = ["feeder.isolator"]
within_s = 10
"""


def configure(folder, server, port):
    os.makedirs(folder, exist_ok=True)
    for name, text in (("plant.toml", PLANT), ("policy.toml", POLICY)):
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
policy = "policy.toml"
[plant]
file = "plant.toml"
unsealed = true
[[iec104]]
name = "feeder"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.4:2404"
""")
    return f"{folder}/gateway.toml"


RECEIVED = []


def obey(point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage) -> c104.ResponseState:
    RECEIVED.append((point.io_address, point.value))
    return c104.ResponseState.SUCCESS


TOLD = []


def hear(connection: c104.Connection, data: bytes) -> None:
    """What the controlling station is answered: type, cause with its P/N bit, object."""
    if len(data) > 12 and 45 <= data[6] <= 64:
        TOLD.append((data[6], data[8], data[12]))


def station(port):
    server = c104.Server(ip="127.0.0.1", port=port)
    held = server.add_station(common_address=47)
    current = held.add_point(io_address=11, type=T.M_ME_NC_1)
    current.value = 1.5
    for address, kind in ((31, T.C_SC_NA_1), (32, T.C_DC_NA_1), (33, T.C_SE_NC_1), (34, T.C_SC_NA_1)):
        held.add_point(io_address=address, type=kind, command_mode=c104.CommandMode.DIRECT if address != 32 else c104.CommandMode.SELECT_AND_EXECUTE).on_receive(callable=obey)
    server.start()
    return server, current


def wait(until, otherwise, seconds=20):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


def main(gateway, out):
    folder = os.path.abspath(f"{out}/gateway_iec104")
    subprocess.run(["rm", "-rf", folder], check=True)
    inner, port = free_port(), free_port()
    server, current = station(inner)
    config = configure(folder, inner, port)
    subprocess.run([gateway, "--config", config, "--check"], check=True)
    process = subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
    client = c104.Client()
    try:
        for line in process.stdout:
            if line.startswith("enforcing"):
                break
        connection = client.add_connection(ip="127.0.0.1", port=port, init=c104.Init.INTERROGATION)
        remote = connection.add_station(common_address=47)
        mirror = remote.add_point(io_address=11, type=T.M_ME_NC_1)
        orders = {address: remote.add_point(io_address=address, type=kind) for address, kind in ((31, T.C_SC_NA_1), (32, T.C_DC_NA_1), (33, T.C_SE_NC_1), (34, T.C_SC_NA_1))}
        connection.on_receive_raw(callable=hear)
        client.start()
        wait(lambda: connection.state == c104.ConnectionState.OPEN, f"the connection is {connection.state}")
        wait(lambda: mirror.value == 1.5, "the interrogation is answered")

        def order(address, value):
            """Whether a command was confirmed: c104 itself now and then misses an answer that comes at once."""
            heard = len(TOLD)
            orders[address].value = value
            orders[address].transmit(cause=c104.Cot.ACTIVATION)
            told = lambda: [cause for _, cause, place in TOLD[heard:] if place == address and cause & 0x3F in (7, 44, 45, 46, 47)]
            wait(told, f"{address} := {value} is answered")
            return all(cause == 7 for cause in told())

        def tell(value):
            current.value = value
            assert current.transmit(cause=c104.Cot.SPONTANEOUS)
            wait(lambda: mirror.value == value, f"{value} is told")

        # What passes arrives once and in its order, telemetry between it; what does not is refused.
        passed = 0
        for n in range(1, 31):
            value, allowed = (float(n), True) if n % 3 else (80.0, False)
            assert order(33, value) is allowed, (n, value)
            passed += allowed
            tell(100.0 + n)
        assert RECEIVED == [(33, float(n)) for n in range(1, 31) if n % 3], RECEIVED
        assert order(31, True) and not order(34, True), "34 belongs to no signal"
        assert RECEIVED[-1] == (31, True)
        print(f"commands: {passed + 1} allowed ones once and in order, 11 refused with a negative confirmation, 30 values told meanwhile")

        # Select before operate.
        assert not order(32, c104.Double.ON), "not selected"
        orders[32].command_mode = c104.CommandMode.SELECT_AND_EXECUTE
        assert order(32, c104.Double.ON)
        assert RECEIVED[-1] == (32, c104.Double.ON), RECEIVED[-1]
        print("select before operate: refused without, passes with")

        # A flood.
        before = len(RECEIVED)
        refused = sum(not order(33, float(n % 50)) for n in range(300))
        assert connection.state == c104.ConnectionState.OPEN
        assert len(RECEIVED) - before == 300 - refused
        print(f"300 commands in a row: {300 - refused} passed, {refused} were refused")

        # The station is lost, and comes back.
        server.stop()
        wait(lambda: connection.state != c104.ConnectionState.OPEN, "the connection ends with the station's")
        server, current = station(inner)
        wait(lambda: connection.state == c104.ConnectionState.OPEN, "the connection comes back", 60)
        tell(7.5)
        wait(lambda: order(31, False), "commands pass again")
        print("station lost: the controlling station is let go, and comes back through the gateway")
        client.stop()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway with IEC 60870-5-104: ok")
    finally:
        process.kill()
        server.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
