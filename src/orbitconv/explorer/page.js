"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const probe = document.body.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
const css = name => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
const unique = values => [...new Set(values)];
const degrees = value => `${+value.toFixed(1)}°`;

// ---- filters ------------------------------------------------------------------------------------------------------
const normal = d3.randomNormal.source(d3.randomLcg(0.5))();
const draws = [d3.range(128).map(normal), d3.range(128).map(normal)];

function unpacked(basis, count) {
  const largest = Math.max(...Object.keys(basis.pixels).map(Number));
  const stored = count in basis.pixels ? count : largest;
  const { step, data: text } = basis.pixels[stored];
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const whole = Float64Array.from(new Int16Array(bytes.buffer), v => v * step);
  const size = basis.kernel[0] * basis.kernel[1];
  return basis.elements.map((_, g) => d3.range(count).map(d => whole.subarray((g * stored + d) * size, (g * stored + d + 1) * size)));
}

// The coefficients of the filter that is nearest to a picture: normal equations by Gauss's elimination.
function nearest(atoms, wanted) {
  const n = atoms.length, rows = atoms.map((a, i) => [...atoms.map(b => dot(a, b)), dot(a, wanted)]);
  rows.forEach((row, i) => { row[i] += 1e-9; });
  for (let i = 0; i < n; i++) {
    const best = d3.maxIndex(d3.range(i, n), r => Math.abs(rows[r][i])) + i;
    [rows[i], rows[best]] = [rows[best], rows[i]];
    for (let r = 0; r < n; r++) if (r !== i) {
      const f = rows[r][i] / rows[i][i];
      for (let c = i; c <= n; c++) rows[r][c] -= f * rows[i][c];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}
const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };

function coefficients(atoms, basis, kind) {
  if (kind === "atom") return atoms.map((_, d) => d === 0 ? 1 : 0);
  if (kind.startsWith("random")) return atoms.map((_, d) => draws[+kind.slice(-1)][d]);
  const edge = new Float64Array(atoms[0].length), half = (basis.kernel[1] - 1) / 2 || 1;
  for (const { p, x, y } of cells(basis)) edge[p] = x / half * Math.exp(-2 * (x * x + y * y) / half ** 2);
  return nearest(atoms, edge);
}

function orbit(basis, count, kind) {
  const atoms = unpacked(basis, count), weights = coefficients(atoms[0], basis, kind);
  return atoms.map(turned => {
    const filter = new Float64Array(turned[0].length);
    turned.forEach((atom, d) => atom.forEach((v, p) => { filter[p] += weights[d] * v; }));
    return filter;
  });
}

// Where each number of a kernel lies, and its cell: a square, or a hexagon of the axial array; corners of such an array are no cells.
function cells(basis) {
  const [h, w] = basis.kernel, hexagonal = basis.lattice === "hexagonal";
  return d3.range(h * w).map(p => {
    const i = Math.floor(p / w) - (h - 1) / 2, j = p % w - (w - 1) / 2;
    if (!hexagonal) return { p, x: j, y: i, corners: [[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]] };
    const corners = d3.range(6).map(k => [Math.sin(k * Math.PI / 3) / Math.sqrt(3), Math.cos(k * Math.PI / 3) / Math.sqrt(3)]);
    return Math.abs(i + j) > (h - 1) / 2 ? null : { p, x: j + i / 2, y: i * Math.sqrt(3) / 2, corners };
  }).filter(Boolean);
}

function drawFilter(svg, filter, basis, largest) {
  const colour = d3.scaleSequential([largest, -largest], d3.interpolateRdBu), reach = Math.max(...basis.kernel) / 2 + .05;
  const path = ({ x, y, corners }) => corners.map(([a, b]) => `${x + 1.01 * a},${y + 1.01 * b}`).join(" ");
  d3.select(svg).attr("viewBox", [-reach, -reach, 2 * reach, 2 * reach].join(" ")).selectAll("polygon").data(cells(basis)).join("polygon")
    .attr("points", path).attr("fill", cell => colour(filter[cell.p])).attr("data-value", cell => filter[cell.p].toFixed(5));
}

const chosen = { family: null, group: null, kernel: null };
const kernelName = basis => basis.kernel.join("x");
function fill(select, values, wanted) {
  const kept = values.includes(wanted) ? wanted : values[0];
  select.replaceChildren(...values.map(v => new Option(v, v, v === kept, v === kept)));
  return kept;
}
function choose() {
  chosen.family = fill(at("family"), unique(data.bases.map(b => b.family)), chosen.family);
  const family = data.bases.filter(b => b.family === chosen.family);
  chosen.group = fill(at("group"), unique(family.map(b => b.group)), chosen.group ?? "C8");
  const group = family.filter(b => b.group === chosen.group);
  chosen.kernel = fill(at("kernel"), unique(group.map(kernelName)), chosen.kernel ?? "5x5");
  const basis = group.find(b => kernelName(b) === chosen.kernel);
  const counts = Object.keys(basis.errors).map(Number);
  at("atoms").max = counts.length - 1;
  at("atoms").value = counts.indexOf(basis.recommended);
  at("atoms").disabled = counts.length === 1;
  at("turn").max = basis.elements.length - 1;
  at("turn").value = Math.min(at("turn").value, basis.elements.length - 1);
  drawBasis();
}
const current = () => data.bases.find(b => b.family === chosen.family && b.group === chosen.group && kernelName(b) === chosen.kernel);
const elementName = e => (e.mirror ? "mirrored, " : "") + degrees(e.degrees);

function line(target, rows, key, label, limit) {
  const marked = css("--second"), usual = css("--first");
  const plot = Plot.plot({
    width: Math.min(560, at(target).clientWidth || 340), height: 200, marginLeft: 48, style: { background: "none", fontSize: "12px", overflow: "visible" },
    ariaLabel: label, x: { label: "angle (degrees)", domain: [0, 360], ticks: d3.range(0, 361, 90) }, y: { label: null, domain: [0, limit], grid: true, nice: true },
    marks: [d3.group(rows, d => d.mirror)].flatMap(sides => [...sides.values()].map(side => Plot.lineY([...side, { ...side[0], degrees: 360 }], { x: "degrees", y: key, stroke: css("--first"), strokeDasharray: side[0].mirror ? "4 3" : null })))
      .concat([
        Plot.dot(rows, { x: "degrees", y: key, fill: d => d.now ? marked : usual, r: d => d.now ? 6 : 3 }),
      Plot.tip(rows, Plot.pointer({ x: "degrees", y: key, title: d => `${d.name}\n${d[key].toFixed(4)}`, fill: css("--ground") }))]),
  });
  at(target).replaceChildren(plot);
}

function drawBasis() {
  const basis = current(), counts = Object.keys(basis.errors).map(Number), count = counts[+at("atoms").value], now = +at("turn").value;
  const filters = orbit(basis, count, at("weights").value), norms = filters.map(f => Math.sqrt(dot(f, f))), largest = d3.max(filters, f => d3.max(f, Math.abs));
  at("atoms-value").value = count;
  at("turn-value").value = elementName(basis.elements[now]);
  at("turn").setAttribute("aria-valuetext", elementName(basis.elements[now]));
  drawFilter(at("filter"), filters[now], basis, largest);
  at("norm").value = (norms[now] / norms[0]).toFixed(4);
  at("error").value = basis.errors[count][now].toFixed(4);
  at("basis-note").textContent = `${basis.name}: ${count} of ${cells(basis).length} possible atoms`
    + (counts.length > 1 ? `, ${basis.recommended} recommended` : "") + ". Errors are measured on random images with the spectrum of photographs." + (basis.elements.some(e => e.mirror) ? " Dashed: mirrored first." : "");
  const strip = basis.elements.map((element, g) => {
    const button = document.createElement("button"), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    button.type = "button"; button.setAttribute("aria-pressed", g === now); button.title = elementName(element);
    drawFilter(svg, filters[g], basis, largest);
    button.append(svg, elementName(element).replace("mirrored, ", "m "));
    button.onclick = () => { at("turn").value = g; drawBasis(); at("orbit").children[g].focus(); };
    return button;
  });
  at("orbit").replaceChildren(...strip);
  const rows = basis.elements.map((e, g) => ({ ...e, name: elementName(e), norm: norms[g] / norms[0], error: basis.errors[count][g], now: g === now }));
  line("norm-plot", rows, "norm", "Norm against the angle", Math.max(1.2, d3.max(rows, r => r.norm)));
  line("error-plot", rows, "error", "Equivariance error against the angle", Math.max(.1, d3.max(rows, r => r.error)));
  table("turn-table", ["turn", "norm", "equivariance error"], rows.map(r => [r.name, r.norm.toFixed(4), r.error.toFixed(4)]));
}

function table(id, head, rows) {
  const row = (cells, kind) => { const tr = document.createElement("tr"); tr.append(...cells.map(c => Object.assign(document.createElement(kind), { textContent: c }))); return tr; };
  at(id).replaceChildren(row(head, "th"), ...rows.map(r => row(r, "td")));
}

// ---- pictures -----------------------------------------------------------------------------------------------------
function paint(canvas, image) {
  const bytes = Uint8Array.from(atob(image.data), c => c.charCodeAt(0)), [channels, h, w] = image.shape, pixels = new ImageData(w, h);
  canvas.width = w; canvas.height = h;
  for (let p = 0; p < h * w; p++) for (let c = 0; c < 4; c++) pixels.data[4 * p + c] = c === 3 ? 255 : bytes[(channels === 3 ? c : 0) * h * w + p];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function drawScene() {
  const scene = data.scenes[+at("scene").value], now = +at("angle").value, view = scene.views[now];
  at("angle-value").value = degrees(view.degrees);
  at("angle").setAttribute("aria-valuetext", degrees(view.degrees));
  at("scene-note").textContent = scene.note;
  paint(at("picture"), view.picture);
  at("networks").replaceChildren(...scene.networks.map((network, n) => {
    const box = document.createElement("div"), seen = view.networks[n], says = document.createElement("p"), maps = document.createElement("div");
    box.className = "network"; maps.className = "maps";
    says.className = `says ${seen.right ? "right" : "wrong"}`; says.dataset.network = n; says.textContent = seen.says;
    maps.append(...seen.maps.map((map, i) => { const c = document.createElement("canvas"); c.setAttribute("role", "img"); c.setAttribute("aria-label", `${network}, feature map ${i + 1}`); paint(c, map); return c; }));
    box.append(Object.assign(document.createElement("h3"), { textContent: network }), says, maps);
    return box;
  }));
  const rows = scene.views.flatMap((v, i) => v.networks.map((seen, n) => ({ degrees: v.degrees, score: seen.score, network: scene.networks[n], now: i === now })));
  at("scene-plot").replaceChildren(Plot.plot({
    width: Math.min(640, at("scene-plot").clientWidth || 340), height: 220, marginLeft: 48, style: { background: "none", fontSize: "12px", overflow: "visible" },
    ariaLabel: `${scene.score} against the angle`, x: { label: "angle (degrees)", domain: [0, 360], ticks: d3.range(0, 361, 90) }, y: { label: scene.score, domain: [0, 1], grid: true },
    color: { domain: scene.networks, range: [css("--second"), css("--first")], legend: true },
    marks: [Plot.lineY(rows, { x: "degrees", y: "score", stroke: "network" }), Plot.dot(rows.filter(r => r.now), { x: "degrees", y: "score", fill: "network", r: 5 }),
      Plot.tip(rows, Plot.pointer({ x: "degrees", y: "score", title: d => `${d.network}, ${degrees(d.degrees)}\n${d.score.toFixed(3)}`, fill: css("--ground") }))],
  }));
}

// ---- records ------------------------------------------------------------------------------------------------------
function drawFront() {
  const { rows, note } = data.front, on = css("--first"), off = css("--soft");
  at("front-note").textContent = note;
  const best = []; for (const r of d3.sort(rows, r => r.work)) if (!best.length || r.error < best.at(-1).error) best.push(r);
  at("front").replaceChildren(Plot.plot({
    width: Math.min(760, at("front").clientWidth || 340), height: 320, marginLeft: 48, style: { background: "none", fontSize: "12px", overflow: "visible" },
    ariaLabel: "Error against multiply-adds", x: { type: "log", label: "multiply-adds of one picture (millions)", ticks: 6, tickFormat: "~s" }, y: { label: "error (%)", grid: true, zero: true },
    marks: [Plot.line(best, { x: "work", y: "error", stroke: css("--line") }),
      Plot.dot(rows, { x: "work", y: "error", fill: d => best.includes(d) ? on : off, r: 5 }),
      Plot.tip(rows, Plot.pointer({ x: "work", y: "error", title: d => `${d.network}\n${d.error.toFixed(2)} %, ${d.work} M, ${d.parameters.toLocaleString("en")} parameters`, fill: css("--ground") }))],
  }));
  table("front-table", ["network", "error (%)", "multiply-adds (M)", "parameters"], d3.sort(rows, r => r.error).map(r => [r.network, r.error.toFixed(2), r.work, r.parameters.toLocaleString("en")]));
}

// ---- start --------------------------------------------------------------------------------------------------------
for (const name of ["family", "group", "kernel"]) at(name).onchange = event => { chosen[name] = event.target.value; choose(); };
for (const name of ["weights", "atoms", "turn"]) at(name).oninput = drawBasis;
at("scene").replaceChildren(...data.scenes.map((s, i) => new Option(s.name, i)));
at("scene").onchange = () => { at("angle").max = data.scenes[+at("scene").value].views.length - 1; drawScene(); };
at("angle").oninput = drawScene;
at("angle").max = data.scenes[0].views.length - 1;
at("version").textContent = data.version;
function drawAll() { choose(); drawScene(); drawFront(); }
drawAll();
let waiting; addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { drawBasis(); drawScene(); drawFront(); }, 100); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawBasis(); drawScene(); drawFront(); });
