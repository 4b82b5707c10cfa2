// Behaviour of the report: sortable tables and interactive band structures. Without it the page
// remains readable.
"use strict";

// --- tables: every header becomes a button that sorts the rows -------------------------------

function sortKey(cell) {
  const text = cell.textContent.trim().replace(/−/g, "-");
  const number = parseFloat(text);
  return Number.isNaN(number) ? text : number;
}

function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a.localeCompare(b, "en", { numeric: true });
}

function isMissing(key) {
  return key === "–" || key === "";
}

function sortTable(table, header, column) {
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const total = body.querySelector("tr.total");
  const rows = [...body.rows].filter((row) => row !== total);
  const keys = new Map(
    rows.map((row) => {
      const cell = row.cells[column];
      return [row, header.classList.contains("n") ? sortKey(cell) : cell.textContent.trim()];
    }),
  );
  rows.sort((one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    return down ? compareKeys(b, a) : compareKeys(a, b);
  });
  body.append(...rows, ...(total ? [total] : []));
}

function makeSortable(table) {
  if (table.tBodies[0].rows.length < 2) return;
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortTable(table, header, column));
    header.append(button);
  });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);

// --- printing: all that unfolds is open ---------------------------------------------------------

window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([open])")) {
    one.open = true;
    one.dataset.forPrint = "true";
  }
});
window.addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll("details[data-for-print]")) {
    one.open = false;
    delete one.dataset.forPrint;
  }
});

// --- band structures ---------------------------------------------------------------------------

const BLACK = "#000000";
const MOST_FITS = 4; // drawn at first; a click on its name in the legend shows or hides a fit
const DASHES = ["dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px 2px 2px"];

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function sums(differences, perUnit) {
  let sum = 0;
  return differences.map((step) => (sum += step) / perUnit);
}

function between(ends, n, i) {
  return ends[0] + ((ends[1] - ends[0]) * i) / Math.max(n - 1, 1);
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function pointName(name) {
  return escaped(name).replace(/_([^|]+)/g, "<sub>$1</sub>");
}

// places, q points and segments of the path, with a hole (null) behind each segment
function pathOf(data) {
  const path = [];
  for (const { ends, n, x, q } of data.segments) {
    const legs = `${pointName(ends[0])}–${pointName(ends[1])}`;
    for (let i = 0; i < n; i += 1) {
      const at = q[0].map((start, axis) => between([start, q[1][axis]], n, i));
      const words = at.map((value) => (Math.round(value * 1000) / 1000 + 0).toString());
      path.push({ x: between(x, n, i), q: `(${words.join(", ")})`, legs });
    }
    path.push(null);
  }
  return path;
}

// one line through all branches: a plot of few large lines is faster than one of many small lines
function trace(path, branches, reference, line, name) {
  const [x, y, customdata] = [[], [], []];
  branches.forEach((branch, number) => {
    let i = 0;
    for (const point of path) {
      x.push(point ? point.x : null);
      y.push(point ? branch[i] : null);
      if (point) {
        const error = reference ? branch[i] - reference[number][i] : 0;
        customdata.push([number + 1, point.q, point.legs, signed(error)]);
        i += 1;
      } else customdata.push(null);
    }
  });
  const error = reference ? "error %{customdata[3]} THz" : "reference";
  const hovertemplate =
    "%{y:.3f} THz, " + error + "<br>branch %{customdata[0]}, q = %{customdata[1]}" +
    `<br>%{customdata[2]}<extra>${escaped(name)}</extra>`;
  return { type: "scatter", mode: "lines", x, y, customdata, line, name: escaped(name), hovertemplate };
}

function signed(value) {
  const text = Math.abs(value).toFixed(3);
  return (value < -0.0005 ? "−" : "+") + text;
}

// root mean square over the branches at every q
function resolved(path, branches, reference, line, name) {
  const [x, y] = [[], []];
  let i = 0;
  for (const point of path) {
    x.push(point ? point.x : null);
    if (point) {
      const squares = branches.map((branch, number) => (branch[i] - reference[number][i]) ** 2);
      y.push(Math.sqrt(squares.reduce((sum, one) => sum + one, 0) / squares.length));
      i += 1;
    } else y.push(null);
  }
  return {
    type: "scatter", mode: "lines", x, y, line: { ...line, dash: "solid" }, yaxis: "y2",
    showlegend: false, hovertemplate: `RMSE %{y:.3f} THz<extra>${escaped(name)}</extra>`,
  };
}

function density(one, line, name) {
  const y = one.dos.map((_, i) => one.dos_from + i * one.dos_pitch);
  return {
    type: "scatter", mode: "lines", x: sums(one.dos, 10000), y, line, xaxis: "x2", showlegend: false,
    hovertemplate: `%{x:.3f} states/THz/atom<br>%{y:.2f} THz<extra>${escaped(name)}</extra>`,
  };
}

// those with the smallest RMSE
function bestFits(data) {
  const known = data.fits.filter((fit) => fit.rmse !== null);
  return known.sort((a, b) => a.rmse - b.rmse).slice(0, MOST_FITS);
}

function spectraOf(data) {
  const reference = data.reference.bands.map((branch) => sums(branch, 1000));
  const width = Math.min(Math.max(5 / Math.sqrt(reference.length), 0.8), 1.7);
  const all = [{ ...data.reference, branches: reference, label: "reference", line: { color: BLACK, width } }];
  const best = bestFits(data);
  data.fits.forEach((fit, i) => {
    if (!fit.bands) return;
    const line = { color: fit.colour, width: width * 1.15, dash: DASHES[i % DASHES.length] };
    const visible = best.includes(fit) ? true : "legendonly";
    all.push({ ...fit, branches: fit.bands.map((branch) => sums(branch, 1000)), line, visible });
  });
  return all;
}

function tracesOf(data, spectra, withDensity) {
  const path = pathOf(data);
  const [reference, ...fits] = spectra;
  const traces = [trace(path, reference.branches, null, reference.line, "reference")];
  for (const fit of fits) {
    const group = { legendgroup: fit.label, visible: fit.visible };
    traces.push({ ...trace(path, fit.branches, reference.branches, fit.line, fit.label), ...group });
    traces.push({ ...resolved(path, fit.branches, reference.branches, fit.line, fit.label), ...group });
  }
  if (withDensity)
    for (const { label, visible = true, ...one } of spectra)
      traces.push({ ...density(one, one.line, label), legendgroup: label, visible });
  traces[0].legendgroup = "reference";
  return traces;
}

function layoutOf(data, spectra, width, withDensity) {
  const withErrors = spectra.length > 1;
  const jumps = data.marks.filter(([start, end]) => end > start);
  const lines = data.marks.filter(([start, end]) => end === start);
  const shape = { xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below" };
  const frame = { type: "rect", x0: 0, x1: 1, y0: 0, y1: 1, line: { color: "#555", width: 1 }, layer: "above" };
  const shapes = [
    { ...frame, xref: "x domain", yref: "y domain" },
    ...(withErrors ? [{ ...frame, xref: "x domain", yref: "y2 domain" }] : []),
    ...(withDensity ? [{ ...frame, xref: "x2 domain", yref: "y domain" }] : []),
    ...lines.map(([at]) => ({ ...shape, type: "line", x0: at, x1: at, line: { color: "#8a8a8a", width: 0.7 } })),
    ...jumps.map(([x0, x1]) => ({ ...shape, type: "rect", x0, x1, fillcolor: "#e9e9ec", line: { width: 0 } })),
  ];
  let lowest = 0;
  let highest = 0;
  for (const { branches } of spectra)
    for (const branch of branches)
      for (const value of branch) {
        lowest = Math.min(lowest, value);
        highest = Math.max(highest, value);
      }
  const margin = 0.04 * (highest - lowest) || 1;
  const bottom = lowest < -0.02 * highest ? lowest - margin : 0;
  if (bottom < 0)
    shapes.push({
      type: "rect", xref: "x domain", yref: "y", x0: 0, x1: 1, y0: bottom, y1: 0,
      fillcolor: "#f4ecec", line: { width: 0 }, layer: "below",
    });
  const axis = { showgrid: false, zeroline: false, ticks: "inside" };
  const ends = [data.marks[0][0], data.marks[data.marks.length - 1][1]];
  const layout = {
    width, height: withErrors ? 540 : 420,
    margin: { l: 52, r: 8, t: 8, b: 34 },
    font: { family: "system-ui, Liberation Sans, Arial, sans-serif", size: 13, color: "#1d1d1f" },
    paper_bgcolor: "#fff", plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: "closest", hoverlabel: { align: "left" },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    legend: { orientation: "h", x: 0, y: 1.01, xanchor: "left", yanchor: "bottom" },
    shapes,
    xaxis: {
      ...axis, domain: [0, withDensity ? 0.83 : 1], range: ends, anchor: withErrors ? "y2" : "y", ticks: "",
      tickvals: data.marks.map(([start, end]) => (start + end) / 2), tickangle: 0,
      ticktext: tickTexts(data.marks, ends, width * (withDensity ? 0.76 : 0.9)),
    },
    yaxis: {
      ...axis, domain: [withErrors ? 0.25 : 0, 1], range: [bottom, highest + margin],
      title: { text: "Frequency (THz)", standoff: 6 },
    },
  };
  if (withErrors)
    layout.yaxis2 = { ...axis, domain: [0, 0.2], rangemode: "tozero", nticks: 4, title: { text: "RMSE (THz)", standoff: 6 } };
  if (withDensity)
    layout.xaxis2 = {
      ...axis, domain: [0.85, 1], anchor: "y", rangemode: "tozero", nticks: 3, title: { text: "DOS (1/THz/atom)", font: { size: 11 } },
    };
  return layout;
}

// names that would overlap begin one line lower
function tickTexts(marks, [first, last], pixels) {
  const free = [-Infinity, -Infinity];
  return marks.map(([start, end, name]) => {
    const half = 4 * name.replace(/_/g, "").length + 3;
    const centre = (((start + end) / 2 - first) / (last - first)) * pixels;
    const line = centre - half >= free[0] ? 0 : 1;
    free[line] = centre + half;
    return "<br>".repeat(line) + pointName(name);
  });
}

function numberWithUnit(value) {
  return `${value.toFixed(3)} THz`;
}

// --- the crystal in 3D ---------------------------------------------------------------------------

const BOND = 1.15; // longest bond, in sums of covalent radii
const CORNERS = [0, 1, 3, 2, 0, 4, 5, 7, 6, 4, null, 1, 5, null, 3, 7, null, 2, 6]; // bits: a, b, c

function line3d(points, color, width) {
  const [x, y, z] = [0, 1, 2].map((axis) => points.map((point) => (point ? point[axis] : null)));
  return { type: "scatter3d", mode: "lines", x, y, z, line: { color, width }, hoverinfo: "skip", showlegend: false };
}

function bondsOf({ atoms, species }) {
  const points = [];
  atoms.forEach(([one, ...a], i) => {
    for (const [other, ...b] of atoms.slice(i + 1))
      if (Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) < BOND * (species[one][2] + species[other][2]))
        points.push(a, b, null);
  });
  return points;
}

function cornerOf({ cell }, bits) {
  return [0, 1, 2].map((axis) => cell.reduce((sum, vector, i) => sum + ((bits >> i) & 1) * vector[axis], 0));
}

function crystalTraces(crystal) {
  const size = 26 / Math.max(...crystal.species.map(([, , radius]) => radius));
  const atoms = crystal.species.map(([name, color, radius], number) => {
    const mine = crystal.atoms.filter(([one]) => one === number);
    const [x, y, z] = [1, 2, 3].map((axis) => mine.map((atom) => atom[axis]));
    const marker = { color, size: Math.max(size * radius * 0.6, 6), opacity: 1, line: { color: "#444", width: 1 } };
    return {
      type: "scatter3d", mode: "markers", x, y, z, marker, name,
      hovertemplate: `${name} (%{x:.3f}, %{y:.3f}, %{z:.3f}) Å<extra></extra>`,
    };
  });
  const edges = CORNERS.map((bits) => (bits === null ? null : cornerOf(crystal, bits)));
  return [line3d(edges, "#777", 2), line3d(bondsOf(crystal), "#9a9aa2", 6), ...atoms];
}

function hasWebGl() {
  return "WebGLRenderingContext" in window;
}

// equal scales on all axes, and as large as the view
function proportions(crystal) {
  const corners = CORNERS.filter((bits) => bits !== null).map((bits) => cornerOf(crystal, bits));
  const lengths = [0, 1, 2].map((axis) => {
    const values = corners.map((one) => one[axis]);
    return Math.max(...values) - Math.min(...values);
  });
  const [x, y, z] = lengths.map((length) => (2.4 * length) / Math.hypot(...lengths));
  return { x, y, z };
}

function drawCrystal(plot, structure, crystal) {
  plot.setAttribute("aria-label", `Cell of ${structure} with its atoms in three dimensions`);
  const axis = { visible: false, showspikes: false };
  const layout = {
    width: plot.clientWidth, height: 300, margin: { l: 0, r: 0, t: 0, b: 0 },
    legend: { orientation: "h", x: 0, y: 0 }, showlegend: true,
    scene: {
      xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "manual", aspectratio: proportions(crystal),
      camera: { projection: { type: "orthographic" }, eye: { x: 1.5, y: 0.9, z: 0.6 } },
    },
  };
  Plotly.react(plot, crystalTraces(crystal), layout, { displayModeBar: false });
}

class BandPlot {
  constructor(section) {
    this.place = section.querySelector(".plot");
    this.words = section.querySelector(".plot-words");
    this.crystal = section.querySelector(".crystal");
    this.select = section.querySelector("select");
    this.select.addEventListener("change", () => this.show(this.select.value));
  }

  async start() {
    const script = document.createElement("script");
    script.textContent = await unpacked(document.getElementById("plotly").textContent);
    document.head.append(script);
    await this.show(this.select.value);
    window.addEventListener("resize", () => this.draw());
    window.addEventListener("beforeprint", () => this.draw(660));
    window.addEventListener("afterprint", () => this.draw());
    this.place.dataset.ready = "true";
  }

  async show(structure) {
    const packed = document.querySelector(`script.bands[data-structure="${CSS.escape(structure)}"]`);
    this.data = JSON.parse(await unpacked(packed.textContent));
    this.spectra = spectraOf(this.data);
    this.draw();
    this.describe();
    this.showCrystal();
  }

  // drawn once in view: its three dimensions cost more than the rest of the page
  showCrystal() {
    const known = Boolean(this.data.crystal) && hasWebGl();
    this.crystal.hidden = !known;
    this.waiting?.disconnect();
    if (!known) return;
    const { structure, crystal } = this.data;
    this.waiting = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      this.waiting.disconnect();
      drawCrystal(this.crystal.querySelector("div"), structure, crystal);
    });
    this.waiting.observe(this.crystal);
  }

  draw(wanted) {
    const width = wanted || this.place.clientWidth;
    if (!this.data || (width === this.width && this.data === this.drawn)) return;
    [this.width, this.drawn] = [width, this.data];
    const withDensity = width > 600;
    const layout = layoutOf(this.data, this.spectra, width, withDensity);
    const config = {
      displaylogo: false,
      displayModeBar: width < 600 ? false : "hover", // it would cover the legend of a small plot
      showSendToCloud: false, // the page sends nothing anywhere
      plotlyServerURL: "",
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    };
    Plotly.react(this.place, tracesOf(this.data, this.spectra, withDensity), layout, config);
    this.place.dataset.structure = this.data.structure;
  }

  describe() {
    const all = this.data.fits;
    const shown = all.length > MOST_FITS ? bestFits(this.data) : all;
    const fits = shown.map(({ label, rmse, reason }) =>
      `${label}: ${rmse === null ? `no RMSE (${reason || "no phonons"})` : `RMSE ${numberWithUnit(rmse)}`}`);
    if (shown.length < all.length) fits.push(`${all.length - shown.length} more in the table of the phonon RMSE`);
    this.words.textContent = [this.data.structure, fits.join("; ")].filter(Boolean).join(" – ");
  }
}

async function startBands() {
  const section = document.getElementById("bands");
  if (!section || !section.querySelector("select")) return;
  section.classList.add("live");
  if (!("DecompressionStream" in window)) {
    section.querySelector(".plot-words").textContent =
      "This browser cannot unpack the interactive plot; use the linked figures.";
    return;
  }
  const plot = new BandPlot(section);
  await plot.start();
  for (const link of document.querySelectorAll("a[data-crystal]"))
    link.addEventListener("click", () => {
      plot.select.value = link.dataset.crystal;
      plot.show(link.dataset.crystal);
    });
}

startBands();
