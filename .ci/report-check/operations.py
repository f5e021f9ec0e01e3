"""The gateway's operations page in headless Chromium: approve, refuse, reconnect, hostile strings, narrow screens.

    python3 operations.py CHROMIUM GATEWAY [--out DIR]

Standard library only. What is checked: no console message, no request to anybody else, no sideways scrolling at 320, 400 and
1280 px, held commands decided by keys and buttons as the gateway then says, nothing that a stranger named becomes markup,
old data shown as old, and the page finding the gateway again after a restart.
"""

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from check import Browser

HOSTILE = "\\u202E</td><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\\\"'"
TOKENS = {"platform": "a" * 40, "anna": "b" * 40}
PLANT = f"""
format = 1
name = "{HOSTILE}"
signal = [
  {{ path = "tank.level", unit = "m", range = [0.0, 3.0], sigma = 0.01 }},
  {{ path = "{HOSTILE}", unit = "<b>m</b>", range = [0.0, 3.0], sigma = 0.01 }},
  {{ path = "tank.setpoint", role = "setpoint", unit = "m" }},
]
principal = [{{ name = "anna", roles = ["operator"] }}]
rule = [{{ name = "two", effect = "allow", roles = ["operator"], signals = ["tank.setpoint"], two_person = true }}]
limit = [{{ signal = "tank.level", max = 2.5, kind = "operating", horizon_s = 60.0 }}]
[time]
sampling_s = 1.0
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("browser")
    parser.add_argument("gateway")
    parser.add_argument("--out", type=Path, default=Path("target/ci/pages"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="operations-")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, secret in TOKENS.items():
        Path(folder, name).write_text(secret)
    Path(folder, "plant.toml").write_text(PLANT)
    Path(folder, "gateway.toml").write_text(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:{port}"
[[token]]
principal = "platform"
file = "platform"
may = ["points", "commands", "read"]
speaks_for = true
[[token]]
principal = "anna"
file = "anna"
may = ["approve", "read"]
""")
    base = f"http://127.0.0.1:{port}"

    def start():
        process = subprocess.Popen([args.gateway, "--config", f"{folder}/gateway.toml"], stdout=subprocess.DEVNULL)
        until(lambda: call("/v1/state"), "the gateway answers")
        return process

    def call(path, body=None, token="platform"):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKENS[token]}"}
        with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=5) as answer:
            return json.load(answer)

    def command(value, who):
        return call("/v1/commands", {"signal": "tank.setpoint", "value": value, "principal": {"name": who, "roles": ["operator"]}})

    def tell():
        name = json.loads(f'"{HOSTILE}"')
        call("/v1/points", {"points": [{"signal": "tank.level", "value": 1.2}, {"signal": name, "value": 2}]})

    def until(condition, what, seconds=15):
        end = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, RuntimeError):
                pass
            assert time.monotonic() < end, what
            time.sleep(0.1)

    def key(name):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=name, text=name)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=name)

    def picture(name, width, dark=False):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.call("Emulation.setEmulatedMedia", media="", features=scheme)
        time.sleep(0.3)
        assert browser.js("document.documentElement.scrollWidth <= innerWidth"), f"sideways scrolling at {width} px"
        shot = browser.call("Page.captureScreenshot", format="png")["data"]
        (args.out / f"operations-{name}.png").write_bytes(base64.b64decode(shot))

    process, browser = start(), Browser(args.browser)
    try:
        for domain in ("Page", "Runtime", "Network", "Log"):
            browser.call(f"{domain}.enable")
        browser.open(base + "/")
        assert browser.js("document.getElementById('main').hidden"), "nothing is shown without a token"
        log_in = "document.getElementById('token').value='%s';document.querySelector('#login button').click()"
        browser.js(log_in % ("0" * 40))
        until(lambda: "token" in browser.js("document.getElementById('refused').textContent"), "a wrong token is told")
        browser.events.clear()  # the browser itself reports the 401
        browser.js(log_in % TOKENS["anna"])
        until(lambda: not browser.js("document.getElementById('main').hidden"), "the page opens")
        tell()
        text = "document.getElementById('%s').textContent"
        until(lambda: "1.20" in browser.js(text % "signals"), "values come")
        assert "Normal. 0 findings, 0 commands wait" in browser.js(text % "headline")

        # Refused by a key, approved by keys and a confirmation, by another person than who asked.
        first = command(1.5, "<script>window.pwned=1</script>")
        assert first["decision"] == "hold", first
        until(lambda: "1.5" in browser.js(text % "held"), "a held command is shown")
        picture("held-1280", 1280)
        picture("held-400", 400)
        picture("held-320", 320)
        picture("held-dark", 1280, dark=True)
        key("r")
        until(lambda: call("/v1/state")["verdicts"][0]["decision"] == "deny", "refused")
        second = command(1.75, "bob")
        until(lambda: "1.75" in browser.js(text % "held"), "another held command is shown")
        key("a")
        until(lambda: browser.js("document.getElementById('confirm').open"), "a confirmation is asked for")
        assert "tank.setpoint := 1.75" in browser.js(text % "question")
        browser.js("document.querySelector('#confirm button[value=yes]').click()")
        told = lambda: [row for row in call("/v1/state")["verdicts"] if row["command"] == second["command"]][0]["decision"]
        until(lambda: told() == "allow", "approved")
        until(lambda: "No command waits" in browser.js(text % "held"), "nothing waits any more")

        # Nothing that a stranger named is markup, and what would turn the text round is shown.
        assert browser.js("window.pwned === undefined && !document.querySelector('td img, td script')"), "foreign markup"
        assert "\\u{202E}" in browser.js(text % "plant") and "<script>" in browser.js(text % "verdicts")
        noise = [event for event in browser.events if event.get("method") in ("Runtime.consoleAPICalled", "Log.entryAdded", "Runtime.exceptionThrown")]
        assert not noise, noise
        asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
        assert all(address.startswith(base) for address in asked), asked

        # The gateway goes, and comes back.
        process.terminate()
        process.wait(20)
        until(lambda: "no data for" in browser.js(text % "clock"), "old data is shown as old")
        until(lambda: browser.js("document.querySelector('#signals .value').textContent") == "\u2013", "and is gone after a while", 20)
        process = start()
        tell()
        until(lambda: "1.20" in browser.js(text % "signals"), "the page finds the gateway again", 20)
        print("operations: approve, refuse, reconnect, hostile strings, 320 to 1280 px: ok")
    finally:
        browser.close()
        process.kill()
        subprocess.run(["rm", "-rf", folder], check=False)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
