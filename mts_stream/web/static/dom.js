// The only ways in which data reaches the document: as text, as a class from a fixed set, as an SVG path of numbers.

export const $ = (id) => document.getElementById(id);

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function show(node, visible) {
  node.hidden = !visible;
}

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function className(node, value) {
  if (node.className !== value) node.className = value;
}

// A row with its cells; roles are stated because small screens lay the rows out as cards.
export function row(cells) {
  const tr = make("tr");
  tr.setAttribute("role", "row");
  const made = {};
  for (const [name, label, kind] of cells) {
    const cell = make(name === cells[0][0] ? "th" : "td", `c-${name}${kind ? ` ${kind}` : ""}`);
    if (cell.tagName === "TH") cell.scope = "row";
    cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
    cell.dataset.label = label;
    tr.append(cell);
    made[name] = cell;
  }
  return [tr, made];
}

// Bring the body's rows in line with the items: rows are kept by key, made, moved and removed as needed.
export function sync(body, items, keyOf, create, update) {
  const kept = (body.kept ??= new Map());
  const seen = new Set();
  let at = body.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    seen.add(key);
    let entry = kept.get(key);
    if (!entry) {
      entry = create(item);
      kept.set(key, entry);
    }
    update(entry, item);
    if (entry.node === at) at = at.nextElementSibling;
    else body.insertBefore(entry.node, at);
  }
  for (const [key, entry] of kept) {
    if (seen.has(key)) continue;
    entry.node.remove();
    kept.delete(key);
  }
}
