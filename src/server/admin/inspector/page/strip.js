
// The loop: a moving strip of turns. Time goes from left to right; the height of a bar is how long
// the turn worked, on a scale where each line is ten times the one below.
const strip = (() => {
  const canvas = $("strip");
  const pen = canvas.getContext("2d");
  const SPANS = [5e6, 2e7, 1e8, 5e8, 1e9, 2e9, 5e9, 1e10, 3e10];
  const KEPT = 4000;
  const turns = [];
  const gaps = [];
  let [span, end, at, selected] = [5, 0, 0, null];
  let [follows, is_dirty, is_moving] = [true, true, false];
  let [width, height, arrived] = [0, 0, 0];

  // What one event tells of.
  function add(rows, left_out) {
    const last = turns.at(-1);
    for (const [number, woken, waited, worked, ready, served] of rows) {
      if (last && number <= last.number) continue;
      turns.push({ number, woken, waited, worked, ready, served });
    }
    const first = rows[0];
    if (left_out > 0 && last && first) {
      gaps.push({ from: last.woken + last.worked, to: first[1] - first[2], count: left_out });
    }
    if (turns.length > KEPT) turns.splice(0, turns.length - KEPT);
    if (gaps.length > 200) gaps.splice(0, 50);
    is_dirty = true;
  }

  // The server's clock says this now; between two events it is taken to go on.
  // Whoever wants little motion has it move once a second.
  function tick(now, is_held) {
    if (calm.matches && is_moving && !is_held && performance.now() - arrived < 1000) return;
    is_moving = !is_held && !recording;
    [at, arrived] = [now, performance.now()];
    is_dirty = true;
  }

  // Another server is there, which counts from the beginning.
  function reset() {
    turns.length = gaps.length = 0;
    selected = null;
    follow(true);
  }

  function edge() {
    if (!follows) return end;
    const gone = is_moving && !calm.matches ? (performance.now() - arrived) * 1e6 : 0;
    // A little behind, so that what is drawn is known already.
    return at + Math.min(gone, 5e8) - (is_moving ? 1.5e8 : -2e7);
  }

  function resize() {
    const ratio = devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    [width, height] = [box.width, box.height];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    is_dirty = true;
  }

  // What stands beside the bars: the scale to their left, the clock below.
  const FLOOR = 18;
  const SIDE = 46;
  function tall(ns) {
    const steps = Math.max(0.15, Math.log10(Math.max(ns, 1e3)) - 3);
    return Math.min(1, steps / 6) * (height - FLOOR - 10);
  }

  function draw() {
    const right = edge();
    const left = right - SPANS[span];
    const x = (ns) => SIDE + (ns - left) / SPANS[span] * (width - SIDE);
    const base = height - FLOOR;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = colour.wait;
    pen.fillRect(SIDE, base - 3, width - SIDE, 3);
    pen.font = "10.5px system-ui, sans-serif";
    drawScale(base);
    drawClock(left, right, x);
    pen.save();
    pen.beginPath();
    pen.rect(SIDE, 0, width - SIDE, height);
    pen.clip();
    for (const { from, to } of gaps) if (to > left && from < right) drawGap(x(from), x(to), base);
    const limit = known.loop_lag_ms * 1e6;
    for (let i = turns.length - 1; i >= 0; i--) {
      const turn = turns[i];
      if (turn.woken > right) continue;
      if (turn.woken + turn.worked < left) break;
      const wide = Math.max(1.6, turn.worked / SPANS[span] * (width - SIDE));
      const high = Math.max(3, tall(turn.worked));
      pen.fillStyle = turn.worked > limit ? colour.long : colour.work;
      pen.fillRect(x(turn.woken), base - high, wide, high);
      if (turn.number === selected) {
        pen.strokeStyle = colour.ink;
        pen.lineWidth = 1.5;
        pen.strokeRect(x(turn.woken) - 2.5, base - high - 2.5, wide + 5, high + 5);
      }
    }
    pen.restore();
  }

  function drawScale(base) {
    for (const [ns, name] of [[1e4, "10 µs"], [1e5, "100 µs"], [1e6, "1 ms"], [1e7, "10 ms"],
      [1e8, "100 ms"], [1e9, "1 s"]]) {
      const y = Math.round(base - tall(ns)) + 0.5;
      pen.strokeStyle = colour.line;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(SIDE, y);
      pen.lineTo(width, y);
      pen.stroke();
      pen.fillStyle = colour.soft;
      pen.textAlign = "right";
      pen.fillText(name, SIDE - 7, y + 3.5);
    }
    const y = Math.round(base - tall(known.loop_lag_ms * 1e6)) + 0.5;
    pen.strokeStyle = colour.long;
    pen.setLineDash([3, 3]);
    pen.beginPath();
    pen.moveTo(SIDE, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.setLineDash([]);
  }

  function drawClock(left, right, x) {
    const steps = Math.max(3, Math.floor(width / 110));
    const raw = SPANS[span] / steps;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * unit).find((one) => one >= raw);
    pen.fillStyle = colour.soft;
    pen.textAlign = "center";
    for (let ns = Math.ceil(left / step) * step; ns < right; ns += step) {
      if (ns < 0) continue;
      pen.fillRect(x(ns), height - FLOOR, 1, 3);
      const digits = Math.max(0, Math.min(4, 9 - Math.floor(Math.log10(step) + 1e-9)));
      const at = x(ns);
      if (at < SIDE + 24 || at > width - 24) continue;
      pen.fillText(`${(ns / 1e9).toFixed(digits)} s`, at, height - 4);
    }
  }

  function drawGap(began, over, base) {
    const [from, to] = [Math.max(began, SIDE - 1), Math.min(over, width + 1)];
    pen.save();
    pen.beginPath();
    pen.rect(from, base - 22, Math.max(1, to - from), 22);
    pen.clip();
    pen.strokeStyle = colour.gap;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let x = Math.floor(from / 6) * 6 - 24; x < to; x += 6) {
      pen.moveTo(x, base);
      pen.lineTo(x + 22, base - 22);
    }
    pen.stroke();
    pen.restore();
  }

  function frame() {
    if (is_dirty || (follows && is_moving && !calm.matches)) draw();
    is_dirty = false;
    requestAnimationFrame(frame);
  }

  function follow(does) {
    if (!does && follows) end = edge();
    follows = does;
    $("follow").setAttribute("aria-pressed", follows);
    is_dirty = true;
  }

  function zoom(step) {
    span = Math.min(SPANS.length - 1, Math.max(0, span + step));
    const turn = turns.find((one) => one.number === selected);
    if (!follows && turn) end = turn.woken + SPANS[span] / 2;
    say($("strip-said"), `${time(SPANS[span])} in view`);
    is_dirty = true;
  }

  // Shows all turns, or as many of the last as the widest span has.
  function fit() {
    const last = turns.at(-1);
    const all = last ? last.woken + last.worked - turns[0].woken : 0;
    const enough = SPANS.findIndex((one) => one > all * 1.1);
    span = enough < 0 ? SPANS.length - 1 : enough;
  }

  // Goes to a turn: shows where it is, and what happened in it.
  function select(number) {
    const turn = turns.find((one) => one.number === number);
    selected = number;
    if (turn) {
      follow(false);
      const [left, right] = [end - SPANS[span], end];
      if (turn.woken < left || turn.woken + turn.worked > right) end = turn.woken + SPANS[span] / 2;
      say($("strip-said"), `turn ${number}: waited ${time(turn.waited)}, ` +
        `worked ${time(turn.worked)}, ${turn.ready} ready, ${turn.served} served`);
    }
    is_dirty = true;
    showTurn(number);
  }

  function move(step) {
    const here = turns.findIndex((one) => one.number === selected);
    const next = here < 0 ? turns.length - 1 : Math.min(turns.length - 1, Math.max(0, here + step));
    if (turns[next]) select(turns[next].number);
  }

  canvas.addEventListener("click", (event) => {
    const scale = SPANS[span] / (width - SIDE);
    const where = edge() - (width - event.offsetX) * scale;
    const reach = scale * 8;
    let [best, least] = [null, reach];
    for (const turn of turns) {
      const far = Math.max(turn.woken - where, where - turn.woken - turn.worked, 0);
      if (far < least) [best, least] = [turn, far];
    }
    if (best) select(best.number);
  });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -KEPT };
    if (event.key in steps) move(steps[event.key]);
    else if (event.key === "End") follow(true);
    else return;
    event.preventDefault();
  });
  $("follow").addEventListener("click", () => follow(!follows));
  $("nearer").addEventListener("click", () => zoom(-1));
  $("farther").addEventListener("click", () => zoom(1));
  new ResizeObserver(resize).observe(canvas);
  requestAnimationFrame(frame);
  return { add, tick, reset, select, zoom, follow, fit, turn: (number) => turns.find((one) =>
    one.number === number), redraw: () => { is_dirty = true; },
  last: () => turns.at(-1) };
})();

// Who was ready in a turn, in what order, what each did, what it cost.
async function showTurn(number) {
  const part = await ask("turn", number);
  const box = $("turn");
  if (!part || !part.turns.length) {
    return fill(box, make("p", { class: "empty" }, `Turn ${number} is not recorded any more.`));
  }
  const [turn] = part.turns;
  const pieces = piecesOf(turn, part.moments);
  const kind = (id) => (part.peers.find((peer) => peer.id === id) || { kind: "" }).kind;
  const line = (piece) => make("tr", null,
    make("td", null, `${kind(piece.peer)} `, peerLink(piece.peer)),
    make("td", { class: "wrap" }, piece.acts.map(words).join(" · ") || "nothing to be done"),
    make("td", { class: "number" }, time(piece.amount)),
    make("td", null, bar(piece.amount / Math.max(1, turn.worked_ns))));
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  fill(box, make("p", null, make("b", null, `Turn ${number}`),
    ` waited ${time(turn.waited_ns)} for ${many(turn.ready, "event")}, then worked ` +
    `${time(turn.worked_ns)} for ${many(turn.served, "peer")}.`),
  make("div", { class: "scroll" }, make("table", null,
    make("thead", null, make("tr", null, make("th", null, "Peer"), make("th", null, "What it did"),
      make("th", { class: "number" }, "Took"), make("th", null, "of the turn"))),
    make("tbody", null, ...pieces.map(line)))));
}

// The shares of a turn, and what was done between them: programs are called there.
function piecesOf(turn, moments) {
  const pieces = [];
  let [acts, end] = [[], turn.woken_ns];
  const apart = (those, until) => {
    const amount = Math.max(0, until - end);
    if (those.length) pieces.push({ peer: those[0].peer, amount, acts: those });
  };
  for (const moment of moments) {
    if (moment.act !== "served") {
      acts.push(moment);
      continue;
    }
    apart(acts.filter((one) => one.act === "dialed"), moment.at_ns - moment.amount);
    pieces.push({ ...moment, acts: acts.filter((one) => one.act !== "dialed") });
    [acts, end] = [[], moment.at_ns];
  }
  apart(acts, turn.woken_ns + turn.worked_ns);
  return pieces;
}

function bar(share) {
  const wide = Math.min(1, Math.max(0, share)) * 96;
  return make("svg", { class: "bar", viewBox: "0 0 96 8", role: "img",
    "aria-label": `${Math.round(share * 100)} %`, preserveAspectRatio: "none" },
  make("rect", { class: "back", width: 96, height: 8, rx: 2 }),
  make("rect", { width: wide.toFixed(1), height: 8, rx: 2 }));
}
