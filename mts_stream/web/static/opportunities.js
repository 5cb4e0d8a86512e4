// Open opportunities, ticking, and the last ones that closed.

import { $, attribute, className, make, row, show, sync, text } from "./dom.js";
import { age, amount, bps, direction, duration, leg, outcome, timeOfDay, usd, whole } from "./format.js";

const HORIZONS_MS = [10, 50, 100, 250, 1000];
const OPEN_CELLS = [
  ["pair", "Pair"],
  ["buy", "Buy"],
  ["sell", "Sell"],
  ["size", "Size", "n"],
  ["notional", "Notional", "n"],
  ["edge", "Edge bps", "n"],
  ["netbps", "Net bps", "n"],
  ["net", "Net USD", "n"],
  ["age", "Open for", "n"],
  ["state", "State"],
];
const CLOSED_CELLS = [
  ["pair", "Pair"],
  ["lived", "Lived"],
  ["peak", "Peak net", "n"],
];

function createOpen(item) {
  const [node, cells] = row(OPEN_CELLS);
  node.dataset.id = item.opportunity_id;
  const entry = { node, cells };
  for (const side of ["buy", "sell"]) {
    entry[side] = { name: make("span", "leg-name"), price: make("span", "price") };
    cells[side].append(entry[side].name, entry[side].price);
  }
  entry.tag = make("span", "tag");
  cells.state.append(entry.tag);
  return entry;
}

function updateOpen(entry, item) {
  if (entry.item === item) return;
  entry.item = item;
  const { cells } = entry;
  text(cells.pair, item.pair);
  ["buy", "sell"].forEach((side, index) => {
    text(entry[side].name, leg(item.legs[index].leg));
    text(entry[side].price, amount(item.legs[index].average_price));
    attribute(cells[side], "title", `${item.legs[index].symbol}, touch ${item.legs[index].price}`);
  });
  text(cells.size, amount(item.size));
  text(cells.notional, whole(item.buy_notional));
  text(cells.edge, bps(item.edge_bps));
  text(cells.netbps, bps(item.net_bps));
  text(cells.net, usd(item.net_usd));
  cells.net.classList.toggle("up", Number(item.net_usd) > 0);
}

function tickOpen(entry, nowMs) {
  const { item } = entry;
  const pastMs = nowMs - item.expires_ms;
  const expired = pastMs > 0;
  // Opened before the page's history began: it is older than its first known event.
  const since = item.opened_ms ?? item.event_time_ms;
  text(entry.cells.age, `${item.opened_ms === null ? "> " : ""}${age(nowMs - since)}`);
  className(entry.node, expired ? "expired" : "");
  className(entry.tag, `tag ${expired ? "warn" : "good"}`);
  text(entry.tag, expired ? `expired ${age(pastMs)}` : "live");
}

function createClosed(item) {
  const [node, cells] = row(CLOSED_CELLS);
  node.dataset.id = item.opportunity_id;
  const legs = make("small", "", direction(item.direction));
  cells.pair.append(item.pair, " ", make("small", "time", timeOfDay(item.event_time_ms)), legs);
  cells.lived.append(duration(item.duration_ms), make("small", "", outcome(item.reason)));
  cells.peak.append(make("span", Number(item.peak_net_usd) > 0 ? "up" : "", usd(item.peak_net_usd)));
  cells.peak.append(survival(item.survived_ms));
  return { node };
}

function survival(survivedMs) {
  const scale = make("span", "survival");
  scale.setAttribute("role", "img");
  const outlived = HORIZONS_MS.filter((ms) => survivedMs.includes(ms));
  const label = outlived.length ? `outlived ${outlived.join(", ")} ms` : "outlived none of 10 to 1000 ms";
  scale.setAttribute("aria-label", label);
  scale.title = label;
  for (const ms of HORIZONS_MS) scale.append(make("i", survivedMs.includes(ms) ? "yes" : ""));
  return scale;
}

export function render(store, matches) {
  const open = [...store.open.values()].filter((item) => matches(item.pair));
  const now = store.now();
  const expired = (item) => item.expires_ms < now;
  open.sort((a, b) => expired(a) - expired(b) || Number(b.net_usd) - Number(a.net_usd));
  sync($("open").tBodies[0], open, (item) => item.opportunity_id, createOpen, updateOpen);
  show($("open"), open.length > 0);
  show($("open-empty"), open.length === 0);
  text($("open-count"), open.length ? String(open.length) : "");

  const closed = store.closed.filter((item) => matches(item.pair));
  sync($("closed").tBodies[0], closed, (item) => item.opportunity_id, createClosed, () => {});
  show($("closed"), closed.length > 0);
  show($("closed-empty"), closed.length === 0);
  text($("closed-count"), closed.length ? `last ${closed.length}` : "");
}

export function ages(nowMs) {
  for (const entry of ($("open").tBodies[0].kept ?? new Map()).values()) tickOpen(entry, nowMs);
}
