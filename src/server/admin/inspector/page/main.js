
// The page as a whole: what comes from the server goes to its parts; keys and buttons go back.
const rate = (() => {
  const past = [];
  const rates = (now, count) => {
    past.push({ at: performance.now(), ...count, work: count.work });
    while (past.length > 2 && past.at(-1).at - past[0].at > 2000) past.shift();
    const [first, last] = [past[0], past.at(-1)];
    const seconds = (last.at - first.at) / 1000;
    const of = (name) => seconds > 0 ? (last[name] - first[name]) / seconds : 0;
    return { requests: of("requests"), sent: of("sent"), turns: of("turns"), work: of("work") };
  };
  rates.reset = () => { past.length = 0; };
  return rates;
})();

function status(kind, text) {
  const box = $("status");
  if (box.className !== kind) box.className = kind;
  say(box.lastElementChild, text);
}

let work = 0;

function hear(event) {
  if ("since" in event) {
    if (known.since && known.since !== event.since) {
      strip.reset();
      stalled.clear();
      fill($("stalled"));
      rate.reset();
    }
    known.since = event.since;
  }
  known.now = event.now;
  // What a command was answered is newer than what was on its way meanwhile.
  if (performance.now() - answered > 150) known.held = event.held;
  for (const name of ["routes", "doings", "loop_lag_ms", "version", "most"]) {
    if (name in event) known[name] = event[name];
  }
  if ("routes" in event) {
    latest.reset();
    say($("version"), event.version);
    say($("limit"), `${event.loop_lag_ms} ms`);
  }
  const before = strip.last();
  strip.add(event.turns, event.left_out);
  strip.tick(event.now, event.held !== null);
  for (const row of event.turns) if (!before || row[0] > before.number) work += row[3];
  const { counters } = event;
  const last = event.turns.at(-1);
  if (last) known.turns = last[0] + 1;
  const rates = rate(event.now, { requests: counters.requests, sent: counters.sent,
    turns: known.turns || 0, work });
  const connections = event.doing.reduce((sum, many) => sum + many, 0);
  say($("f-connections"), number(connections));
  say($("f-requests"), number(rates.requests));
  say($("f-turns"), number(rates.turns));
  // Turns that were not told of have worked, too.
  say($("f-work"), `${event.left_out ? "≥ " : ""}${(rates.work / 1e7).toFixed(1)} %`);
  say($("f-sent"), bytes(rates.sent));
  show(event);
  showStep(known.held);
}

function show({ house: cells, doing, nodes, steps, latest: exchanges, stalls, more }) {
  house.show(cells);
  showDoing(doing, cells, more);
  graph.show(nodes, steps);
  latest.show(exchanges);
  stalls.forEach(addStall);
}

const stalled = new Set();

function addStall({ turn, woken_ns, what }) {
  if (stalled.has(turn)) return;
  stalled.add(turn);
  const [, took, why] = what.match(/^(\d+ ms): (.*)$/s) || [null, "", what];
  $("stalled").prepend(make("tr", null,
    make("td", null, link(String(turn), () => strip.select(turn))),
    make("td", null, `${(woken_ns / 1e9).toFixed(3)} s`), make("td", { class: "bad" }, took),
    make("td", { class: "wrap" }, why)));
  while ($("stalled").childElementCount > 32) $("stalled").lastElementChild.remove();
  $("no-stalls").hidden = true;
  $("stalls").querySelector(".scroll").hidden = false;
}

// Step mode.
let [slow, busy, expected] = [null, 0, null];
let before = Promise.resolve();

function showStep(held) {
  const next = held && held.next;
  status(held ? "held" : "live", held ? "Held" : "Live");
  for (const id of ["b-event", "b-turn", "b-go"]) $(id).disabled = !held;
  $("b-hold").disabled = Boolean(held);
  house.expect(next ? next.key : -1);
  const why = next && { ready: "is ready", due: "is due: its deadline has come",
    new: "has just come in" }[next.why];
  if (!held) return say($("held"), refused || "The loop goes by itself.");
  say($("held"), next
    ? `Held before the next ${held.before}. The ${next.what} in slot ${next.key} ${why}.`
    : "Held. Nothing is ready: send a request, and it will wait here.");
  expected = next && `${next.key}.${next.generation}`;
}

let [refused, answered] = ["", -Infinity];

// One after the other: whoever says go while a step is under way means it.
function command(path) {
  if (recording) return Promise.resolve();
  busy++;
  before = before.then(() => run(path)).catch(() => {}).finally(() => busy--);
  return before;
}

async function run(path) {
  const whom = path.startsWith("step") ? expected : null;
  const known_before = whom && (await ask("peer", whom));
  const answer = await fetch(`/inspect/${path}`, { method: "POST" });
  const said = (await answer.text()).trim();
  refused = answer.ok ? "" : said;
  if (!answer.ok) {
    stopSlow();
    return say($("held"), refused);
  }
  answered = performance.now();
  known.held = JSON.parse(said);
  showStep(known.held);
  if (path === "go") fill($("passed"));
  if (whom) setTimeout(() => showPassed(whom, known_before), 60);
}

// What one step has let through.
async function showPassed(whom, before) {
  const part = await ask("peer", whom);
  const last = before && before.moments.length ? before.moments.at(-1).number : -1;
  const passed = part ? part.moments.filter((moment) => moment.number > last) : [];
  fill($("passed"), make("li", null, make("b", null, whom)),
    ...passed.map((moment) => make("li", null, words(moment))));
}

function stopSlow() {
  clearInterval(slow);
  slow = null;
  $("b-slow").setAttribute("aria-pressed", false);
  $("held").setAttribute("aria-live", "polite");
}

function toggleSlow() {
  if (slow) return stopSlow();
  if (!known.held) command("hold?event");
  $("b-slow").setAttribute("aria-pressed", true);
  $("held").setAttribute("aria-live", "off"); // It changes faster than it can be read out.
  slow = setInterval(() => {
    if (!busy && known.held && known.held.next) command("step?event");
  }, Number($("pace").value));
}

const KEYS = {
  h: () => command("hold?event"), s: () => command("step?event"), t: () => command("step?turn"),
  m: toggleSlow, g: () => { stopSlow(); command("go"); },
  "+": () => strip.zoom(-1), "=": () => strip.zoom(-1), "-": () => strip.zoom(1),
};
["loop", "step", "house", "story", "stalls"].forEach((id, at) => {
  const target = { loop: "strip", house: "cells" }[id];
  KEYS[String(at + 1)] = () => {
    $(id).scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
    ($(target || "none") || $(id).querySelector("button:not(:disabled)") || $(id)).focus(
      { preventScroll: true, focusVisible: true });
  };
});
// Whoever speaks to the browser may say such keys without meaning them (WCAG 2.2, 2.1.4).
const singly = $("singly");
try {
  singly.checked = localStorage.getItem("oneloop single keys") !== "off";
} catch {
  // There is no storage: it is not remembered.
}
function heedSingly() {
  document.body.classList.toggle("quiet", !singly.checked);
  for (const button of document.querySelectorAll("[data-key]")) {
    if (singly.checked) button.setAttribute("aria-keyshortcuts", button.dataset.key);
    else button.removeAttribute("aria-keyshortcuts");
  }
}
heedSingly();
singly.addEventListener("change", () => {
  heedSingly();
  try {
    localStorage.setItem("oneloop single keys", singly.checked ? "on" : "off");
  } catch {
    // As above.
  }
});
document.addEventListener("keydown", (event) => {
  if (!singly.checked) return;
  const is_chosen = event.target.matches("select") && /^[0-9.]$/.test(event.key);
  if (event.ctrlKey || event.metaKey || event.altKey || is_chosen) return;
  if (event.repeat && busy) return;
  const does = KEYS[event.key.toLowerCase()];
  if (!does) return;
  event.preventDefault();
  does();
});
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => KEYS[button.dataset.key]());
}
$("pace").addEventListener("change", () => {
  if (slow) {
    stopSlow();
    toggleSlow();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  strip.redraw();
  house.redraw();
});

// A recording is shown as it was at its end.
function showKept() {
  const all = read(recording);
  Object.assign(known, { routes: all.routes, loop_lag_ms: all.loop_lag_ms, now: all.now_ns });
  const saved = new Date(all.unix_time * 1000).toISOString().slice(0, 16).replace("T", " ");
  status("kept", `Recording of ${saved} UTC`);
  say($("version"), all.version);
  say($("limit"), `${all.loop_lag_ms} ms`);
  strip.add(all.turns.map((turn) => [turn.number, turn.woken_ns, turn.waited_ns, turn.worked_ns,
    turn.ready, turn.served]), 0);
  strip.fit();
  const last = all.turns.at(-1);
  strip.tick(last ? last.woken_ns + last.worked_ns : all.now_ns, true);
  for (const id of ["step", "step-keys", "take"]) $(id).hidden = true;
  document.querySelector("#figures").hidden = true;
  show({ ...stand(all), steps: [], stalls: all.stalls, more: 0, latest: ended(all.moments) });
}

// Where everybody stood, from the list of peers.
function stand(all) {
  const letters = { ...Object.fromEntries(Object.entries(WHO).map(([letter, [name]]) =>
    [name, letter])), listener: "o" };
  const doing = Array(9).fill(0);
  const nodes = Array(20).fill(0);
  const cells = [];
  const reading = ["idle", "head", "content", "done", "closed"];
  const writing = ["idle", "owed", "content", "done"];
  for (const peer of all.peers) {
    const letter = letters[peer.doing || peer.kind] || "g";
    cells[Number(peer.id.split(".")[0])] = letter;
    if (peer.kind !== "client") continue;
    doing[Object.keys(WHO).indexOf(letter)]++;
    const [reads, writes] = peer.state.split(" ");
    nodes[reading.indexOf(reads) * 4 + writing.indexOf(writes)]++;
  }
  return { house: Array.from(cells, (cell) => cell || ".").join(""), doing, nodes };
}

function ended(moments) {
  const by_peer = new Map();
  for (const moment of moments) {
    if (!by_peer.has(moment.peer)) by_peer.set(moment.peer, []);
    by_peer.get(moment.peer).push(moment);
  }
  const all = [...by_peer.entries()].flatMap(([peer, own]) => exchanges(own).map((exchange) => {
    const { head, line, began, took, route: by, status: code, sent } = outline(exchange);
    return [peer, head, line, began, took, by || 0, code || 0, sent];
  }));
  return all.sort((one, other) => other[1] - one[1]).slice(0, 200);
}

$("stalls").querySelector(".scroll").hidden = true;
if (recording) showKept();
else {
  const watch = () => {
    const events = new EventSource("/inspect/events");
    events.onmessage = (message) => hear(JSON.parse(message.data));
    events.onerror = () => {
      const is_refused = events.readyState === EventSource.CLOSED;
      status("lost", is_refused ? "Refused, perhaps as many watch as may; trying again"
        : "The server is away");
      if (is_refused) setTimeout(watch, 3000);
    };
  };
  watch();
}
