// The grid of works: tiles by hash, selection by mouse and keyboard. It knows the page's items, not how they are found.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, glyph } = atelier;

  const kindOf = (item) => (item.media_type.startsWith("audio/") ? "audio" : item.media_type.startsWith("video/") ? "video" : "page");
  const nameOf = (item) => item.prompt || item.name || item.media_type;

  class Tile {
    constructor(item, number) {
      this.check = el("span", { class: "lib-check", dataset: { part: "check" } }, glyph("check"));
      this.star = el("span", { class: "lib-star" }, glyph("star"));
      this.node = el("div", { class: "lib-tile", role: "option", tabindex: "-1", id: `lib-${number}`, "aria-selected": "false" });
      this.node.dataset.sha = item.sha256;
      this.picture = item.thumb
        ? el("img", { src: item.thumb, alt: "", loading: "lazy", decoding: "async", draggable: "false", onerror: () => this.lost() })
        : el("span", { class: "lib-kind" }, glyph(kindOf(item)), el("span", { text: nameOf(item), dir: "auto" }));
      this.node.append(this.picture, this.check, this.star);
      this.show(item);
    }
    lost() {
      this.picture.replaceWith(el("span", { class: "lib-kind" }, glyph("page"), el("span", { text: "No picture" })));
    }
    show(item) {
      this.item = item;
      const words = [nameOf(item).slice(0, 200)];
      if (item.seed !== null && item.seed !== undefined) words.push(`seed ${item.seed}`);
      if (item.starred) words.push("starred");
      if (item.picked) words.push("picked");
      if (item.tags.length) words.push(`tags ${item.tags.join(", ")}`);
      this.node.setAttribute("aria-label", words.join(", "));
      this.node.title = nameOf(item).slice(0, 300);
      this.node.classList.toggle("starred", item.starred);
    }
  }

  /** Tells `onChange()` when the selection changes and `onOpen(item)` when a work is to be looked at. */
  class Grid {
    constructor({ onChange, onOpen, onKey }) {
      this.tiles = new Map();
      this.order = [];
      this.chosen = new Set();
      this.active = null;
      this.anchor = null;
      this.made = 0;
      Object.assign(this, { onChange, onOpen, onKey });
      this.node = el("div", { class: "lib-grid", role: "listbox", "aria-label": "Works", "aria-multiselectable": "true", id: "library-grid" });
      this.node.addEventListener("click", (event) => this.click(event));
      this.node.addEventListener("dblclick", (event) => event.preventDefault());
      this.node.addEventListener("keydown", (event) => this.key(event));
      this.node.addEventListener("focusin", (event) => {
        const tile = event.target.closest(".lib-tile");
        if (tile) this.activate(tile.dataset.sha, false);
      });
    }

    get items() {
      return this.order.map((sha) => this.tiles.get(sha).item);
    }
    get chosenItems() {
      return this.items.filter((item) => this.chosen.has(item.sha256));
    }

    /** Shows these items in this order; tiles that stay keep their elements. */
    show(items) {
      const before = this.order.join();
      const kept = new Map();
      for (const item of items) {
        const tile = this.tiles.get(item.sha256) || new Tile(item, ++this.made);
        tile.show(item);
        kept.set(item.sha256, tile);
      }
      this.tiles = kept;
      this.order = [...kept.keys()];
      for (const sha of [...this.chosen]) if (!kept.has(sha)) this.chosen.delete(sha);
      if (!kept.has(this.anchor)) this.anchor = null;
      if (before !== this.order.join()) this.node.replaceChildren(...[...kept.values()].map((tile) => tile.node));
      this.activate(kept.has(this.active) ? this.active : this.order[0] || null, false);
      this.paint();
    }
    add(items) {
      const fresh = items.filter((item) => !this.tiles.has(item.sha256));
      for (const item of fresh) {
        const tile = new Tile(item, ++this.made);
        this.tiles.set(item.sha256, tile);
        this.order.push(item.sha256);
        this.node.append(tile.node);
      }
      if (!this.active) this.activate(this.order[0] || null, false);
    }
    update(item) {
      this.tiles.get(item.sha256)?.show(item);
    }
    /** Takes these away; the focus goes to the neighbour. */
    remove(shas) {
      const gone = new Set(shas);
      const place = this.order.indexOf(this.active);
      const focused = this.node.contains(document.activeElement);
      const left = this.order.filter((sha) => !gone.has(sha));
      const next = gone.has(this.active) ? left[Math.min(Math.max(0, place), left.length - 1)] || null : this.active;
      this.show(left.map((sha) => this.tiles.get(sha).item));
      this.activate(next, focused);
    }

    activate(sha, focus = true) {
      if (this.active && this.tiles.has(this.active)) this.tiles.get(this.active).node.tabIndex = -1;
      this.active = sha;
      const tile = sha && this.tiles.get(sha);
      if (!tile) return;
      tile.node.tabIndex = 0;
      if (focus) {
        tile.node.focus({ preventScroll: true });
        tile.node.scrollIntoView({ block: "nearest" });
      }
    }
    paint() {
      for (const [sha, tile] of this.tiles) tile.node.setAttribute("aria-selected", String(this.chosen.has(sha)));
      this.node.classList.toggle("many", this.chosen.size > 1);
      this.onChange();
    }
    choose(shas) {
      this.chosen = new Set(shas);
      this.paint();
    }
    toggle(sha) {
      if (!this.chosen.delete(sha)) this.chosen.add(sha);
      this.anchor = sha;
      this.paint();
    }
    chooseTo(sha) {
      const [a, b] = [this.order.indexOf(this.anchor || this.active || sha), this.order.indexOf(sha)].sort((x, y) => x - y);
      for (const between of this.order.slice(Math.max(0, a), b + 1)) this.chosen.add(between);
      this.paint();
    }

    click(event) {
      const node = event.target.closest(".lib-tile");
      if (!node) return;
      const { sha } = node.dataset;
      const range = event.shiftKey;
      if (range) this.chooseTo(sha);
      else if (event.ctrlKey || event.metaKey || event.target.closest("[data-part=check]")) this.toggle(sha);
      else {
        this.anchor = sha;
        this.choose([sha]);
        this.onOpen(this.tiles.get(sha).item);
      }
      this.activate(sha);
    }

    columns() {
      return Math.max(1, getComputedStyle(this.node).gridTemplateColumns.split(" ").length);
    }
    key(event) {
      const at = this.order.indexOf(this.active);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns(), ArrowUp: -this.columns(), Home: -at, End: this.order.length - 1 - at }[event.key];
      const command = event.ctrlKey || event.metaKey;
      if (step !== undefined && at >= 0 && !event.altKey) {
        const to = this.order[Math.min(this.order.length - 1, Math.max(0, at + step))];
        if (event.shiftKey) {
          this.anchor = this.anchor || this.active;
          this.chooseTo(to);
        }
        this.activate(to);
      } else if (event.key === " " && this.active) {
        if (event.shiftKey) this.chooseTo(this.active);
        else this.toggle(this.active);
      } else if (event.key === "Enter" && this.active && !command) {
        this.choose([this.active]);
        this.onOpen(this.tiles.get(this.active).item, true);
      } else if (command && event.key.toLowerCase() === "a") {
        this.choose(this.order);
      } else if (!this.onKey(event)) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    }
  }

  atelier.LibraryGrid = Grid;
  atelier.nameOf = nameOf;
})();
