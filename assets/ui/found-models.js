// What a folder of another program holds, in the Models tab: read a few hundred headers at a time, chosen, taken in.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, tool } = atelier;

  const AT_ONCE = 250; // headers that are asked for in one question
  const ROWS = 150; // drawn at first; more on demand
  const KINDS = [["checkpoint", "Checkpoints"], ["LoRA", "LoRAs"], ["embedding", "Embeddings"], ["model", "Model folders"], ["ControlNet", "ControlNets"], ["small VAE", "Preview folders"]];
  const HOW = { "named by its card": "used where it lies", "hard link": "linked, no copy", "symbolic link": "linked, no copy", copy: "copied" };
  const UNUSED = "unused";

  class FoundModels {
    /** `ended` is called when the person closes it, `taken` when something was taken in. */
    constructor(told, { ended, taken }) {
      Object.assign(this, { told, ended, taken });
      this.found = [];
      this.chosen = new Set(); // paths
      this.shown = ""; // kind
      this.words = "";
      this.rows = ROWS;
      this.busy = false;
      this.build();
      this.read();
    }
    build() {
      this.said = el("p", { class: "mdl-quiet", role: "status" });
      this.chips = el("div", { class: "lib-chips", role: "group", "aria-label": "Kind" });
      this.search = el("input", { type: "search", placeholder: "Part of a name", autocomplete: "off", "aria-label": "Narrow the list", oninput: () => ((this.words = this.search.value.trim().toLowerCase()), (this.rows = ROWS), this.paint()) });
      this.all = el("input", { type: "checkbox", onchange: () => this.chooseAll(this.all.checked) });
      this.sum = el("span", { class: "mdl-sum" });
      this.go = tool("plus", "Take in", () => this.takeIn(), { kind: "strong" });
      this.list = el("ul", { class: "mdl-list mdl-found" });
      this.more = tool(null, "Show more", () => ((this.rows += 10 * ROWS), this.paint()));
      this.bar = el("div", { class: "mdl-bar" }, el("label", {}, this.all, el("span", { text: "All that can be used" })), this.sum, this.go);
      this.node = el("section", { class: "mdl-part", "aria-label": "Folder of another program" },
        el("div", { class: "mdl-head" }, el("h2", { text: this.told.folder, dir: "auto" }), tool("close", "Close the folder", () => this.close(), { bare: true })),
        this.said,
        el("div", { class: "mdl-narrow" }, this.chips, el("label", { class: "at-field" }, this.search)),
        this.bar, this.list, this.more, this.passed());
    }
    close() {
      this.closed = true;
      this.ended();
    }

    // --- reading

    async read() {
      const { folder, paths } = this.told;
      this.paint();
      try {
        for (let at = 0; at < paths.length && !this.closed; at += AT_ONCE) {
          const { found } = await atelier.postJson("/atelier/models/look", { folder, paths: paths.slice(at, at + AT_ONCE) });
          this.found.push(...found);
          this.paint();
        }
      } catch (error) {
        this.broken = error.message;
        this.paint();
      }
    }
    usable(one) {
      return !one.problem && !one.here;
    }
    kind(one) {
      return one.problem ? UNUSED : one.kind;
    }
    /** What the chips and the words leave, what can be used first. */
    wanted() {
      const left = this.found.filter((one) => (!this.shown || this.kind(one) === this.shown) && (!this.words || one.path.toLowerCase().includes(this.words)));
      return [...left.filter((one) => !one.problem), ...left.filter((one) => one.problem)];
    }

    // --- painting

    paint() {
      const { paths, more } = this.told;
      const able = this.found.filter((one) => this.usable(one));
      const here = this.found.filter((one) => one.here).length;
      const reading = this.found.length < paths.length && !this.broken;
      const counts = [`${atelier.plural(able.length, "can be taken in", "can be taken in")}`, here ? `${here} ${here === 1 ? "is" : "are"} here already` : "", `${this.found.length - able.length - here} cannot be used`].filter(Boolean).join(", ");
      this.said.textContent = this.broken || (reading ? `Reading ${this.found.length.toLocaleString("en")} of ${atelier.plural(paths.length, "file")} …` : paths.length ? `${atelier.plural(paths.length, "model file")}: ${counts}. Only names and shapes were read, nothing was changed.${more ? " There is more: choose a folder further down." : ""}` : "There are no .safetensors files and no model folders in it.");
      this.said.classList.toggle("lib-failed", Boolean(this.broken));
      this.paintChips();
      const wanted = this.wanted();
      this.list.replaceChildren(...wanted.slice(0, this.rows).map((one) => this.row(one)));
      this.more.hidden = wanted.length <= this.rows;
      this.search.parentNode.hidden = paths.length < 12;
      this.bar.hidden = !able.length && !this.busy;
      this.paintSum();
    }
    paintChips() {
      const count = (kind) => this.found.filter((one) => this.kind(one) === kind).length;
      const chips = [["", "All", this.found.length], ...[...KINDS, [UNUSED, "Not used here"]].map(([kind, text]) => [kind, text, count(kind)])].filter(([kind, , many]) => !kind || many);
      this.chips.hidden = chips.length < 3;
      this.chips.replaceChildren(...chips.map(([kind, text, many]) => el("button", { type: "button", class: "lib-chip", "aria-pressed": String(kind === this.shown), onclick: () => ((this.shown = kind), (this.rows = ROWS), this.paint()) }, el("span", { text: `${text} ${many.toLocaleString("en")}` }))));
    }
    row(one) {
      const badges = [[one.kind, one.problem && one.kind === "unknown" ? "warn" : ""], [one.base], [atelier.bytes(one.size)], one.here ? [`here as ${one.here}`, "good"] : null];
      const what = el("span", { class: "mdl-what" },
        el("span", { class: "mdl-name" }, el("b", { text: one.name, dir: "auto" }), el("span", { class: "mdl-badges" }, ...badges.filter((badge) => badge?.[0]).map(([text, kind = ""]) => el("span", { class: `mdl-badge ${kind}`, text })))),
        one.problem ? el("span", { text: `${one.problem} ${one.hint}`.trim() }) : null,
        one.failed ? el("span", { class: "mdl-failed", role: "alert", text: one.failed }) : null,
        el("small", { text: [one.path, this.usable(one) && HOW[one.how]].filter(Boolean).join(" · "), dir: "auto" }));
      if (!this.usable(one)) return el("li", { class: "mdl-row", "data-path": one.path, "data-usable": "false" }, el("span", { class: "mdl-take" }, el("span"), what));
      const box = el("input", { type: "checkbox", checked: this.chosen.has(one.path), disabled: this.busy, onchange: () => (box.checked ? this.chosen.add(one.path) : this.chosen.delete(one.path), this.paintSum()) });
      return el("li", { class: "mdl-row", "data-path": one.path, "data-usable": "true" }, el("label", { class: "mdl-take" }, box, what));
    }
    paintSum() {
      const chosen = this.found.filter((one) => this.chosen.has(one.path));
      const bytes = (list) => list.reduce((sum, one) => sum + one.size, 0);
      const copied = bytes(chosen.filter((one) => one.how === "copy"));
      const fits = copied <= this.told.free;
      const room = copied ? `; ${atelier.bytes(copied)} of it are copied, as this disk takes no links, and ${atelier.bytes(this.told.free)} are free${fits ? "" : ": choose less"}` : "; nothing is copied";
      if (!this.busy) {
        this.sum.textContent = chosen.length ? `${chosen.length.toLocaleString("en")} chosen, ${atelier.bytes(bytes(chosen))}${room}` : "";
        this.go.lastChild.textContent = chosen.length ? `Take in ${chosen.length.toLocaleString("en")}` : "Take in";
      }
      this.go.disabled = this.busy || !chosen.length || !fits;
      const able = this.wanted().filter((one) => this.usable(one));
      const taken = able.filter((one) => this.chosen.has(one.path)).length;
      this.all.checked = able.length > 0 && taken === able.length;
      this.all.indeterminate = taken > 0 && taken < able.length;
      this.all.disabled = this.busy || !able.length;
    }
    chooseAll(on) {
      for (const one of this.wanted()) if (this.usable(one)) on ? this.chosen.add(one.path) : this.chosen.delete(one.path);
      this.paint();
    }
    /** What was not looked at, and why. */
    passed() {
      const { pickles, pickled, unread } = this.told;
      const fold = (title, why, names, of) => (names.length ? el("details", { class: "mdl-passed" }, el("summary", {}, el("b", { text: title })), el("p", { class: "mdl-quiet", text: why }), el("ul", {}, ...names.map((text) => el("li", { dir: "auto", text }))), names.length < of ? el("p", { class: "mdl-quiet", text: `… and ${atelier.plural(of - names.length, "more", "more")}` }) : null) : null);
      return el("div", { class: "mdl-passing" },
        fold(`Not opened: ${atelier.plural(pickled, "pickle")}`, "Opening a .ckpt, .pt, .pth or .bin file can run programs that someone put into it. Look for the same model as .safetensors; most makers offer it.", pickles, pickled),
        fold(`Passed over: ${unread.length}`, "These could not be looked at.", unread.map(([path, why]) => `${path}: ${why}`), unread.length));
    }

    // --- taking in

    async takeIn() {
      const chosen = this.found.filter((one) => this.chosen.has(one.path));
      this.busy = true;
      this.paint();
      let done = 0;
      const refused = [];
      for (const one of chosen) {
        this.sum.textContent = `Taking in ${(done + refused.length + 1).toLocaleString("en")} of ${chosen.length.toLocaleString("en")}: ${one.name}`;
        try {
          one.here = (await atelier.postJson("/atelier/models/act", { action: "import", path: `${this.told.folder}/${one.path}` })).id;
          one.failed = "";
          this.chosen.delete(one.path);
          done += 1;
        } catch (error) {
          one.failed = error.message;
          refused.push(one);
        }
      }
      this.busy = false;
      this.paint();
      if (done) atelier.toast(`${atelier.plural(done, "model is", "models are")} here now, in the menus of their panels. LoRAs and embeddings are named in prompts.`, { kind: "good" });
      if (refused.length) atelier.toast(`${atelier.plural(refused.length, "file")} could not be taken in: ${refused[0].name}: ${refused[0].failed}`, { kind: "failed" });
      if (done) this.taken();
    }
  }
  atelier.FoundModels = FoundModels;
})();
