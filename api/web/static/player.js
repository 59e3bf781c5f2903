// <lh-player>: plays one recording. The browser's own decoder, our controls: frame step, J K L, 0.25x to 4x, two clocks.
// A viewing is opened (and entered in the chain of custody) at the first play, not when the page is loaded.
"use strict";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];

class LhPlayer extends HTMLElement {
  connectedCallback() {
    this.words = JSON.parse(this.dataset.words);
    this.rate = Number(this.dataset.rateMilli) / 1000 || 25;
    this.length = Number(this.dataset.durationMs) / 1000;  // as examined, until the browser knows better
    this.started = this.dataset.started ? Date.parse(this.dataset.started) : null;
    this.offset = this.dataset.offsetMs === "" ? null : Number(this.dataset.offsetMs);
    if (this.dataset.kind === "photo") { this.buildPhoto(); return; }
    this.build();
    this.bind();
  }

  // A photo: its poster until somebody asks for the whole picture, which is a viewing like any other.
  buildPhoto() {
    this.media = this.element("img", { alt: this.words.photo });
    if (this.dataset.poster) this.media.src = this.dataset.poster; else this.media.hidden = true;
    this.message = this.element("div", { class: "message", role: "status", hidden: "" });
    const bar = this.element("div", { class: "bar" });
    const show = this.button("show", this.words.show, async () => {
      this.media.src = (await this.viewing()).url;
      this.media.hidden = false;
      bar.hidden = true;
    });
    this.media.addEventListener("error", () => this.explain());
    bar.append(show);
    this.append(this.screen(), this.message, bar);
  }

  // Who watches under which number stands on the picture itself, in full screen too.
  screen() {
    const node = this.element("div", { class: "screen" });
    node.append(this.media);
    if (this.dataset.mark) node.append(this.element("div", { class: "mark", "aria-hidden": "true" }, this.dataset.mark));
    this.shown = node;
    return node;
  }

  element(tag, attributes, text) {
    const node = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([name, value]) => node.setAttribute(name, value));
    if (text) node.textContent = text;
    return node;
  }

  button(word, text, action) {
    const node = this.element("button", { type: "button", title: this.words[word], "aria-label": this.words[word] }, text);
    node.addEventListener("click", action);
    return node;
  }

  build() {
    this.media = this.element("video", { preload: "none", playsinline: "", tabindex: "0", "aria-label": this.words.video });
    if (this.dataset.poster) this.media.poster = this.dataset.poster;
    this.message = this.element("div", { class: "message", role: "status", hidden: "" });
    this.seek = this.element("input", { type: "range", min: "0", max: "0", step: "0.001", value: "0", "aria-label": this.words.position });
    this.clock = this.element("div", { class: "clock" });
    this.speedLabel = this.element("span", { class: "num" }, "1x");
    this.playButton = this.button("play", "▶", () => this.toggle());
    const bar = this.element("div", { class: "bar" });
    bar.append(
      this.seek, this.playButton,
      this.button("back10", "−10", () => this.jump(-10)), this.button("back1", "‹", () => this.step(-1)),
      this.button("forward1", "›", () => this.step(1)), this.button("forward10", "+10", () => this.jump(10)),
      this.button("slower", "<", () => this.speed(-1)), this.speedLabel, this.button("faster", ">", () => this.speed(1)),
      this.fullScreen(), this.clock,
    );
    this.append(this.screen(), this.message, bar);
    this.show();
  }

  fullScreen() {
    const node = this.button("full", "", () => this.shown.requestFullscreen && this.shown.requestFullscreen());
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", "/static/icons.svg#expand");
    svg.append(use);
    node.append(svg);
    return node;
  }

  bind() {
    const media = this.media;
    media.addEventListener("loadedmetadata", () => { this.seek.max = String(media.duration || 0); this.check(); this.show(); });
    media.addEventListener("timeupdate", () => { this.check(); this.show(); });
    media.addEventListener("seeked", () => this.show());
    media.addEventListener("play", () => { this.playButton.textContent = "❚❚"; });
    media.addEventListener("pause", () => { this.playButton.textContent = "▶"; });
    media.addEventListener("error", () => this.explain());
    media.addEventListener("click", () => this.toggle());
    this.seek.addEventListener("input", async () => { await this.open(); media.currentTime = Number(this.seek.value); });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input:not([type=range]), textarea, select")) return;
    const actions = {
      " ": () => this.toggle(), k: () => this.toggle(), j: () => this.jump(-10), l: () => this.jump(10),
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), ",": () => this.speed(-1), ".": () => this.speed(1),
      "<": () => this.speed(-1), ">": () => this.speed(1), Home: () => this.to(0), End: () => this.to(this.media.duration || 0),
    };
    const action = actions[event.key] || actions[event.key.toLowerCase()];
    if (!action || (event.key === " " && event.target.closest("button, a"))) return;
    event.preventDefault();
    action();
  }

  // A browser says "error" whether it lacks the format, the session ended, the right is gone or a store is away. Ask.
  async explain() {
    const answer = await fetch(this.media.currentSrc || this.media.src, { method: "HEAD" }).catch(() => null);
    if (answer && answer.status === 401) { window.location.assign("/login?back=" + encodeURIComponent(location.pathname)); return; }
    this.opening = null;
    const why = { 403: this.words.denied, 404: this.words.gone, 405: this.words.broken, 503: this.words.gone };
    this.say(!answer ? this.words.failed : answer.ok ? this.words.broken : why[answer.status] || this.words.failed);
  }

  say(text) { this.message.textContent = text; this.message.hidden = !text; }

  // Opens one viewing; everything that follows rides on its token.
  open() {
    if (!this.opening) this.opening = this.request();
    return this.opening;
  }

  async viewing() {
    const answer = await fetch(`/api/v1/recordings/${this.dataset.recording}/viewings`, {
      method: "POST", headers: { "X-Liuhen-Csrf": document.body.dataset.csrf },
    });
    if (!answer.ok) {
      this.opening = null;
      if (answer.status === 401) window.location.assign("/login?back=" + encodeURIComponent(location.pathname));
      this.say(answer.status === 403 ? this.words.denied : this.words.failed);
      throw new Error(String(answer.status));
    }
    return answer.json();
  }

  async request() {
    this.media.src = (await this.viewing()).url;
    await new Promise((resolve) => {
      this.media.addEventListener("loadedmetadata", resolve, { once: true });
      this.media.addEventListener("error", resolve, { once: true });
      this.media.load();
    });
    // A link to a clip says where it begins: #t=83.5
    const begin = /^#t=(\d{1,6}(?:\.\d{1,3})?)/.exec(location.hash);
    if (begin) this.media.currentTime = Math.min(Number(begin[1]), this.media.duration || 0);
  }

  async toggle() {
    await this.open();
    if (this.media.paused) await this.media.play(); else this.media.pause();
  }

  async to(seconds) { await this.open(); this.media.currentTime = Math.max(0, Math.min(seconds, this.media.duration || 0)); }
  jump(seconds) { return this.to(this.media.currentTime + seconds); }

  // The middle of the next frame: the one position that shows exactly that frame, whatever the rounding.
  async step(frames) {
    await this.open();
    this.media.pause();
    const frame = Math.floor(this.media.currentTime * this.rate + 1e-6) + frames;
    await this.to((Math.max(0, frame) + 0.5) / this.rate);
  }

  speed(change) {
    const at = SPEEDS.indexOf(this.media.playbackRate);
    const next = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, (at < 0 ? 2 : at) + change))];
    this.media.playbackRate = next;
    this.speedLabel.textContent = `${next}x`;
  }

  // H.265 in a browser without it plays sound, shows nothing and raises no error: look instead of trusting.
  check() {
    if (this.dataset.kind === "video" && this.media.videoWidth === 0 && this.media.currentTime > 0.3) this.say(this.words.nopicture);
  }

  stamp(milliseconds) {
    const moment = new Date(milliseconds + 8 * 3600 * 1000);
    return moment.toISOString().replace("T", " ").slice(0, 23);
  }

  // m:ss.mmm, as people say where something is; rounded once, so that 59.9996 s is 1:00.000.
  span(seconds) {
    const whole = Math.round((Number.isFinite(seconds) ? seconds : 0) * 1000);
    const pad = (number, digits) => String(number).padStart(digits, "0");
    const hours = Math.floor(whole / 3600000), minutes = Math.floor(whole / 60000) % 60;
    const rest = `${pad(Math.floor(whole / 1000) % 60, 2)}.${pad(whole % 1000, 3)}`;
    return hours ? `${hours}:${pad(minutes, 2)}:${rest}` : `${minutes}:${rest}`;
  }

  show() {
    const seconds = this.media.currentTime || 0;
    this.seek.value = String(seconds);
    const position = `${this.span(seconds)} / ${this.span(this.media.duration || this.length)}`;
    const lines = [position];
    if (this.started !== null) {
      const corrected = this.started + seconds * 1000;
      lines.push(`${this.words[this.dataset.clock]} ${this.stamp(corrected)} +08:00`);
      if (this.offset !== null) lines.push(`${this.words.recorder} ${this.stamp(corrected + this.offset)}`);
    }
    this.clock.replaceChildren(...lines.map((line) => this.element("div", {}, line)));
  }
}

customElements.define("lh-player", LhPlayer);
