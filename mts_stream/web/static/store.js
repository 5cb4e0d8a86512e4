// What the server told, kept up to date; a snapshot replaces everything, changes are put on top.

const HISTORY_POINTS = 120;
const RECENT_MAX = 50;
const CLOCK_SAMPLES = 20;

export class Store {
  constructor() {
    this.clear();
    this.offsets = [];
  }

  clear() {
    this.loaded = false;
    this.feed = { state: "starting", detail: "" };
    this.topics = {};
    this.rates = {};
    this.outcomes = {};
    this.beyondBound = 0;
    this.directions = new Map();
    this.open = new Map();
    this.closed = [];
    this.connections = new Map();
    this.funding = new Map();
  }

  // Returns the opportunities that are new.
  take(message) {
    if (message.full) this.clear();
    this.keepTime(message.now_ms);
    this.feed = message.feed;
    this.topics = message.topics;
    this.beyondBound = message.directions_beyond_bound;
    if (message.rates) this.rates = message.rates;
    if (message.outcomes) this.outcomes = message.outcomes;
    for (const item of message.directions ?? []) this.takeDirection(item);
    for (const key of message.directions_gone ?? []) this.directions.delete(key);
    const fresh = (message.open ?? []).filter((item) => !this.open.has(item.opportunity_id));
    for (const key of message.open_gone ?? []) this.open.delete(key);
    for (const item of message.open ?? []) this.open.set(item.opportunity_id, item);
    this.takeClosed(message.closed ?? []);
    for (const item of message.connections ?? []) this.connections.set(item.subject, item);
    for (const key of message.connections_gone ?? []) this.connections.delete(key);
    for (const item of message.funding ?? []) this.funding.set(item.key, item);
    this.loaded = true;
    return fresh;
  }

  takeDirection(item) {
    const known = this.directions.get(item.key);
    const points = known ? known.points : [];
    const last = points.length ? points[points.length - 1][0] : 0;
    for (const point of item.points) if (point[0] > last) points.push(point);
    if (points.length > HISTORY_POINTS) points.splice(0, points.length - HISTORY_POINTS);
    this.directions.set(item.key, { ...item, points });
  }

  takeClosed(items) {
    const known = new Set(this.closed.map((item) => item.opportunity_id));
    this.closed.push(...items.filter((item) => !known.has(item.opportunity_id)));
    this.closed.sort((a, b) => b.event_time_ms - a.event_time_ms);
    this.closed.length = Math.min(this.closed.length, RECENT_MAX);
  }

  // The server's clock as seen here. A message is late by its way, never early: the highest offset is the truest.
  keepTime(nowMs) {
    this.offsets.push(nowMs - performance.now());
    if (this.offsets.length > CLOCK_SAMPLES) this.offsets.shift();
    this.offset = Math.max(...this.offsets);
  }

  now() {
    return performance.now() + (this.offset ?? 0);
  }
}
