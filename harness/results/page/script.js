"use strict";
// Everything but the conversations can be read without this. It sorts, filters, and shows one trial at a time.
// The address holds the state: #trial=pair/task/epoch, or a filter such as #pair=a&mark=W, or a section.
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

const unpacked = new Map();
async function unpack(element) { // gzip in base64 -> {name: html}, escaped by the server's side
  if (!unpacked.has(element)) {
    const bytes = Uint8Array.from(atob(element.value ?? element.getAttribute("value")), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    unpacked.set(element, JSON.parse(await new Response(stream).text()));
  }
  return unpacked.get(element);
}

// --- tables that sort -----------------------------------------------------------------------------------------
function figure(text) {
  const plain = text.replace(/[$,%]/g, "").replaceAll("\u2212", "-").trim();
  return plain !== "" && Number.isFinite(Number.parseFloat(plain)) && /^[-+.\d]/.test(plain) ? Number.parseFloat(plain) : null;
}
function compare(a, b) {
  const [x, y] = [figure(a), figure(b)];
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x === null ? -1 : 1; // what is unknown comes first
  return a.localeCompare(b);
}
for (const table of $$("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = [...table.tBodies[0].rows].map((row) => [row.cells[column].textContent.trim(), row]);
      sorted.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
      table.tBodies[0].append(...sorted.map(([, row]) => row));
      if (table.id === "trial-table") { rows = [...table.tBodies[0].rows]; filter(); }
    });
  });
}

// --- the list of trials -----------------------------------------------------------------------------------------
const AT_ONCE = 100; // rows that are laid out; more on request
const form = $("#filter");
const words = new Map();
let rows = $$("#trial-table tbody tr");
let fitting = rows;
let mark = ""; // a letter of an outcome, chosen in a bar
let limit = AT_ONCE;
for (const row of rows) words.set(row, `${row.textContent} ${row.dataset.g} ${row.dataset.t}`.toLowerCase());
function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const text = wanted.text.trim().toLowerCase();
  fitting = rows.filter((row) => {
    const { p, o, d, g, m, t } = row.dataset;
    return (!wanted.pair || wanted.pair === p) && (!wanted.outcome || wanted.outcome === o)
      && (!wanted.difficulty || wanted.difficulty === d) && (!wanted.task || wanted.task === t.split("/")[1])
      && (!wanted.tag || g.split(" ").includes(wanted.tag)) && (!mark || mark === m) && words.get(row).includes(text);
  });
  const shown = new Set(fitting.slice(0, limit));
  for (const row of rows) row.hidden = !shown.has(row);
  $("#count").textContent = `${fitting.length} of ${rows.length} trials`;
  $("#more").hidden = fitting.length <= limit;
  $("#more button").textContent = `Show all ${fitting.length}`;
}
function choose(state) { // from an address such as #pair=a&mark=W
  for (const field of $$("select, input", form)) field.value = state.get(field.name) ?? "";
  mark = state.get("mark") ?? "";
  limit = AT_ONCE;
  filter();
}
form.hidden = false;
for (const kind of ["input", "change"]) form.addEventListener(kind, () => { mark = ""; limit = AT_ONCE; filter(); });
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => { mark = ""; filter(); }));
$("#more button").addEventListener("click", () => { limit = Infinity; filter(); });
$("#trial-table tbody").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row.dataset.b !== undefined && !event.target.closest("a") && !getSelection().toString()) go(row.dataset.t);
});

// --- colours of Python code -------------------------------------------------------------------------------------
const TOKEN = /(#[^\n]*)|((?:\b[rbfuRBFU]{1,2})?(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|\b(\d[\w.]*)|\b(False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b/g;
function color(code) {
  const text = code.textContent, parts = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    const span = document.createElement("span");
    span.className = found[1] ? "c" : found[2] ? "s" : found[3] ? "m" : "k";
    span.textContent = found[0];
    parts.push(text.slice(at, found.index), span);
    at = found.index + found[0].length;
  }
  code.replaceChildren(...parts, text.slice(at));
}

function addCopy(pre) {
  const button = document.createElement("button");
  button.type = "button"; button.className = "copy"; button.textContent = "copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "copied";
  });
  pre.before(button);
}
for (const pre of $$("#surer pre")) addCopy(pre);

// --- one trial --------------------------------------------------------------------------------------------------
const overview = $("#overview"), trial = $("#trial"), title = document.title;
let left = 0; // where the reader was in the overview
const address = (name) => `#trial=${encodeURIComponent(name).replaceAll("%2F", "/")}`;
function go(name) { location.hash = address(name); }
async function open(name) {
  const row = rows.find((each) => each.dataset.t === name);
  const blob = row && $$(".blob")[row.dataset.b];
  const article = $("article", trial);
  if (trial.hidden) left = scrollY;
  overview.hidden = true;
  trial.hidden = false;
  let among = fitting.filter((each) => each.dataset.b !== undefined);
  if (!among.includes(row)) among = rows.filter((each) => each.dataset.b !== undefined);
  const at = among.indexOf(row);
  for (const [id, step] of [["#previous", -1], ["#next", 1]]) {
    const other = at < 0 ? undefined : among[at + step];
    $(id).hidden = at < 0;
    if (other) $(id).href = address(other.dataset.t); else $(id).removeAttribute("href");
  }
  $("#place").textContent = at < 0 ? "" : `${at + 1} of ${among.length}${among.length < rows.length ? " chosen" : ""}`;
  document.title = `${name} · ${title}`;
  if (!row) { article.textContent = `There is no trial ${name} on this page.`; return; }
  if (!blob) { article.textContent = `There is no conversation of ${name} in this file; harness show ${name} prints it.`; return; }
  try {
    article.innerHTML = (await unpack(blob))[name];
  } catch (error) { article.textContent = `This browser cannot unpack the conversation (${error}); harness show ${name} prints it.`; return; }
  for (const code of $$("pre.code", article)) color(code);
  for (const pre of $$("pre", article)) {
    if (pre.textContent.length < 80 || pre.closest(".tests li > pre")) continue;
    addCopy(pre);
  }
  scrollTo(0, 0);
  trial.focus({ preventScroll: true });
}
function close() {
  if (trial.hidden) return false;
  trial.hidden = true;
  overview.hidden = false;
  document.title = title;
  $("article", trial).replaceChildren();
  return true;
}
function route() {
  const hash = location.hash.slice(1);
  const state = new URLSearchParams(hash.replaceAll("+", "%2B"));
  if (state.has("trial")) { open(state.get("trial")); return; }
  const back = close();
  if (hash.includes("=")) { choose(state); $("#trials").scrollIntoView(); }
  else if (back && (hash === "trials" || !hash)) scrollTo(0, left);
  else if (hash) document.getElementById(hash)?.scrollIntoView();
}
addEventListener("hashchange", route);
$("#back").addEventListener("click", (event) => { event.preventDefault(); location.hash = "trials"; });

// --- keys -------------------------------------------------------------------------------------------------------
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "Escape" && typing) { typing.blur(); return; }
  if (typing) return;
  if (!trial.hidden) {
    const link = { ArrowLeft: "#previous", k: "#previous", ArrowRight: "#next", j: "#next", Escape: "#back", u: "#back" }[event.key];
    if (link && $(link).hasAttribute("href")) { event.preventDefault(); $(link).click(); }
  } else if (event.key === "/") {
    event.preventDefault();
    $("#trials").scrollIntoView();
    form.elements.text.focus();
  }
});

// --- grids of tasks and steps: one stop of the tab key, arrow keys within ------------------------------------------------------
const seen = new Set(rows.filter((row) => row.dataset.b !== undefined).map((row) => row.dataset.t));
for (const grid of $$(".grid tbody")) {
  const first = $("td[data-t]", grid);
  if (first) first.tabIndex = 0;
  const choose = (cell) => cell && seen.has(cell.dataset.t) && go(cell.dataset.t);
  grid.addEventListener("click", (event) => choose(event.target.closest("td[data-t]")));
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[data-t]");
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(cell); return; }
    const [down, across] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    const other = grid.rows[cell.parentNode.sectionRowIndex + down]?.cells[cell.cellIndex + across];
    if ((down || across) && other?.dataset.t) { event.preventDefault(); cell.tabIndex = -1; other.tabIndex = 0; other.focus(); }
  });
}

// --- differences --------------------------------------------------------------------------------------------------
$("#differences")?.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-difference]");
  if (!button) return;
  for (const other of $$("button[data-difference]")) other.setAttribute("aria-pressed", other.dataset.difference === button.dataset.difference);
  $("#difference").innerHTML = (await unpack($("#differences-data")))[button.dataset.difference];
  if (button.closest("#comparisons")) $("#difference").scrollIntoView({ block: "nearest" });
});

addEventListener("beforeprint", () => { for (const each of $$("details")) each.open = true; });
filter();
route();
