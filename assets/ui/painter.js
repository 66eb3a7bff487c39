// Painting a mask over a picture: a plain 2D canvas of the picture's own size, laid over the stage.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;
  const COLOUR = "#f43f5e";

  class Painter {
    /** `done(sha256 or null)` gets the mask's file: white is painted, black is kept. */
    constructor(picture, mask, done) {
      this.done = done;
      this.erasing = false;
      this.boxing = false; // a drag fills a box: around a face, for instance
      this.strokes = []; // pictures of the canvas before each stroke, for undo
      this.image = el("img", { src: `/atelier/files/${encodeURIComponent(picture)}`, alt: "The picture to paint on", draggable: "false" });
      this.canvas = el("canvas", { "aria-label": "Mask: paint over what should become new", role: "img" });
      this.size = el("input", { type: "range", min: 1, max: 60, value: 12, "aria-label": "Brush size" });
      this.eraser = button("inpaint", "Eraser", () => this.erase(!this.erasing));
      this.box = button("grid", "Box", () => this.asBox(!this.boxing));
      this.note = el("span", { class: "bd-quiet", role: "status", text: "Paint over what should become new." });
      const bar = el("div", { class: "bd-bar", role: "toolbar", "aria-label": "Mask" },
        this.note, el("span", { class: "bd-spring" }),
        el("label", { class: "bd-brush" }, "Brush", this.size),
        this.box,
        this.eraser,
        button("undo", "Undo stroke", () => this.undo(), { bare: true }),
        button("trash", "Clear", () => (this.remember(), this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height)), { bare: true }),
        el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => this.close() }),
        el("button", { type: "button", class: "bd-button primary", text: "Done", onclick: () => this.finish() }));
      this.easel = el("div", { class: "bd-easel" }, this.image, this.canvas);
      this.node = el("div", { class: "bd bd-painter", role: "dialog", "aria-label": "Paint a mask" }, bar, this.easel);
      document.body.append(this.node);
      this.keys = (event) => this.key(event);
      document.addEventListener("keydown", this.keys, true);
      this.watcher = new ResizeObserver(() => this.fit());
      this.watcher.observe(this.easel);
      this.image.decode().then(() => this.begin(mask), () => (this.note.textContent = "That picture cannot be shown."));
    }
    async begin(mask) {
      this.canvas.width = this.image.naturalWidth;
      this.canvas.height = this.image.naturalHeight;
      this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
      Object.assign(this.pen, { lineCap: "round", lineJoin: "round", strokeStyle: COLOUR, fillStyle: COLOUR });
      this.fit();
      for (const [kind, run] of [["pointerdown", this.press], ["pointermove", this.move], ["pointerup", this.lift], ["pointercancel", this.lift]]) {
        this.canvas.addEventListener(kind, run.bind(this));
      }
      if (mask) await this.load(mask);
      this.node.dataset.ready = "true";
    }
    /** An earlier mask, to go on with. */
    async load(mask) {
      const earlier = el("img", { src: `/atelier/files/${encodeURIComponent(mask)}`, alt: "" });
      await earlier.decode().catch(() => null);
      if (!earlier.naturalWidth) return;
      const { width, height } = this.canvas;
      this.pen.drawImage(earlier, 0, 0, width, height);
      const pixels = this.pen.getImageData(0, 0, width, height);
      for (let i = 0; i < pixels.data.length; i += 4) {
        const on = pixels.data[i] > 127;
        pixels.data.set([244, 63, 94, on ? 255 : 0], i);
      }
      this.pen.putImageData(pixels, 0, 0);
    }
    fit() {
      const box = this.easel.getBoundingClientRect();
      const { naturalWidth: w, naturalHeight: h } = this.image;
      if (!w) return;
      this.ratio = Math.min((box.width - 32) / w, (box.height - 32) / h);
      for (const node of [this.image, this.canvas]) Object.assign(node.style, { width: `${w * this.ratio}px`, height: `${h * this.ratio}px` });
    }
    place(event) {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / this.ratio, (event.clientY - box.top) / this.ratio];
    }
    press(event) {
      if (event.button !== 0) return;
      this.remember();
      this.canvas.setPointerCapture(event.pointerId);
      this.pen.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
      this.pen.lineWidth = Math.max(1, (Number(this.size.value) / 100) * Math.max(this.canvas.width, this.canvas.height));
      this.last = this.from = this.place(event);
      if (!this.boxing) this.line(this.last);
    }
    move(event) {
      if (!this.last) return;
      if (this.boxing) this.fillBox(this.place(event));
      else this.line(this.place(event));
    }
    line(to) {
      this.pen.beginPath();
      this.pen.moveTo(...this.last);
      this.pen.lineTo(to[0] + 0.01, to[1]);
      this.pen.stroke();
      this.last = to;
    }
    /** What was there before this drag, with the box from where it began to `to`. */
    fillBox(to) {
      this.pen.putImageData(this.strokes[this.strokes.length - 1], 0, 0);
      const [x, y] = [Math.min(this.from[0], to[0]), Math.min(this.from[1], to[1])];
      this.pen.fillRect(x, y, Math.abs(to[0] - this.from[0]), Math.abs(to[1] - this.from[1]));
    }
    asBox(on) {
      this.boxing = on;
      this.box.setAttribute("aria-pressed", String(on));
    }
    lift() {
      this.last = null;
    }
    remember() {
      this.strokes.push(this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height));
      if (this.strokes.length > 20) this.strokes.shift();
    }
    undo() {
      const before = this.strokes.pop();
      if (before) this.pen.putImageData(before, 0, 0);
    }
    erase(on) {
      this.erasing = on;
      this.eraser.setAttribute("aria-pressed", String(on));
    }
    key(event) {
      if (event.key === "Escape") this.close();
      else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") this.undo();
      else if (!(event.target instanceof Node && this.node.contains(event.target))) return;
      else if (event.key !== "e") return;
      else this.erase(!this.erasing);
      event.preventDefault();
      event.stopPropagation();
    }
    async finish() {
      const { width, height } = this.canvas;
      const pixels = this.pen.getImageData(0, 0, width, height);
      let painted = 0;
      for (let i = 0; i < pixels.data.length; i += 4) {
        const on = pixels.data[i + 3] > 127 ? 255 : 0;
        painted += on;
        pixels.data.set([on, on, on, 255], i);
      }
      if (!painted) return this.close(null);
      const plain = el("canvas", { width, height });
      plain.getContext("2d").putImageData(pixels, 0, 0);
      const file = await new Promise((give) => plain.toBlob(give, "image/png"));
      const answer = await atelier.upload(file, "mask.png", "mask_image");
      if (answer.sha256) this.close(answer.sha256);
      else this.note.textContent = [answer.error, answer.hint].filter(Boolean).join(" ");
    }
    close(mask) {
      document.removeEventListener("keydown", this.keys, true);
      this.watcher.disconnect();
      this.node.remove();
      if (mask !== undefined) this.done(mask);
    }
  }

  /** One file into the library: {sha256, ...}, or {error, hint}. */
  atelier.upload = async (file, name, role) => {
    const reply = await fetch(`/atelier/upload?${new URLSearchParams({ role, name })}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    }).catch(() => null);
    if (!reply) return { error: "The studio does not answer.", hint: "Is it still running in its terminal?" };
    return reply.json().catch(() => ({ error: "That file cannot be used." }));
  };
  atelier.Painter = Painter;
})();
