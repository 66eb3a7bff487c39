// Takes as tiles: live previews without flicker, progress rings, marks; the grid of one brief and the strip of all.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, shown } = atelier;

  /** One take as an option of a listbox. It keeps its element; `update` changes only what is new. */
  class Tile {
    constructor(board, id, { small = false } = {}) {
      this.board = board;
      this.small = small;
      this.source = "";
      this.picture = null;
      this.ring = el("span", { class: "bd-ring", hidden: true }, el("span", { class: "bd-ringtext" }));
      this.number = el("span", { class: "bd-number", "aria-hidden": "true" });
      this.marks = el("span", { class: "bd-marks", "aria-hidden": "true" });
      this.check = el("span", { class: "bd-check", "aria-hidden": "true" }, atelier.icon("pick"));
      this.warning = el("span", { class: "bd-warning", hidden: true });
      this.facts = el("span", { class: "bd-facts", hidden: true });
      this.node = el("div", { id, class: "bd-tile", role: "option", "aria-selected": "false" }, this.warning, this.ring, this.number, this.marks, this.check, this.facts);
      this.node.addEventListener("click", (event) => {
        if (!this.key) return;
        if (event.target.closest(".bd-check") || event.ctrlKey || event.metaKey) board.choose(this.key);
        else if (event.shiftKey) board.chooseTo(this.key);
        else board.clickEntry(this.key);
      });
    }

    update(entry) {
      const { take, job } = entry;
      this.key = entry.key;
      const done = take.state === "done";
      const label = this.describe(take, job);
      this.node.setAttribute("aria-label", label);
      this.node.title = this.small ? label : "";
      this.node.dataset.state = take.state;
      this.node.dataset.key = entry.key;
      this.node.classList.toggle("picked", Boolean(take.picked));
      this.node.classList.toggle("active", this.board.active === entry.key);
      this.node.classList.toggle("live", !done && job.state === "running");
      const chosen = this.board.chosen.has(entry.key);
      this.node.classList.toggle("chosen", chosen);
      this.node.setAttribute("aria-selected", String(chosen));
      this.number.textContent = String(take.index + 1);
      this.paintMarks(take);
      this.paintRing(take, job);
      this.paintFacts(take);
      this.show(take, job);
      this.picture?.shape?.attend(this.board.active === entry.key);
    }

    paintFacts(take) {
      const [head, ...facts] = take.copied ? take.facts : ["", ...(take.facts || [])];
      const text = this.small ? "" : facts.join(" · ");
      this.warning.textContent = this.small ? "" : head;
      this.warning.hidden = this.small || !head;
      if (this.facts.textContent === text) return;
      this.facts.textContent = text;
      this.facts.hidden = !text;
    }

    describe(take, job) {
      const words = [`Take ${take.index + 1}`];
      if (take.state === "done") words.push(`seed ${take.seed}`);
      else words.push(job.state === "running" ? `step ${job.step} of ${job.steps || "?"}` : job.state);
      words.push(...(take.facts || []));
      if (take.picked) words.push("picked");
      if (take.starred) words.push("starred");
      words.push((job.prompt || "").slice(0, 120));
      return words.join(", ");
    }

    paintMarks(take) {
      const wanted = `${take.picked ? "p" : ""}${take.starred ? "s" : ""}`;
      if (this.marks.dataset.shown === wanted) return;
      this.marks.dataset.shown = wanted;
      this.marks.replaceChildren(
        ...(take.picked ? [el("span", { class: "bd-mark pick" }, atelier.icon("pick"))] : []),
        ...(take.starred ? [el("span", { class: "bd-mark star" }, atelier.icon("star"))] : []),
      );
    }

    paintRing(take, job) {
      const live = take.state !== "done" && (job.state === "running" || job.state === "queued");
      this.ring.hidden = !live;
      if (!live) return;
      const share = job.steps ? job.step / job.steps : 0;
      this.ring.style.setProperty("--share", `${Math.round(share * 360)}deg`);
      this.ring.classList.toggle("corner", take.state === "preview");
      this.ring.classList.toggle("idle", job.state === "queued");
      const text = job.state === "queued" ? "…" : job.steps ? `${Math.round(share * 100)}` : "…";
      this.ring.firstChild.textContent = text;
    }

    /** Swap the picture only when the next one is decoded: the old one stays until then. */
    show(take, job) {
      const kind = atelier.kind(take);
      const wanted = take.state === "preview" ? take.preview : take.state === "done" ? this.source_of(take, kind) : "";
      if (wanted === this.source) return;
      this.source = wanted || "";
      if (!wanted) {
        this.picture?.remove();
        this.picture = null;
        return;
      }
      if (kind === "text") return this.write(wanted, take.copied);
      if (atelier.sounds(take)) return this.sound(take, wanted);
      if (kind === "shape" && !this.small) return this.put(atelier.shapeTile(take, this.describe(take, job)));
      if (take.state === "done" && kind === "other" && !take.thumb) return this.put(atelier.media(take, ""));
      const next = el("img", { alt: "", draggable: "false", decoding: "async", src: wanted });
      const mine = this.source;
      const swap = () => this.source === mine && this.put(next);
      next.decode().then(swap, () => {
        if (this.source === mine) this.source = this.picture ? this.source : "";
      });
    }

    source_of(take, kind) {
      if (kind === "text" || kind === "score" || kind === "audio") return take.url;
      if (this.small || kind !== "image") return take.thumb || take.url;
      return take.url;
    }

    /** A text grows in the element that shows it. */
    write(url, copied) {
      if (this.picture?.classList.contains("bd-text")) atelier.fillText(this.picture, url, copied);
      else this.put(atelier.fillText(el("div", { class: "bd-text", dir: "auto" }), url, copied));
    }

    /** Music grows in the element that shows it, too. */
    sound(take, url) {
      const told = { ...take, url };
      if (this.picture?.sounding) this.picture.sounding.show(told, url);
      else this.put(atelier.soundTile(told, this.describe(take, { state: "", prompt: "" })));
    }

    put(next) {
      if (this.picture) this.picture.replaceWith(next);
      else this.node.prepend(next);
      this.picture = next;
    }
  }

  /** How many columns make `count` tiles of this aspect as large as they can be in a box. */
  const columnsFor = (count, width, height, aspect, gap) => {
    let best = 1;
    let largest = 0;
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const across = (width - gap * (columns - 1)) / columns;
      const side = Math.min(across, ((height - gap * (rows - 1)) / rows) * aspect);
      if (side > largest + 0.5) [largest, best] = [side, columns];
    }
    return [best, Math.floor(largest)];
  };

  /** The takes of one brief, as large as the stage allows; or, for an X/Y grid, a table with its settings at the edges. */
  class Grid {
    constructor(board) {
      this.board = board;
      this.tiles = new Map();
      this.node = el("div", { class: "bd-grid", role: "listbox", tabindex: "0", "aria-multiselectable": "true", "aria-label": "Takes of this brief" });
      this.shape = "";
      new ResizeObserver(() => this.layout()).observe(this.node);
    }

    update(brief) {
      const entries = brief.entries;
      const shape = `${brief.id}|${entries.map((entry) => entry.key).join()}|${brief.axes ? JSON.stringify(brief.axes) : ""}`;
      if (shape !== this.shape) {
        this.shape = shape;
        this.brief = brief;
        this.build(brief);
      }
      this.brief = brief;
      for (const entry of entries) this.tiles.get(entry.key).update(entry);
      this.mark();
      const first = entries[0] && `${this.aspect()}`;
      if (first !== this.lastAspect) {
        this.lastAspect = first;
        this.layout();
      }
    }

    build(brief) {
      const old = this.tiles;
      this.tiles = new Map();
      for (const entry of brief.entries) {
        this.tiles.set(entry.key, old.get(entry.key) || new Tile(this.board, `tile-${this.board.panel}-${entry.key}`));
      }
      this.node.classList.toggle("table", Boolean(brief.axes));
      this.node.replaceChildren(...(brief.axes ? this.table(brief) : [...this.tiles.values()].map((tile) => tile.node)));
      this.layout();
    }

    table(brief) {
      const { x, y, cells } = brief.axes;
      const at = new Map(brief.entries.map((entry) => [(cells[entry.job.id] || [0, 0]).join(), entry]));
      const label = (axis, value) => el("span", { class: "bd-axis", dir: "auto" }, el("small", { text: `${this.board.label(axis.name)} ` }), el("b", { text: shown(value) }));
      const parts = [];
      if (y) parts.push(el("span", { class: "bd-axis" }));
      x.values.forEach((value) => parts.push(label(x, value)));
      (y ? y.values : [null]).forEach((value, row) => {
        if (y) parts.push(label(y, value));
        x.values.forEach((_, column) => {
          const entry = at.get([column, row].join());
          parts.push(entry ? this.tiles.get(entry.key).node : el("span", { class: "bd-hole" }));
        });
      });
      return parts;
    }

    aspect() {
      const entry = this.brief && this.brief.entries[0];
      if (!entry) return 1;
      const { take, job } = entry;
      if (atelier.kind(take) === "audio") return 2.2;
      const w = take.width || job.settings.width || 1;
      const h = take.height || job.settings.height || 1;
      return Math.min(4, Math.max(0.25, w / h));
    }

    layout() {
      if (!this.brief) return;
      const style = getComputedStyle(this.node);
      const width = this.node.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      const height = this.node.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
      if (width < 20 || height < 20) return;
      const first = this.brief.entries[0];
      if (first && ["text", "score", "audio"].includes(atelier.kind(first.take)) && !this.brief.axes) return this.pages(width, height);
      const aspect = this.aspect();
      const axes = this.brief.axes;
      if (axes) {
        const columns = axes.x.values.length;
        const rows = axes.y ? axes.y.values.length : 1;
        const side = Math.max(112, Math.min((width - 90) / columns - 6, ((height - 26) / rows - 6) * aspect));
        this.node.style.gridTemplateColumns = `${axes.y ? "max-content " : ""}repeat(${columns}, ${Math.floor(side)}px)`;
        this.node.style.gridTemplateRows = `max-content repeat(${rows}, ${Math.floor(side / aspect)}px)`;
        return;
      }
      let [columns, side] = columnsFor(this.brief.entries.length, width, height, aspect, 10);
      if (side < 96) [columns, side] = [Math.max(1, Math.floor(width / 130)), 120];
      this.columns = columns;
      this.node.style.gridTemplateColumns = `repeat(${columns}, ${side}px)`;
      this.node.style.gridTemplateRows = "";
      this.node.style.gridAutoRows = `${Math.floor(side / aspect)}px`;
    }

    /** Texts side by side as pages: as wide as reads well, as high as the stage allows. */
    pages(width, height) {
      const count = this.brief.entries.length;
      const most = Math.max(1, Math.min(count, Math.floor((width + 10) / 300)));
      const rows = Math.ceil(count / most);
      const columns = Math.ceil(count / rows);
      this.columns = columns;
      this.node.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
      this.node.style.gridTemplateRows = "";
      const room = Math.max(220, Math.floor((height - 10 * (rows - 1)) / rows));
      const heard = atelier.sounds(this.brief.entries[0].take);
      this.node.style.gridAutoRows = `${heard ? Math.min(room, Math.max(260, Math.round(width / columns))) : room}px`;
    }

    mark() {
      const tile = this.tiles.get(this.board.active);
      if (tile) this.node.setAttribute("aria-activedescendant", tile.node.id);
      else this.node.removeAttribute("aria-activedescendant");
      if (tile && this.marked !== this.board.active) this.reveal(tile.node);
      this.marked = this.board.active;
    }

    /** Where the takes are higher than the stage: the active one is in sight. */
    reveal({ offsetTop, offsetHeight }) {
      const { scrollTop, clientHeight } = this.node;
      if (offsetTop < scrollTop) this.node.scrollTop = offsetTop - 12;
      else if (offsetTop + offsetHeight > scrollTop + clientHeight) this.node.scrollTop = offsetTop + offsetHeight - clientHeight + 12;
    }

    /** How many tiles one row holds, for the up and down keys. */
    get perRow() {
      return this.brief && this.brief.axes ? this.brief.axes.x.values.length : this.columns || 1;
    }
  }

  /** All briefs of the session side by side, oldest first. */
  class Strip {
    constructor(board) {
      this.board = board;
      this.groups = new Map();
      this.node = el("div", { class: "bd-strip", role: "listbox", tabindex: "0", "aria-orientation": "horizontal", "aria-multiselectable": "true", "aria-label": "All takes of this session" });
    }

    update(briefs) {
      const { scrollWidth } = this.node;
      const atEnd = this.node.scrollLeft + this.node.clientWidth > scrollWidth - 40;
      const kept = new Map();
      for (const brief of briefs) kept.set(brief.id, this.groups.get(brief.id) || this.group(brief));
      const added = [...kept.keys()].some((id) => !this.groups.has(id));
      for (const [id, group] of this.groups) if (!kept.has(id)) group.node.remove();
      let place = this.node.firstChild;
      for (const group of kept.values()) {
        if (group.node === place) place = place.nextSibling;
        else this.node.insertBefore(group.node, place);
      }
      this.groups = kept;
      for (const brief of briefs) this.fill(kept.get(brief.id), brief);
      if ((atEnd && this.node.scrollWidth > scrollWidth) || (added && this.fresh !== false)) this.node.scrollLeft = this.node.scrollWidth;
      this.fresh = false;
    }

    group(brief) {
      // a listbox may hold options and groups of them only: the group's label says this, the click is for the mouse
      const caption = el("span", { class: "bd-stripcaption", "aria-hidden": "true", dir: "auto", onclick: () => this.board.openBrief(brief.id) });
      const row = el("div", { class: "bd-striprow", role: "presentation" });
      return { node: el("div", { class: "bd-stripgroup", role: "group" }, caption, row), caption, row, tiles: new Map() };
    }

    fill(group, brief) {
      const job = brief.jobs[0];
      const title = `${!job.operation || job.operation === "Brief" ? "" : `${job.operation} · `}${job.prompt || "no words"}`;
      if (group.caption.textContent !== title) {
        group.caption.textContent = title;
        group.caption.title = title;
        group.node.setAttribute("aria-label", title.slice(0, 160));
      }
      group.node.classList.toggle("here", brief === this.board.brief);
      const kept = new Map();
      for (const entry of brief.entries) {
        const tile = group.tiles.get(entry.key) || new Tile(this.board, `strip-${this.board.panel}-${entry.key}`, { small: true });
        kept.set(entry.key, tile);
        if (!group.tiles.has(entry.key)) group.row.append(tile.node);
        tile.update(entry);
      }
      for (const [key, tile] of group.tiles) if (!kept.has(key)) tile.node.remove();
      group.tiles = kept;
      if (!brief.entries.length) group.row.dataset.state = job.state;
    }

    reveal(key) {
      for (const group of this.groups.values()) {
        const tile = group.tiles.get(key);
        if (!tile) continue;
        this.node.setAttribute("aria-activedescendant", tile.node.id);
        const left = tile.node.offsetLeft - this.node.offsetLeft;
        if (left < this.node.scrollLeft || left + tile.node.offsetWidth > this.node.scrollLeft + this.node.clientWidth) {
          this.node.scrollLeft = left - this.node.clientWidth / 2;
        }
      }
    }
  }

  atelier.Tile = Tile;
  atelier.Grid = Grid;
  atelier.Strip = Strip;
})();
