// The table of pairs by direction: filter, order, rows.

import { $, attribute, className, row, show, sync, text } from "./dom.js";
import { age, bps, outcome, whole } from "./format.js";
import * as legs from "./legs.js";
import * as spark from "./sparkline.js";

const ROWS_MAX = 240;
const AGE_WARN_MS = 3000;
const AGE_BAD_MS = 10000;
const CELLS = [
  ["pair", "Pair"],
  ["buy", "Buy"],
  ["sell", "Sell"],
  ["edge", "Edge", "n"],
  ["spark", "Last 2 min"],
  ["net1", "Net 1k", "n"],
  ["net10", "10k", "n"],
  ["net50", "50k", "n"],
  ["outcome", "Outcome"],
  ["age", "Data", "n"],
];

export function level(ms, warnMs = AGE_WARN_MS, badMs = AGE_BAD_MS) {
  return ms === null ? "quiet" : ms > badMs ? "bad" : ms > warnMs ? "warn" : "good";
}

function create(item) {
  const [node, cells] = row(CELLS);
  node.dataset.key = item.key;
  const entry = { node, cells, buy: legs.create(), sell: legs.create(), spark: spark.create() };
  cells.buy.append(entry.buy.node);
  cells.sell.append(entry.sell.node);
  cells.spark.append(entry.spark.node);
  text(cells.pair, item.pair);
  return entry;
}

function update(entry, item) {
  if (entry.item !== item) draw(entry, item);
  entry.item = item;
}

function draw(entry, item) {
  const { cells } = entry;
  legs.update(entry.buy, item.buy, item.quarantined);
  legs.update(entry.sell, item.sell, item.quarantined);
  value(cells.edge, item.edge_bps);
  value(cells.net1, item.net_bps_1k);
  value(cells.net10, item.net_bps_10k);
  value(cells.net50, item.net_bps_50k);
  text(cells.outcome, outcome(item.outcome));
  className(cells.outcome, `c-outcome${item.outcome === "signal" ? " signal" : ""}`);
  spark.update(entry.spark, item.points);
}

function value(cell, string) {
  text(cell, bps(string));
  cell.classList.toggle("up", Number(string) > 0);
}

function tick(entry, nowMs) {
  const ms = nowMs - entry.item.window_end_ms;
  text(entry.cells.age, age(ms));
  className(entry.cells.age, `c-age n ${level(ms)}`);
  entry.node.classList.toggle("stale", ms > AGE_BAD_MS);
}

function compare(sort) {
  const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  if (sort.field === "pair") return (a, b) => (sort.descending ? byName(b, a) : byName(a, b));
  const sign = sort.descending ? -1 : 1;
  return (a, b) => {
    const [x, y] = [a[sort.field], b[sort.field]];
    if (x === null || y === null) return (x === null) - (y === null) || byName(a, b);
    return sign * (Number(x) - Number(y)) || byName(a, b);
  };
}

export function render(store, matches, sort) {
  const items = [...store.directions.values()].filter((item) => matches(item.pair)).sort(compare(sort));
  const body = $("directions").tBodies[0];
  sync(body, items.slice(0, ROWS_MAX), (item) => item.key, create, update);
  for (const tr of body.rows) tr.classList.toggle("same", tr.cells[0].textContent === tr.previousElementSibling?.cells[0].textContent);
  text($("directions-count"), items.length ? whole(items.length) : "");
  const more = items.length - ROWS_MAX;
  show($("directions-more"), more > 0 || store.beyondBound > 0);
  text($("directions-more"), more > 0 ? `${more} more: filter by pair to see them.` : "More pairs run than this page holds.");
  for (const head of document.querySelectorAll("#directions th[data-sort]")) {
    const way = sort.descending ? "descending" : "ascending";
    attribute(head, "aria-sort", head.dataset.sort === sort.field ? way : "none");
  }
  return items.length;
}

export function ages(nowMs) {
  for (const entry of ($("directions").tBodies[0].kept ?? new Map()).values()) tick(entry, nowMs);
}
