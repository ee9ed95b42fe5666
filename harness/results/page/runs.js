"use strict";
// Shows what two chosen runs differ in; without this, the command line does.
const form = document.getElementById("two");
async function compare() {
  const bytes = Uint8Array.from(atob(document.getElementById("comparisons-data").value), (c) => c.charCodeAt(0));
  const panels = JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
  const { older, newer } = Object.fromEntries(new FormData(form));
  const panel = document.getElementById("difference");
  if (older === newer) panel.textContent = "Choose two different runs.";
  else panel.innerHTML = panels[`${older}|${newer}`] ?? panels[`${newer}|${older}`];
  location.replace(`#older=${older}&newer=${newer}`);
}
if (form) {
  form.hidden = false;
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (form.elements[name]) form.elements[name].value = value;
  form.addEventListener("change", compare);
  compare();
}
