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
