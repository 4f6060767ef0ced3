
"use strict";
// What all parts of the page share: how it asks, how it makes elements, how it writes amounts.
// Whatever comes from a client is put in as text, never as markup.
const $ = (id) => document.getElementById(id);
const kept = $("recording").textContent.trim();
const recording = kept ? JSON.parse(kept) : null;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const COLOURS = ["ground", "card", "ink", "soft", "line", "accent", "tint", "wait", "work", "long",
  "gap", "idle", "head", "content", "handler", "program", "tunnel", "send", "pause", "linger",
  "gateway", "kept", "door", "apart"];
const colour = {};

// A canvas takes no variables: their values are asked for, and again when dark becomes light.
function readColours() {
  const probe = document.body.appendChild(document.createElement("i"));
  for (const name of COLOURS) {
    probe.style.color = `var(--${name})`;
    colour[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}
readColours();

// An element with these attributes and what stands in it: text, or other elements.
function make(name, attributes, ...inside) {
  const is_drawn = DRAWN.has(name);
  const one = is_drawn ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "click") one.addEventListener("click", value);
    else if (value !== null && value !== false) one.setAttribute(key, value);
  }
  one.append(...inside.map((part) => part instanceof Node ? part : String(part)));
  return one;
}
const DRAWN = new Set(["svg", "g", "rect", "path", "text", "title"]);

// What looks like a link and does something on the page.
function link(text, click) {
  return make("button", { class: "link", click }, text);
}

function peerLink(peer) {
  return link(peer, () => house.open(peer));
}

function fill(element, ...inside) {
  element.replaceChildren(...inside);
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The same for what describes a picture: it stays for some seconds, so that it can be read out.
const described = new Map();
function describe(element, text) {
  const now = performance.now();
  if (now - (described.get(element) ?? -Infinity) < 5000) return;
  described.set(element, now);
  say(element, text);
}

// A time in nanoseconds, in three digits and its unit.
function time(ns) {
  if (ns < 1000) return `${Math.round(ns)} ns`;
  for (const [unit, size] of [["µs", 1e3], ["ms", 1e6], ["s", 1e9]]) {
    if (ns < size * 999.5 || unit === "s") {
      const value = ns / size;
      return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${unit}`;
    }
  }
}

function bytes(count) {
  let [value, at] = [count, 0];
  while (value >= 999.5 && at < 4) [value, at] = [value / 1024, at + 1];
  const digits = at > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
}

function number(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// Numbers come as rows under columns.
function rows(table) {
  return table.rows.map((row) =>
    Object.fromEntries(table.columns.map((name, at) => [name, row[at]])));
}

// A part of the recording: from the server, or out of the page itself. Null: it is not there.
async function ask(what, id) {
  if (!recording) {
    const answer = await fetch(`/inspect/recording.json?${what}=${id}`);
    if (!answer.ok) return null;
    return read(await answer.json());
  }
  const all = read(recording);
  if (what === "turn") {
    all.turns = all.turns.filter((turn) => turn.number === id);
    all.moments = all.moments.filter((moment) => moment.turn === id);
    return all.turns.length ? all : null;
  }
  const is_slot = !String(id).includes(".");
  const is_it = (peer) => peer === id || is_slot && peer.split(".")[0] === String(id);
  const last = all.moments.findLast((moment) => is_it(moment.peer));
  const lives = all.peers.find((peer) => is_it(peer.id));
  const meant = lives ? lives.id : last && last.peer;
  all.peers = all.peers.filter((peer) => peer.id === meant);
  all.moments = all.moments.filter((moment) => moment.peer === meant);
  return meant === undefined ? null : all;
}

function read(document) {
  return { ...document, turns: rows(document.turns), moments: rows(document.moments) };
}

// What the parts know of the server.
const known = { routes: [], doings: [], loop_lag_ms: 50, held: null, now: 0, houses: "" };

function route(number) {
  const found = known.routes[number];
  if (!found || number === 0) return "no route";
  const host = found.host === "*" ? "" : found.host;
  return `${host}${found.pattern}${found.place ? ` (${found.place})` : ""}`;
}

// One moment in words.
function words(moment) {
  const of = (what) => `${what} ${bytes(moment.amount)}`;
  switch (moment.act) {
    case "accepted": return moment.note ? `accepted from ${moment.note}` : "accepted";
    case "head": return moment.note === null ? "head" : `head: ${moment.note}`;
    case "answered": return `answered ${moment.detail} by ${route(moment.amount)}`;
    case "dialed": return ["a kept connection is used", "a connection is opened",
      "a process is started"][moment.detail] || "dialed";
    case "served": return `served for ${time(moment.amount)}`;
    case "waits": return "waits for a thread";
    case "late": return "its deadline has come";
    case "fetches": return of("a thread reads");
    case "wrote": return `${of("wrote")}${moment.is_shared ? ", with what follows" : ""}`;
    case "read": case "content": case "told": case "heard": case "sent file":
      return of(moment.act);
    default: return moment.act;
  }
}
