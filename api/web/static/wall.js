// <lh-dock-wall>: one connection, one picture of all slots. When the connection is lost nothing may look alive: every state turns
// to "unknown" until the server speaks again.
"use strict";

const STALE_MS = 12000;

class LhDockWall extends HTMLElement {
  connectedCallback() {
    this.words = JSON.parse(this.dataset.words);
    this.banner = this.make("div", "lost");
    this.banner.hidden = true;
    this.banner.setAttribute("role", "alert");
    this.grid = this.make("div", "wall");
    this.empty = this.make("p", "soft", this.words.waiting);
    this.live = this.make("div", "visually-hidden");
    this.live.setAttribute("aria-live", "polite");
    this.append(this.banner, this.empty, this.grid, this.live);
    this.slots = [];
    this.cards = new Map();
    this.spoken = new Map();
    this.heard = Date.now();
    this.connect();
    this.timer = setInterval(() => this.watch(), 2000);
  }

  disconnectedCallback() { clearInterval(this.timer); this.source.close(); }

  connect() {
    this.source = new EventSource("/api/v1/docks/events");
    this.source.addEventListener("docks", (event) => {
      this.heard = Date.now();
      const stood = this.standing();
      this.slots = JSON.parse(event.data).slots;
      this.draw(true);
      // The figures around the wall follow what happens at the docks instead of waiting for their own turn.
      if (this.standing() !== stood) document.body.dispatchEvent(new Event("lh-docks"));
    });
  }

  // What changes when something has happened, and not with every byte.
  standing() {
    return JSON.stringify(this.slots.map((slot) => [slot.slot, slot.state.code, slot.sealed, slot.total, slot.progress && slot.progress.files_done]));
  }

  watch() {
    const alive = Date.now() - this.heard < STALE_MS;
    if (!alive) this.draw(false);
    if (this.source.readyState === EventSource.CLOSED) { this.source.close(); this.connect(); this.askWhy(); }
  }

  // An EventSource does not tell why it was refused. A session that has ended needs a person, not patience.
  async askWhy() {
    const answer = await fetch("/api/v1/session").catch(() => null);
    if (answer && answer.status === 401) window.location.assign("/login?back=" + encodeURIComponent(location.pathname));
  }

  make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `/static/icons.svg#${name}`);
    svg.append(use);
    return svg;
  }

  mark(state) {
    const node = this.make("span", `state state-${state.tone}`);
    node.append(this.icon(state.icon), document.createTextNode(state.word));
    return node;
  }

  bytes(count) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let value = count, unit = 0;
    while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
    return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
  }

  duration(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }

  draw(alive) {
    this.banner.hidden = alive;
    this.banner.textContent = alive ? "" : this.words.lost;
    this.empty.hidden = this.slots.length > 0;
    this.empty.textContent = this.slots.length ? "" : (alive ? this.words.none : this.words.waiting);
    this.place(this.slots.map((slot) => this.kept(slot, alive)));
    if (alive) this.speak();
  }

  // A card that says the same stays the same element, so that a button keeps the keyboard's focus and a click in progress.
  kept(slot, alive) {
    const said = JSON.stringify([slot, alive]);
    const known = this.cards.get(slot.slot);
    if (known && known.said === said) return known.node;
    const node = this.card(slot, alive);
    this.cards.set(slot.slot, { said, node });
    return node;
  }

  place(nodes) {
    nodes.forEach((node, index) => {
      if (this.grid.children[index] !== node) this.grid.insertBefore(node, this.grid.children[index] || null);
    });
    while (this.grid.children.length > nodes.length) this.grid.lastElementChild.remove();
  }

  // Screen readers hear a change of state, not every byte.
  speak() {
    const news = this.slots.filter((slot) => this.spoken.get(slot.slot) !== slot.state.word);
    news.forEach((slot) => this.spoken.set(slot.slot, slot.state.word));
    if (news.length) this.live.textContent = news.map((slot) => `${slot.title}: ${slot.state.word}`).join(". ");
  }

  card(slot, alive) {
    const state = alive ? slot.state : this.words.unknown;
    const card = this.make("section", `slot slot-${state.tone}`);
    const title = this.make("div", "title");
    title.append(this.make("b", "", slot.title), this.mark(state));
    card.append(title, this.make("div", "soft break", [slot.port, slot.officer, slot.model].filter(Boolean).join(" · ")));
    if (slot.message) card.append(this.make("div", "break", slot.message));
    if (alive && slot.progress) card.append(...this.progress(slot.progress));
    card.append(this.figures(slot));
    if (slot.nearly_full) {
      const warning = this.make("div");
      warning.append(this.mark({ tone: "warn", icon: "warn", word: this.words.nearly_full }));
      card.append(warning);
    }
    if (slot.waiting.length) card.append(this.make("div", "soft break", `${this.words.writing} ${slot.waiting.join(", ")}`));
    if (slot.action && alive) card.append(this.action(slot));
    card.append(this.unplug(alive ? slot.may_unplug : "unknown"));
    return card;
  }

  progress(progress) {
    const bar = this.make("div", "progress-lh");
    const share = progress.bytes_total ? Math.min(1, progress.bytes_done / progress.bytes_total) : 0;
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-label", this.words.progress);
    bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    const fill = this.make("span");
    fill.style.width = `${(share * 100).toFixed(1)}%`;
    bar.append(fill);
    const text = `${progress.files_done}/${progress.files_total} · ${this.bytes(progress.bytes_done)} / ${this.bytes(progress.bytes_total)}`
      + (progress.rate_bytes_s ? ` · ${this.bytes(progress.rate_bytes_s)}/s · ${this.words.remaining} ${this.duration((progress.bytes_total - progress.bytes_done) / progress.rate_bytes_s)}` : "");
    return [bar, this.make("div", "soft num", text)];
  }

  figures(slot) {
    const box = this.make("div", "figures");
    const battery = slot.battery_percent === null ? this.words.untold : `${slot.battery_percent} %`;
    const clock = slot.clock_offset_ms === null ? this.words.untold : `${(slot.clock_offset_ms / 1000).toFixed(1)} s`;
    const space = slot.free_bytes === null ? this.words.untold : this.bytes(slot.free_bytes);
    [[this.words.battery, battery], [this.words.clock, clock], [this.words.space, space]].forEach(([label, value]) => {
      const cell = this.make("div");
      cell.append(this.make("div", "", label), this.make("b", "", value));
      box.append(cell);
    });
    return box;
  }

  action(slot) {
    if (slot.action.method === "get") {
      const link = this.make("a", "btn btn-brand btn-lh", slot.action.word);
      link.href = slot.action.href;
      return link;
    }
    const form = this.make("form");
    form.method = "post";
    form.action = slot.action.href;
    const token = this.make("input");
    token.type = "hidden"; token.name = "csrf"; token.value = document.body.dataset.csrf;
    form.append(token);
    Object.entries(slot.action.fields).forEach(([name, value]) => {
      const field = this.make("input");
      field.type = "hidden"; field.name = name; field.value = value;
      form.append(field);
    });
    form.append(this.make("button", "btn btn-brand btn-lh", slot.action.word));
    return form;
  }

  unplug(answer) {
    const node = this.make("div", `unplug ${answer}`);
    node.append(this.icon({ yes: "check", no: "stop" }[answer] || "question"), document.createTextNode(this.words[`unplug_${answer}`]));
    return node;
  }
}

customElements.define("lh-dock-wall", LhDockWall);
