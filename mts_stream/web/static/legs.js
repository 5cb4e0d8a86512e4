// A leg with the state of its book: a dot and, unless it is valid, the state in words.

import { attribute, className, make, text } from "./dom.js";
import { leg as legName } from "./format.js";

const QUIET = new Set(["unknown"]);
const SUSPENDED = new Set(["silent", "late"]);

export function create() {
  const dot = make("span", "dot");
  dot.setAttribute("aria-hidden", "true");
  const name = make("span", "leg-name");
  const state = make("span", "leg-state");
  return { node: make("span", "leg", dot, name, state), dot, name, state };
}

export function update(part, leg, quarantined) {
  text(part.name, legName(leg.leg));
  const state = quarantined ? "quarantined" : leg.state;
  const valid = state === "valid";
  const level = valid ? "good" : QUIET.has(state) ? "quiet" : SUSPENDED.has(state) || !leg.sure ? "warn" : "bad";
  className(part.dot, `dot ${level}`);
  className(part.state, valid ? "hidden" : `leg-state ${level}`);
  text(part.state, valid ? " book valid" : ` ${state}${leg.sure ? "" : "?"}`);
  const about = leg.sure ? `book ${state}` : `book ${state}: this one or the other leg's`;
  attribute(part.node, "title", `${legName(leg.leg)}: ${about}`);
}
