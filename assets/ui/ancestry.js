// The family tree of a session: one node a brief, hung under the take it branched from; older ancestors from the library.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, shown } = atelier;

  const MOST = 12; // ancestors shown of one source

  /** Briefs as a forest: [{brief, from: sha256 | null, children: [...]}], oldest first. */
  const forest = (briefs) => {
    const maker = new Map();
    for (const brief of briefs) for (const { take } of brief.entries) if (take.sha256) maker.set(take.sha256, brief.id);
    const nodes = new Map(briefs.map((brief) => [brief.id, { brief, from: null, children: [] }]));
    const roots = [];
    for (const brief of briefs) {
      const node = nodes.get(brief.id);
      const sources = [brief.jobs[0].parent, ...brief.jobs[0].inputs.map((input) => input.sha256)].filter(Boolean);
      const from = sources.find((sha) => maker.has(sha) && maker.get(sha) !== brief.id) || null;
      node.from = from || sources[0] || null;
      if (from) nodes.get(maker.get(from)).children.push(node);
      else roots.push(node);
    }
    return roots;
  };

  class Ancestry {
    constructor(board) {
      this.board = board;
      this.lines = new Map(); // sha256 -> promise of what it came from
      this.node = el("aside", { class: "bd-ancestry", "aria-label": "Ancestry", hidden: true, tabindex: "-1" });
    }

    get open() {
      return !this.node.hidden;
    }

    toggle(show = !this.open) {
      this.node.hidden = !show;
      if (show) {
        this.render();
        this.node.querySelector('[role="treeitem"].here')?.scrollIntoView({ block: "nearest" });
        this.node.focus();
      }
    }

    render() {
      if (!this.open) return;
      const roots = forest(this.board.briefs);
      const tree = el("ul", { class: "bd-tree", role: "tree", "aria-label": "Briefs of this session" });
      for (const root of roots) tree.append(this.item(root, 1));
      if (!roots.length) tree.append(el("li", { class: "bd-quiet", role: "none", text: "Nothing is made yet in this session." }));
      const scroll = this.node.querySelector(".bd-treebox")?.scrollTop || 0;
      this.node.replaceChildren(
        el("div", { class: "bd-bar" }, el("strong", { text: "Ancestry" }), el("span", { class: "bd-spring" }),
          button("close", "Close", () => this.toggle(false), { bare: true, key: "Esc" })),
        el("div", { class: "bd-treebox" }, tree),
      );
      this.node.querySelector(".bd-treebox").scrollTop = scroll;
    }

    item(node, level) {
      const { brief } = node;
      const job = brief.jobs[0];
      const here = brief === this.board.brief;
      const item = el("li", {
        role: "treeitem",
        class: here ? "here" : "",
        "aria-level": level,
        "aria-expanded": node.children.length ? "true" : null,
        "aria-selected": String(here),
        "data-brief": brief.id,
      });
      const from = node.from && this.outside(node.from);
      item.append(
        el(
          "div",
          { class: "bd-node" },
          el("div", { class: "bd-nodehead" }, el("span", { class: "bd-badge", text: job.operation || "Brief" }), this.origin(node)),
          el("p", { class: "bd-nodeprompt" }, atelier.prompt(job)),
          this.changes(job),
          from,
          this.takes(brief, node),
          el("div", { class: "bd-nodeactions" },
            button("focus", "Open on the board", () => this.board.openBrief(brief.id)),
            button("use", "Use settings", () => this.use(brief))),
        ),
      );
      if (node.children.length) {
        const group = el("ul", { role: "group" });
        for (const child of node.children) group.append(this.item(child, level + 1));
        item.append(group);
      }
      return item;
    }

    origin(node) {
      const parent = node.from && this.board.entryOf(node.from);
      return parent ? el("span", { class: "bd-quiet", text: `of take ${parent.take.index + 1}` }) : null;
    }

    /** What lies before this session: the source, and all that it came from in whatever panel, oldest first. */
    outside(sha) {
      if (this.board.entryOf(sha)) return null;
      const node = el("div", { class: "bd-outside" }, el("span", { class: "bd-quiet", text: "from the library" }));
      const show = (line) =>
        node.replaceChildren(...line.flatMap((one, at) => [at ? atelier.icon("right") : null, this.ancestor(one)]).filter(Boolean));
      if (!this.lines.has(sha)) {
        const found = atelier.json(`/atelier/lineage/${encodeURIComponent(sha)}`).then(({ nodes }) =>
          nodes.filter((one) => one.depth <= 0).sort((a, b) => a.depth - b.depth || a.created - b.created).slice(-MOST));
        found.catch(() => this.lines.delete(sha));
        this.lines.set(sha, found);
      }
      this.lines.get(sha).then(show, () => null);
      return node;
    }

    /** One work of another session or panel; a click opens it where it was made. */
    ancestor(one) {
      const words = one.prompt || one.name || one.task.replaceAll("_", " ");
      return el("button", { type: "button", class: "bd-ancestor", title: words, "aria-label": `Open ${words}`, "data-panel": window.atelier.panelOf(one), onclick: () => (this.toggle(false), window.atelier.openIn(one)) },
        one.thumb ? el("img", { src: one.thumb, alt: "", loading: "lazy" }) : atelier.icon(one.media_type.startsWith("audio/") ? "note" : "page"),
        el("span", { dir: "auto", text: words }));
    }

    changes(job) {
      const changed = Object.entries((job.changed && job.changed.settings) || {}).filter(([name]) => name !== "variation_seed");
      if (!changed.length) return null;
      const list = el("ul", { class: "bd-changes" });
      for (const [name, [before, after]] of changed.slice(0, 8)) {
        list.append(el("li", {}, el("span", { text: `${this.board.label(name)} ` }), before !== null && el("del", { text: shown(before) }), " ",
          el("ins", { text: shown(after) })));
      }
      return list;
    }

    takes(brief, node) {
      const used = new Set(node.children.map((child) => child.from));
      const row = el("div", { class: "bd-nodetakes" });
      for (const entry of brief.entries.slice(0, 16)) {
        const { take } = entry;
        row.append(
          el("button", {
            type: "button",
            class: `${used.has(take.sha256) ? "used" : ""} ${take.picked ? "picked" : ""}`,
            "aria-label": `Open take ${take.index + 1}${used.has(take.sha256) ? ", branched from" : ""}${take.picked ? ", picked" : ""}`,
            onclick: () => this.board.focusEntry(entry.key),
          }, take.thumb ? el("img", { src: take.thumb, alt: "", loading: "lazy" }) : el("span", { text: String(take.index + 1) })),
        );
      }
      return row;
    }

    use(brief) {
      const entry = brief.entries.find(({ take }) => take.sha256);
      if (entry) this.board.ask("use", entry);
    }

    /** Up and down move between the nodes, Enter opens one. True when the key meant something here. */
    key(event) {
      if (event.key === "Escape") {
        this.toggle(false);
        return true;
      }
      return false;
    }
  }

  atelier.Ancestry = Ancestry;
})();
