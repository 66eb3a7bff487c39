// Takes that are shapes: a tile that turns when it is looked at, a large view with measures and checks, views that turn
// together. Where nothing can be drawn in three dimensions the picture inside the file is shown.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, Orbit, projected } = atelier;

  const WHOLE = 2 * Math.PI;
  const FINE_AFTER = 220; // ms
  const mm = (value) => `${Number(value.toFixed(value < 100 ? 1 : 0))} mm`;

  /** One picture of a shape, drawn anew when its orbit changes. The still picture stays until the first one is drawn. */
  class ShapeCanvas {
    constructor(take, alt, orbit, { measured = false, open = true } = {}) {
      this.take = take;
      this.orbit = orbit;
      this.measured = measured;
      this.still = el("img", { class: "sh-still", src: take.thumb || "", alt, draggable: "false", decoding: "async" });
      this.canvas = el("canvas", { class: "sh-canvas", hidden: true, role: "img", "aria-label": alt });
      this.node = el("div", { class: "sh-view" }, this.still, this.canvas);
      this.node.shape = this;
      this.watcher = new ResizeObserver(() => this.ask());
      if (open) this.open();
    }

    /** Reads the shape and draws it from now on. */
    open() {
      const stage = atelier.stage();
      if (!stage || this.opened) return Boolean(stage);
      this.opened = true;
      this.orbit.views.add(this);
      this.watcher.observe(this.node);
      atelier.meshOf(this.take.url).then(
        (mesh) => {
          this.mesh = mesh;
          this.ask();
        },
        (error) => this.node.append(el("p", { class: "bd-quiet sh-failed", text: error.message })),
      );
      return true;
    }

    /** Back to the still picture. */
    rest() {
      this.orbit.views.delete(this);
      this.watcher.disconnect();
      this.opened = false;
      this.canvas.hidden = true;
      this.still.hidden = false;
    }

    close() {
      this.rest();
    }

    /** Something changed: it is drawn in the next frame. Where the processor draws, roughly first, finely at rest. */
    ask() {
      if (!this.mesh || !this.opened) return;
      clearTimeout(this.later);
      this.moving = Boolean(this.canvas.dataset.drawn) && !this.canvas.hidden;
      this.later = setTimeout(() => {
        this.moving = false;
        if (atelier.stage()?.slow) this.paint();
      }, FINE_AFTER);
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame(() => {
        this.asked = false;
        this.paint();
      });
    }

    paint() {
      if (!this.node.isConnected) return void (this.wasSeen && this.close());
      this.wasSeen = true;
      const stage = atelier.stage();
      const [wide, high] = [this.node.clientWidth, this.node.clientHeight];
      if (!stage || !this.opened || wide < 8 || high < 8) return;
      const most = stage.slow ? 1 : Math.min(2, devicePixelRatio || 1);
      const rough = stage.slow && this.moving;
      const scale = Math.min(rough ? 0.5 : most, atelier.MOST_SHAPE_PIXELS / Math.max(wide, high));
      const [width, height] = [Math.round(wide * scale), Math.round(high * scale)];
      const camera = stage.draw(this.mesh, this.orbit, width, height, rough);
      if (!camera) return;
      if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
      const pen = this.canvas.getContext("2d");
      pen.clearRect(0, 0, width, height);
      pen.drawImage(stage.canvas, 0, stage.canvas.height - height, width, height, 0, 0, width, height);
      if (this.measured && this.orbit.lengths) this.drawLengths(pen, camera, width, height, scale);
      this.canvas.hidden = false;
      this.still.hidden = true;
      this.canvas.dataset.drawn = String(Number(this.canvas.dataset.drawn || 0) + 1);
    }

    /** Width, depth and height along the edges of the box around the shape that are nearest to the viewer. */
    drawLengths(pen, camera, width, height, scale) {
      const { low, high } = this.mesh;
      const gap = 0.09 * camera.reach;
      const [near, far] = [1, -1].map((way) => [0, 2].map((d) => (way * camera.back[d] > 0 ? high[d] + gap : low[d] - gap)));
      const on = (point) => projected(camera, point, width, height);
      const floor = low[1];
      const side = on([far[0], floor, near[1]])[0] < on([near[0], floor, far[1]])[0] ? [far[0], near[1]] : [near[0], far[1]];
      const lines = [
        [[low[0], floor, near[1]], [high[0], floor, near[1]], high[0] - low[0]],
        [[near[0], floor, low[2]], [near[0], floor, high[2]], high[2] - low[2]],
        [[side[0], low[1], side[1]], [side[0], high[1], side[1]], high[1] - low[1]],
      ];
      const style = getComputedStyle(this.node);
      pen.font = `${12 * scale}px ${style.fontFamily}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.lineWidth = 1.25 * scale;
      for (const [from, to, long] of lines) this.drawLength(pen, on(from), on(to), mm(long), style, scale);
    }

    drawLength(pen, [x0, y0], [x1, y1], text, style, scale) {
      const long = Math.hypot(x1 - x0, y1 - y0);
      if (long < 14 * scale) return;
      const [u, v] = [(x1 - x0) / long, (y1 - y0) / long];
      pen.strokeStyle = style.color;
      pen.globalAlpha = 0.75;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      for (const [x, y] of [[x0, y0], [x1, y1]]) {
        pen.moveTo(x - 5 * v * scale, y + 5 * u * scale);
        pen.lineTo(x + 5 * v * scale, y - 5 * u * scale);
      }
      pen.stroke();
      pen.globalAlpha = 1;
      const [x, y, wide] = [(x0 + x1) / 2, (y0 + y1) / 2, pen.measureText(text).width + 10 * scale];
      pen.fillStyle = style.backgroundColor;
      pen.beginPath();
      pen.roundRect(x - wide / 2, y - 9 * scale, wide, 18 * scale, 9 * scale);
      pen.fill();
      pen.fillStyle = style.color;
      pen.fillText(text, x, y + 0.5 * scale);
    }
  }

  // --- hands and keys

  const STEP = 0.12; // radians a key

  /** Drag turns, Shift or the right button moves, the wheel and two fingers enlarge; the same with keys. */
  const steer = (node, orbit) => {
    const fingers = new Map();
    node.tabIndex = 0;
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", "The shape in three dimensions: arrow keys turn it, + and - enlarge it");
    node.dataset.ownKeys = "";
    node.addEventListener("wheel", (event) => {
      event.preventDefault();
      orbit.nearer(Math.exp(-Math.sign(event.deltaY) * Math.min(60, Math.abs(event.deltaY)) * 0.004));
    }, { passive: false });
    node.addEventListener("contextmenu", (event) => event.preventDefault());
    node.addEventListener("dblclick", () => orbit.fit());
    node.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      orbit.stop();
      node.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    node.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      const high = Math.max(60, node.clientHeight);
      const [dx, dy] = [(now[0] - before[0]) / high, (now[1] - before[1]) / high];
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
        orbit.nearer(apart(now) / apart(before));
        orbit.move(dx / orbit.zoom, -dy / orbit.zoom);
      } else if (event.shiftKey || event.buttons & 6) orbit.move((2 * dx) / orbit.zoom, (-2 * dy) / orbit.zoom);
      else orbit.look(-4 * dx, 4 * dy);
      fingers.set(event.pointerId, now);
    });
    for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, (event) => fingers.delete(event.pointerId));
    node.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== node) return;
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      const does = by
        ? () => (event.shiftKey ? orbit.move(0.1 * by[0], 0.1 * by[1]) : orbit.look(STEP * by[0], STEP * by[1]))
        : { "+": () => orbit.nearer(1.15), "=": () => orbit.nearer(1.15), "-": () => orbit.nearer(1 / 1.15), 0: () => orbit.fit(), Home: () => orbit.fit(), " ": () => orbit.flip?.("turning"), t: () => orbit.flip?.("turning"), w: () => orbit.flip?.("edges"), l: () => orbit.flip?.("lengths") }[event.key];
      if (does) {
        event.preventDefault();
        event.stopPropagation();
        orbit.stop();
        return does();
      }
      if (["Tab", "Escape", "Shift"].includes(event.key)) return undefined;
      // what means nothing here means what it means on the board
      const passed = new KeyboardEvent("keydown", { key: event.key, shiftKey: event.shiftKey, bubbles: true, cancelable: true });
      if (!document.body.dispatchEvent(passed)) event.preventDefault();
      return undefined;
    });
  };

  // --- a tile

  /** A take as a tile: its picture, which turns while the pointer is over it, and once when it is chosen by keys. */
  atelier.shapeTile = (take, alt) => {
    const shown = new ShapeCanvas(take, alt, new Orbit(1.15), { open: false });
    const { node, orbit } = shown;
    node.classList.add("sh-tile");
    let over = false;
    const begin = (angle) => shown.open() && orbit.start(angle);
    node.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "touch") return;
      over = true;
      begin();
    });
    node.addEventListener("pointerleave", () => {
      over = false;
      orbit.stop();
      orbit.fit();
      shown.rest();
    });
    /** Whether this is the tile that keys act on. */
    shown.attend = (active) => {
      if (active === shown.attended) return;
      shown.attended = active;
      if (over) return;
      if (active && node.closest(".bd-grid")?.matches(":focus-visible")) begin(WHOLE);
      else if (!active) {
        orbit.stop();
        orbit.fit();
        shown.rest();
      }
    };
    return node;
  };

  // --- large

  const hours = (minutes) => (minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`);

  /** What a printer needs to know: [words, whether it is well; null where that is no question, more in the tooltip]. */
  const checksOf = (told) => {
    const found = [];
    if (told.size_mm) found.push([told.size_mm.map((side) => Number(side.toFixed(1))).join(" × ") + " mm", null, "Width, height and depth"]);
    if ("watertight" in told) found.push([told.watertight ? "Watertight" : "Not watertight", told.watertight, "Every edge is shared by two faces"]);
    if ("pieces" in told) found.push([told.pieces === 1 ? "One piece" : `${told.pieces} pieces`, told.pieces === 1, "Surfaces that do not touch"]);
    if ("stands" in told) found.push([told.stands ? "Stands" : "Tips over", told.stands, "A flat base under its centre of mass"]);
    if ("wall_mm" in told) found.push([`Thinnest wall ${told.wall_mm} mm`, "asked_mm" in told ? told.wall_mm >= told.asked_mm - 0.005 : null, (told.repairs || []).join(", ") || "Measured at every corner of the surface"]);
    if ("volume_cm3" in told) found.push([`${told.volume_cm3} cm³`, null, `${told.faces} faces`]);
    if ("grams" in told) found.push([`${told.grams} g of PLA`, null, "Two lines of wall, 15 % filling"]);
    if ("print_minutes" in told) found.push([`About ${hours(told.print_minutes)} to print`, null, "An estimate: 0.2 mm layers; a slicer knows better"]);
    return found;
  };

  const checks = (told) =>
    el("ul", { class: "sh-checks", "aria-label": "Checks for printing" }, ...checksOf(told || {}).map(([text, good, more]) =>
      el("li", { class: good === null ? "" : good ? "good" : "bad", title: more }, good === null ? null : atelier.icon(good ? "pick" : "warn"), el("span", { text }))));

  /** A take large: turned by hand or by itself, with its edges and its measures. */
  const shapeView = (take, alt, board) => {
    const orbit = (board.largeView.orbit = new Orbit());
    const shown = new ShapeCanvas(take, alt, orbit, { measured: true });
    const able = Boolean(atelier.stage());
    const flags = [["turning", "loop", "Turn", "t"], ["edges", "grid", "Edges", "w"], ["lengths", "compare", "Measures", "l"]];
    const buttons = new Map(flags.map(([name, picture, word, key]) => [name, button(picture, word, () => orbit.flip(name), { key: `${key}, on the shape` })]));
    const paint = () => buttons.forEach((one, name) => one.setAttribute("aria-pressed", String(orbit[name])));
    orbit.flip = (name) => {
      if (name !== "turning") orbit[name] = !orbit[name];
      else if (buttons.get(name).getAttribute("aria-pressed") === "true") orbit.stop();
      else orbit.start();
      orbit.changed();
      paint();
    };
    const view = el("section", { class: "sh-large", "aria-label": alt },
      el("div", { class: "bd-bar sh-tools" }, ...(able ? [...buttons.values(), button("focus", "Whole shape", () => orbit.fit(), { bare: true, key: "0, on the shape" })] : [el("span", { class: "bd-quiet", text: "This browser cannot draw in three dimensions." })])),
      shown.node, checks(take.told));
    if (able) {
      steer(shown.node, orbit);
      shown.node.addEventListener("pointerdown", paint);
      shown.node.addEventListener("keydown", paint);
    }
    view.shape = shown;
    paint();
    return view;
  };

  atelier.renderers.shape = (take, alt, shared) => {
    const orbit = shared instanceof atelier.View ? (shared.orbit = shared.orbit || new Orbit()) : new Orbit();
    const shown = new ShapeCanvas(take, alt, orbit, { measured: true });
    if (atelier.stage()) steer(shown.node, orbit);
    return shown.node;
  };
  atelier.large.shape = shapeView;

  addEventListener("atelier:scheme", () => setTimeout(() => {
    for (const node of document.querySelectorAll(".sh-view")) node.shape?.ask();
  }, 60));
})();
