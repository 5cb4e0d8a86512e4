// The page: one stream in, one store, tables out. Drawing happens when something came, ages tick by themselves.

import { $, className, make, show, text } from "./dom.js";
import { age, number, usd, whole } from "./format.js";
import * as directions from "./directions.js";
import * as opportunities from "./opportunities.js";
import * as side from "./side.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";

const TICK_MS = 250;
const DRAW_SHARE = 0.2; // of the time at most goes into drawing: with very many rows the page draws less often
const ANNOUNCE_MS = 4000;
const STOPPED_MS = 10000;
// How old the newest message of a topic may be: windows come every second, quality at least every minute,
// signals and changes of funding when there are some.
const AGES = [
  ["mts.spreads", "spreads", 3000, 10000],
  ["mts.signals", "signals", Infinity, Infinity],
  ["mts.quality", "quality", 75000, 150000],
  ["mts.funding", "funding", Infinity, Infinity],
];

const store = new Store();
let connection = "loading";
let sort = { field: "pair", descending: false };
let filter = "";
let dirty = true;
const announcements = [];

function matches(pair) {
  return filter === "" || pair.includes(filter);
}

function draw() {
  dirty = false;
  const shown = directions.render(store, matches, sort);
  opportunities.render(store, matches);
  side.renderOutcomes(store, matches);
  side.renderConnections(store);
  side.renderFunding(store, matches);
  drawPairs();
  show($("directions"), shown > 0);
  show($("directions-empty"), shown === 0);
  text($("directions-empty"), emptyText());
}

function drawFigures(now) {
  const open = [...store.open.values()].filter((item) => matches(item.pair));
  const live = open.filter((item) => item.expires_ms >= now);
  const expired = open.length - live.length;
  text($("figure-open"), store.loaded ? String(live.length) : "–");
  text($("figure-expired"), expired ? `+ ${expired} expired` : "");
  text($("figure-net"), store.loaded ? usd(live.reduce((sum, item) => sum + Number(item.net_usd), 0)) : "–");
  text($("figure-pairs"), store.loaded ? whole(pairNames().length) : "–");
  text($("figure-signals"), number(store.rates.signals_per_min, 0));
  text($("figure-windows"), number(store.rates.windows_per_s, 1));
  text($("figure-evaluations"), number(store.rates.evaluations_per_s, 0));
}

function pairNames() {
  return [...new Set([...store.directions.values()].map((item) => item.pair))].sort();
}

function drawPairs() {
  const names = pairNames();
  const list = $("pairs");
  if (list.dataset.names === names.join()) return;
  list.dataset.names = names.join();
  list.replaceChildren(
    ...names.map((name) => {
      const option = make("option");
      option.value = name;
      return option;
    }),
  );
}

function emptyText() {
  if (!store.loaded) return "Loading.";
  if (store.directions.size > 0) return `No pair matches “${filter}”.`;
  if (store.feed.state === "live") {
    return "No pairs yet. Nothing was computed in the last minutes: start the producers and a worker, and they appear here.";
  }
  return "No pairs yet.";
}

function tick() {
  const now = store.now();
  directions.ages(now);
  opportunities.ages(now);
  side.ages(now);
  drawFigures(now);
  tickTopics(now);
  drawBanner(now);
}

function tickTopics(now) {
  const list = $("ages");
  if (list.children.length === 0) {
    for (const [, label] of AGES) list.append(make("div", "", make("dt", "", label), make("dd", "", "–")));
  }
  AGES.forEach(([topic, , warnMs, badMs], index) => {
    const known = store.topics[topic];
    const ms = known?.newest_ms ? now - known.newest_ms : null;
    const unreadable = known?.unreadable ? `, ${known.unreadable} unreadable` : "";
    const cell = list.children[index].lastChild;
    text(cell, (ms === null ? "none yet" : age(ms)) + unreadable);
    className(cell, unreadable ? "warn" : directions.level(ms, warnMs, badMs));
  });
}

function condition(now) {
  if (connection === "loading") return ["loading", "Loading", "", ""];
  if (connection === "disconnected") {
    return ["bad", "Disconnected", "Connection to the server lost, trying again.", "What is shown is not live."];
  }
  if (store.feed.state === "waiting") return ["bad", "No Kafka", "Kafka is not answering.", store.feed.detail];
  if (store.feed.state !== "live") return ["loading", "Catching up", "Catching up:", store.feed.detail || "starting"];
  const newest = store.topics["mts.spreads"]?.newest_ms;
  if (!newest) return ["quiet", "No data yet", "", ""];
  const ms = now - newest;
  if (ms > STOPPED_MS) {
    // No number that ticks in the banner: it is read out when it changes.
    return ["warn", `Data ${age(ms)} old`, "No new windows.", "Producers or worker may have stopped."];
  }
  return ["good", `Live, data ${age(ms)} old`, "", ""];
}

function drawBanner(now) {
  const [state, status, title, detail] = condition(now);
  document.body.dataset.state = state;
  className($("status").firstElementChild, `dot ${state}`);
  text($("status-text"), status);
  className($("banner"), `banner ${state}`);
  text($("banner-title"), title);
  text($("banner-text"), detail);
  show($("banner"), title !== "");
}

function announce() {
  if (announcements.length === 0) return;
  const count = announcements.length;
  const last = announcements[count - 1];
  const said = `${last.pair} opened, net ${usd(last.net_usd)} dollars`;
  text($("announcer"), count === 1 ? said : `${count} opportunities opened, the last: ${said}`);
  announcements.length = 0;
}

function sortBy(field) {
  const same = sort.field === field;
  sort = { field, descending: same ? !sort.descending : field !== "pair" };
  $("sort").value = field;
  draw();
}

function filterBy(value) {
  filter = value.trim().toUpperCase();
  history.replaceState(null, "", filter ? `#pair=${encodeURIComponent(filter)}` : location.pathname);
  draw();
}

function setUpControls() {
  for (const head of document.querySelectorAll("#directions th[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.sort));
  }
  $("sort").addEventListener("change", (event) => {
    sort = { field: event.target.value, descending: event.target.value !== "pair" };
    draw();
  });
  $("filter").addEventListener("input", (event) => filterBy(event.target.value));
  document.querySelector("form.tools").addEventListener("submit", (event) => event.preventDefault());
  const wanted = new URLSearchParams(location.hash.slice(1)).get("pair");
  if (wanted) {
    $("filter").value = wanted;
    filter = wanted.trim().toUpperCase();
  }
  setUpTheme();
}

function setUpTheme() {
  const themes = ["auto", "light", "dark"];
  const button = $("theme");
  const root = document.documentElement;
  const label = () => text(button, `Theme: ${root.dataset.theme ?? "auto"}`);
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("mts-theme", next);
    } catch {
      // storage may be forbidden: the choice then lasts as long as the page
    }
    label();
  });
  label();
}

setUpControls();
draw();
new Stream(
  "/api/stream",
  (message) => {
    announcements.push(...store.take(message).filter(() => !message.full));
    dirty = true;
  },
  (state) => {
    connection = state;
  },
);
let restUntil = 0;
setInterval(() => {
  const began = performance.now();
  if (began < restUntil) return;
  if (dirty) draw();
  tick();
  document.body.getBoundingClientRect(); // lay out now, so that it counts
  restUntil = began + (performance.now() - began) / DRAW_SHARE;
}, TICK_MS);
setInterval(announce, ANNOUNCE_MS);
tick();
