// Comparing 2 to 8 takes: same zoom and move for all, only the settings that differ, a wipe for two, a blind mode.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, shown } = atelier;

  /** Names of the settings that are not the same for all takes, in the order of the first. Each take has its own seeds. */
  const differing = (entries) => {
    const all = entries.map(atelier.own);
    const names = [...new Set(all.flatMap((settings) => Object.keys(settings)))];
    return names.filter((name) => new Set(all.map((settings) => JSON.stringify(settings[name] ?? null))).size > 1);
  };

  /** The words of `text` with those marked that `base` does not have, and those struck out that only `base` has. */
  const wordDiff = (base, text) => {
    const words = (line) => line.split(/(\s+|[,.;:])/).filter(Boolean).slice(0, 1500);
    const [a, b] = [words(base), words(text)];
    const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
      }
    }
    const parts = [];
    const put = (kind, word) => {
      const last = parts[parts.length - 1];
      if (last && last[0] === kind) last[1] += word;
      else parts.push([kind, word]);
    };
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) put("same", (i++, b[j++]));
      else if (i < a.length && (j >= b.length || best[i + 1][j] >= best[i][j + 1])) put("del", a[i++]);
      else put("add", b[j++]);
    }
    return parts;
  };

  class Compare {
    /** `entries`: [{key, take, job}]. `board` gives names of settings, picks, and is told when this closes. */
    constructor(board, entries, { blind = false } = {}) {
      this.board = board;
      this.entries = entries;
      this.view = new atelier.View();
      this.panes = [];
      this.wipe = false;
      this.diff = false; // texts: the others with what they change of the first
      this.split = 50; // per cent from the left
      this.chosen = null;
      this.blind = false;
      this.revealed = false;
      this.at = 0;
      this.node = el("section", { class: "bd-compare", "aria-label": "Compare" });
      if (blind) this.hide();
      else this.render();
    }

    get hidden() {
      return this.blind && !this.revealed;
    }

    /** Blind mode: a new order from a stated seed, and no names or settings until the choice is made. */
    hide() {
      this.seed = crypto.getRandomValues(new Uint32Array(1))[0];
      this.order = atelier.shuffled(this.entries.map((entry) => entry.key), this.seed);
      const byKey = new Map(this.entries.map((entry) => [entry.key, entry]));
      this.entries = this.order.map((key) => byKey.get(key));
      this.blind = true;
      this.revealed = false;
      this.chosen = null;
      this.at = 0;
      this.render();
    }

    async choose(index) {
      const entry = this.entries[index];
      if (!entry || !entry.take.sha256) return;
      this.chosen = entry.key;
      const wasHidden = this.hidden;
      this.revealed = true;
      this.render();
      const blind = wasHidden ? { seed: this.seed, order: this.entries.map((e) => e.take.sha256) } : null;
      await this.board.pick(entry, true, blind);
    }

    letter(index) {
      return String.fromCharCode(65 + index);
    }

    name(index) {
      const { take, job } = this.entries[index];
      return this.hidden ? `Take ${this.letter(index)}` : `Take ${take.index + 1} of “${job.prompt.slice(0, 60)}”`;
    }

    close() {
      if (this.music) atelier.player.even([]);
      for (const pane of this.panes) pane.close();
      this.panes = [];
      this.board.root.classList.remove("blind");
      this.node.remove();
    }

    tools() {
      const two = this.entries.length === 2 && this.entries.every(({ take }) => atelier.kind(take) === "image");
      return el(
        "div",
        { class: "bd-bar bd-comparebar" },
        el("strong", { text: this.hidden ? "Blind comparison" : `Compare ${this.entries.length}` }),
        this.blind && el("span", { class: "bd-quiet", text: `order shuffled with the seed ${this.seed}` }),
        el("span", { class: "bd-spring" }),
        this.texts && button("compare", this.diff ? "Whole texts" : "As a diff", () => this.flipDiff(), { key: "w" }),
        two &&
          button(this.wipe ? "compare" : "wipe", this.wipe ? "Side by side" : "Wipe", () => this.flip(), { key: "w" }),
        button("blind", this.blind ? "Shuffle again" : "Blind", () => this.hide(), { key: "b" }),
        this.music && button("play", "Hear", () => this.hear(), { key: "Space" }),
        this.music && button("right", "Next, in step", () => this.next(), { key: "x" }),
        !this.music && !this.texts && button("focus", "Fit", () => this.view.fit(), { key: "0" }),
        button("close", "Close", () => this.board.closeCompare(), { key: "Esc" }),
      );
    }

    get music() {
      return this.entries.every(({ take }) => atelier.sounds(take));
    }

    /** All takes are as loud as the softest, so that none wins by its loudness. */
    even() {
      return atelier.player.even(this.entries.map(({ take }) => atelier.soundOf(take)));
    }

    /** Plays or pauses the take that is looked at. */
    async hear() {
      const address = atelier.soundOf(this.entries[this.at].take);
      await this.even();
      return atelier.player.playing ? this.inStep() : atelier.player.play(address);
    }

    /** The take that is looked at, heard from where another one is, in step. */
    inStep(begin = false) {
      const { player } = atelier;
      const address = atelier.soundOf(this.entries[this.at].take);
      if (player.address === address && player.playing && !begin) return player.pause();
      if (player.address !== address) return player.playing ? player.change(address) : begin && player.play(address, { at: player.time });
    }

    async next() {
      this.go((this.at + 1) % this.entries.length);
      await this.even();
      return this.inStep(true);
    }

    flip() {
      this.wipe = !this.wipe;
      this.render();
    }

    get texts() {
      return this.entries.every(({ take }) => atelier.kind(take) === "text");
    }

    flipDiff() {
      this.diff = !this.diff;
      this.render();
    }

    /** A text with the words marked that the first does not have, those struck out that only the first has. */
    changed(entry) {
      const page = el("div", { class: "bd-text", tabindex: "0", dir: "auto" });
      Promise.all([atelier.readText(this.entries[0].take), atelier.readText(entry.take)])
        .then(([first, text]) => page.replaceChildren(atelier.diff(wordDiff(first, text))))
        .catch((error) => (page.textContent = error.message));
      return page;
    }

    render() {
      for (const pane of this.panes) pane.close();
      this.panes = [];
      const body = this.wipe && this.entries.length === 2 ? this.wiped() : this.sideBySide();
      this.board.root.classList.toggle("blind", this.hidden);
      this.node.replaceChildren(this.tools(), body);
      atelier.inStep(this.panes.map((pane) => pane.media).filter((media) => media.tagName === "VIDEO"));
      this.mark();
    }

    sideBySide() {
      const count = this.entries.length;
      const columns = count <= 3 ? count : count <= 4 ? 2 : count <= 6 ? 3 : 4;
      const names = this.hidden ? [] : differing(this.entries);
      const body = el("div", { class: "bd-panes", style: { "--columns": columns, "--rows": Math.ceil(count / columns) } });
      this.entries.forEach((entry, index) => {
        const marked = this.diff && this.texts && index > 0;
        const pane = new atelier.Pane(this.view, marked ? this.changed(entry) : atelier.media(entry.take, this.name(index), this.view));
        this.panes.push(pane);
        const cell = el(
          "figure",
          { class: "bd-cell", "data-at": index, onclick: () => this.go(index) },
          pane.node,
          this.caption(entry, index, names),
        );
        body.append(cell);
      });
      return body;
    }

    caption({ take, job }, index, names) {
      const mine = this.chosen === this.entries[index].key || (!this.hidden && take.picked);
      const head = el(
        "div",
        { class: "bd-captionhead" },
        el("span", { class: "bd-letter", text: this.letter(index) }),
        !this.hidden && el("span", { class: "bd-quiet", text: `take ${take.index + 1}` }),
        el("span", { class: "bd-spring" }),
        button("pick", this.hidden ? `Choose ${this.letter(index)}` : mine ? "Picked" : "Pick", () => this.choose(index), {
          key: String(index + 1),
          kind: mine ? "on" : "",
        }),
      );
      return el("figcaption", {}, head, !this.hidden && this.differences(atelier.own({ take, job }), names, index));
    }

    differences(own, names, index) {
      if (!names.length) return el("p", { class: "bd-quiet", text: "No setting differs." });
      const list = el("dl", { class: "bd-settings" });
      for (const name of names) {
        list.append(el("dt", { text: this.board.label(name) }), el("dd", {}, this.value(name, own[name], index)));
      }
      return list;
    }

    value(name, value, index) {
      const first = this.entries[0].job.settings[name];
      if (index > 0 && (name === "prompt" || name === "negative_prompt")) {
        return atelier.diff(wordDiff(String(first || ""), String(value || "")));
      }
      return el("span", { dir: "auto", text: shown(value) });
    }

    wiped() {
      const [a, b] = this.entries.map((entry, index) => {
        const pane = new atelier.Pane(this.view, atelier.media(entry.take, this.name(index)));
        this.panes.push(pane);
        return pane.node;
      });
      b.classList.add("over");
      const stack = el("div", { class: "bd-wipe", style: { "--wipe": `${this.split}%` } }, a, b, el("div", { class: "bd-wipeline" }));
      const slider = el("input", {
        type: "range",
        min: 0,
        max: 100,
        value: this.split,
        "aria-label": "Wipe between A and B",
        oninput: (event) => {
          this.split = Number(event.target.value);
          stack.style.setProperty("--wipe", `${this.split}%`);
        },
      });
      stack.append(slider);
      const names = this.hidden ? [] : differing(this.entries);
      const captions = el("div", { class: "bd-wipecaptions" });
      this.entries.forEach((entry, index) => captions.append(el("figure", { class: "bd-cell" }, this.caption(entry, index, names))));
      return el("div", { class: "bd-wipebox" }, stack, captions);
    }

    /** To a neighbour; what plays goes on there. */
    move(by) {
      const before = this.at;
      this.go(this.at + by);
      if (this.music && this.at !== before && atelier.player.playing) this.inStep(true);
    }

    go(index) {
      this.at = Math.max(0, Math.min(this.entries.length - 1, index));
      this.mark();
    }

    mark() {
      this.node.querySelectorAll(".bd-cell[data-at]").forEach((cell) => {
        cell.classList.toggle("at", Number(cell.dataset.at) === this.at);
        cell.classList.toggle("chosen", this.entries[Number(cell.dataset.at)].key === this.chosen);
      });
    }

    /** True when the key meant something here. */
    key(event) {
      const does = {
        ArrowRight: () => this.move(1),
        ArrowLeft: () => this.move(-1),
        p: () => this.choose(this.at),
        Enter: () => this.choose(this.at),
        w: () => (this.texts ? this.flipDiff() : this.entries.length === 2 && this.flip()),
        " ": () => this.music && this.hear(),
        x: () => this.music && this.next(),
        b: () => this.hide(),
        0: () => this.view.fit(),
        "+": () => this.view.zoom(1.25),
        "-": () => this.view.zoom(0.8),
        Escape: () => this.board.closeCompare(),
        c: () => this.board.closeCompare(),
      }[event.key];
      if (does) does();
      else if (/^[1-8]$/.test(event.key)) this.choose(Number(event.key) - 1);
      else return false;
      return true;
    }
  }

  atelier.Compare = Compare;
  atelier.wordDiff = wordDiff;
})();
