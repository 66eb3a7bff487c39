// The drawer beside the grid: one work large, how it was made, where it comes from, and what can be done with it.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, glyph, tool } = atelier;

  const media = (item) => {
    const alt = atelier.nameOf(item);
    if (item.media_type.startsWith("image/") && item.thumb) return el("img", { src: item.url, alt, decoding: "async" });
    const board = window.atelierBoard;
    if (item.media_type.startsWith("audio/") && board?.soundTile) return board.soundTile(item, alt);
    if (item.media_type.startsWith("text/") && board?.fillText) return board.fillText(el("div", { class: "lib-text", tabindex: "0", "aria-label": alt, dir: "auto" }), item.url, item.copied);
    if (item.media_type.startsWith("video/")) return el("video", { src: item.url, controls: true, loop: true, playsinline: true, "aria-label": alt });
    if (item.media_type === "model/gltf-binary" && board?.renderers?.shape) return board.renderers.shape(item, alt);
    if (item.thumb) return el("img", { src: item.thumb, alt, decoding: "async" });
    return el("p", { class: "lib-quiet", text: `${item.media_type}: this can be downloaded, and is not shown here.` });
  };

  const label = (labels, name) => labels[name] || name.replace(/_/g, " ").replace(/^./, (c) => c.toUpperCase());

  const facts = (item) => {
    const words = [];
    if (item.width && item.height) words.push(`${item.width} × ${item.height}`);
    if (item.duration) words.push(atelier.seconds(item.duration));
    words.push(atelier.bytes(item.size), new Date(item.created * 1000).toLocaleString());
    if (typeof item.seconds === "number") words.push(`made in ${atelier.seconds(item.seconds)}`);
    return words.join(" · ");
  };

  const OPENS = ["image/", "text/", "audio/", "model/", "application/pdf"];
  /** Whether a panel shows it: of data only a palette. */
  const opens = (item) => OPENS.some((kind) => item.media_type.startsWith(kind)) || (item.media_type === "application/json" && Boolean(item.thumb));
  const NAMED = { image: "Image", text: "Text", music: "Music", design: "Design" };

  const GIVEN = [["start", "right", "Use as start"], ["reference", "open", "Use as reference"], ["control", "edit", "Follow its outlines"]];
  /** What a picture can be for new ones in the Image panel; a film's end can begin the next one. */
  const given = (item) => {
    const board = window.atelierBoard;
    const able = item.media_type === "video/mp4" ? GIVEN.slice(0, 1) : atelier.isPicture(item) ? GIVEN : [];
    return able.filter(([role]) => board?.send && !board.lacks?.("image", role)).map(([role, icon, words]) => tool(icon, words, () => board.send("image", { sha256: item.sha256 }, role)));
  };

  class Detail {
    constructor(library) {
      this.library = library;
      this.item = null;
      this.node = el("aside", { class: "lib-detail", "aria-label": "Details", tabindex: "-1", id: "library-detail", hidden: true });
      this.node.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || event.target.matches("input")) return;
        event.stopPropagation();
        this.close();
      });
    }
    get open() {
      return !this.node.hidden;
    }
    close() {
      this.node.hidden = true;
      this.item = null;
      this.library.root.classList.remove("detailed");
      this.library.grid.activate(this.library.grid.active, true);
    }
    async show(item, focus = false) {
      this.item = item;
      this.node.hidden = false;
      this.library.root.classList.add("detailed");
      this.node.setAttribute("aria-busy", "true");
      try {
        const told = await atelier.fetchJson(`/atelier/artifact/${item.sha256}`);
        if (this.item !== item) return;
        this.item = { ...item, ...told };
        this.fill(this.item);
      } catch (error) {
        if (this.item !== item) return;
        this.node.replaceChildren(this.head(item), el("p", { class: "lib-failed", text: error.message }));
      }
      this.node.removeAttribute("aria-busy");
      if (focus) this.node.focus();
      if (this.item) this.ancestry(this.item.sha256);
    }
    head(item) {
      return el(
        "header",
        { class: "lib-head" },
        el("h2", { text: item.prompt ? "Take" : item.name || "Work", dir: "auto" }),
        tool("close", "Close details", () => this.close(), { bare: true }),
      );
    }
    fill(item) {
      const settings = Object.entries(item.settings).filter(([name]) => name !== "prompt");
      const ancestry = el("div", { class: "lib-ancestry" });
      this.tree = ancestry;
      atelier.fill(
        this.node,
        this.head(item),
        el("div", { class: "lib-picture" }, media(item)),
        this.actions(item),
        item.prompt ? el("p", { class: "lib-prompt", text: item.prompt, dir: "auto" }) : null,
        el("p", { class: "lib-quiet", text: facts(item) }),
        ...item.warnings.map((text) => el("p", { class: "lib-hint", text: String(text), dir: "auto" })),
        this.tags(item),
        settings.length
          ? el("section", {}, el("h3", { text: "Settings" }), el("dl", { class: "lib-settings" }, ...settings.flatMap(([name, value]) => [el("dt", { text: label(item.labels, name) }), el("dd", { text: atelier.shown(value), dir: "auto" })])))
          : null,
        ancestry,
      );
      this.node.scrollTop = 0;
    }
    actions(item) {
      const { library } = this;
      const star = tool("star", "Star", () => library.star([item.sha256], !item.starred).then(() => this.again()));
      star.setAttribute("aria-pressed", String(item.starred));
      star.classList.add("lib-dostar");
      const download = el("a", { class: "at-button", href: `${item.url}?download=1`, download: "" }, glyph("download"), el("span", { text: "Download" }));
      if (item.trashed) return el("div", { class: "lib-actions" }, tool("restore", "Restore", () => library.restore([item.sha256])), download);
      return el(
        "div",
        { class: "lib-actions" },
        opens(item) ? tool("open", `Open in ${NAMED[atelier.panelOf(item)]}`, () => atelier.openIn(item), { kind: "strong" }) : null,
        window.atelierBoard?.sendToDesign && opens(item) ? tool("cube", atelier.panelOf(item) === "design" ? "Put into the tray" : "Send to Design", () => window.atelierBoard.sendToDesign(item, item.prompt || item.name)) : null,
        item.restored && opens(item) ? tool("use", "Use settings", () => this.use(item)) : null,
        ...given(item),
        star,
        download,
        tool("trash", "Move to trash", () => library.trash([item.sha256]), { bare: true }),
      );
    }
    use(item) {
      atelier.useSettings(item);
    }
    again() {
      const now = this.item && this.library.grid.tiles.get(this.item.sha256);
      if (now) this.show(now.item);
    }
    tags(item) {
      const field = el("input", { type: "text", id: "library-tags", value: item.tags.join(", "), list: "library-known-tags", autocomplete: "off", dir: "auto", placeholder: "portrait, for the cover" });
      field.addEventListener("change", () => this.library.setTags(item, field.value));
      field.addEventListener("keydown", (event) => event.key === "Enter" && field.blur());
      return el("label", { class: "at-field" }, el("span", { text: "Tags, separated by commas" }), field);
    }

    async ancestry(sha) {
      try {
        const told = await atelier.fetchJson(`/atelier/lineage/${sha}`);
        if (this.item && this.item.sha256 === sha && told.nodes.length > 1) this.drawTree(told);
      } catch (error) {
        this.tree.replaceChildren(el("p", { class: "lib-failed", text: error.message }));
      }
    }
    /** Every node once, hung under its first parent. */
    drawTree(told) {
      const byParent = new Map();
      for (const node of told.nodes) {
        const parent = node.parents[0] || null;
        byParent.set(parent, [...(byParent.get(parent) || []), node]);
      }
      const branch = (parent, depth) =>
        el("ul", {}, ...(byParent.get(parent) || []).map((node) => el("li", {}, this.leaf(node, told), depth < 40 && byParent.has(node.sha256) ? branch(node.sha256, depth + 1) : null)));
      atelier.fill(this.tree, el("h3", { text: "Ancestry" }), branch(null, 0), told.complete ? null : el("p", { class: "lib-quiet", text: "There are more; these are the nearest." }));
    }
    leaf(node, { sha256: here, labels }) {
      const { changed } = node;
      const what = changed && changed.prompt ? atelier.diff(changed.prompt) : el("span", { text: changed ? "same words" : atelier.nameOf(node), dir: "auto" });
      const settings = changed ? Object.entries(changed.settings).slice(0, 4).map(([name, [a, b]]) => `${label(labels, name)} ${atelier.shown(a)} → ${atelier.shown(b)}`) : [];
      return el(
        "button",
        { type: "button", class: "lib-leaf", "aria-current": node.sha256 === here ? "true" : null, onclick: () => this.show(node, true) },
        node.thumb ? el("img", { src: node.thumb, alt: "", loading: "lazy" }) : glyph("page"),
        el("span", { class: "lib-leafwords" }, what, settings.length ? el("small", { text: settings.join(", "), dir: "auto" }) : null),
      );
    }
  }

  atelier.LibraryDetail = Detail;
})();
