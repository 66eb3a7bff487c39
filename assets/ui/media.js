// How a take looks: one renderer per media type, and a pane in which pictures are zoomed and moved together.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el } = atelier;

  const kind = (take) => {
    const type = take.media_type || "image/png";
    if (type.startsWith("image/") && type !== "image/svg+xml") return "image";
    if (type.startsWith("video/")) return "video";
    if (type === "audio/midi") return "score";
    if (type.startsWith("audio/")) return "audio";
    if (type === "image/svg+xml") return "drawing";
    if (type === "model/gltf-binary") return "shape";
    if (type === "application/pdf") return "page";
    if (type === "application/json") return (take.facts || []).includes("palette") ? "palette" : "text";
    return type.startsWith("text/") && type !== "text/html" ? "text" : "other";
  };

  const RENDERERS = {
    image: (take, alt) => el("img", { src: take.url, alt, draggable: "false", decoding: "async" }),
    video: (take, alt, shared) =>
      el("video", { src: take.url, "aria-label": alt, controls: true, loop: true, muted: true, autoplay: !shared?.panes && !matchMedia("(prefers-reduced-motion: reduce)").matches, playsinline: true }),
    audio: (take, alt) => atelier.soundTile(take, alt),
    score: (take, alt) => atelier.soundTile(take, alt),
    text: (take, alt) => atelier.fillText(el("div", { class: "bd-text", tabindex: "0", "aria-label": alt, dir: "auto" }), take.url, take.copied),
    other: (take, alt) =>
      take.media_type === "text/html" ? el("div", { class: "bd-text", text: "A web page in one file. Download it, then open it in a browser." })
      : take.thumb ? el("img", { src: take.thumb, alt }) : el("div", { class: "bd-text", text: take.media_type || "file" }),
  };

  const MOST = 200_000; // characters shown

  /** A text in pieces, the one that repeats what the model was taught as a mark; `run` counts whole characters. */
  const marked = (text, run) => {
    if (!run) return [text];
    const letters = [...text];
    const part = (from, to) => letters.slice(from, to).join("");
    const end = run.start + run.characters;
    const what = `These ${run.characters} characters stand in your texts as well.`;
    return [part(0, run.start), el("mark", { class: "bd-copied", title: what, text: part(run.start, end) }), part(end)];
  };

  /** Put the text at `url` into a node that may show an earlier state of it; whoever reads at its end stays there. */
  atelier.fillText = (node, url, copied = null) => {
    node.dataset.url = url;
    fetch(url)
      .then((reply) => (reply.status === 204 ? null : reply.ok ? reply.text() : Promise.reject(reply.status)))
      .then((text) => {
        if (text === null || node.dataset.url !== url) return;
        const grew = node.dataset.growing === "yes";
        node.dataset.growing = url.includes("/previews/") ? "yes" : "";
        const atEnd = node.scrollTop + node.clientHeight > node.scrollHeight - 24;
        node.replaceChildren(...marked(text.slice(0, MOST), copied));
        if (node.dataset.growing && atEnd) node.scrollTop = node.scrollHeight;
        else if (grew && !node.dataset.growing) node.scrollTop = 0; // finished: it is read from its beginning
      })
      .catch(() => node.dataset.url === url && (node.textContent = node.textContent || "This text cannot be read. Is the studio still running?"));
    return node;
  };

  /** The whole text of a finished take. */
  atelier.readText = async (take) => {
    const reply = await fetch(take.url);
    if (!reply.ok) throw new Error("This text cannot be read. Is the studio still running?");
    return reply.text();
  };

  atelier.kind = kind;
  atelier.renderers = RENDERERS;
  atelier.large = {}; // by kind: how a take is shown large, where that is another way
  /** Whether a take is something to hear. */
  atelier.sounds = (take) => ["audio", "score"].includes(kind(take));
  /** `shared` is a View or a board where takes are looked at together. */
  atelier.media = (take, alt, shared) => RENDERERS[kind(take)](take, alt, shared);

  /** What all panes of a comparison share: how much they are enlarged (1 = fits) and moved (in picture widths, heights). */
  class View {
    constructor() {
      this.scale = 1;
      this.x = 0;
      this.y = 0;
      this.panes = new Set();
    }
    set(scale, x, y) {
      this.scale = Math.min(40, Math.max(0.1, scale));
      const reach = Math.max(0.5, this.scale / 2 + 0.25);
      this.x = Math.min(reach, Math.max(-reach, x));
      this.y = Math.min(reach, Math.max(-reach, y));
      for (const pane of this.panes) pane.paint();
    }
    fit() {
      this.orbit?.fit();
      this.set(1, 0, 0);
    }
    /** Enlarge by `factor` and keep the point (px, py), in picture widths from its centre, where it is. */
    zoom(factor, px = 0, py = 0) {
      this.orbit?.nearer(factor);
      const scale = Math.min(40, Math.max(0.1, this.scale * factor));
      const change = scale / this.scale;
      this.set(scale, px - (px - this.x) * change, py - (py - this.y) * change);
    }
  }

  /** One picture in a View: wheel and pinch zoom, drag moves, a double click changes between fit and 100 %. */
  class Pane {
    constructor(view, media) {
      this.view = view;
      this.media = media;
      this.pointers = new Map();
      this.node = el("div", { class: "bd-pane" }, media);
      this.pixels = media.tagName === "IMG" || media.tagName === "VIDEO";
      this.node.classList.toggle("plain", !this.pixels);
      if (!this.pixels) return;
      view.panes.add(this);
      media.addEventListener(media.tagName === "IMG" ? "load" : "loadedmetadata", () => this.paint());
      this.watcher = new ResizeObserver(() => this.paint());
      this.watcher.observe(this.node);
      this.node.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.node.addEventListener("dblclick", () => this.toggle());
      this.node.addEventListener("pointerdown", (event) => this.press(event));
      this.node.addEventListener("pointermove", (event) => this.drag(event));
      for (const end of ["pointerup", "pointercancel"]) {
        this.node.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
      }
    }
    natural() {
      const { media } = this;
      return [media.naturalWidth || media.videoWidth || 1, media.naturalHeight || media.videoHeight || 1];
    }
    fitted() {
      const [w, h] = this.natural();
      const box = this.node.getBoundingClientRect();
      const ratio = Math.min(Math.max(1, box.width - 24) / w, Math.max(1, box.height - 24) / h);
      return [w * ratio, h * ratio, ratio];
    }
    paint() {
      const [w, h, ratio] = this.fitted();
      const { scale, x, y } = this.view;
      Object.assign(this.media.style, {
        width: `${w}px`,
        height: `${h}px`,
        transform: `translate(-50%, -50%) translate(${x * w}px, ${y * h}px) scale(${scale})`,
      });
      this.media.style.imageRendering = ratio * scale >= 6 ? "pixelated" : "auto";
      this.node.dataset.percent = String(Math.round(ratio * scale * 100));
    }
    /** A place on the screen in picture widths and heights from the middle of the pane. */
    place(event) {
      const box = this.node.getBoundingClientRect();
      const [w, h] = this.fitted();
      return [(event.clientX - box.left - box.width / 2) / w, (event.clientY - box.top - box.height / 2) / h];
    }
    wheel(event) {
      event.preventDefault();
      this.view.zoom(Math.exp(-Math.sign(event.deltaY) * Math.min(60, Math.abs(event.deltaY)) * 0.004), ...this.place(event));
    }
    toggle() {
      if (Math.abs(this.view.scale - 1) > 0.01) this.view.fit();
      else this.view.set(1 / this.fitted()[2], 0, 0);
    }
    press(event) {
      if (event.button !== 0 || event.target.closest("input, button")) return;
      this.node.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    }
    drag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const [w, h] = this.fitted();
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const now = [event.clientX, event.clientY];
      if (others.length) {
        const distance = (point) => Math.hypot(point[0] - others[0][0], point[1] - others[0][1]);
        this.view.zoom(distance(now) / Math.max(1, distance(before)), ...this.place(event));
      } else {
        this.view.set(this.view.scale, this.view.x + (now[0] - before[0]) / w, this.view.y + (now[1] - before[1]) / h);
      }
      this.pointers.set(event.pointerId, now);
    }
    close() {
      this.media.shape?.close();
      this.media.sounding?.left?.();
      this.watcher?.disconnect();
      this.view.panes.delete(this);
    }
  }

  atelier.View = View;
  atelier.Pane = Pane;
})();
