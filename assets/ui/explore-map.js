// Pictures of a latent space: maps and sheets of directions whose cells lead on, mixtures, walks, sprites and land.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, icon } = atelier;

  const PLACED = ["explore", "map_latents", "latent_directions", "mix_pictures"]; // tasks whose takes lie somewhere
  const WAIT = 260; // ms of rest after which a turned wheel asks for a map
  const LEAST = 0.02; // deviations from the middle of a map to its edge
  const MOST = 6;

  const number = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

  /** A map or a sheet of directions, large: one cell is chosen, and leads to pictures, nearer maps or directions. */
  class MapView {
    constructor(take, alt, board) {
      this.take = take;
      this.board = board;
      this.told = take.told;
      this.isMap = this.told.task === "map_latents";
      this.cell = [Math.floor(this.told.columns / 2), this.isMap ? Math.floor(this.told.rows / 2) : 0];
      this.factor = 1;
      this.picture = el("img", { src: take.url, alt, draggable: "false" });
      this.marker = el("i", { class: "ex-marker", "aria-hidden": "true" });
      this.sheet = el("div", { class: "ex-sheet" }, this.picture, this.marker);
      this.field = el("div", { class: "ex-field", tabindex: "0", role: "application", "aria-label": `${alt}. Arrow keys choose a cell, Enter makes pictures of it.`, "data-own-keys": true, onkeydown: (event) => this.key(event), onclick: (event) => this.click(event), ondblclick: (event) => event.preventDefault() }, this.sheet);
      this.line = el("span", { class: "ex-line", role: "status", "aria-live": "polite" });
      const more = this.isMap
        ? [button("plus", "Nearer", () => this.zoom(0.5), { key: "+" }), button("minus", "Farther", () => this.zoom(2), { key: "-" })]
        : [];
      this.node = el("section", { class: "ex-map", "aria-label": alt },
        el("div", { class: "bd-bar sh-tools" }, button("subtle", "Pictures from here", () => this.ask("explore-at"), { key: "Enter, or a second click" }), button("pick", "This one alone", () => this.ask("explore-cell")), button("grid", "Directions from here", () => this.ask("directions-at")), ...more),
        this.field,
        el("div", { class: "ex-foot" }, this.line));
      if (this.isMap) this.field.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.picture.addEventListener("load", () => this.layout());
      this.watcher = new ResizeObserver(() => this.layout());
      this.watcher.observe(this.field);
      this.node.shape = this; // closed by its pane
      this.mark();
    }

    close() {
      clearTimeout(this.later);
      this.watcher.disconnect();
    }

    /** As large as it can be, in whole pixels of its own where there is room. */
    layout() {
      const { columns, rows } = this.told;
      const side = Math.max(8, Math.floor(Math.min((this.field.clientWidth - 24) / columns, (this.field.clientHeight - 16) / rows)));
      this.sheet.style.width = `${side * columns}px`;
      this.sheet.style.height = `${side * rows}px`;
    }

    mark() {
      const { columns, rows, x, y, shares } = this.told;
      const [column, row] = this.cell;
      for (const [name, value] of [["--column", column], ["--row", row], ["--columns", columns], ["--rows", rows]]) this.marker.style.setProperty(name, value);
      this.line.textContent = this.isMap
        ? `${this.told.label || "Here"}: direction ${this.told.axis_x} ${number(x[column])}, direction ${this.told.axis_y} ${number(y[row])} · the map reaches ${Number(this.told.span)} deviations`
        : `${this.told.label || "Here"}: direction ${row + 1} ${number(x[column])} · ${Math.round(100 * (shares[row] || 0))} % of what these directions change`;
    }

    choose(column, row) {
      this.cell = [Math.max(0, Math.min(this.told.columns - 1, column)), Math.max(0, Math.min(this.told.rows - 1, row))];
      this.mark();
    }

    cellAt(event) {
      const box = this.sheet.getBoundingClientRect();
      const [u, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return u < 0 || v < 0 || u >= 1 || v >= 1 ? null : [Math.floor(u * this.told.columns), Math.floor(v * this.told.rows)];
    }

    click(event) {
      const cell = this.cellAt(event);
      if (!cell) return;
      const again = this.clicked && cell.join() === this.cell.join();
      this.clicked = true;
      this.choose(...cell);
      if (again && event.detail < 2) this.ask("explore-at");
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (by) this.choose(this.cell[0] + by[0], this.cell[1] + by[1]);
      else if (event.key === "Enter") this.ask("explore-at");
      else if (this.isMap && (event.key === "+" || event.key === "=")) this.zoom(0.5);
      else if (this.isMap && event.key === "-") this.zoom(2);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    wheel(event) {
      event.preventDefault();
      const cell = this.cellAt(event);
      if (cell && this.factor === 1) this.choose(...cell);
      this.zoom(event.deltaY < 0 ? 0.8 : 1.25);
    }

    /** The map around the chosen cell with another span; what is there is enlarged until the new one is drawn. */
    zoom(factor) {
      const span = Math.max(LEAST, Math.min(MOST, this.told.span * this.factor * factor));
      this.factor = span / this.told.span;
      const [column, row] = this.cell;
      this.sheet.style.transformOrigin = `${(100 * (column + 0.5)) / this.told.columns}% ${(100 * (row + 0.5)) / this.told.rows}%`;
      this.sheet.style.transform = `scale(${Math.min(8, 1 / this.factor)})`;
      this.line.textContent = `Drawing the map of ${Number(span.toFixed(3))} deviations…`;
      clearTimeout(this.later);
      this.later = setTimeout(() => {
        this.board.awaited = "map_latents";
        this.ask("map-at", { centre_x: this.told.x[column], centre_y: this.told.y[row], span: Number(span.toFixed(4)) });
      }, WAIT);
    }

    ask(what, more = null) {
      const [column, row] = this.cell;
      if (what === "directions-at") this.board.awaited = "latent_directions";
      this.board.ask(what, { take: this.take }, more || { column, row });
      this.board.say("Asking for it…");
      this.board.poke();
    }
  }

  atelier.large.image = (take, alt, board) => (take.told && take.told.cell ? new MapView(take, alt, board).node : atelier.media(take, alt));

  // --- takes together

  const field = (label, input) => el("label", {}, el("span", { text: label }), input);
  const count = (name, label, value, min, max) => field(label, el("input", { type: "number", name, value, min, max, required: true }));
  const choice = (name, label, options) => field(label, el("select", { name }, ...options.map(([value, text]) => el("option", { value, text }))));

  const asking = (board, title, entries, fields, go) => {
    const pictures = entries.map(({ take }) => el("img", { src: take.thumb, alt: `Take ${take.index + 1}` }));
    const form = el("form", { method: "dialog" }, el("h2", { text: title }), el("div", { class: "bd-walkpair ex-stops" }, ...pictures.flatMap((one, k) => (k ? [icon("right"), one] : [one]))), ...fields,
      el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() }), el("button", { type: "submit", class: "bd-button primary", value: "go", text: "Make" })));
    const dialog = el("dialog", { class: "bd-dialog", "aria-label": title }, form);
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "go") go(Object.fromEntries(new FormData(form)));
      dialog.remove();
    });
    board.root.append(dialog);
    dialog.showModal();
  };

  const placed = (entry) => entry?.take.sha256 && PLACED.includes(entry.job.task) && atelier.kind(entry.take) === "image";
  const { manyActions, followNewest, toolsOn, mergeChosen } = atelier.Board.prototype;

  Object.assign(atelier.Board.prototype, {
    chosenEntries() {
      return [...this.chosen].map((key) => this.entries.get(key)).filter((entry) => entry?.take.sha256);
    },

    manyActions() {
      const shown = manyActions.call(this);
      const entries = this.chosenEntries();
      if (this.panel !== "design" || entries.length < 2 || !entries.every(placed)) return shown;
      const mix = button("merge", "Mix", () => this.mixPictures(entries), { key: "j" });
      mix.disabled = entries.length !== 2;
      const at = shown.findIndex((node) => node.classList.contains("bd-spring"));
      return [...shown.slice(0, at), mix, button("walk", "Walk", () => this.walkThrough(entries), { key: "l" }), ...shown.slice(at)];
    },

    mergeChosen() {
      const entries = this.chosenEntries();
      if (this.panel === "design" && entries.length && entries.every(({ take }) => atelier.kind(take) === "shape")) return this.mixShapes(entries);
      if (this.panel === "design" && entries.length === 2 && entries.every(placed)) return this.mixPictures(entries);
      return mergeChosen.call(this);
    },

    mixPictures([one, other]) {
      const ways = [["blend", "From one to the other"], ["layers", "One's outline, the other's finer things"]];
      asking(this, "Mix", [one, other], [count("steps", "Pictures", 7, 1, 64), choice("way", "How", ways)], (given) =>
        this.ask("mix-pictures", one, { to: other.take.sha256, steps: Number(given.steps), way: given.way }));
    },

    walkThrough(entries) {
      const fields = [count("frames", "Frames between two", 24, 2, 240), count("fps", "Frames a second", 24, 1, 60), choice("format", "Format", [["gif", "GIF"], ["mp4", "MP4"]]), choice("loop", "At the end", [["yes", "Back to the start"], ["no", "Stop there"]])];
      asking(this, "Walk", entries, fields, (given) =>
        this.ask("walk-latents", entries[0], { stops: entries.map(({ take }) => take.sha256), frames: Number(given.frames), fps: Number(given.fps), format: given.format, loop: given.loop === "yes" }));
    },

    /** What a place of the latent space can become stands before what tools make of any picture. */
    toolsOn(entry) {
      toolsOn.call(this, entry);
      const list = this.root.querySelector("dialog[open] .mu-formats");
      if (!list || this.panel !== "design") return;
      const act = (does, name, what, more = {}) =>
        el("button", { type: "button", class: "bd-button bd-format", "data-tool": does, onclick: () => {
          list.closest("dialog").close();
          this.awaited = { "map-at": "map_latents", "directions-at": "latent_directions" }[does] || null;
          if (this.awaited) this.focusEntry(entry.key);
          this.ask(does, entry, more);
          this.say("Asking for it…");
        } }, el("b", { text: name }), el("span", { class: "bd-quiet", text: what }));
      const land = act("terrain", "Land", "a height map and a model of it");
      if (!placed(entry)) return void list.append(land);
      list.prepend(act("map-at", "Map", "the pictures around this one"), act("directions-at", "Directions", "what each direction changes"), act("sprites", "Sprites", "a sheet of this kind, with their places"), land);
    },

    /** A map that was asked for out of a map takes its place when it is drawn, and nothing else moves meanwhile. */
    followNewest() {
      const { brief, active, view, awaited } = this;
      followNewest.call(this);
      if (view !== "focus") this.awaited = null;
      if (!awaited || view !== "focus") return;
      const newest = this.briefs[this.briefs.length - 1];
      const job = newest?.jobs[0];
      const entry = job?.task === awaited && newest.entries.find(({ take }) => take.sha256);
      if (entry && entry.key !== active && job.state === "done") {
        this.awaited = null;
        this.brief = newest;
        this.active = entry.key;
      } else if (job?.error) {
        this.awaited = null;
        return;
      } else {
        this.brief = this.briefs.find((one) => one.id === brief?.id) || this.brief;
        if (this.entries.has(active)) this.active = active;
      }
      this.setView("focus");
    },
  });
})();
