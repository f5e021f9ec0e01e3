"""Opens report pages in headless Chromium over its debugging pipe and checks what a page promises.

For each page: no console message, no request but the page itself, no sideways scrolling at 320, 400 and 1280 px, keys
that move the hairline, a readout that equals the data, a page that works without script, a PDF, and pictures in light,
dark, narrow and on paper for a person to look at. Standard library only.
"""

import argparse
import base64
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars", "--remote-debugging-pipe",
    "--no-default-browser-check", "--disable-extensions", "--mute-audio", "--password-store=basic",
]


class Browser:
    """Chromium behind two pipes; messages are JSON ended by a zero byte."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="report-check-")
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()
        # The child's ends must be descriptors 3 and 4; higher ones first, so that none is overwritten.
        high = [os.dup2(fd, 40 + n, inheritable=True) for n, fd in enumerate((to_read, back_write))]
        os.close(to_read), os.close(back_write)
        command = f'exec "$0" "$@" 3<&{high[0]} 4>&{high[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, program, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=high, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in high:
            os.close(fd)
        self.buffer, self.number, self.events = b"", 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.back], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            block = os.read(self.back, 1 << 20)
            if not block:
                raise EOFError("the browser has gone")
            self.buffer += block
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        deadline = time.monotonic() + 60
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        deadline = time.monotonic() + 60
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive(deadline))

    def js(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, address):
        self.events.clear()
        self.call("Page.navigate", url=address)
        self.wait("Page.loadEventFired")

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except Exception:
            self.process.kill()
        shutil.rmtree(self.profile, ignore_errors=True)


class Check:
    def __init__(self, browser, page, out):
        self.browser, self.page, self.out, self.failures = browser, page, out, []
        self.address = page.resolve().as_uri()

    def expect(self, good, what):
        if not good:
            self.failures.append(what)

    def screen(self, width, height=900):
        self.browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def look(self, dark=False, paper=False):
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.browser.call("Emulation.setEmulatedMedia", media="print" if paper else "", features=features)

    def picture(self, name):
        height = self.browser.js("document.documentElement.scrollHeight")
        width = self.browser.js("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000), "scale": 1}
        shot = self.browser.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        (self.out / f"{self.page.stem}-{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def quiet(self, when):
        for event in self.browser.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.expect(False, f"{when}: console: {json.dumps(params)[:300]}")
            if method == "Network.requestWillBeSent":
                address = params["request"]["url"]
                if address.split("#")[0] != self.address:
                    self.expect(False, f"{when}: request to {address[:200]}")

    def sideways(self):
        for width in (320, 400, 760, 1280):
            self.screen(width)
            seen, inner = self.browser.js("[document.documentElement.scrollWidth, innerWidth]")
            self.expect(inner == width and seen <= inner, f"{width} px: scrollWidth {seen} > innerWidth {inner}")
            small = self.browser.js("""[...document.querySelectorAll('a,button,summary')].filter(e=>{const r=e.getBoundingClientRect();
                return r.width&&r.height&&(r.height<23.5)&&getComputedStyle(e).display!=='inline'&&!e.matches('.skip')}).map(e=>e.textContent.slice(0,30))""")
            self.expect(not small, f"{width} px: targets below 24 px: {small}")

    def key(self, name, shift=False):
        for kind in ("rawKeyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=name, modifiers=8 if shift else 0)

    def keys(self):
        """The hairline moves with the keys, and what it reads out is what the path draws."""
        browser = self.browser
        groups = browser.js("document.querySelectorAll('.tl').length")
        for group in range(groups):
            at = f"document.querySelectorAll('.tl')[{group}]"
            read = lambda: browser.js(f"[{at}.style.getPropertyValue('--x'), ...[...{at}.querySelectorAll('output')].map(o => o.textContent)]")
            browser.js(f"{at}.focus()")
            self.key("Home")
            start = read()
            self.key("ArrowRight")
            one = read()
            self.key("ArrowRight", shift=True)
            ten = read()
            self.key("n")
            event = read()
            self.key("End")
            end = read()
            places = [float(x[0].rstrip("%")) for x in (start, one, ten, end)]
            self.expect(all(abs(a - b) < 0.01 for a, b in zip(places, (0, 0.5, 5.5, 100))), f"group {group}: keys move to {places}")
            events = browser.js(f"{at}.dataset.events")
            plot = browser.js(f"(p => [p.t0, p.t1])({at}.querySelector('.plot').dataset)")
            low, high = float(plot[0]), float(plot[1])
            later = [float(e) for e in events.split(",") if e and low + 0.055 * (high - low) < float(e) <= high]
            if later:
                wanted = (later[0] - low) / (high - low) * 100
                self.expect(abs(float(event[0].rstrip("%")) - wanted) < 0.01, f"group {group}: n went to {event[0]}, not {wanted:.3f}")
            for readout in (start, one, ten, event, end):
                self.readout(at, readout, group)
            self.key("Escape")
            self.expect(read()[1:] == [""] * (len(start) - 1), f"group {group}: Escape leaves a readout")

    def readout(self, at, readout, group):
        """Recomputes the readout from the drawing, here in Python."""
        x = float(readout[0].rstrip("%")) * 100
        plots = self.browser.js(f"""[...{at}.querySelectorAll('.plot')].map(p => ({{...p.dataset, traces:
            [...p.querySelectorAll('path[data-k]')].map(e => ({{...e.dataset, path: e.getAttribute('d')}}))}}))""")
        for plot, text in zip(plots, readout[1:]):
            y0, y1, decimals = float(plot["y0"]), float(plot["y1"]), int(plot["d"])
            value = lambda y: y0 + (1 - y / 10000) * (y1 - y0)
            for trace in plot["traces"]:
                said = re.search(re.escape(trace["k"]) + r" (–|−?[\d.]+)(?: to (−?[\d.]+))?", text)
                if not said:
                    self.expect(False, f"group {group}: {plot.get('u')}: nothing said of {trace['k']} in {text!r}")
                    continue
                if said[1] == "–":
                    continue
                numbers = [float(n.replace("−", "-")) for n in said.groups() if n]
                points = []
                for part in trace["path"].split("M")[1:]:
                    n = [int(v) for v in re.findall(r"-?\d+", part)]
                    px = py = 0
                    for dx, dy in zip(n[::2], n[1::2]):
                        px, py = px + dx, py + dy
                        points.append((px, value(py)))
                near = min(points, key=lambda p: abs(p[0] - x))
                if trace.get("c"):
                    step = 10000 / int(trace["c"])
                    column = [v for px, v in points if px // step == near[0] // step]
                else:
                    column = [v for px, v in points if abs(px - x) <= abs(near[0] - x)]
                slack = 0.6 * 10.0 ** -decimals
                good = min(column) - slack <= numbers[0] and numbers[-1] <= max(column) + slack
                self.expect(good, f"group {group}: says {numbers}, draws {min(column)} to {max(column)} ({trace['k']})")

    def table(self):
        """The pointer's readout at each tick against the table, which is written from the data and not from the paths."""
        browser = self.browser
        rows = browser.js("""[...document.querySelectorAll('table.values tbody tr')].map(r => [...r.cells].slice(1).map(c => c.textContent))""")
        heads = browser.js("""[...document.querySelectorAll('table.values thead th')].slice(1).map(h => h.innerText || h.textContent)""")
        ticks = browser.js("""[...document.querySelectorAll('.tl')[0]?.querySelectorAll('.xax span') ?? []].map(s => parseFloat(s.style.left))""")
        plots = browser.js("""[...document.querySelectorAll('.tl')[0]?.querySelectorAll('.plot') ?? []].map(p => ({
            title: p.querySelector('b').textContent, span: p.dataset.y1 - p.dataset.y0,
            names: [...p.querySelectorAll('path[data-k]')].map(e => e.dataset.k)}))""")
        if not rows:
            return
        right = compared = 0
        for tick, row in zip(ticks, rows):
            x, y = browser.js(f"""(() => {{const a = document.querySelector('.tl .area'); a.scrollIntoView();
                const r = a.getBoundingClientRect(); return [r.left + Math.min(r.width - .5, r.width * {tick} / 100), r.top + 20]}})()""")
            browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
            said = browser.js("[...document.querySelectorAll('.tl')[0].querySelectorAll('output')].map(o => o.textContent)")
            for head, cell in zip(heads, row):
                for plot, text in zip(plots, said):
                    name = next((n for n in plot["names"] if head.startswith(plot["title"]) and f"{n} " in head[len(plot["title"]):] + " "), None)
                    found = name and re.search(re.escape(name) + r" (−?[\d.]+)(?: to (−?[\d.]+))?", text.replace("\u202f", ""))
                    if not found or cell == "–":
                        continue
                    wanted = float(cell.replace("−", "-").replace("\u202f", ""))
                    numbers = [float(n.replace("−", "-")) for n in found.groups() if n]
                    slack = 0.06 * plot["span"]
                    compared += 1
                    right += numbers[0] - slack <= wanted <= numbers[-1] + slack
        self.expect(compared and right >= 0.9 * compared, f"table and readout agree in {right} of {compared} cells only")

    def theme(self):
        ground = "getComputedStyle(document.body).backgroundColor"
        before = self.browser.js(ground)
        self.browser.js("document.querySelector('.theme').click()")
        self.expect(self.browser.js(ground) != before, "the theme button changes nothing")
        self.browser.js("document.querySelector('.theme').click()")
        self.expect(self.browser.js(ground) == before, "the theme button does not change back")

    def paper(self):
        pdf = base64.b64decode(self.browser.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
        (self.out / f"{self.page.stem}.pdf").write_bytes(pdf)
        pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
        self.expect(pdf.startswith(b"%PDF") and pages, "no PDF")
        return pages

    def run(self):
        browser = self.browser
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        self.screen(1280)
        self.look()
        browser.open(self.address)
        started = browser.js("performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart")
        self.keys()
        self.table()
        self.theme()
        self.sideways()
        browser.js("document.activeElement.blur(); delete document.documentElement.dataset.theme")
        self.screen(1280)
        self.picture("light")
        self.look(dark=True)
        self.picture("dark")
        self.screen(400)
        self.picture("400-dark")
        self.look()
        self.picture("400")
        self.screen(794)
        self.look(paper=True)
        self.picture("print")
        pages = self.paper()
        self.look()
        self.quiet("with script")
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        self.screen(1280)
        browser.open(self.address)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        self.expect(browser.js("document.querySelectorAll('.plot').length >= 0 && document.querySelector('h1').offsetHeight > 0"),
                    "without script: no headline")
        size = self.page.stat().st_size
        self.expect(size <= 1 << 20, f"{size} bytes")
        verdict = "ok" if not self.failures else "FAILED"
        print(f"{self.page.name}: {verdict}, {size / 1024:.0f} KiB, {pages} pages on paper, {started} ms to read")
        for failure in self.failures:
            print(f"  {failure}")
        return not self.failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("browser")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="folder for pictures and PDF")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="report-pictures-"))
    out.mkdir(parents=True, exist_ok=True)
    browser = Browser(options.browser)
    try:
        good = [Check(browser, page, out).run() for page in options.pages]
    finally:
        browser.close()
    print(f"pictures in {out}")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
