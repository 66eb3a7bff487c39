// Moving on the board: views, selection, keys. Adds to Board what hands and keys do.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { notice } = atelier;
  const REPEATED = /^(Arrow.*|[+-])$/; // what a key that is held down goes on with

  Object.assign(atelier.Board.prototype, {
    setView(view) {
      if (this.view === "compare" && view !== "compare" && this.comparing) {
        this.comparing.close();
        this.comparing = null;
      }
      this.view = view;
    },

    toGrid() {
      this.setView("grid");
      this.render();
      this.grid.node.focus({ preventScroll: true });
    },

    openBrief(id) {
      const brief = this.briefs.find((one) => one.id === id);
      if (!brief) return;
      this.brief = brief;
      this.active = brief.entries.length ? brief.entries[0].key : null;
      this.setView("grid");
      this.render();
    },

    focusEntry(key) {
      const entry = this.entries.get(key);
      if (!entry) return;
      this.activate(entry);
      this.setView("focus");
      this.render();
    },

    clickEntry(key) {
      const entry = this.entries.get(key);
      if (!entry) return;
      if (this.walking) this.walkTo(entry);
      else this.focusEntry(key);
    },

    activate(entry) {
      this.active = entry.key;
      this.brief = entry.brief;
      this.strip.reveal(entry.key);
    },

    choose(key) {
      if (!this.entries.get(key)?.take.sha256) return;
      if (this.chosen.has(key)) this.chosen.delete(key);
      else this.chosen.add(key);
      this.activate(this.entries.get(key));
      this.render();
    },

    chooseTo(key) {
      const keys = [...this.entries.keys()];
      const [a, b] = [keys.indexOf(this.active), keys.indexOf(key)].sort((x, y) => x - y);
      for (const one of keys.slice(Math.max(0, a), b + 1)) if (this.entries.get(one).take.sha256) this.chosen.add(one);
      this.activate(this.entries.get(key));
      this.render();
    },

    clear() {
      this.chosen.clear();
      this.render();
    },

    /** Go by so many takes, over the borders of briefs. */
    step(by) {
      const keys = [...this.entries.keys()];
      if (!keys.length) return;
      const at = keys.indexOf(this.active);
      const entry = this.entries.get(keys[Math.max(0, Math.min(keys.length - 1, at + by))]);
      this.activate(entry);
      this.render();
    },

    compare(blind = false) {
      let entries = [...this.chosen].map((key) => this.entries.get(key));
      if (entries.length < 2 && this.brief) entries = this.brief.entries;
      entries = entries.filter((entry) => entry.take.sha256);
      if (entries.length < 2 || (this.chosen.size > 8)) {
        notice(this.root, "Select 2 to 8 takes to compare: Space or the circle on a take.");
        return;
      }
      this.setView("compare");
      this.comparing = new atelier.Compare(this, entries.slice(0, 8), { blind });
      this.stage.append(this.comparing.node);
      this.render();
    },

    closeCompare() {
      const chosen = this.comparing && this.comparing.chosen;
      if (chosen && this.entries.has(chosen)) {
        this.activate(this.entries.get(chosen));
        this.chosen.clear();
      }
      this.toGrid();
    },

    /** Keys work wherever the focus is, but in fields, dialogs and with other panels in front. */
    key(event) {
      if (!this.seen || event.defaultPrevented || atelier.typing(event.target)) return;
      if (event.target.closest?.("[data-own-keys]") && event.key !== "Escape") return;
      const control = event.ctrlKey || event.metaKey;
      if (control && event.key.toLowerCase() === "z" && !event.shiftKey) return this.taken(event, () => this.undo());
      if (control || event.altKey) return;
      if (document.querySelector("dialog[open]") || !this.briefs.length) return;
      if (this.ancestry.open && this.ancestry.key(event)) return this.taken(event);
      if (this.comparing) {
        if (this.comparing.key(event)) this.taken(event);
        return;
      }
      const does = this.meaning(event);
      if (does) this.taken(event, event.repeat && !REPEATED.test(event.key) ? null : does);
    },

    taken(event, run = null) {
      event.preventDefault();
      event.stopPropagation();
      if (run) run();
    },

    meaning(event) {
      const { key } = event;
      const inside = this.root.contains(event.target);
      const pressing = event.target instanceof Element && event.target.closest("button, a, summary, [role=tab]");
      const elsewhere = !inside && event.target !== document.body;
      if (key === "Escape") return this.escape();
      if (/^[1-9]$/.test(key)) return () => this.number(Number(key));
      if (key.startsWith("Arrow")) {
        if (elsewhere) return null;
        const row = this.view === "grid" ? this.grid.perRow : 1;
        const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[key];
        return () => this.step(by);
      }
      if ((key === " " || key === "Enter") && (pressing || elsewhere)) return null;
      if (key === "Delete" || key === "Backspace") return elsewhere ? null : () => this.does("trash");
      return this.letters(key);
    },

    letters(key) {
      return {
        " ": () => (this.view === "focus" && this.largePane?.media.sounding ? this.hear() : this.choose(this.active)),
        x: () => this.choose(this.active),
        Enter: () => (this.view === "focus" ? this.toGrid() : this.clickEntry(this.active)),
        f: () => (this.view === "focus" ? this.toGrid() : this.focusEntry(this.active)),
        g: () => this.toGrid(),
        c: () => this.compare(),
        b: () => this.compare(true),
        p: () => this.does("pick"),
        s: () => this.does("star"),
        v: () => this.does("vary-subtle"),
        V: () => this.does("vary-strong"),
        e: () => this.does("edit"),
        o: () => this.does("open-up"),
        k: () => this.does("continue"),
        r: () => this.does("more"),
        h: () => this.either("hear", "to-music"),
        w: () => this.either("rework", "tools"),
        t: () => this.either("rewrite", "notes", "to-text"),
        y: () => this.does("copy"),
        j: () => this.mergeChosen(),
        u: () => this.does("use"),
        m: () => this.either("start", "to-image", "cover"),
        n: () => this.either("inpaint", "notebook", "piece"),
        q: () => this.does("to-design"),
        L: () => this.does("enlarge"),
        M: () => this.does("reference"),
        F: () => this.does("control"),
        W: () => this.does("describe"),
        X: () => this.does("extend"),
        l: () => this.does("walk"),
        a: () => this.ancestry.toggle(),
        d: () => this.either("download", "export"),
        i: () => this.view === "focus" && this.toggleInfo(),
        z: () => this.view === "focus" && this.largePane?.pixels && this.largePane.toggle(),
        0: () => this.view === "focus" && this.largeView.fit(),
        "+": () => this.view === "focus" && this.largeView.zoom(1.25),
        "-": () => this.view === "focus" && this.largeView.zoom(0.8),
      }[key];
    },

    /** The same key means the nearest thing in another medium. */
    either(...names) {
      this.does(names.find((name) => this.can(name)));
    },

    /** Esc goes back one thing at a time; null when there is nothing of ours to leave. */
    escape() {
      if (this.walking) return () => this.endWalk();
      if (this.view === "focus") return () => this.toGrid();
      if (this.chosen.size) return () => this.clear();
      return null;
    },

    number(n) {
      const entry = this.brief && this.brief.entries[n - 1];
      if (!entry) return;
      if (this.walking) return this.walkTo(entry);
      this.activate(entry);
      this.render();
    },
  });
})();
