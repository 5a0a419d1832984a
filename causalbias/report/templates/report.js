"use strict";
// What the page does beyond being read: a slider over thresholds, tables that sort and filter,
// links to sections. Nothing is fetched. Functions up to "The page" take data and give text.

const COLOURS = ["#0072B2", "#CC8400", "#00674A", "#C868A3", "#B23A00", "#4298D4", "#000000"];
const DASHES = ["", "6 3", "2 2", "8 3 2 3"];
const KINDS = { FMR: "False match rate", FNMR: "False non-match rate" };
const BOX = { width: 560, height: 230, left: 54, right: 8, top: 8, bottom: 34 };

function escapeText(text) {
  const names = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return String(text).replace(/[&<>"']/g, (one) => names[one]);
}

// A share in percent, of three digits.
function percent(share) {
  return `${Number((100 * share).toPrecision(3))}%`;
}

// What is said of a rate: [estimate, lower, upper, errors, n], the estimate null if not stated.
function said(rate) {
  if (!rate) return { rate: "no pairs", interval: "", count: "" };
  const [estimate, lower, upper, errors, n] = rate;
  return {
    rate: estimate === null ? "not stated" : percent(estimate),
    interval: `${percent(lower)} to ${percent(upper)}`,
    count: `${Math.round(errors).toLocaleString("en")} of ${Math.round(n).toLocaleString("en")}`,
  };
}

// Body of the table of rates at the k-th threshold.
function rows(slider, k) {
  return slider.groups
    .map((group, at) => {
      const cells = Object.keys(KINDS)
        .filter((kind) => kind in slider.rates)
        .map((kind) => {
          const told = said(slider.rates[kind][k][at]);
          return [told.rate, told.interval, told.count]
            .map((text) => `<td class="number">${escapeText(text)}</td>`)
            .join("");
        });
      return `<tr><th scope="row" class="text">${escapeText(group)}</th>${cells.join("")}</tr>`;
    })
    .join("");
}

function scales(slider, kind) {
  const { thresholds, rates } = slider;
  const known = rates[kind].flat().filter((one) => one && one[0] > 0).map((one) => one[0]);
  const floor = Math.floor(Math.log10(Math.min(0.1, ...known)));
  const first = thresholds[0];
  const span = thresholds[thresholds.length - 1] - first || 1;
  const across = BOX.width - BOX.left - BOX.right;
  const down = BOX.height - BOX.top - BOX.bottom;
  return {
    floor,
    x: (threshold) => BOX.left + (across * (threshold - first)) / span,
    y: (rate) => BOX.top + (down * Math.max(Math.log10(rate), floor)) / floor,
  };
}

function axes(slider, scale) {
  const ends = [slider.thresholds[0], slider.thresholds[slider.thresholds.length - 1]];
  const bottom = BOX.height - BOX.bottom;
  const powers = Array.from({ length: 1 - scale.floor }, (_, at) => -at);
  const lines = powers.map((power) => {
    const y = scale.y(10 ** power).toFixed(1);
    const name = percent(10 ** power);
    return (
      `<line class="grid" x1="${BOX.left}" x2="${BOX.width - BOX.right}" y1="${y}" y2="${y}"/>` +
      `<text x="${BOX.left - 6}" y="${y}" text-anchor="end" dominant-baseline="middle">${name}</text>`
    );
  });
  const places = ["start", "end"].map(
    (anchor, at) =>
      `<text x="${scale.x(ends[at]).toFixed(1)}" y="${bottom + 14}" text-anchor="${anchor}">` +
      `${ends[at]}</text>`,
  );
  const middle = (BOX.left + BOX.width - BOX.right) / 2;
  const unit =
    `<text x="${middle}" y="${BOX.height - 4}" text-anchor="middle">threshold: ` +
    `${escapeText(slider.unit)}</text>`;
  return lines.join("") + places.join("") + unit;
}

// A chart of one kind of error over thresholds; groups in `hidden` are left out.
function chart(slider, kind, k, hidden) {
  const scale = scales(slider, kind);
  const drawn = slider.groups.map((group, at) => {
    if (hidden.has(group)) return "";
    const look =
      `stroke="${COLOURS[at % COLOURS.length]}" ` +
      `stroke-dasharray="${DASHES[Math.floor(at / COLOURS.length) % DASHES.length]}"`;
    const place = (one, rate) => `${scale.x(one).toFixed(1)},${scale.y(rate).toFixed(1)}`;
    const runs = [[]];  // of neighbouring thresholds at which there is a rate
    slider.rates[kind].forEach((each, position) => {
      const rate = each[at];
      if (rate && rate[0] > 0) runs[runs.length - 1].push([slider.thresholds[position], rate[0]]);
      else if (runs[runs.length - 1].length) runs.push([]);
    });
    const lines = runs
      .filter((run) => run.length)
      .map((run) => `<polyline points="${run.map((one) => place(...one)).join(" ")}" ${look}/>`);
    const here = slider.rates[kind][k][at];
    if (!here) return lines.join("");
    const told = said(here);
    const x = scale.x(slider.thresholds[k]).toFixed(1);
    const floor = 10 ** scale.floor;
    const ends = [here[1], here[2]].map((end) => scale.y(Math.max(end, floor)).toFixed(1));
    const shift = (at - (slider.groups.length - 1) / 2) * 3;
    const title = `<title>${escapeText(`${group}: ${told.rate} (${told.interval})`)}</title>`;
    const dot =
      here[0] === null
        ? ""
        : `<circle cx="${x}" cy="${scale.y(Math.max(here[0], floor)).toFixed(1)}" r="4" ` +
          `fill="${COLOURS[at % COLOURS.length]}"/>`;
    const bar = `<line x1="${x}" x2="${x}" y1="${ends[0]}" y2="${ends[1]}" ${look}/>`;
    return `${lines.join("")}<g transform="translate(${shift},0)">${title}${bar}${dot}</g>`;
  });
  const at = scale.x(slider.thresholds[k]).toFixed(1);
  const cursor = `<line class="cursor" x1="${at}" x2="${at}" y1="${BOX.top}" y2="${BOX.height - BOX.bottom}"/>`;
  return (
    `<svg viewBox="0 0 ${BOX.width} ${BOX.height}" role="img" ` +
    `aria-label="${KINDS[kind]} by threshold; the table has the numbers">` +
    `${axes(slider, scale)}${cursor}${drawn.join("")}</svg>`
  );
}

// Place of the threshold nearest to a number; the start where it is none.
function nearest(slider, wanted) {
  if (wanted === "" || !Number.isFinite(Number(wanted))) return slider.start;
  const gaps = slider.thresholds.map((one) => Math.abs(one - wanted));
  return gaps.indexOf(Math.min(...gaps));
}

// What a cell sorts by: its number, or its text. Empty cells come last, whichever way round.
function keyOf(text, column) {
  const plain = text.trim();
  if (plain === "") return null;
  if (plain === "unbounded") return column.includes("lower") ? -Infinity : Infinity;
  const number = Number(plain.replace(/,(?=\d{3}(\D|$))/g, ""));
  return Number.isNaN(number) ? plain.toLowerCase() : number;
}

// Order of rows by the texts of one column; equal ones stay as they are.
function order(texts, column, descending) {
  const keys = texts.map((text) => keyOf(text, column));
  const numbers = keys.every((one) => one === null || typeof one === "number");
  const compare = (a, b) =>
    numbers ? keys[a] - keys[b] || 0 : String(keys[a]).localeCompare(String(keys[b]), "en");
  return texts
    .map((_, at) => at)
    .sort((a, b) => {
      if (keys[a] === null || keys[b] === null) return (keys[a] === null) - (keys[b] === null);
      return keys[a] === keys[b] ? 0 : (descending ? -1 : 1) * compare(a, b);
    });
}

// Whether a row has every word that is looked for.
function matches(text, wanted) {
  const low = text.toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}

// The page ------------------------------------------------------------------------------------

function addSlider(slider, at) {
  const home = document.getElementById(`slider-${at}`);
  const [input, output] = [home.querySelector("input"), home.querySelector("output")];
  const hidden = new Set();
  function show() {
    const k = Number(input.value);
    const value = `${slider.unit} ${slider.thresholds[k]}`;
    output.textContent = value;
    input.setAttribute("aria-valuetext", value);
    home.querySelector("tbody").innerHTML = rows(slider, k);
    for (const kind of Object.keys(KINDS)) {
      const place = home.querySelector(`[data-kind="${kind}"]`);
      if (place) place.innerHTML = chart(slider, kind, k, hidden);
    }
  }
  const legend = home.querySelector(".legend");
  slider.groups.forEach((group, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.style.borderColor = COLOURS[place % COLOURS.length];
    button.textContent = group;
    button.addEventListener("click", () => {
      if (!hidden.delete(group)) hidden.add(group);
      button.setAttribute("aria-pressed", String(!hidden.has(group)));
      show();
    });
    legend.append(button);
  });
  const [, number, wanted] = /^#threshold-(\d+)=(.*)$/.exec(location.hash) || [];
  input.max = slider.thresholds.length - 1;
  input.value = Number(number) === at ? nearest(slider, decodeURIComponent(wanted)) : slider.start;
  input.addEventListener("input", show);
  input.addEventListener("change", () => {
    history.replaceState(null, "", `#threshold-${at}=${slider.thresholds[Number(input.value)]}`);
  });
  show();
  if (Number(number) === at) home.scrollIntoView();
}

function addTools(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      const all = [...body.rows];
      const texts = all.map((row) => row.cells[column].textContent);
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.append(...order(texts, head.textContent, descending).map((at) => all[at]));
    });
  });
  if (body.rows.length < 8) return;
  const tools = document.createElement("p");
  tools.className = "tools";
  tools.innerHTML = "<label>Rows shown that have <input type=\"search\"></label> <span role=\"status\"></span>";
  tools.querySelector("input").addEventListener("input", (event) => {
    const all = [...body.rows];
    for (const row of all) row.hidden = !matches(row.textContent, event.target.value);
    const left = all.filter((row) => !row.hidden).length;
    tools.querySelector("span").textContent = `${left} of ${all.length}`;
  });
  table.closest(".scroll").before(tools);
}

function addLinks() {
  for (const one of document.querySelectorAll("h2[id], h3[id], figure[id]")) {
    const link = document.createElement("a");
    link.className = "anchor";
    link.href = `#${one.id}`;
    link.textContent = "#";
    link.setAttribute("aria-label", `Link to ${one.textContent.trim().slice(0, 60)}`);
    (one.querySelector("figcaption") || one).append(" ", link);
  }
}

if (typeof document !== "undefined") {
  const data = document.getElementById("slider-data");
  if (data) {
    for (const one of document.querySelectorAll("[data-needs-script]")) one.hidden = false;
    JSON.parse(data.textContent).forEach((slider, at) => addSlider(slider, at + 1));
  }
  document.querySelectorAll(".scroll > table").forEach(addTools);
  addLinks();
} else {
  module.exports = { chart, keyOf, matches, nearest, order, percent, rows, said };
}
