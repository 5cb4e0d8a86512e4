// The narrow tables: evaluations by outcome, exchange connections, funding.

import { $, className, make, row, show, sync, text } from "./dom.js";
import { age, countdown, leg, number, outcome, whole } from "./format.js";
import { level } from "./directions.js";

const CONNECTION_WARN_MS = 3000;
const CONNECTION_BAD_MS = 10000;
const FUNDING_ROWS_MAX = 100;

export function renderOutcomes(store, matches) {
  const sums = new Map();
  let total = 0;
  for (const [pair, counts] of Object.entries(store.outcomes)) {
    if (!matches(pair)) continue;
    for (const [name, count] of Object.entries(counts)) {
      sums.set(name, (sums.get(name) ?? 0) + count);
      total += count;
    }
  }
  const items = [...sums].map(([name, count]) => ({ name, count, share: count / total }));
  items.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
  sync($("outcomes").tBodies[0], items, (item) => item.name, createBar, updateBar);
  show($("outcomes"), items.length > 0);
  show($("outcomes-empty"), items.length === 0);
  text($("outcomes-count"), total ? `${whole(total)} in the last minute` : "");
}

function createBar(item) {
  const [node, cells] = row([
    ["outcome", "Outcome"],
    ["bar", "Share"],
    ["count", "Evaluations", "n"],
  ]);
  const bar = make("span", `bar${item.name === "signal" ? " signal" : item.name.startsWith("book_") ? " book" : ""}`);
  const share = make("small");
  const count = make("span");
  cells.bar.append(bar);
  cells.count.append(count, share);
  text(cells.outcome, outcome(item.name));
  return { node, bar, count, share };
}

function updateBar(entry, item) {
  entry.bar.style.width = `${Math.max(0.5, item.share * 100).toFixed(1)}%`;
  text(entry.count, whole(item.count));
  const percent = item.share * 100;
  text(entry.share, percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`);
}

export function renderConnections(store) {
  const items = [...store.connections.values()].sort((a, b) => (a.subject < b.subject ? -1 : 1));
  sync($("connections").tBodies[0], items, (item) => item.subject, createConnection, updateConnection);
  show($("connections"), items.length > 0);
  show($("connections-empty"), items.length === 0);
  text($("connections-count"), items.length ? String(items.length) : "");
}

function createConnection(item) {
  const [node, cells] = row([
    ["name", "Connection"],
    ["frames", "Frames / s", "n"],
    ["p50", "p50", "n"],
    ["p99", "p99", "n"],
    ["age", "Data", "n"],
  ]);
  const known = make("small");
  cells.name.append(leg(`${item.venue}:${item.market}`), make("small", "", item.subject), known);
  return { node, cells, known };
}

function updateConnection(entry, item) {
  entry.item = item;
  text(entry.cells.frames, number(item.frames_per_s, 0));
  text(entry.cells.p50, latency(item.latency_p50_ms, item.latency_corrected_p50_ms));
  text(entry.cells.p99, latency(item.latency_p99_ms, item.latency_corrected_p99_ms));
  text(entry.known, [valid(item), clock(item)].filter(Boolean).join(", "));
}

// As the clocks stood, unless the exchange's is known: then by that one, and marked as the estimate that it is.
function latency(raw, corrected) {
  return corrected === null ? number(raw, 1) : `≈ ${number(corrected, 1)}`;
}

function valid(item) {
  return item.valid_percent === null ? "" : `${number(item.valid_percent, 1)} % valid`;
}

function clock(item) {
  if (item.clock_offset_ms === null) return "";
  const sign = Number(item.clock_offset_ms) > 0 ? "+" : "";
  return `clock ≈ ${sign}${number(item.clock_offset_ms, 1)} ± ${number(item.clock_offset_error_ms, 1)} ms`;
}

export function renderFunding(store, matches) {
  const items = [...store.funding.values()].filter((item) => matches(item.pair));
  items.sort((a, b) => (a.key < b.key ? -1 : 1));
  sync($("funding").tBodies[0], items.slice(0, FUNDING_ROWS_MAX), (item) => item.key, createFunding, updateFunding);
  show($("funding"), items.length > 0);
  show($("funding-empty"), items.length === 0);
  text($("funding-count"), items.length ? String(items.length) : "");
}

function createFunding(item) {
  const [node, cells] = row([
    ["pair", "Pair"],
    ["rate", "Rate", "n"],
    ["every", "Every", "n"],
    ["next", "Next in", "n"],
  ]);
  cells.pair.append(item.pair, make("small", "", leg(item.leg)));
  return { node, cells };
}

function updateFunding(entry, item) {
  entry.item = item;
  text(entry.cells.rate, item.rate === null ? "–" : number(Number(item.rate) * 10000, 3));
  text(entry.cells.every, item.interval_hours === null ? "–" : `${item.interval_hours} h`);
}

export function ages(nowMs) {
  for (const entry of ($("connections").tBodies[0].kept ?? new Map()).values()) {
    const ms = nowMs - entry.item.end_ms;
    text(entry.cells.age, age(ms));
    className(entry.cells.age, `c-age n ${level(ms, CONNECTION_WARN_MS, CONNECTION_BAD_MS)}`);
  }
  for (const entry of ($("funding").tBodies[0].kept ?? new Map()).values()) {
    const next = nextSettlement(entry.item, nowMs);
    text(entry.cells.next, next === null ? "–" : countdown(next - nowMs));
  }
}

// A next time that has passed moves on by whole intervals, as in the engine.
function nextSettlement(item, nowMs) {
  if (item.next_funding_ms === null) return null;
  if (item.next_funding_ms > nowMs || !item.interval_hours) return item.next_funding_ms;
  const every = item.interval_hours * 3600000;
  return item.next_funding_ms + Math.ceil((nowMs - item.next_funding_ms) / every) * every;
}
