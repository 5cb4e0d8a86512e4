// Numbers and times as people read them. Every function takes what the server sent, null where there is nothing.

export const NOTHING = "–";
const VENUES = { binance: "Binance", bybit: "Bybit" };
const OUTCOMES = {
  signal: "signal",
  no_edge: "no edge",
  below_threshold: "below threshold",
  min_notional: "too small",
  implausible: "implausible edge",
  funding_unknown: "funding unknown",
  quarantined: "quarantined",
};

const formats = new Map();
function fixed(digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits);
}
const significant = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 8 });

export function number(text, digits) {
  if (text === null || text === undefined || text === "") return NOTHING;
  const value = Number(text);
  if (!Number.isFinite(value)) return NOTHING;
  const shown = fixed(digits).format(value);
  return (Number(value.toFixed(digits)) === 0 ? shown.replace("-", "") : shown).replace("-", "−");
}

export const bps = (text) => number(text, 2);
export const usd = (text) => number(text, 2);
export const whole = (text) => number(text, 0);

export function amount(text) {
  const value = Number(text);
  return Number.isFinite(value) ? significant.format(value) : NOTHING;
}

// How old: a tenth of a second matters below ten seconds only.
export function age(ms) {
  if (ms === null) return NOTHING;
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  return clockwork(s);
}

// How long something lived: exact where it was short.
export function duration(ms) {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.floor(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  return clockwork(ms / 1000);
}

function clockwork(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${pad(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor(s / 60) % 60)} m`;
  return `${Math.floor(s / 86400)} d`;
}

export function countdown(ms) {
  return ms <= 0 ? "now" : clockwork(ms / 1000);
}

export function timeOfDay(ms) {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

export function leg(name) {
  const [venue, market] = name.split(":");
  return `${VENUES[venue] ?? venue} ${market ?? ""}`.trim();
}

export function direction(name) {
  return name.split(">").map(leg).join(" → ");
}

export function outcome(name) {
  if (name === null) return NOTHING;
  return OUTCOMES[name] ?? name.replaceAll("_", " ");
}

function pad(value) {
  return String(value).padStart(2, "0");
}
