// Takes that sound: as a tile, in a comparison, and large with waveform, piano roll and engraved score on one playback line.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, icon, player, clock } = atelier;

  const scores = new Map(); // sha256 -> promise of {score, line, analysis}

  const json = async (address, options = {}) => {
    const reply = await fetch(address, options);
    const answer = reply.status === 204 ? null : await reply.json().catch(() => ({}));
    if (!reply.ok || (answer && answer.error)) throw new Error([answer?.error, answer?.hint].filter(Boolean).join(" ") || `The studio answered ${reply.status}.`);
    return answer;
  };
  atelier.json = json;

  /** The score of a finished take; asked for once. */
  atelier.scoreOf = (sha256) => {
    if (!scores.has(sha256)) {
      const found = json(`/atelier/music/score/${sha256}`);
      found.catch(() => scores.delete(sha256));
      scores.set(sha256, found);
    }
    return scores.get(sha256);
  };

  const isScore = (take) => take.media_type === "audio/midi";
  /** Where a take's sound is: rendered from its score, or the file itself. */
  atelier.soundOf = (take, { tracks = null, loop = false } = {}) => {
    if (!isScore(take)) return take.url || take.preview || "";
    const asked = new URLSearchParams();
    if (loop) asked.set("loop", "1");
    if (tracks) asked.set("tracks", tracks.join());
    const query = asked.toString();
    return `/atelier/music/sound/${take.sha256}${query ? `?${query}` : ""}`;
  };

  const css = (node) => getComputedStyle(node).color;

  const paintWave = (canvas, peaks, share) => {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width < 4) return;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const colour = css(canvas);
    for (let x = 0; x < width; x += 3) {
      const peak = peaks ? peaks[Math.min(peaks.length - 1, Math.floor((x / width) * peaks.length))] : 0;
      const high = Math.max(1.5, peak * (height - 4));
      pen.fillStyle = colour;
      pen.globalAlpha = share !== null && x / width <= share ? 1 : 0.38;
      pen.fillRect(x, (height - high) / 2, 2, high);
    }
    pen.globalAlpha = 1;
    if (share === null) return;
    pen.fillStyle = colour;
    pen.fillRect(share * width, 0, 1.5, height);
  };

  // canvases hold the colours of the theme in which they were painted
  addEventListener("atelier:scheme", () => setTimeout(() => {
    for (const { sounding } of document.querySelectorAll(".mu-tile, .mu-view")) {
      if (!sounding) continue;
      sounding.print = "";
      sounding.frame();
      sounding.roll?.paint();
    }
  }, 60));

  /** What is common to tile and large view: a take, its sound, and a frame that is painted while it plays. */
  class Sounding {
    constructor(node) {
      this.node = node;
      this.take = null;
      this.seconds = 0;
      this.loop = false;
      this.unwatch = player.watch(() => this.tick());
    }

    get address() {
      return atelier.soundOf(this.take, { loop: this.loop });
    }

    get mine() {
      return Boolean(this.take) && player.address === this.address;
    }

    /** 0 to 1, or null while another take is the one that is heard. */
    get share() {
      if (!this.mine || !this.seconds) return null;
      return Math.min(1, player.time / this.seconds);
    }

    tick() {
      if (this.wasSeen && !this.node.isConnected) return this.close();
      this.wasSeen = this.wasSeen || this.node.isConnected;
      this.frame();
    }

    async hear() {
      try {
        await player.toggle(this.address, { loop: this.loop });
      } catch (error) {
        this.fail(error);
      }
    }

    close() {
      this.unwatch();
      this.watcher?.disconnect();
    }
  }

  /** A take as a tile: its notes or its wave, a button to hear it, a line where it plays. */
  class SoundTile extends Sounding {
    constructor(label) {
      super(el("div", { class: "mu-tile", "aria-label": label, role: "group" }));
      this.node.sounding = this;
      this.canvas = el("canvas", { class: "mu-small", "aria-hidden": "true" });
      this.word = el("span", { class: "mu-word", hidden: true });
      this.button = el("button", { type: "button", class: "mu-hear", "aria-label": "Play", tabindex: "-1", onclick: (event) => (event.stopPropagation(), this.hear()) }, icon("play"));
      this.node.append(this.canvas, this.word, this.button);
      this.watcher = new ResizeObserver(() => this.frame());
      this.watcher.observe(this.canvas);
    }

    async show(take, url) {
      const before = this.shown;
      this.shown = url;
      this.take = take;
      this.button.hidden = !take.sha256;
      try {
        if (isScore(take)) await this.showScore(take, url);
        else await this.showWave(url);
        if (this.shown !== url) return;
        this.print = ""; // its size may have been told while there was nothing to paint
        this.frame();
      } catch (error) {
        if (this.shown === url && !before) this.fail(error);
      }
    }

    async showScore(take, url) {
      const told = take.sha256 ? await atelier.scoreOf(take.sha256) : { score: await json(url) };
      if (this.shown !== url || !told.score) return;
      this.score = told.score;
      this.seconds = told.score.seconds;
    }

    async showWave(url) {
      const buffer = await player.load(url);
      if (this.shown !== url) return;
      this.peaks = atelier.peaks(buffer, 160);
      this.seconds = buffer.duration;
    }

    frame() {
      const playing = this.mine && player.playing;
      if (this.button.dataset.playing !== String(playing)) {
        this.button.dataset.playing = String(playing);
        this.button.replaceChildren(icon(playing ? "pause" : "play"));
        this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
      }
      const print = `${this.shown} ${this.canvas.clientWidth} ${this.canvas.clientHeight} ${this.share?.toFixed(4)}`;
      if (print === this.print) return;
      this.print = print;
      if (this.score) atelier.paintSmall(this.canvas, this.score, this.share);
      else if (this.peaks) paintWave(this.canvas, this.peaks, this.share);
    }

    fail(error) {
      this.word.textContent = error.message;
      this.word.hidden = false;
    }
  }

  /** A take large: transport and waveform, parts with mute and solo, the roll, the engraved score. */
  class SoundView extends Sounding {
    constructor(take, label, board) {
      super(el("section", { class: "mu-view", "aria-label": label }));
      this.node.sounding = this;
      this.board = board;
      this.muted = new Set();
      this.shows = { roll: true, paper: false };
      this.play = button("play", "Play", () => this.hear(), { key: "Space", kind: "mu-play" });
      this.looping = button("loop", "Loop", () => this.flipLoop(), { bare: true });
      this.time = el("span", { class: "mu-time", text: "0:00" });
      this.wave = el("canvas", { class: "mu-wave", role: "slider", tabindex: "0", "data-own-keys": true, "aria-label": "Position", "aria-valuemin": "0", "aria-valuenow": "0", onpointerdown: (event) => this.seekOn(event), onkeydown: (event) => this.seekBy(event) });
      this.transport = el("div", { class: "mu-transport" }, this.play, this.looping, this.time, this.wave);
      this.line = el("p", { class: "mu-line", dir: "auto" });
      this.parts = el("div", { class: "mu-parts", role: "group", "aria-label": "Parts" });
      this.body = el("div", { class: "mu-body" });
      this.paper = el("div", { class: "mu-paper", tabindex: "0", "aria-label": "Score", hidden: true });
      this.problem = el("p", { class: "bd-problem", role: "alert", hidden: true });
      this.tools = el("div", { class: "mu-tools" });
      this.node.append(this.transport, this.line, this.tools, this.problem, this.body);
      this.watcher = new ResizeObserver(() => this.frame());
      this.watcher.observe(this.wave);
      this.update(take, take.url || take.preview);
    }

    get address() {
      const heard = this.muted.size && this.score ? this.score.tracks.map((_, k) => k).filter((k) => !this.muted.has(k)) : null;
      return atelier.soundOf(this.take, { loop: this.loop, tracks: heard });
    }

    /** A new state of the same take: it grew, or it is finished. */
    async update(take, url) {
      this.take = take;
      this.url = url;
      this.play.disabled = !take.sha256 && isScore(take);
      try {
        if (isScore(take)) await this.readScore(take, url);
        else await this.readWave(url);
      } catch (error) {
        this.fail(error);
      }
    }

    async readScore(take, url) {
      const told = take.sha256 ? await atelier.scoreOf(take.sha256) : { score: await json(url) };
      if (this.url !== url || !told.score) return;
      this.score = told.score;
      this.seconds = told.score.seconds;
      this.line.textContent = told.line || "";
      if (this.roll) this.roll.set(this.score);
      else this.makeRoll();
      this.paintParts();
      this.paintTools();
      if (take.sha256) this.readWave(this.address).catch((error) => this.fail(error));
    }

    makeRoll() {
      this.roll = new atelier.PianoRoll(this.score, (told) => this.fromRoll(told));
      this.body.replaceChildren(this.parts, this.roll.node, this.paper);
    }

    fromRoll(told) {
      if (told.seek !== undefined && this.take.sha256) player.seek(this.address, told.seek);
      if ("bars" in told) this.paintTools();
      if (told.changed) this.paintTools();
    }

    async readWave(url) {
      if (!url) return;
      const buffer = await player.load(url);
      this.peaks = atelier.peaks(buffer, 600);
      this.seconds = buffer.duration;
      this.wave.setAttribute("aria-valuemax", buffer.duration.toFixed(1));
      this.print = "";
      this.frame();
    }

    paintParts() {
      this.parts.replaceChildren(...this.score.tracks.map((track, k) => {
        const muted = this.muted.has(k);
        const alone = this.muted.size === this.score.tracks.length - 1 && !muted;
        return el("div", { class: `mu-part ${muted ? "muted" : ""}`, style: { "--part": atelier.trackColour(k) } },
          el("i"),
          el("span", { class: "mu-partname", text: track.name || `Part ${k + 1}`, title: `${track.notes.length} notes` }),
          el("button", { type: "button", class: "mu-m", "aria-label": `Mute ${track.name}`, "aria-pressed": String(muted), title: "Mute", text: "M", onclick: () => this.mute(k) }),
          el("button", { type: "button", class: "mu-s", "aria-label": `Solo ${track.name}`, "aria-pressed": String(alone), title: "Solo", text: "S", onclick: () => this.solo(k, alone) }));
      }));
    }

    mute(k) {
      this.muted.has(k) ? this.muted.delete(k) : this.muted.add(k);
      if (this.muted.size === this.score.tracks.length) this.muted.clear();
      this.mixChanged();
    }
    solo(k, alone) {
      this.muted = alone ? new Set() : new Set(this.score.tracks.map((_, i) => i).filter((i) => i !== k));
      this.mixChanged();
    }
    mixChanged() {
      const before = this.wasAddress;
      this.roll.muted = this.muted;
      this.roll.paint();
      this.paintParts();
      this.follow(before);
    }

    /** Another mix or a loop of the same take: heard at the same place. */
    follow(before) {
      if (before && player.address === before) player.change(this.address).catch((error) => this.fail(error));
      this.wasAddress = this.address;
      this.readWave(this.address).catch((error) => this.fail(error));
    }

    flipLoop() {
      const before = this.address;
      this.loop = !this.loop;
      this.looping.setAttribute("aria-pressed", String(this.loop));
      player.setLoop(this.loop);
      this.follow(before);
    }

    async hear() {
      this.wasAddress = this.address;
      player.looping = this.loop;
      return super.hear();
    }

    seekOn(event) {
      const box = this.wave.getBoundingClientRect();
      player.seek(this.address, Math.max(0, ((event.clientX - box.left) / box.width) * this.seconds));
    }
    seekBy(event) {
      if (event.key === " ") return void (event.preventDefault(), this.hear());
      const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      player.seek(this.address, Math.max(0, Math.min(this.seconds, player.time + by)));
    }

    frame() {
      const playing = this.mine && player.playing;
      if (this.play.dataset.playing !== String(playing)) {
        this.play.dataset.playing = String(playing);
        this.play.replaceChildren(icon(playing ? "pause" : "play"), el("span", { class: "bd-word", text: playing ? "Pause" : "Play" }));
        this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
      }
      const now = this.mine ? player.time : 0;
      const text = `${clock(now)} / ${clock(this.seconds || 0)}`;
      if (this.time.textContent !== text) {
        this.time.textContent = text;
        this.wave.setAttribute("aria-valuenow", now.toFixed(1));
      }
      const print = `${this.wave.clientWidth} ${this.share?.toFixed(4)} ${this.url}`;
      if (print === this.print) return;
      this.print = print;
      paintWave(this.wave, this.peaks, this.share);
      if (this.roll) {
        this.roll.time = this.mine ? now : null;
        this.roll.paint();
      }
      this.markPaper(now);
    }

    // --- the engraved score

    paintTools() {
      const { roll } = this;
      if (roll?.editing) return this.tools.replaceChildren(...this.editTools());
      const marked = roll?.bars;
      const flip = (name, label) => {
        const made = button(name === "roll" ? "grid" : "page", label, () => this.flip(name));
        made.setAttribute("aria-pressed", String(this.shows[name]));
        return made;
      };
      this.tools.replaceChildren(
        flip("roll", "Piano roll"),
        flip("paper", "Score"),
        button("plus", "Zoom in", () => roll.zoomTo(roll.zoom * 1.5), { bare: true, key: "Ctrl+wheel" }),
        button("minus", "Zoom out", () => roll.zoomTo(roll.zoom / 1.5), { bare: true }),
        el("span", { class: "bd-quiet", text: marked ? (marked[0] === marked[1] ? `Bar ${marked[0]} marked` : `Bars ${marked[0]}–${marked[1]} marked`) : "Drag over the bar numbers to mark bars" }),
      );
    }

    async flip(name) {
      this.shows[name] = !this.shows[name];
      if (!this.shows.roll && !this.shows.paper) this.shows[name === "roll" ? "paper" : "roll"] = true;
      this.roll.node.hidden = !this.shows.roll;
      this.parts.hidden = !this.shows.roll;
      this.paper.hidden = !this.shows.paper;
      this.paintTools();
      this.roll.paint();
      if (this.shows.paper && this.take.sha256 && this.engraved !== this.take.sha256) await this.engrave();
    }

    async engrave() {
      this.engraved = this.take.sha256;
      this.paper.replaceChildren(el("p", { class: "bd-quiet", text: "Engraving…" }));
      try {
        const { pages, times } = await json(`/atelier/music/engraved/${this.take.sha256}`);
        this.times = times;
        // the studio's own engraving, drawn as a document of its own kind: it holds shapes and text alone
        this.paper.replaceChildren(...pages.map((page) => {
          const drawn = new DOMParser().parseFromString(page, "image/svg+xml").documentElement;
          return el("div", { class: "mu-page" }, document.importNode(drawn, true));
        }));
      } catch (error) {
        this.engraved = "";
        this.paper.replaceChildren(el("p", { class: "bd-problem", role: "alert", text: error.message }));
      }
    }

    markPaper(now) {
      if (!this.times || !this.shows.paper) return;
      const at = this.mine ? this.times.findLastIndex(([seconds]) => seconds <= now + 0.01) : -1;
      if (at === this.marked) return;
      this.marked = at;
      for (const lit of this.paper.querySelectorAll(".mu-now")) lit.classList.remove("mu-now");
      if (at < 0) return;
      const found = this.times[at][1].map((id) => this.paper.querySelector(`[id="${CSS.escape(id)}"]`)).filter(Boolean);
      for (const note of found) note.classList.add("mu-now");
      if (player.playing) found[0]?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }

    // --- notes changed by hand

    startEditing() {
      if (!this.roll || !this.take.sha256) return;
      if (this.roll.editing) return void this.roll.canvas.focus();
      if (!this.shows.roll) this.flip("roll");
      this.score = structuredClone(this.score);
      this.roll.set(this.score);
      this.roll.edit(true);
      this.paintTools();
      this.roll.canvas.focus();
    }

    editTools() {
      const { roll } = this;
      const part = el("select", { "aria-label": "Part that is changed", onchange: (event) => ((roll.track = Number(event.target.value)), roll.chosen.clear(), roll.paint()) },
        ...this.score.tracks.map((track, k) => el("option", { value: k, text: track.name || `Part ${k + 1}`, selected: k === roll.track })));
      const undo = button("undo", "Undo", () => roll.undo(), { bare: true, key: "Ctrl+Z" });
      const redo = button("redo", "Redo", () => roll.redo(), { bare: true, key: "Ctrl+Shift+Z" });
      undo.disabled = !roll.done.length;
      redo.disabled = !roll.undone.length;
      this.keep = button("pick", "Keep as a new take", () => this.send(), { kind: "primary" });
      this.keep.disabled = !roll.done.length;
      return [
        part, undo, redo,
        button("trash", "Delete the chosen notes", () => roll.remove(), { bare: true, key: "Del" }),
        el("span", { class: "bd-spring" }),
        this.keep,
        button("close", "Leave", () => this.stopEditing()),
        el("span", { class: "bd-quiet mu-help", text: "Drag notes or their ends, double-click to draw or delete, arrows move, Shift+arrows lengthen or jump an octave." }),
      ];
    }

    async stopEditing() {
      this.roll.edit(false);
      await this.readScore(this.take, this.url);
      this.paintTools();
    }

    async send() {
      this.keep.disabled = true;
      try {
        const plain = { ...this.score, tracks: this.score.tracks };
        await json("/atelier/music/keep", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ sha256: this.take.sha256, score: plain, panel: this.board.panel }) });
        await this.stopEditing();
        this.board.poke();
      } catch (error) {
        this.fail(error);
        this.keep.disabled = false;
      }
    }

    /** Another take is shown in its place: notes that were changed can still be kept. */
    left() {
      if (this.roll?.editing && this.roll.done.length) atelier.notice(this.board.root, "The changed notes were not kept.", "Keep as a new take", () => this.send());
    }

    fail(error) {
      if (!this.node.isConnected) return void atelier.notice(this.board.root, error.message);
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }

    close() {
      super.close();
      this.roll?.close();
    }
  }

  atelier.soundTile = (take, label) => {
    const tile = new SoundTile(label);
    tile.show(take, take.url || take.preview);
    return tile.node;
  };
  atelier.soundView = (take, label, board) => new SoundView(take, label, board).node;
  atelier.large.score = atelier.large.audio = atelier.soundView;
})();
