"""An active gateway and its standby, with the active one killed in the middle of commands, again and again.

A client writes numbers that go up, each once: what it was not told to have arrived it does not send again. What is checked: the standby
takes over within seconds; every write that was acknowledged is at the server; none is there twice or out of its order, also of those in
whose middle the gateway died; nothing forbidden is there; a standby without a journal is refused; the journal holds a verdict for every
write that reached the server. And what the active gateway had in mind goes on in its successor: a write that is held, in whose middle the
gateway is killed, is agreed to at the next one, and passes there once; a gateway killed after it was agreed to, and before it passed,
does not make it pass twice. Python's standard library alone.
"""

import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import urllib.request

from tap import free_port

PLANT = """format = 1
name = "p"
[[signal]]
path = "pump"
role = "actuator"
[[point]]
signal = "pump"
protocol = "modbus"
tag = "u1/hr/0"
direction = "write"
[[signal]]
path = "setpoint"
role = "setpoint"
[[point]]
signal = "setpoint"
protocol = "modbus"
tag = "u1/hr/1"
direction = "write"
[[principal]]
name = "anna"
roles = ["operator"]
[[principal]]
name = "plc"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "up to fifty thousand"
effect = "allow"
roles = ["controller"]
signals = ["pump"]
range = [0.0, 50000.0]
[[rule]]
name = "two persons"
effect = "allow"
roles = ["controller", "operator"]
signals = ["setpoint"]
two_person = true
"""
SECRET = "a" * 40
ROUNDS, EACH = 6, 150


def configure(folder, server, port, api):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/token", "w") as file:
        file.write(SECRET)
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
principal = "anna"
file = "token"
may = ["approve", "read"]
[[modbus]]
name = "p"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.2:502"
requests_per_second = 100000
""")
    return f"{folder}/gateway.toml"


WRITTEN, SET = [], []


class Server(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while len(adu := self.request.recv(12, socket.MSG_WAITALL)) == 12:
                (SET if adu[9] else WRITTEN).append(int.from_bytes(adu[10:12], "big"))
                self.request.sendall(adu)
        except OSError:
            pass


class Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


class Client:
    """One write at a time; a broken connection is made anew, and what was under way is given up."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def write(self, value, register=0):
        """Whether it was carried out; `None` when that is not known."""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            self.socket.sendall(struct.pack(">HHHBBHH", value & 0xFFFF, 0, 6, 1, 6, register, value))
            answer = self.socket.recv(9, socket.MSG_WAITALL)
            if len(answer) < 9:
                raise OSError("it ended")
            if answer[7] == 6:
                self.socket.recv(3, socket.MSG_WAITALL)
            return answer[7] == 6
        except OSError:
            if self.socket:
                self.socket.close()
            self.socket = None
            return None


def start(gateway, config, *more):
    process = subprocess.Popen([gateway, "--config", config, *more], stdout=subprocess.PIPE, text=True)
    wanted = "standing by" if more else "enforcing"
    for line in process.stdout:
        if line.startswith(wanted):
            return process
    raise AssertionError("it did not start")


def take_over(gateway, config, port, processes):
    """The active one is killed; when the next one serves, a new standby waits behind it."""
    processes[0].kill()
    processes[0].wait()
    wait_for(lambda: Client(port).write(60000) is False)
    return [*processes[1:], start(gateway, config, "--standby")]


def wait_for(done):
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < 20, "it does not happen"
        time.sleep(0.02)


def ask(api, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{api}{path}", headers={"Authorization": f"Bearer {SECRET}"},
                                     data=json.dumps(body).encode() if body else None)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def main(gateway, out):
    folder = os.path.abspath(f"{out}/gateway_pair")
    subprocess.run(["rm", "-rf", folder], check=True)
    server = Threads(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port, api = free_port(), free_port()
    config = configure(folder, server.server_address[1], port, api)
    processes = [start(gateway, config), start(gateway, config, "--standby")]
    refused = subprocess.run([gateway, "--config", config], capture_output=True, text=True)
    assert refused.returncode == 2 and "in use" in refused.stderr, refused
    client, acknowledged, value, unknown, longest = Client(port), [], 0, 0, 0.0
    try:
        for round in range(ROUNDS):
            # Killed after so many writes, wherever it then is.
            victim, dead = processes.pop(0), threading.Event()

            def kill(victim=victim, dead=dead):
                time.sleep(0.05 + 0.013 * round)
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                dead.set()

            threading.Thread(target=kill).start()
            done, gone = 0, None
            while done < EACH:
                value += 1
                told = client.write(value)
                if told:
                    if gone and dead.is_set():
                        longest = max(longest, time.monotonic() - gone)
                        gone = None
                    acknowledged.append(value)
                    done += dead.is_set()
                else:
                    assert told is None, "an allowed write was refused"
                    unknown += 1
                    gone = gone or time.monotonic()
                    assert time.monotonic() - gone < 20, "nobody took over"
                    time.sleep(0.02)
            assert client.write(60000) is False, "what no rule allows"
            processes.append(start(gateway, config, "--standby"))
        assert WRITTEN == sorted(set(WRITTEN)), "twice, or out of order"
        lost = set(acknowledged) - set(WRITTEN)
        assert not lost, f"acknowledged and not there: {sorted(lost)[:10]}"
        assert max(WRITTEN) <= 50000
        # CBOR writes a text of twelve letters as `l` and the letters; each verdict has this one once.
        entries = b"".join(open(os.path.join(path, name), "rb").read() for path, _, names in os.walk(f"{folder}/journal") for name in names)
        verdicts = entries.count(b"lalready_sent")
        assert verdicts >= len(WRITTEN), (verdicts, len(WRITTEN))
        print(f"{ROUNDS} active gateways killed: {len(acknowledged)} writes acknowledged, all at the server, each once and in order; of {unknown} that")
        print(f"nobody answered {len(set(WRITTEN) - set(acknowledged))} had arrived; {verdicts} verdicts in the journal; commands passed again after {longest:.2f} s at most")

        # Held at one gateway, agreed to at the next, asked for again at the one after.
        assert client.write(77, 1) is False and not SET, "it waits for a person"
        processes = take_over(gateway, config, port, processes)
        client = Client(port)
        wait_for(lambda: client.write(77, 1) is False)
        [held] = ask(api, "/v1/state")["held"]
        told = ask(api, f"/v1/held/{held['command']}", {"approve": True, "signal": "setpoint", "value": 77.0})
        assert told["decision"] == "allow", told
        processes = take_over(gateway, config, port, processes)
        client = Client(port)
        wait_for(lambda: client.write(77, 1))
        processes = take_over(gateway, config, port, processes)
        client = Client(port)
        wait_for(lambda: client.write(77, 1) is False)
        assert SET == [77], SET
        print("a held write, agreed to at the next gateway, passed at the one after, once")
        processes[0].send_signal(signal.SIGTERM)
        assert processes[0].wait(20) == 0
        print("gateway pair: ok")
    finally:
        for process in processes:
            process.kill()
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
