"use strict";
// Everything can be read without this: it makes tables sortable and the list of trials filterable.
function figure(text) {
  const plain = text.replace(/[$,%]/g, "").trim();
  return plain !== "" && Number.isFinite(Number.parseFloat(plain)) && /^[-+.\d]/.test(plain) ? Number.parseFloat(plain) : null;
}
function compare(a, b) {
  const [x, y] = [figure(a), figure(b)];
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x === null ? -1 : 1; // what is unknown comes first
  return a.localeCompare(b);
}
for (const table of document.querySelectorAll("table.sortable")) {
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
      const rows = [...table.tBodies[0].rows].map((row) => [row.cells[column].textContent.trim(), row]);
      rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}
const form = document.getElementById("filter");
const rows = [...document.querySelectorAll("#trial-table tbody tr")].map((row) => [row, row.textContent.toLowerCase() + " " + row.dataset.tags.toLowerCase()]);
function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const text = wanted.text.trim().toLowerCase();
  let shown = 0;
  for (const [row, words] of rows) {
    const fits = ["pair", "outcome", "difficulty"].every((name) => !wanted[name] || row.dataset[name] === wanted[name])
      && (!wanted.tag || row.dataset.tags.split(" ").includes(wanted.tag)) && words.includes(text);
    row.hidden = !fits;
    shown += fits;
  }
  document.getElementById("count").textContent = `${shown} of ${rows.length} trials`;
}
form.hidden = false;
for (const kind of ["input", "change"]) form.addEventListener(kind, filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter();
