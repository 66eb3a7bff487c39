// The latent pad: two to four shapes at the ends of a line or the corners of a square, and a handle between them. Where
// it is left, the studio is asked for the shape of that place; the last ones stand beside it, so that one goes on.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, notice } = atelier;

  const SHOWN = 6; // results
  const CORNERS = { 2: [[0, 0.5], [1, 0.5]], 3: [[0.5, 0], [0, 1], [1, 1]], 4: [[0, 0], [1, 0], [0, 1], [1, 1]] };

  /** How much each corner counts at a place (0..1, 0..1); they add up to 1. */
  const weightsAt = (many, x, y) => {
    if (many === 2) return [1 - x, x];
    if (many === 4) return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
    const [right, left] = [y / 2 + (x - 0.5), y / 2 - (x - 0.5)].map((w) => Math.max(0, w));
    const top = Math.max(0, 1 - y);
    const sum = top + left + right || 1;
    return [top / sum, left / sum, right / sum];
  };
  atelier.padWeights = weightsAt;

  class Pad {
    constructor(board, entries) {
      this.board = board;
      this.entries = entries;
      this.place = [0.5, entries.length === 3 ? 0.66 : 0.5];
      this.asked = []; // {weights, known: jobs that were there before}
      this.handle = el("div", { class: "sh-handle", role: "slider", tabindex: "0", "data-own-keys": true, "aria-label": "Place between the shapes", "aria-valuemin": "0", "aria-valuemax": "100", onkeydown: (event) => this.key(event) });
      this.field = el("div", { class: `sh-pad${entries.length === 2 ? " line" : ""}${entries.length === 3 ? " triangle" : ""}`, onpointerdown: (event) => this.press(event), onpointermove: (event) => this.drag(event), onpointerup: (event) => this.release(event), onpointercancel: () => (this.held = null) }, this.handle);
      this.corners = entries.map((entry, k) => {
        const [x, y] = CORNERS[entries.length][k];
        return el("figure", { class: "sh-corner", style: { "--x": x, "--y": y } }, el("img", { src: entry.take.thumb, alt: `Take ${entry.take.index + 1}`, draggable: "false" }), el("figcaption"));
      });
      this.results = el("div", { class: "sh-results", role: "group", "aria-label": "Shapes from the pad", "aria-live": "polite" });
      this.steps = el("input", { type: "number", min: 2, max: 64, value: 5, "aria-label": "Steps of the morph" });
      const morph = button("walk", "Morph", () => this.morph());
      this.node = el("section", { class: "sh-padview", "aria-label": "Latent pad" },
        el("div", { class: "bd-bar" }, el("strong", { text: `Between ${entries.length} shapes` }), el("span", { class: "bd-quiet", text: "Drag the handle: a shape is made where it is left." }),
          el("span", { class: "bd-spring" }), el("label", { class: "sh-steps" }, el("span", { text: "Steps" }), this.steps), morph, button("close", "Close the pad", () => this.close(), { key: "Esc" })),
        el("div", { class: "sh-padbody" }, el("div", { class: "sh-padbox" }, this.field, ...this.corners), this.results));
      this.paint();
      this.update();
    }

    get weights() {
      return weightsAt(this.entries.length, ...this.place);
    }

    paint() {
      this.handle.style.setProperty("--x", String(this.place[0]));
      this.handle.style.setProperty("--y", String(this.place[1]));
      const shares = this.weights.map((weight) => Math.round(100 * weight));
      this.corners.forEach((corner, k) => {
        corner.lastChild.textContent = `${shares[k]} %`;
        corner.style.setProperty("--share", String(this.weights[k]));
      });
      this.handle.setAttribute("aria-valuenow", String(shares[0]));
      this.handle.setAttribute("aria-valuetext", this.entries.map((entry, k) => `take ${entry.take.index + 1}: ${shares[k]} %`).join(", "));
    }

    put(x, y) {
      this.place = [Math.min(1, Math.max(0, x)), this.entries.length === 2 ? 0.5 : Math.min(1, Math.max(0, y))];
      this.paint();
    }

    at(event) {
      const box = this.field.getBoundingClientRect();
      this.put((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    }
    press(event) {
      if (event.button !== 0) return;
      this.field.setPointerCapture(event.pointerId);
      this.held = event.pointerId;
      this.at(event);
    }
    drag(event) {
      if (this.held === event.pointerId) this.at(event);
    }
    release(event) {
      if (this.held !== event.pointerId) return;
      this.held = null;
      this.at(event);
      this.ask();
    }

    key(event) {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (by) this.put(this.place[0] + 0.1 * by[0], this.place[1] + 0.1 * by[1]);
      else if (event.key === "Enter" || event.key === " ") this.ask();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    ask() {
      const weights = this.weights.map((weight) => Math.round(1000 * weight) / 1000);
      const picks = this.entries.map((entry) => entry.take.sha256);
      this.board.ask("mix", this.entries[0], { picks, weights });
      this.waiting = true;
      this.update();
      this.board.poke();
    }

    morph() {
      const steps = Math.min(64, Math.max(2, Number(this.steps.value) || 5));
      this.board.ask("morph", this.entries[0], { to: this.entries[1].take.sha256, steps });
      this.close();
    }

    /** The newest mixtures of these shapes, the last one first. */
    update() {
      const mine = new Set(this.entries.map((entry) => entry.take.sha256));
      const jobs = this.board.data.jobs.filter((job) => job.task === "mix_shapes" && job.inputs.every((one) => mine.has(one.sha256)));
      const print = JSON.stringify([jobs.map((job) => [job.id, job.state, job.takes.map((take) => [take.sha256, take.preview])]), this.waiting]);
      if (print === this.print) return;
      this.print = print;
      if (jobs.some((job) => job.state === "queued" || job.state === "running")) this.waiting = false;
      const made = jobs.slice(-SHOWN).reverse();
      this.results.replaceChildren(...made.map((job) => this.result(job)).filter(Boolean));
      if (!made.length) this.results.append(el("p", { class: "bd-quiet", text: this.waiting ? "Asking…" : "What you make stands here." }));
    }

    result(job) {
      const [take] = job.takes;
      if (job.error) return el("p", { class: "bd-problem", text: job.error });
      if (!take?.sha256) return el("div", { class: "sh-result waiting" }, take?.preview ? el("img", { src: take.preview, alt: "" }) : null, el("span", { class: "bd-quiet", text: job.state === "queued" ? "Waiting" : "Shaping…" }));
      const shares = (take.told?.weights || []).map((weight) => `${Math.round(100 * weight)} %`).join(" · ");
      const open = () => {
        this.close();
        this.board.focusEntry(`${job.id}-${take.index}`);
      };
      return el("button", { type: "button", class: "sh-result", "aria-label": `Open the shape of ${shares}`, onclick: open }, atelier.shapeTile(take, `Shape of ${shares}`), el("span", { class: "bd-quiet", text: shares }));
    }

    close() {
      this.node.remove();
      this.board.pad = null;
      this.board.render();
    }
  }

  const { manyActions, render, escape, toolsOn } = atelier.Board.prototype;
  Object.assign(atelier.Board.prototype, {
    manyActions() {
      const shown = manyActions.call(this);
      const entries = [...this.chosen].map((key) => this.entries.get(key)).filter((entry) => entry?.take.sha256);
      if (this.panel !== "design" || !entries.length || !entries.every(({ take }) => atelier.kind(take) === "shape")) return shown;
      const mixed = button("merge", "Mix", () => this.mixShapes(entries), { key: "j" });
      mixed.disabled = entries.length > 4;
      const at = shown.findIndex((node) => node.classList.contains("bd-spring"));
      return [...shown.slice(0, at), mixed, ...shown.slice(at)];
    },

    /** Opens the pad over the stage. */
    mixShapes(entries) {
      if (entries.length < 2 || entries.length > 4) return void notice(this.root, "Select two to four shapes to mix.");
      this.pad?.node.remove();
      this.pad = new Pad(this, entries);
      this.stage.append(this.pad.node);
      this.pad.handle.focus({ preventScroll: true });
      return undefined;
    },

    toolsOn(entry) {
      if (atelier.kind(entry.take) !== "shape") return toolsOn.call(this, entry);
      return void notice(this.root, "Select two to four shapes to mix or morph them: Space or the circle on a take.");
    },

    escape() {
      return this.pad ? () => this.pad.close() : escape.call(this);
    },

    render() {
      render.call(this);
      this.pad?.update();
    },
  });
})();
