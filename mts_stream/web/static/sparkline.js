// A small line of the touch edge: 120 seconds wide, a gap where no second had both books valid.

const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 120;
const HEIGHT = 26;
const MARGIN = 2;
const SPAN_MIN_BPS = 2; // a quiet edge shall look quiet

function part(tag, className) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  return node;
}

export function create() {
  const node = part("svg", "spark");
  node.setAttribute("viewBox", `0 0 ${SECONDS} ${HEIGHT}`);
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("role", "img");
  const zero = part("path", "spark-zero");
  const line = part("path", "spark-line");
  node.append(zero, line);
  return { node, zero, line };
}

export function update(spark, points) {
  const { line, zero, low, high } = paths(points);
  if (spark.shown === line) return;
  spark.shown = line;
  spark.line.setAttribute("d", line);
  spark.zero.setAttribute("d", zero);
  const label = points.length ? `edge from ${low.toFixed(1)} to ${high.toFixed(1)} bps` : "no edge yet";
  spark.node.setAttribute("aria-label", label);
}

export function paths(points) {
  if (points.length === 0) return { line: "", zero: "", low: 0, high: 0 };
  let low = Infinity;
  let high = -Infinity;
  for (const [, value] of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = Math.max(high - low, SPAN_MIN_BPS);
  const bottom = (low + high - span) / 2;
  const y = (value) => HEIGHT - MARGIN - ((value - bottom) / span) * (HEIGHT - 2 * MARGIN);
  const first = points[points.length - 1][0] - SECONDS + 1;
  let line = "";
  let before = null;
  for (const [second, value] of points) {
    if (second < first) continue;
    const x = second - first + 0.5;
    line += `${before === second - 1 ? "L" : "M"}${x} ${y(value).toFixed(1)}`;
    if (before !== second - 1) line += "h.01"; // a lone second is a dot
    before = second;
  }
  const zero = bottom < 0 && bottom + span > 0 ? `M0 ${y(0).toFixed(1)}H${SECONDS}` : "";
  return { line, zero, low, high };
}
