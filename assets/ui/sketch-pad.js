// Drawing on white paper for the sketch bench. Strokes are kept as points, so they can be undone, redone and drawn again
// at any size, also after a reload; what the studio gets is a PNG of black on white.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;
  const PAPER = 768; // pixels of the paper's longer side
  const TOOLS = [
    ["pen", "Pen", "edit", "p"],
    ["eraser", "Eraser", "rubber", "e"],
    ["line", "Line", "stroke", "l"],
    ["box", "Rectangle", "box", "r"],
    ["ellipse", "Ellipse", "ellipse", "o"],
  ];
  const GLYPHS = {
    rubber: "M4 15l8-8 6 6-6 6H8zM10 9l6 6M12 19h8",
    stroke: "M5 19L19 5",
    box: "M4 6h16v12H4z",
    ellipse: "M12 5c5 0 9 3 9 7s-4 7-9 7-9-3-9-7 4-7 9-7z",
    mirror: "M12 3v18M8 7l-5 10h5zM16 7l5 10h-5z",
    large: "M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5",
  };
  const MOST_POINTS = 60000; // kept over a reload
  const STEP = 8; // pixels of the paper that an arrow key moves the pen

  /** Two points near each other on the paper are one. */
  const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) > 1.2;

  const glyph = (name) => {
    const icon = atelier.icon("edit");
    icon.querySelector("path").setAttribute("d", GLYPHS[name]);
    return icon;
  };
  const tool = (name, label, run, key = "") => {
    const made = button("edit", label, run, { bare: true, key: key.toUpperCase() });
    if (GLYPHS[name]) made.replaceChild(glyph(name), made.firstChild);
    return made;
  };

  class Pad {
    constructor(element, props, watch) {
      this.element = element;
      this.props = props;
      const id = element.closest("[id]:not([id^='html-'])")?.id || "design-sketch"; // gradio's own ids begin with html-
      this.panel = id.split("-")[0];
      this.store = `atelier.sketch.${id}`;
      Object.assign(this, { strokes: [], undone: [], tool: "pen", mirrored: false, current: null, under: null, underName: "", dirty: false, cursor: null, sent: null, large: null });
      this.draw();
      this.restore();
      watch("value", () => this.given(this.props.value || {}));
      this.given(this.props.value || {});
    }

    // --- what stands there

    draw() {
      this.canvas = el("canvas", { width: PAPER, height: PAPER, tabindex: 0, role: "application", class: "sk-paper", "aria-label": "Paper to draw on. Arrow keys move the pen, Space draws a line to it, P E L R O choose a tool." });
      this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
      this.size = el("input", { type: "range", min: 2, max: 48, value: 8, "aria-label": "Thickness" });
      this.tools = Object.fromEntries(TOOLS.map(([name, label, icon, key]) => [name, tool(icon, label, () => this.choose(name), key)]));
      this.mirror = tool("mirror", "Mirror strokes", () => this.reflect(), "m");
      this.back = button("undo", "Undo", () => this.undo(), { bare: true, key: "Ctrl+Z" });
      this.forth = button("redo", "Redo", () => this.redo(), { bare: true, key: "Ctrl+Y" });
      this.clean = button("trash", "Clear the paper", () => this.clear(), { bare: true });
      this.grow = tool("large", "Large paper", () => this.enlarge(), "f");
      this.note = el("span", { class: "bd-quiet sk-note", role: "status", dir: "auto" });
      const input = el("input", { type: "file", accept: "image/*", class: "bd-file", "aria-label": "Drawing", onchange: (event) => event.target.files[0] && this.take(event.target.files[0]) });
      this.host = el("div", { class: "sk", "data-takes-files": true, "data-own-keys": true },
        el("div", { class: "sk-bar", role: "toolbar", "aria-label": "Drawing" }, ...Object.values(this.tools), this.mirror, el("span", { class: "bd-spring" }), this.back, this.forth, this.clean, this.grow),
        el("div", { class: "sk-easel" }, this.canvas),
        el("div", { class: "sk-bar" }, el("label", { class: "sk-size" }, "Thickness", this.size),
          el("label", { class: "bd-button sk-choose" }, input, atelier.icon("start"), el("span", { text: "Choose a drawing" }))),
        this.note);
      for (const [kind, run] of [["pointerdown", this.press], ["pointermove", this.move], ["pointerup", this.lift], ["pointercancel", this.lift]]) this.canvas.addEventListener(kind, run.bind(this));
      this.canvas.addEventListener("blur", () => ((this.cursor = null), this.paint()));
      this.host.addEventListener("keydown", (event) => this.key(event));
      this.host.addEventListener("paste", (event) => event.clipboardData.files[0] && (event.preventDefault(), this.take(event.clipboardData.files[0])));
      this.host.addEventListener("dragover", (event) => (event.preventDefault(), this.host.classList.add("over")));
      this.host.addEventListener("dragleave", () => this.host.classList.remove("over"));
      this.host.addEventListener("drop", (event) => this.dropped(event));
      this.element.querySelector(".bd-widget").replaceChildren(this.host);
      document.addEventListener("click", (event) => this.generate(event), true);
      this.choose("pen");
    }

    tell(text = "") {
      this.note.textContent = text || (this.under ? `Drawing over ${this.underName || "a picture"}.` : "");
    }

    choose(name) {
      this.tool = name;
      for (const [key, node] of Object.entries(this.tools)) node.setAttribute("aria-pressed", String(key === name));
    }

    reflect() {
      this.mirrored = !this.mirrored;
      this.mirror.setAttribute("aria-pressed", String(this.mirrored));
      this.paint();
    }

    /** The paper in front of everything, or back in its place. */
    enlarge(on = !this.large) {
      if (on === Boolean(this.large)) return;
      if (on) {
        this.large = el("dialog", { class: "bd-widget sk-large", "aria-label": "Large paper" });
        this.large.addEventListener("close", () => this.enlarge(false));
        document.body.append(this.large);
        this.large.append(this.host);
        this.large.showModal();
      } else {
        const before = this.large;
        this.large = null;
        this.element.querySelector(".bd-widget").append(this.host);
        before.remove();
      }
      this.grow.setAttribute("aria-pressed", String(on));
      this.canvas.focus({ preventScroll: true });
    }

    // --- strokes

    place(event) {
      const box = this.canvas.getBoundingClientRect();
      const { width, height } = this.canvas;
      const ratio = Math.min(box.width / width, box.height / height); // the paper is shown whole, in the middle of its box
      const [left, top] = [box.left + (box.width - width * ratio) / 2, box.top + (box.height - height * ratio) / 2];
      return [(event.clientX - left) / ratio, (event.clientY - top) / ratio].map((v) => Math.round(v * 10) / 10);
    }

    begin(at) {
      this.current = { tool: this.tool, size: Number(this.size.value), mirrored: this.mirrored, points: [at, at] };
    }

    press(event) {
      if (event.button !== 0 || this.current) return;
      event.preventDefault();
      this.canvas.focus({ preventScroll: true });
      this.canvas.setPointerCapture(event.pointerId);
      this.cursor = null;
      this.begin(this.place(event));
      this.paint();
    }

    move(event) {
      if (!this.current) return;
      const freely = ["pen", "eraser"].includes(this.current.tool);
      for (const one of freely && event.getCoalescedEvents ? [...event.getCoalescedEvents(), event] : [event]) {
        const { points } = this.current;
        const at = this.place(one);
        if (!freely) points[1] = at;
        else if (far(points.at(-1), at)) points.push(at);
      }
      this.paint();
    }

    lift() {
      if (!this.current) return;
      const done = this.current;
      this.current = null;
      if (["pen", "eraser"].includes(done.tool) || far(...done.points)) this.add(done);
      else this.paint();
    }

    add(stroke) {
      this.strokes.push(stroke);
      this.undone = [];
      this.changed();
    }

    undo() {
      const last = this.strokes.pop();
      if (last) this.undone.push(last);
      this.changed();
    }

    redo() {
      const next = this.undone.pop();
      if (next) this.strokes.push(next);
      this.changed();
    }

    clear() {
      const before = { strokes: this.strokes, under: this.under, name: this.underName, width: this.canvas.width, height: this.canvas.height };
      if (!before.strokes.length && !before.under) return;
      Object.assign(this, { strokes: [], undone: [], under: null, underName: "" });
      this.shape(PAPER, PAPER);
      this.changed();
      this.tell("");
      this.note.append(el("button", { type: "button", class: "bd-button", text: "Bring it back", onclick: () => {
        Object.assign(this, { strokes: before.strokes, under: before.under, underName: before.name });
        this.shape(before.width, before.height);
        this.changed();
      } }));
    }

    /** Something on the paper is not what the studio has. */
    changed() {
      this.dirty = true;
      this.tell();
      this.paint();
      this.keep();
    }

    get empty() {
      return !this.under && !this.strokes.some((one) => one.tool !== "eraser");
    }

    // --- drawing it

    shape(width, height) {
      Object.assign(this.canvas, { width, height });
    }

    paint(finished = false) {
      const { pen, canvas } = this;
      Object.assign(pen, { lineCap: "round", lineJoin: "round" });
      pen.setLineDash([]);
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      if (this.under) pen.drawImage(this.under, 0, 0, canvas.width, canvas.height);
      for (const stroke of this.current ? [...this.strokes, this.current] : this.strokes) this.trace(stroke);
      this.back.disabled = !this.strokes.length;
      this.forth.disabled = !this.undone.length;
      if (finished) return;
      if (this.mirrored) {
        Object.assign(pen, { strokeStyle: "rgba(109, 40, 217, .45)", lineWidth: 2 });
        pen.setLineDash([10, 10]);
        this.path([[canvas.width / 2, 0], [canvas.width / 2, canvas.height]]);
      }
      if (this.cursor) {
        const [x, y] = this.cursor;
        Object.assign(pen, { strokeStyle: "#6d28d9", lineWidth: 2 });
        pen.setLineDash([]);
        this.path([[x - 14, y], [x + 14, y]]);
        this.path([[x, y - 14], [x, y + 14]]);
      }
    }

    path(points) {
      this.pen.beginPath();
      this.pen.moveTo(...points[0]);
      for (const point of points.slice(1)) this.pen.lineTo(...point);
      this.pen.stroke();
    }

    trace(stroke) {
      const sides = stroke.mirrored ? [stroke.points, stroke.points.map(([x, y]) => [this.canvas.width - x, y])] : [stroke.points];
      for (const points of sides) this.mark(stroke, points);
    }

    mark({ tool: kind, size }, points) {
      const { pen } = this;
      Object.assign(pen, { strokeStyle: kind === "eraser" ? "#fff" : "#000", lineWidth: kind === "eraser" ? size * 2.5 : size });
      const [[x, y], [right, bottom]] = points;
      if (kind === "box") pen.strokeRect(Math.min(x, right), Math.min(y, bottom), Math.abs(right - x), Math.abs(bottom - y));
      else if (kind === "ellipse") {
        pen.beginPath();
        pen.ellipse((x + right) / 2, (y + bottom) / 2, Math.abs(right - x) / 2, Math.abs(bottom - y) / 2, 0, 0, 2 * Math.PI);
        pen.stroke();
      } else if (kind === "line" || points.length < 4) this.path([points[0], [points.at(-1)[0] + 0.01, points.at(-1)[1]]]);
      else this.curve(points);
    }

    /** Through the middles between points, so that a quick hand leaves no corners. */
    curve(points) {
      const { pen } = this;
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (let i = 1; i < points.length - 1; i++) {
        const [x, y] = points[i];
        pen.quadraticCurveTo(x, y, (x + points[i + 1][0]) / 2, (y + points[i + 1][1]) / 2);
      }
      pen.lineTo(...points.at(-1));
      pen.stroke();
    }

    // --- keys

    key(event) {
      const pressed = event.key.toLowerCase();
      const moves = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }[pressed];
      const chosen = TOOLS.find(([, , , key]) => key === pressed);
      const onPaper = event.target === this.canvas;
      if (event.ctrlKey || event.metaKey) {
        if (pressed === "z") event.shiftKey ? this.redo() : this.undo();
        else if (pressed === "y") this.redo();
        else return;
      } else if (event.altKey) return;
      else if (pressed === "escape" && this.large) this.enlarge(false);
      else if (!onPaper) return;
      else if (moves) this.walk(moves, event.shiftKey ? 4 : 1);
      else if (pressed === " ") this.pin();
      else if (pressed === "enter" && this.current) this.lift();
      else if (pressed === "escape" && this.current) (this.current = null), this.paint();
      else if (chosen) this.choose(chosen[0]);
      else if (pressed === "m") this.reflect();
      else if (pressed === "f") this.enlarge();
      else if (pressed === "[" || pressed === "]") this.size.value = Number(this.size.value) + (pressed === "[" ? -2 : 2);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    walk([across, down], times) {
      const { width, height } = this.canvas;
      const [x, y] = this.cursor || [width / 2, height / 2];
      this.cursor = [Math.min(width, Math.max(0, x + across * STEP * times)), Math.min(height, Math.max(0, y + down * STEP * times))];
      if (this.current) {
        if (["pen", "eraser"].includes(this.current.tool)) this.current.points.push(this.cursor);
        else this.current.points[1] = this.cursor;
      }
      this.paint();
    }

    /** Space: the pen is put down where the cursor is, and lifted. */
    pin() {
      this.cursor = this.cursor || [this.canvas.width / 2, this.canvas.height / 2];
      if (this.current) this.lift();
      else this.begin(this.cursor);
      this.paint();
    }

    // --- drawings from elsewhere

    dropped(event) {
      event.preventDefault();
      event.stopPropagation();
      this.host.classList.remove("over");
      const file = event.dataTransfer.files[0];
      const taken = /\/atelier\/(?:files|thumbs)\/([0-9a-f]{64})/.exec(event.dataTransfer.getData("text/uri-list") || event.dataTransfer.getData("text/plain"));
      if (file) this.take(file);
      else if (taken) this.lay(taken[1], "a take");
    }

    async take(file) {
      this.tell(`Reading ${file.name}…`);
      const answer = await atelier.upload(file, file.name, "source");
      if (answer.sha256) await this.lay(answer.sha256, file.name);
      else this.tell([answer.error, answer.hint].filter(Boolean).join(" ") || "That file cannot be used.");
    }

    /** A picture of the library under the strokes, which begin anew. */
    async lay(sha256, name, strokes = []) {
      const picture = el("img", { src: `/atelier/files/${encodeURIComponent(sha256)}`, alt: "" });
      const shown = await picture.decode().then(() => true, () => false);
      if (!shown) return this.tell("That picture cannot be shown.");
      const ratio = PAPER / Math.max(picture.naturalWidth, picture.naturalHeight);
      Object.assign(this, { strokes, undone: [], under: picture, underName: name, underIs: sha256 });
      this.shape(Math.max(1, Math.round(picture.naturalWidth * ratio)), Math.max(1, Math.round(picture.naturalHeight * ratio)));
      this.paint();
      if (!strokes.length) this.have(sha256, name);
      this.tell();
      this.keep();
    }

    // --- the studio's side

    /** The studio has what is on the paper. */
    have(sha256, name) {
      this.dirty = false;
      this.sent = sha256;
      this.props.value = { sha256, name };
    }

    given({ sha256 = null, name = "" }) {
      if (!sha256 || sha256 === this.sent) return;
      this.lay(sha256, name);
    }

    /** Before Generate is heard, what was drawn since goes to the studio. */
    async generate(event) {
      if (!(event.target instanceof Element) || !this.dirty || !this.host.offsetParent) return;
      const go = event.target.closest(`#${this.panel}-go`);
      if (!go) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (this.sending) return;
      this.sending = true;
      await this.send();
      this.sending = false;
      if (!this.dirty) setTimeout(() => go.click(), 60);
    }

    async send() {
      if (this.empty) return this.have(null, "");
      this.paint(true);
      const file = await new Promise((give) => this.canvas.toBlob(give, "image/png"));
      this.paint();
      const count = this.strokes.length;
      const answer = await atelier.upload(file, "drawing.png", "source");
      if (!answer.sha256) return this.tell([answer.error, answer.hint].filter(Boolean).join(" ") || "The drawing could not be kept.");
      if (count === this.strokes.length) this.have(answer.sha256, "Drawing");
    }

    // --- over a reload

    keep() {
      const points = this.strokes.reduce((sum, one) => sum + one.points.length, 0);
      const kept = { strokes: points > MOST_POINTS ? [] : this.strokes, under: this.under ? this.underIs : null, name: this.underName };
      try {
        localStorage.setItem(this.store, JSON.stringify(kept));
      } catch {
        localStorage.removeItem(this.store);
      }
    }

    kept() {
      try {
        return JSON.parse(localStorage.getItem(this.store) || "null") || {};
      } catch {
        return {};
      }
    }

    async restore() {
      const { strokes, under, name } = this.kept();
      const earlier = Array.isArray(strokes) ? strokes : [];
      if (typeof under === "string") await this.lay(under, String(name || ""), earlier);
      else if (!this.strokes.length) this.strokes = earlier;
      if (this.strokes.length) this.dirty = true;
      this.paint();
      this.host.dataset.ready = "true";
    }
  }

  atelier.sketchPad = (element, props, trigger, watch) => {
    const pad = new Pad(element, props, watch);
    atelier.sketchPads = { ...atelier.sketchPads, [pad.panel]: pad };
  };
})();
