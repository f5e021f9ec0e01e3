"""A platform's process that lets the gateway guard it: it tells what it reads, asks before it writes, and listens.

    python3 sidecar.py http://127.0.0.1:8080 TOKEN_FILE

Nothing but the standard library.
"""

import json
import sys
import threading
import urllib.request

BASE, TOKEN = sys.argv[1].rstrip("/"), open(sys.argv[2]).read().strip()


def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(BASE + path, data, {"Authorization": f"Bearer {TOKEN}"}), timeout=10)


def tell(**values):
    call("/v1/points", {"points": [{"signal": path.replace("__", "."), "value": value} for path, value in values.items()]})


def may_send(signal, value, who):
    """The value to send in place of `value`, or None."""
    verdict = json.load(call("/v1/commands", {"signal": signal, "value": value, "principal": {"name": who}}))
    print(f"{who}: {signal} := {value}: {verdict['decision']} {verdict['reasons'][:1]}", flush=True)
    return verdict["value"] if verdict["send"] else None


def listen(heard):
    kind = None
    for line in call("/v1/events"):
        name, _, rest = line.decode().rstrip("\n").partition(": ")
        kind = rest if name == "event" else kind
        if name == "data" and kind in ("finding", "verdict"):
            heard.append((kind, json.loads(rest)))


if __name__ == "__main__":
    heard = []
    threading.Thread(target=listen, args=(heard,), daemon=True).start()
    for second in range(3):
        tell(tank__level=0.5 + 0.001 * second, tank__pump=25.0)
    assert may_send("tank.pump", 26.0, "plc") == 26.0
    assert may_send("tank.pump", 26.0, "eve") is None
