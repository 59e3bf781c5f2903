// Shared by all pages: nothing but small conveniences; every page works without it, save live updates.
"use strict";

// A session that has ended answers 401 to a partial update: go to the log-in page instead of showing a broken part.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) {
    window.location.assign("/login?back=" + encodeURIComponent(location.pathname + location.search));
  }
});

// A page that refreshes itself must not look alive when the refresh failed.
const stale = (hidden) => { const note = document.getElementById("stale"); if (note) note.hidden = hidden; };
["htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, () => stale(false)));
document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status >= 500) stale(false); });
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) stale(true); });

// "/" puts the cursor into the search field, as staff expect from other tools.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const field = document.querySelector('input[type="search"]');
  if (field) { event.preventDefault(); field.focus(); }
});

// What is entered once must not be entered twice by an impatient second click; Enter in a search field inside of a form searches.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-once")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));
document.addEventListener("keydown", (event) => {
  const field = event.key === "Enter" && event.target.closest(".act-form .find input");
  if (!field) return;
  event.preventDefault();
  field.parentElement.querySelector("button").click();
});

// Choosing rows of a list: all of them at once, and how many there are.
document.querySelectorAll("[data-choose-all]").forEach((all) => {
  const boxes = () => [...document.querySelectorAll(`input[name="${all.dataset.chooseAll}"]`)];
  const count = document.querySelector("[data-chosen-count]");
  const told = () => { const n = boxes().filter((box) => box.checked).length; if (count) count.textContent = n ? String(n) : ""; all.checked = n > 0 && n === boxes().length; };
  all.hidden = false;
  all.addEventListener("change", () => { boxes().forEach((box) => { box.checked = all.checked; }); told(); });
  document.addEventListener("change", (event) => { if (event.target.name === all.dataset.chooseAll) told(); });
  told();
});
