"use strict";
// The state comes once a second as one event; rows are patched in place. Every string from outside goes through `say`, into
// text nodes alone.
(() => {
  const $ = (id) => document.getElementById(id);
  const MINUS = "\u2212", THIN = "\u202f", NONE = "\u2013";
  const LATE_S = 2, DEAD_S = 10, TRAIL = 600, APART = 4;
  let token = sessionStorage.getItem("token") || "";
  let state = null, heard = 0, chosen = 0, busy = false;
  const trails = new Map();

  // --- words and numbers
  // Control and bidirectional characters are shown, not obeyed.
  const say = (text) => [...String(text)].slice(0, 400)
    .map((c) => /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/.test(c)
      ? "\\u{" + c.codePointAt(0).toString(16).toUpperCase() + "}" : c).join("");
  const number = (value, sigma) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
    const decimals = sigma > 0 ? Math.min(6, Math.max(0, -Math.floor(Math.log10(sigma)))) : (Math.abs(value) < 10 ? 2 : 1);
    return value.toFixed(decimals).replace("-", MINUS);
  };
  const unit = (text) => ({ degC: "°C", pu: "" })[text] ?? text;
  const time = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 21);
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
  const count = (n, word) => n + " " + word + (n === 1 ? "" : "s");
  const span = (s) => s < 60 ? Math.round(s) + THIN + "s" : Math.floor(s / 60) + THIN + "min " + Math.round(s % 60) + THIN + "s";

  // --- elements, without any markup from strings
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "onclick") element.addEventListener("click", value); else if (value !== null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const foreign = (text) => make("span", { class: "foreign" }, say(text));
  const fill = (id, children) => $(id).replaceChildren(...children);
  const mark = (severity) => make("span", { class: "mark s" + severity,
    "aria-label": "severity " + ["critical", "high", "medium", "low"][severity - 1], role: "img" }, String(severity));

  // --- signals
  const bar = (row) => {
    const known = [row.reported, row.vendor, row.estimate && row.estimate[0]].filter((v) => v !== null && v !== undefined);
    const ends = [...known, ...(row.range || [])];
    if (!ends.length) return make("span");
    let low = Math.min(...ends), high = Math.max(...ends);
    if (low === high) { low -= 1; high += 1; }
    const place = (value) => Math.max(0, Math.min(100, 100 * (value - low) / (high - low)));
    const box = make("span", { class: "bar", role: "img", "aria-label": "field " + number(row.reported) + ", vendor twin " +
      number(row.vendor) + ", model " + number(row.estimate && row.estimate[0]) });
    const forbid = (from, to) => {
      const part = make("span", { class: "forbid" });
      part.style.left = from + "%"; part.style.right = 100 - to + "%";
      box.append(part);
    };
    if (row.limits[1] !== null && row.limits[1] < high) forbid(place(row.limits[1]), 100);
    if (row.limits[0] !== null && row.limits[0] > low) forbid(0, place(row.limits[0]));
    const dot = (value, sign, kind) => {
      if (value === null || value === undefined) return;
      const point = make("span", { class: "dot " + kind }, sign);
      point.style.left = place(value) + "%";
      box.append(point);
    };
    dot(row.estimate && row.estimate[0], "┃", "m0"); dot(row.vendor, "◇", "v0"); dot(row.reported, "●", "f0");
    return box;
  };
  const trail = (row) => {
    const values = trails.get(row.path) || [];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "trail"); svg.setAttribute("viewBox", "0 0 600 100"); svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const good = values.filter((v) => v !== null);
    if (good.length > 1) {
      const low = Math.min(...good), height = Math.max(...good) - low || 1;
      let line = "", pen = "M";
      values.forEach((value, n) => {
        if (value === null) { pen = "M"; return; }
        line += pen + (TRAIL - values.length + n) + " " + (95 - 90 * (value - low) / height).toFixed(1);
        pen = "L";
      });
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", line);
      svg.append(path);
    }
    return svg;
  };
  const signal = (row) => {
    const apart = row.distance !== null && row.distance > APART;
    const sigma = row.estimate && row.estimate[1];
    return make("tr", { class: apart ? "apart" : null },
      make("td", {}, foreign(row.path)), make("td", {}, bar(row)), make("td", {}, trail(row)),
      make("td", { class: "r f value" }, number(row.reported, sigma), " ", say(unit(row.unit))),
      make("td", { class: "r m value" }, row.estimate ? number(row.estimate[0], sigma) : NONE),
      make("td", { class: "r value" }, row.distance === null ? NONE : number(row.distance) + THIN + "σ"));
  };

  // --- gate
  const SIGNS = { allow: "✓ allowed", clamp: "⌶ clamped", step_up: "step up", hold: "‖ held", deny: "✕ denied" };
  const verdict = (row) => make("tr", {},
    make("td", { class: "nw" }, time(row.at_s)),
    make("td", {}, foreign(row.who), row.from ? make("span", { class: "dim" }, " ", foreign(row.from)) : ""),
    make("td", {}, make("code", {}, say(row.signal) + " := " + number(row.value))),
    make("td", { class: "nw" }, make("b", {}, SIGNS[row.decision] + (row.clamped === null ? "" : " to " + number(row.clamped))),
      row.already_sent ? make("span", { class: "dim" }, " after it was sent") : ""),
    make("td", { class: "dim" }, say(row.why)),
    make("td", { class: "r" }, row.margin ? number(row.margin[1]) : NONE));

  const decide = async (row, approve) => {
    if (busy) return;
    if (approve) {
      const margin = row.margin ? " Least margin " + number(row.margin[1]) + "." : "";
      $("question").textContent = "Let " + say(row.signal) + " := " + number(row.value) + " pass?" + margin;
      $("confirm").returnValue = "no";
      $("confirm").showModal();
      await new Promise((done) => $("confirm").addEventListener("close", done, { once: true }));
      if ($("confirm").returnValue !== "yes") return;
    }
    busy = true;
    try {
      const response = await fetch("v1/held/" + row.command, { method: "POST",
        headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" },
        body: JSON.stringify({ approve, signal: row.signal, value: row.value }) });
      const answer = await response.json();
      const told = response.ok ? "Command " + row.command + ": " + answer.decision + "."
        : response.status === 409 ? "The plant moved on; look again. " + answer.error : answer.error;
      $("held-count").textContent = say(told);
    } catch (error) {
      $("held-count").textContent = "The gateway does not answer.";
    } finally {
      busy = false;
    }
  };
  const held = (row, n) => {
    const dead = age() > DEAD_S;
    return make("div", { id: "held-" + row.command, class: n === chosen ? "chosen" : null },
      make("p", {}, foreign(row.who), " wants ", make("code", {}, say(row.signal) + " := " + number(row.value)), " ", say(unit(row.unit)),
        make("span", { class: "dim" }, row.now === null ? "" : " (now " + number(row.now) + ")")),
      make("p", { class: "dim" }, say(row.why) + "." + (row.margin ? " Least margin " + number(row.margin[1]) + "." : "") +
        " Denied by itself in ", make("span", { class: "left" }), "."),
      make("div", { class: "row" },
        make("button", { class: "primary", type: "button", onclick: () => decide(row, false) }, "Refuse", make("kbd", {}, "r")),
        make("button", { type: "button", disabled: dead ? "" : null, onclick: () => decide(row, true) }, "Approve", make("kbd", {}, "a"))));
  };

  // --- the page
  const finding = (row) => make("div", { class: "item" + (row.state === "open" ? " new" : "") }, mark(row.severity),
    make("div", {}, make("b", {}, "F-" + row.id + " "), say(row.title),
      make("p", { class: "dim" }, say(row.suspect) + " · " + say(row.kind) + " · " + time(row.raised_s) + " · " + row.state),
      make("p", {}, make("b", {}, "Next: "), say(row.next_step))));
  const action = (row) => make("div", { class: "item" }, make("span", {}, "▶"),
    make("div", {}, make("b", {}, "A-" + row.id + " "), foreign(row.what), row.recommended_only ? " (recommended)" : "",
      make("p", { class: "dim" }, say(row.why))));
  const fact = (name, value, bad) => make("div", {}, make("dt", {}, name), make("dd", { class: bad ? "bad" : null }, value));
  // Those that somebody has to do something about, or how many stand well.
  const certificates = (rows) => {
    if (!rows.length) return [];
    const due = rows.filter((row) => row.standing !== "good");
    if (!due.length) return [fact("Certificates", "the first of " + rows.length + " runs out " + day(rows[0].not_after_s))];
    return due.slice(0, 5).map((row) => fact("Certificate", make("span", {}, foreign(row.of),
      (row.standing === "expired" ? " has expired: no commands over it, " : " runs out soon: ") + day(row.not_after_s)), true));
  };
  const none = (text) => make("p", { class: "dim" }, text);

  const show = () => {
    const health = state.health, tally = health.tally;
    $("plant").textContent = say(state.plant);
    $("mode").textContent = state.mode === "enforce" ? "enforcing" : "advisory: nothing is stopped";
    const critical = state.findings.filter((row) => row.severity === 1).length;
    const words = health.trouble ? "Commands stop. " + say(health.trouble)
      : !state.findings.length && !state.held.length ? "Normal. 0 findings, 0 commands wait"
      : (critical ? count(critical, "critical finding") : count(state.findings.length, "finding")) + " · " +
        count(state.held.length, "command") + (state.held.length === 1 ? " waits" : " wait");
    if ($("headline").textContent !== words) $("headline").replaceChildren(...(critical ? [mark(1), " "] : []), words);
    document.title = (state.held.length ? "(" + state.held.length + ") " : "") + "Operations";
    state.signals.forEach((row) => {
      const values = trails.get(row.path) || [];
      values.push(row.reported);
      if (values.length > TRAIL) values.shift();
      if (trails.size < 2000 || trails.has(row.path)) trails.set(row.path, values);
    });
    const listed = state.signals.filter((row, n) => n < 8 || (row.distance !== null && row.distance > APART));
    fill("signals", listed.map(signal));
    const folded = state.signals.length - listed.length + state.signals_more;
    $("signals-more").textContent = folded ? count(folded, "signal") + " in order" : "";
    // Buttons keep the focus while the same commands wait.
    const waiting = state.held.map((row) => row.command).join();
    if ($("held").dataset.waiting !== waiting || age() > DEAD_S) {
      chosen = Math.min(chosen, Math.max(0, state.held.length - 1));
      fill("held", state.held.length ? state.held.map(held) : [none("No command waits.")]);
      $("held").dataset.waiting = waiting;
      $("held-count").textContent = "";
    }
    state.held.forEach((row) => {
      const left = document.querySelector("#held-" + row.command + " .left");
      if (left) left.textContent = span(Math.max(0, row.until_s - state.at_s));
    });
    $("held-card").classList.toggle("waits", state.held.length > 0);
    fill("findings", state.findings.length ? state.findings.slice(0, 10).map(finding) : [none("No findings.")]);
    $("findings-count").textContent = state.findings.length ? state.findings.length + " not closed" : "";
    fill("actions", state.actions.length ? state.actions.slice(0, 10).map(action) : [none("Nothing was asked for.")]);
    fill("verdicts", state.verdicts.slice(0, 20).map(verdict));
    $("tally").textContent = count(tally.judged, "command") + " judged: " + tally.allowed + " allowed, " + tally.clamped +
      " clamped, " + tally.held + " held, " + tally.denied + " denied";
    fill("health", [
      fact("Field", health.silent_s === null ? "not heard yet" : "heard " + span(health.silent_s) + " ago", health.silent_s > 60),
      fact("Model", health.sealed ? "sealed" : "loaded unsealed by explicit option"),
      fact("Detection", health.learning ? "learning" : count(health.detectors, "detector") + ", surprise " +
        number(health.surprise[0]) + ", alarm at " + number(health.surprise[1])),
      fact("Journal", count(health.journal_leaves, "leaf").replace("leafs", "leaves") + ", root " + health.journal_root.slice(0, 4) + "…" +
        health.journal_root.slice(-4)),
      ...certificates(health.certificates),
      fact("Gate", health.trouble ? "closed: " + say(health.trouble) : "open to what is permitted", Boolean(health.trouble)),
    ]);
  };
  const age = () => (performance.now() - heard) / 1000;
  const tick = () => {
    if (!state) return;
    const late = age() > LATE_S;
    $("clock").replaceChildren(make("b", { class: late ? "late" : null },
      late ? "no data for " + Math.round(age()) + THIN + "s" : time(state.at_s).slice(0, 8) + " UTC"));
    document.body.classList.toggle("stale", late);
    if (age() > DEAD_S) {
      document.querySelectorAll(".value").forEach((cell) => { cell.textContent = NONE; });
      document.querySelectorAll("#held button:not(.primary)").forEach((button) => { button.disabled = true; });
    }
  };

  // --- the stream
  const take = (kind, data) => {
    if (kind !== "state") return;
    state = JSON.parse(data);
    heard = performance.now();
    show();
    tick();
  };
  const listen = async () => {
    const response = await fetch("v1/events", { headers: { Authorization: "Bearer " + token } });
    if (response.status === 401 || response.status === 403) throw new Error((await response.json()).error);
    if (!response.ok) return;
    sessionStorage.setItem("token", token);
    $("login").hidden = true;
    $("main").hidden = false;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
        let kind = "message", data = "";
        for (const line of rest.slice(0, end).split("\n")) {
          if (line.startsWith("event:")) kind = line.slice(6).trim();
          if (line.startsWith("data:")) data += line.slice(5).trim();
        }
        if (data) take(kind, data);
      }
    }
  };
  const connect = async () => {
    for (let wait = 500; ; wait = Math.min(2 * wait, 5000)) {
      const before = heard;
      try {
        await listen();
      } catch (error) {
        if (!(error instanceof TypeError)) {
          sessionStorage.removeItem("token");
          $("login").hidden = false;
          $("main").hidden = true;
          $("refused").textContent = say(error.message);
          return;
        }
      }
      if (heard !== before) wait = 500;
      await new Promise((done) => setTimeout(done, wait));
    }
  };

  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("token").value.trim();
    $("token").value = "";
    $("refused").textContent = "";
    connect();
  });
  $("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || /INPUT|DIALOG/.test(event.target.tagName) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") $("help").showModal();
    if (!state || !state.held.length) return;
    const row = state.held[Math.min(chosen, state.held.length - 1)];
    if (event.key === "r") decide(row, false);
    if (event.key === "a" && age() <= DEAD_S) decide(row, true);
    if (event.key === "j" || event.key === "k") {
      chosen = (chosen + (event.key === "j" ? 1 : state.held.length - 1)) % state.held.length;
      const button = document.querySelector("#held-" + state.held[chosen].command + " button");
      if (button) button.focus();
    }
  });
  setInterval(tick, 500);
  if (token) connect();
})();
