
// A request as a story: each moment of one exchange, with the room of the source where it happens
// and the call of the system that it takes. What takes no call happens in memory alone. The server
// has the source of these rooms in it (rooms.rs).
const ROOMS = {
  accepted: ["accept", "accept4", "server/accepting.rs"],
  read: ["read", "recvfrom", "server/serving.rs"],
  head: ["parse", null, "http/head.rs"],
  content: ["content", null, "http/framing.rs"],
  waits: ["wait for a thread", null, "server/desk.rs"],
  dialed: ["call a program", null, "server/dialing.rs"],
  told: ["tell the program", "sendmsg", "server/conversation.rs"],
  heard: ["hear the program", "recvfrom", "server/conversation.rs"],
  answered: ["answer", null, "site/representation.rs"],
  wrote: ["write", "sendmsg", "server/sending.rs"],
  "sent file": ["send the file", "sendfile", "server/sending.rs"],
  fetches: ["fetch", "preadv2", "server/sending.rs"],
  late: ["be late", null, "server/serving.rs"],
  finished: ["finish", "shutdown", "server/serving.rs"],
  reset: ["reset", "close", "server/leaving.rs"],
  closed: ["close", "close", "server/leaving.rs"],
};

// A saved page may be where there is no server to ask for it.
function roomLink(room) {
  const name = make("code", null, `src/${room}`);
  return recording ? name : make("a", { href: `/inspect/source/${room}`, target: "_blank" }, name);
}

// The moments of each exchange: from what was read for it to what was written, and the end of its
// share of the turn.
function exchanges(moments) {
  const found = [];
  let current = [];
  for (const moment of moments) {
    const has_head = current.some((one) => one.act === "head");
    const is_next = moment.act === "head" || moment.act === "read" && moment.before === "idle idle";
    if (has_head && is_next && current.some((one) => one.act === "answered")) {
      found.push(current);
      current = [];
    }
    current.push(moment);
  }
  if (current.some((one) => one.act === "head")) found.push(current);
  const all = found.filter((one) => one.some((moment) => moment.act === "head"));
  // Of several that were answered with one write, each has it; its bytes count with the last.
  all.toReversed().reduce((next, own) => {
    const is_out = own.some((one) => WRITES.includes(one.act) || one.act === "closed");
    const out = next.filter((one) => [...WRITES, "served"].includes(one.act));
    if (!is_out) own.push(...out.map((one) => ({ ...one, is_shared: true })));
    return own;
  }, []);
  return all;
}

const WRITES = ["wrote", "sent file"];

function outline(exchange) {
  const of = (act) => exchange.filter((moment) => moment.act === act);
  const [head] = of("head");
  const [answer] = of("answered");
  const begin = exchange.find((moment) => moment.act === "read") || head;
  const end = endOf(exchange);
  const out = exchange.filter((one) => WRITES.includes(one.act) && !one.is_shared);
  const sent = out.reduce((sum, one) => sum + one.amount, 0);
  const took = Math.max(0, end - begin.at_ns);
  return { line: head.note === null ? "(no longer known)" : head.note, head: head.number,
    status: answer && answer.detail, route: answer && answer.amount, began: begin.at_ns, took, sent,
    end, waited: Math.max(0, took - pieces(exchange).reduce((sum, [from, to]) =>
      sum + Math.max(0, Math.min(to, end) - Math.max(from, begin.at_ns)), 0)) };
}

// When it was over: with its last write. Where nobody watched, moments have the time of the turn,
// and the end of the share is the best that is known.
function endOf(exchange) {
  const out = exchange.findLast((one) => WRITES.includes(one.act));
  const share = exchange.find((one) => one.act === "served" && (!out || one.number > out.number));
  const first = exchange.find((one) => one.act === "read") || exchange[0];
  if (out && out.at_ns > first.at_ns) return out.at_ns;
  return share ? share.at_ns : exchange.at(-1).at_ns;
}

// When the loop was at work for it.
function pieces(exchange) {
  return exchange.filter((one) => one.act === "served").map((one) =>
    [one.at_ns - one.amount, one.at_ns]);
}

function tell(exchange, part) {
  const { line, status, began, took, sent, waited, end } = outline(exchange);
  const steps = [];
  const step = (when, name, more, call, room, kind) => steps.push(make("li",
    { class: kind || null }, make("span", { class: "when mono" }, when),
    make("span", { class: "what" }, name), make("span", { class: "more" }, more, " ",
      call ? make("code", { class: "call" }, call) : "", call && room ? " " : "",
      room ? roomLink(room) : "")));
  const first = exchange.find((one) => one.act === "read") || exchange[0];
  const turn = strip.turn(first.turn);
  step("", "wait", turn ? `turn ${turn.number}: for ${time(turn.waited)}` : "for events",
    "epoll_wait", "server/mod.rs", "waits");
  const acts = exchange.filter((one) => one.act !== "served" && one.act !== "accepted");
  const is_coarse = acts.length > 2 && acts.every((one) => one.at_ns === acts[0].at_ns);
  const answered = exchange.find((one) => one.act === "answered");
  let last = null;
  let is_over = false;
  for (const moment of exchange) {
    const before = last;
    last = moment;
    if (moment.act === "served") continue;
    // In another turn than the moment before, others were served meanwhile, or nobody was ready.
    if (before && before.turn !== moment.turn && !is_over) {
      step("", "the loop goes on", `for ${time(moment.at_ns - before.at_ns)}`, "epoll_wait",
        "server/mod.rs", "waits");
    }
    const when = is_coarse ? "" : `+${time(Math.max(0, moment.at_ns - began))}`;
    const [name, call, room] = ROOMS[moment.act] || [moment.act, null, null];
    const dialed = [null, "connect", "posix_spawn"][moment.detail];
    step(when, name, words(moment), moment.act === "dialed" ? dialed : call, room);
    // Its route is chosen there, and known once it is answered.
    if (moment.act === "head" && answered) {
      step(when, "route", route(answered.amount), null, "site/router.rs");
    }
    is_over = is_over || moment.after === "idle idle" && moment.act !== "accepted";
  }
  if (is_over && !exchange.some((moment) => moment.act === "closed")) {
    step(`+${time(took)}`, "keep alive", "the next request may come", null, "http/connection.rs");
  }
  if (status) step("", "log", "one line, written when the turn is over", null,
    "server/mod.rs", "waits");
  const peer = exchange[0].peer;
  fill($("told"),
    make("h3", null, make("span", { class: "mono" }, line)),
    make("p", { class: "said" }, [status || "no answer", `${time(took)}, ` +
      `${waited > 0 ? `${time(waited)} of it` : "none of it"} waiting`,
    `${bytes(sent)} sent`, "peer "].join(" · "),
    peerLink(peer), " in turn ",
    first.turn === null ? "–" : link(String(first.turn), () => strip.select(first.turn))),
    timeline(exchange, began, end), make("ol", { class: "path" }, ...steps),
    is_coarse ? make("p", { class: "said" }, "While nobody watches, all that happens in one " +
      "share of a turn has the time when that began.") : "");
}

// When the loop was at work for it, and when it was not.
function timeline(exchange, began, end) {
  const whole = Math.max(1, end - began);
  const on = pieces(exchange).map(([from, to]) => {
    const x = Math.max(0, from - began) / whole * 1000;
    const wide = Math.max(3, Math.min(1000 - x, (to - Math.max(from, began)) / whole * 1000));
    return make("rect", { class: "on", x: Math.min(997, x).toFixed(1), width: wide.toFixed(1),
      height: 12, rx: 2 });
  });
  return make("svg", { class: "strip-bar", viewBox: "0 0 1000 12", preserveAspectRatio: "none",
    role: "img", "aria-label": "when the loop was at work for it" },
  make("rect", { width: 1000, height: 12, rx: 2 }), ...on);
}

// The exchanges that ended last.
const latest = (() => {
  let [shown, chosen, list] = [null, null, []];

  function show(rows) {
    const key = rows.map((row) => row[1]).join();
    if (key === shown || $("latest").contains(document.activeElement) && rows.length) {
      // Nothing moves away under whoever is about to choose.
      if (key === shown || document.activeElement.matches(":focus-visible")) return;
    }
    [shown, list] = [key, rows];
    draw();
  }

  function draw() {
    fill($("latest"), ...list.map(([peer, head, line, began, took, by, status]) =>
      make("li", null, make("button", { "aria-pressed": head === chosen, title: route(by),
        click: (event) => open(peer, head, event.currentTarget) },
      make("span", { class: "line mono" }, line === null ? "(no longer known)" : line),
      make("span", { class: status >= 400 || !status ? "bad mono" : "mono" }, status || "–"),
      make("span", { class: "took mono" }, time(took))))));
    if (!list.length) fill($("latest"), make("li", { class: "empty" }, "None yet."));
  }

  async function open(peer, head, button) {
    chosen = head;
    for (const one of $("latest").querySelectorAll("button")) {
      one.setAttribute("aria-pressed", false);
    }
    button.setAttribute("aria-pressed", true);
    const part = await ask("peer", peer);
    const meant = part && exchanges(part.moments).find((exchange) =>
      exchange.some((moment) => moment.number === head));
    if (meant) tell(meant, part);
    else fill($("told"), make("p", { class: "empty" }, "It is not recorded any more."));
  }

  // The routes lie elsewhere now: what is shown says where.
  return { show, reset: () => { shown = null; } };
})();
