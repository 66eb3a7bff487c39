// One data set on the Train tab's stage: what was found, how balanced it is, and every picture with its caption.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, fill, tool } = atelier;

  const FILTERS = [["all", "All"], ["problems", "With remarks"], ["held_out", "Held out"], ["left", "Left out"]];
  const ASKED = { image: "What is in the picture, without the trigger word", score: "Its style: waltz, hymn, rag ...", sound: "What is heard, without the trigger word: slow, two guitars ...", shape: "What it is: bowl, rook, bolt ..." };
  const fits = {
    all: () => true,
    problems: (item) => item.problems.length > 0,
    held_out: (item) => item.included && item.split === "held_out",
    left: (item) => !item.included,
  };

  atelier.TrainData = class {
    constructor(train) {
      this.train = train;
      this.filter = "all";
      this.cards = new Map();
      this.chips = el("div", { class: "lib-chips", role: "group", "aria-label": "Which" });
      this.tools = el("div", { class: "trn-buttons", role: "toolbar", "aria-label": "Data set" });
      this.came = null; // {report, dataset} of the files that came last
      this.arrived = el("div", { class: "trn-arrived", role: "status", hidden: true });
      this.report = el("div", { class: "trn-report" });
      this.grid = el("div", { class: "trn-grid", id: "train-items" });
      this.node = el("div", { class: "trn-data" });
    }

    /** `set` is the answer of /atelier/train/dataset, or null where there is none. */
    show(set) {
      this.set = set;
      this.arrived.hidden = !set || this.came?.dataset !== set.id;
      if (!set) return fill(this.node, this.invitation());
      if (this.node.firstChild !== this.arrived) fill(this.node, this.arrived, this.report, el("div", { class: "trn-bar" }, this.chips, this.tools), this.grid);
      if (!set.items.length) {
        this.cards.clear();
        fill(this.grid, el("p", { class: "trn-none", text: "It is empty. Drop files anywhere on this page." }));
        fill(this.report);
        this.showTools();
        return;
      }
      this.showReport(set.report);
      this.showTools();
      this.showItems();
    }
    invitation() {
      return el(
        "div",
        { class: "trn-empty" },
        el("h2", { text: "Teach the studio something of yours" }),
        el("p", { text: "Drop 5 to 50 pictures of a person, a pet, a thing or a style here. They are checked and mended in a copy, a few are held out to judge by, and one click teaches a model a word for them." }),
        tool("drop", "Choose pictures", () => this.train.picker.click(), { kind: "strong" }),
      );
    }

    // --- what was found

    /** The report of files that have just come into that data set; it stands there until it is dismissed. */
    told(report, dataset) {
      this.came = { report, dataset };
      const found = report.found.slice(0, 60);
      fill(
        this.arrived,
        el("div", { class: "trn-bar" }, el("h3", { text: `${atelier.plural(report.items, "file")} came` }), tool("close", "Dismiss", () => ((this.came = null), (this.arrived.hidden = true)), { bare: true })),
        ...(found.length
          ? [el("ul", {}, ...found.map((one) => el("li", { dataset: { kind: one.kind } }, el("b", { text: one.name, dir: "auto" }), el("span", { text: ` ${one.sentence.startsWith(one.name) ? one.sentence.slice(one.name.length).trim() : one.sentence} ${one.how}`.trimEnd() }))))]
          : [el("p", { text: "Nothing was wrong with any of them." })]),
        report.found.length > found.length ? el("p", { text: `And ${report.found.length - found.length} more remarks, on the pictures below.` }) : null,
      );
      this.arrived.hidden = this.set?.id !== dataset;
    }
    showReport(report) {
      const shares = (balance) =>
        el(
          "div",
          { class: `trn-balance ${balance.skewed ? "skewed" : ""}` },
          el("span", { text: balance.group }),
          ...balance.words.map((word) => el("i", { style: `--share:${Math.round(word.share * 100)}%`, title: `${word.word}: ${word.count}, ${Math.round(word.share * 100)} % (${Math.round(word.low * 100)}–${Math.round(word.high * 100)} %)` }, el("b", { text: word.word }), el("small", { text: ` ${Math.round(word.share * 100)} %` }))),
        );
      fill(this.report, el("ul", {}, ...report.sentences.map((text) => el("li", { text }))), report.balance.length ? el("div", { class: "trn-balances", "aria-label": "Balance" }, ...report.balance.map(shares)) : null);
    }
    showTools() {
      const { items, undo, redo } = this.set;
      const counts = Object.fromEntries(FILTERS.map(([name]) => [name, items.filter(fits[name]).length]));
      fill(
        this.chips,
        ...FILTERS.filter(([name]) => name === "all" || counts[name]).map(([name, text]) => el("button", { type: "button", class: "lib-chip", "aria-pressed": String(name === this.filter), onclick: () => ((this.filter = name), this.showTools(), this.showItems()) }, el("span", { text: `${text} ${counts[name]}` }))),
      );
      const back = tool("restore", "Undo", () => this.train.edit("undo"));
      back.disabled = !undo;
      back.title = undo ? `Undo: ${undo}` : "";
      const forth = tool("retry", "Redo", () => this.train.edit("redo"), { bare: true });
      forth.disabled = !redo;
      forth.title = redo ? `Redo: ${redo}` : "Redo";
      fill(this.tools, back, forth, items.length && ["image", "sound"].includes(this.set.kind) ? tool(null, "Find and replace", () => this.replace()) : null, items.length && this.set.kind !== "text" ? tool(null, "Caption all", () => this.captionAll()) : null, tool("edit", "Rename the data set", () => this.train.rename(), { bare: true }), tool("trash", "Delete the data set", () => this.train.remove(), { bare: true }));
    }

    // --- pictures

    showItems() {
      const { items } = this.set;
      const wanted = items.filter(fits[this.filter]);
      const here = new Set(wanted.map((item) => item.id));
      for (const [id, card] of this.cards) if (!here.has(id) || !card.node.isConnected) this.cards.delete(id);
      const nodes = wanted.slice(0, 600).map((item) => {
        const now = JSON.stringify(item);
        const known = this.cards.get(item.id);
        if (known?.now === now) return known.node;
        const node = known?.node.contains(document.activeElement) && document.activeElement.tagName === "TEXTAREA" ? known.node : this.card(item);
        this.cards.set(item.id, { now, node });
        return node;
      });
      const same = nodes.length === this.grid.children.length && nodes.every((node, place) => node === this.grid.children[place]);
      if (!same) fill(this.grid, ...nodes, wanted.length > 600 ? el("p", { class: "trn-none", text: `And ${wanted.length - 600} more.` }) : null);
    }
    card(item) {
      const caption = el("textarea", { rows: 2, maxlength: 2000, placeholder: ASKED[this.set.kind] || ASKED.image, "aria-label": `Caption of ${item.name}`, dir: "auto" });
      caption.value = item.caption;
      caption.addEventListener("change", () => this.train.edit("caption", { item: item.id, text: caption.value }));
      const within = el("input", { type: "checkbox", checked: item.included, "aria-label": `Use ${item.name}` });
      within.addEventListener("change", () => this.train.edit("include", { item: item.id, on: within.checked }));
      const aside = el("button", { type: "button", class: "trn-side-of", "aria-pressed": String(item.split === "held_out"), title: "What is held out is never learnt; what was learnt is judged by it.", text: "Held out" });
      aside.addEventListener("click", () => this.train.edit("split", { item: item.id, side: item.split === "held_out" ? "train" : "held_out" }));
      return el(
        "figure",
        { class: `trn-item ${item.included ? "" : "out"}`, dataset: { item: item.name } },
        el("div", { class: "trn-picture" }, item.thumb ? el("img", { src: item.thumb, alt: item.caption || item.name, loading: "lazy" }) : item.length ? el("span", { class: "trn-broken trn-letters" }, item.heard ? el("audio", { controls: true, preload: "none", src: item.heard, "aria-label": `Hear ${item.name}` }) : atelier.glyph("page"), el("span", { text: this.held(item) })) : el("span", { class: "trn-broken" }, atelier.glyph("close"), el("span", { text: "not usable" }))),
        el(
          "figcaption",
          {},
          el("div", { class: "trn-name" }, item.usable ? within : null, el("span", { text: item.name, title: item.name, dir: "auto" }), item.included ? aside : null),
          item.size_mm.length ? el("small", { class: "trn-size", text: `${item.size_mm.map((side) => Number(side.toPrecision(3))).join(" × ")} mm, ${atelier.plural(item.length, "face")}` }) : null,
          ...item.problems.map((problem) => el("p", { class: `trn-remark ${problem.mended ? "mended" : ""}`, text: `${problem.sentence} ${problem.how}`.trim() })),
          item.usable && this.set.kind !== "text" ? caption : null,
        ),
      );
    }
    /** How much a text, a score or a sound holds. */
    held(item) {
      if (this.set.kind === "text") return `${item.length.toLocaleString("en")} characters${item.language ? `, ${item.language}` : ""}`;
      if (this.set.kind === "sound") return atelier.seconds(item.length / 1000);
      return atelier.plural(item.length, /\.midi?$/i.test(item.name) ? "track" : "note");
    }
    replace() {
      const find = el("input", { type: "text", dir: "auto", autocomplete: "off" });
      const by = el("input", { type: "text", dir: "auto", autocomplete: "off" });
      atelier.form("Find and replace in all captions", el("div", { class: "at-say trn-fields" }, el("label", { class: "at-field" }, el("span", { text: "Find" }), find), el("label", { class: "at-field" }, el("span", { text: "Replace by" }), by)), "Replace", async () => {
        const answer = await this.train.edit("replace", { find: find.value, by: by.value });
        if (answer) atelier.toast(`${atelier.plural(answer.count, "caption")} changed.`, { kind: "good", label: "Undo", run: () => this.train.edit("undo") });
      });
    }
    /** By a captioning model where one is installed, else the same words for all. */
    captionAll() {
      const text = el("input", { type: "text", dir: "auto", autocomplete: "off", placeholder: "a dog" });
      const { captioners } = this.train.known;
      if (captioners.length && this.set.kind === "image") return this.captionByModel(captioners, text);
      atelier.form("One caption for all", el("label", { class: "at-field at-say" }, el("span", { text: "Caption" }), text), "Write it", () => this.train.edit("caption_all", { text: text.value }));
    }
    captionByModel(captioners, text) {
      const line = (told, control) => el("label", { class: "at-field" }, el("span", { text: told }), control);
      const model = el("select", { id: "train-captioner" }, ...captioners.map((one) => el("option", { value: one.id, text: one.name })), el("option", { value: "", text: "Nobody: the same words for all" }));
      const missing = el("input", { type: "checkbox" });
      const label = el("span", { text: "Begin with, or ask (may stay empty)" });
      const only = el("label", { class: "trn-consent" }, missing, el("span", { text: "Only pictures without a caption" }));
      model.addEventListener("change", () => {
        only.hidden = !model.value;
        label.textContent = model.value ? "Begin with, or ask (may stay empty)" : "Caption";
      });
      atelier.form("Caption all pictures", el("div", { class: "at-say trn-fields" }, line("Who looks at them", model), el("label", { class: "at-field" }, label, text), only), "Caption", async () => {
        if (!model.value) return this.train.edit("caption_all", { text: text.value });
        const answer = await this.train.edit("caption_by_model", { model: model.value, text: text.value, missing: missing.checked });
        if (answer) dispatchEvent(new CustomEvent("atelier:queue"));
        return this.train.refresh();
      });
    }
  };
})();
