
// The house: a cell for each slot of the slab. Capital letters are slots where something happened
// since the event before: they glow for a moment, or else a quick server would look asleep.
const WHO = {
  h: ["head", "a head is awaited"], c: ["content", "content comes in"],
  t: ["handler", "a thread makes the answer"], p: ["program", "a program makes the answer"],
  u: ["tunnel", "in a tunnel"], s: ["send", "the answer goes out"], z: ["pause", "paused"],
  i: ["idle", "idle"], l: ["linger", "last words"], g: ["gateway", "a program's connection"],
  k: ["kept", "a kept connection of a program"], o: ["door", "listens"],
  a: ["apart", "whoever looks on"],
};

const house = (() => {
  const canvas = $("cells");
  const pen = canvas.getContext("2d");
  let [cells, glow, columns, size, here, next, chosen] = ["", [], 1, 14, -1, -1, null];

  function show(now) {
    const is_new = now.length !== cells.length || canvas.width === 0;
    const before = cells;
    cells = now;
    if (is_new) resize();
    for (let slot = 0; slot < cells.length; slot++) {
      const was = glow[slot] || 0;
      const is_lit = cells[slot] >= "A" && cells[slot] <= "Z";
      glow[slot] = is_lit ? 3 : Math.max(0, was - 1);
      if (is_new || glow[slot] !== was || cells[slot] !== before[slot]) draw(slot);
    }
    if (here >= 0) mark(here);
  }

  function resize() {
    const wide = canvas.parentElement.clientWidth;
    if (!wide) return;
    const many = Math.max(1, cells.length);
    const smallest = many > 8000 ? 4 : 6;
    size = Math.max(smallest, Math.min(20, Math.floor(Math.sqrt(wide * 260 / many))));
    columns = Math.max(1, Math.floor(wide / size));
    const ratio = devicePixelRatio || 1;
    const high = Math.ceil(many / columns) * size;
    canvas.width = Math.round(columns * size * ratio);
    canvas.height = Math.round(high * ratio);
    canvas.style.width = `${columns * size}px`;
    canvas.style.height = `${high}px`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  function redraw() {
    resize();
    for (let slot = 0; slot < cells.length; slot++) draw(slot);
    if (here >= 0) mark(here);
  }

  function draw(slot) {
    const [x, y] = [slot % columns * size, Math.floor(slot / columns) * size];
    const who = WHO[(cells[slot] || ".").toLowerCase()];
    const gap = size > 9 ? 2 : 1;
    pen.clearRect(x, y, size, size);
    if (slot === next) {
      pen.fillStyle = colour.ink;
      pen.fillRect(x, y, size, size);
    } else if (glow[slot] > 0 && who && who[0] !== "apart") {
      pen.globalAlpha = glow[slot] / 4;
      pen.fillStyle = colour.accent;
      pen.fillRect(x, y, size, size);
      pen.globalAlpha = 1;
    }
    if (!who) {
      pen.fillStyle = colour.line;
      pen.fillRect(x + size / 2 - 0.5, y + size / 2 - 0.5, 1, 1);
      return;
    }
    pen.fillStyle = colour[who[0]];
    pen.fillRect(x + gap, y + gap, size - 2 * gap, size - 2 * gap);
  }

  function mark(slot) {
    const [x, y] = [slot % columns * size, Math.floor(slot / columns) * size];
    pen.strokeStyle = colour.ink;
    pen.lineWidth = 1.5;
    pen.strokeRect(x + 1, y + 1, size - 2, size - 2);
  }

  function go(slot) {
    if (slot < 0 || slot >= cells.length) return;
    const before = here;
    here = slot;
    if (before >= 0) draw(before);
    mark(here);
    const who = WHO[cells[slot].toLowerCase()];
    say($("cell-said"), `Slot ${slot}: ${who ? who[1] : "nobody"}`);
  }

  // Reads the life of whoever is in a slot, or has this name.
  async function open(id) {
    chosen = String(id);
    go(Number(chosen.split(".")[0]));
    const part = await ask("peer", id);
    if (chosen !== String(id)) return;
    showLife(part, id);
  }

  canvas.addEventListener("click", (event) => {
    const slot = Math.floor(event.offsetY / size) * columns + Math.floor(event.offsetX / size);
    if (slot < cells.length) open(slot);
  });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key in steps) go(here < 0 ? 0 : here + steps[event.key]);
    else if (event.key === "Enter" && here >= 0) open(here);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(redraw).observe(canvas.parentElement);
  return { show, redraw, open, expect: (slot) => {
    const before = next;
    next = slot;
    if (before !== next) [before, next].filter((one) => one >= 0).forEach(draw);
  } };
})();

// What each of them does, and how many do: first clients, in the order of the server's counts.
const showDoing = (() => {
  const items = Object.entries(WHO).map(([letter, [name, what]]) => {
    const many = make("b", null);
    const item = make("li", null, make("i", { class: `c-${name}` }), `${what} `, many);
    return { letter, item, many };
  });
  const others = make("li", { hidden: "" }, "in further slots ", make("b", null));
  fill($("doing"), ...items.map(({ item }) => item), others);
  return (doing, cells, more) => {
    const counts = {};
    for (const cell of cells.toLowerCase()) counts[cell] = (counts[cell] || 0) + 1;
    items.forEach(({ letter, item, many }, at) => {
      const count = at < doing.length ? doing[at] : counts[letter] || 0;
      say(many, number(count));
      item.classList.toggle("none", !count);
    });
    others.hidden = !more;
    say(others.lastChild, number(more));
  };
})();

// What a peer has lived through: the exchanges first, each to be told as a story.
function showLife(part, id) {
  const box = $("life");
  if (!part || !part.moments.length && !part.peers.length) {
    return fill(box, make("p", { class: "empty" }, `Nothing is recorded of slot ${id}.`));
  }
  const [peer] = part.peers;
  const name = peer ? peer.id : part.moments.at(-1).peer;
  const from = part.moments.find((moment) => moment.act === "accepted");
  const address = peer && peer.address || from && from.note || "";
  const what = peer ? `${peer.kind} ${name}` : `peer ${name}, gone`;
  const said = [address, peer && peer.doing, peer && peer.state && `state: ${peer.state}`,
    peer && peer.requests !== undefined && `${peer.requests} requests`].filter(Boolean);
  const stories = exchanges(part.moments).slice(-30).reverse().map((one) => {
    const { line, status, took, sent, waited } = outline(one);
    const is_gone = !status && one.some(({ act }) => act === "closed" || act === "reset");
    return make("tr", null,
      make("td", { class: "wrap" }, link(line, () => tell(one, part))),
      make("td", { class: status >= 400 || is_gone ? "bad" : null }, status || "–"),
      make("td", { class: "number" }, time(took)),
      make("td", { class: "number" }, waited > 0 ? time(waited) : "–"),
      make("td", { class: "number" }, bytes(sent)));
  });
  const table = stories.length ? make("div", { class: "scroll" }, make("table", null,
    make("thead", null, make("tr", null, make("th", null, "Request"), make("th", null, "Status"),
      make("th", { class: "number" }, "Took"), make("th", { class: "number" }, "of it waits"),
      make("th", { class: "number" }, "Sent"))), make("tbody", null, ...stories)))
    : make("ol", { class: "acts" }, ...part.moments.slice(-40).map((moment) =>
      make("li", null, words(moment))));
  fill(box, make("p", null, make("b", null, what), said.length ? ` · ${said.join(" · ")}` : ""),
    table);
}

// The state graph of http/connection.rs: reading above, writing below. Everybody stands in both.
const graph = (() => {
  const READING = ["idle", "head", "content", "done", "closed"];
  const WRITING = ["idle", "owed", "content", "done"];
  const PLACES = {
    r0: [44, 54], r1: [148, 54], r2: [252, 54], r3: [356, 54], r4: [356, 138],
    w0: [44, 216], w1: [148, 216], w2: [252, 216], w3: [356, 216],
  };
  const EDGES = {
    "r0 r1": "first byte", "r1 r2": "empty line", "r2 r3": "its end", "r1 r3": "no content",
    "r3 r0": "next", "w0 w1": "request head", "w1 w2": "respond", "w2 w3": "finish",
    "w1 w3": "no content", "w3 w0": "next",
  };
  const [nodes, edges, ends] = [{}, {}, {}];
  const svg = $("graph");

  function path(from, to) {
    const [[x, y], [u, v]] = [PLACES[from], PLACES[to]];
    if (to === "r4") return `M${x + 10} ${y + 18} L${u + 10} ${v - 24}`;
    if (u < x) return `M${x - 10} ${y + 18} C${x - 10} ${y + 60} ${u} ${y + 60} ${u} ${v + 24}`;
    if (u - x > 110) {
      return `M${x} ${y - 18} C${x + 20} ${y - 46} ${u - 20} ${y - 46} ${u} ${v - 24}`;
    }
    return `M${x + 36} ${y} L${u - 42} ${v}`;
  }

  function tip(from, to) {
    const [[x], [u, v]] = [PLACES[from], PLACES[to]];
    if (u < x) return `M${u} ${v + 18} l-4.5 8 h9 z`;
    if (to === "r4") return `M${u + 10} ${v - 18} l-4.5 -8 h9 z`;
    if (u - x > 110) return `M${u} ${v - 18} l-5.5 -7 l8.5 -2.5 z`;
    return `M${u - 36} ${v} l-8 -4.5 v9 z`;
  }

  function label(from, to, text) {
    const [[x, y], [u]] = [PLACES[from], PLACES[to]];
    if (u > x && u - x < 110) return "";
    const high = u < x ? y + 63 : y - 43;
    return make("text", { x: (x + u) / 2, y: high, class: "count" }, text);
  }

  function build() {
    svg.append(make("text", { x: 8, y: 15, class: "row" }, "reading"),
      make("text", { x: 8, y: 177, class: "row" }, "writing"));
    const all = { ...EDGES, "r3 r4": "from any: refusal, or end of input" };
    for (const [key, text] of Object.entries(all)) {
      const [from, to] = key.split(" ");
      const group = make("g", { class: "edge" }, make("path", { d: path(from, to) }),
        make("path", { class: "tip", d: tip(from, to) }), make("title", null, text));
      edges[key] = group;
      svg.append(group);
      if (to !== "r4") svg.append(label(from, to, text));
    }
    svg.append(make("text", { x: 314, y: 142, class: "end" }, "from any"));
    for (const [key, [x, y]] of Object.entries(PLACES)) {
      const name = (key[0] === "r" ? READING : WRITING)[Number(key[1])];
      const count = make("text", { x, y: y + 12, class: "count" }, "0");
      const group = make("g", null, make("rect", { x: x - 36, y: y - 18, width: 72, height: 36,
        rx: 8 }), make("text", { x, y: y - 2 }, name), count);
      nodes[key] = { group, count };
      svg.append(group);
    }
  }

  // Whoever goes several ways within one step goes all of them: the shortest way is lit.
  function way(from, to) {
    if (to === "r4") return ["r3 r4"];
    const seen = [[from]];
    for (const steps of seen) {
      const here = steps.at(-1);
      if (here === to) return steps.slice(1).map((one, at) => `${steps[at]} ${one}`);
      if (steps.length < 5) {
        for (const key of Object.keys(EDGES)) {
          const [start, end] = key.split(" ");
          if (start === here && !steps.includes(end)) seen.push([...steps, end]);
        }
      }
    }
    return [];
  }

  function show(counts, steps) {
    const sums = {};
    counts.forEach((many, at) => {
      for (const key of [`r${Math.floor(at / 4)}`, `w${at % 4}`]) {
        sums[key] = (sums[key] || 0) + many;
      }
    });
    for (const [key, { group, count }] of Object.entries(nodes)) {
      say(count, number(sums[key] || 0));
      group.classList.toggle("someone", sums[key] > 0);
    }
    const list = (row, names) =>
      names.map((name, at) => `${name} ${sums[row + at] || 0}`).join(", ");
    describe($("graph-said"), `Reading: ${list("r", READING)}. Writing: ${list("w", WRITING)}.`);
    const now = performance.now();
    for (const [before, after] of steps) {
      for (const key of [...way(`r${Math.floor(before / 4)}`, `r${Math.floor(after / 4)}`),
        ...way(`w${before % 4}`, `w${after % 4}`)]) {
        ends[key] = now + 250;
      }
    }
    for (const [key, group] of Object.entries(edges)) {
      group.classList.toggle("lit", (ends[key] || 0) > now);
    }
  }

  build();
  return { show };
})();
