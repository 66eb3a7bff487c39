// The library's page: search, filters, pages of works, and what is done with a selection. Asks /atelier/find for all it shows.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, glyph, tool } = atelier;

  const PAGE = 100;
  const KINDS = [["", "All"], ["image", "Pictures"], ["audio", "Sound"], ["video", "Video"], ["text", "Text"], ["model", "Shapes"]];

  class Library {
    constructor(root) {
      this.root = root;
      this.filter = { text: "", media: "", starred: false, tags: new Set(), model: "", after: "", before: "", sort: "newest", trashed: false };
      this.total = 0;
      this.loading = null;
      this.known = { tags: [], models: [], trash: 0 };
      this.grid = new atelier.LibraryGrid({ onChange: () => this.showBar(), onOpen: (item, focus) => this.detail.show(item, focus), onKey: (event) => this.gridKey(event) });
      this.detail = new atelier.LibraryDetail(this);
      this.build();
      addEventListener("keydown", (event) => this.key(event));
      addEventListener("atelier:changed", () => this.changed());
      addEventListener("atelier:dropped", () => this.changed());
      new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.refresh()).observe(root);
      this.load();
    }
    get visible() {
      return this.root.getClientRects().length > 0;
    }

    // --- what stands on the page

    build() {
      const field = (text, control) => el("label", { class: "at-field" }, el("span", { text }), control);
      const set = (name) => (event) => this.set(name, event.target.value);
      this.search = el("input", { type: "search", id: "library-search", placeholder: "Words of a prompt, a tag, a name, a seed", autocomplete: "off", dir: "auto", enterkeyhint: "search" });
      this.search.addEventListener("input", () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.set("text", this.search.value), 180);
      });
      this.kinds = el("div", { class: "lib-chips", role: "group", "aria-label": "Kind" }, ...KINDS.map(([value, text]) => this.chip(text, () => this.set("media", value), { media: value })));
      this.starred = this.chip("Starred", () => this.set("starred", !this.filter.starred), {}, "star");
      this.trashed = this.chip("Trash", () => this.set("trashed", !this.filter.trashed), {}, "trash");
      this.tags = el("div", { class: "lib-chips", role: "group", "aria-label": "Tags" });
      this.tagList = el("datalist", { id: "library-known-tags" });
      this.models = el("select", { onchange: set("model") });
      this.after = el("input", { type: "date", onchange: set("after") });
      this.before = el("input", { type: "date", onchange: set("before") });
      this.sort = el("select", { onchange: set("sort") }, ...[["newest", "Newest first"], ["oldest", "Oldest first"], ["starred", "Starred first"]].map(([value, text]) => el("option", { value, text })));
      this.picker = el("input", { type: "file", accept: "image/*,audio/*,.mid,.midi,.musicxml,.mxl,.xml,.abc,.krn,.glb,.stl,.3mf,.obj,.ply", multiple: true, class: "unseen", tabindex: "-1", "aria-hidden": "true", onchange: () => this.give() });
      this.clear = tool("close", "Clear filters", () => this.reset());
      this.more = tool("filter", "Filters", () => this.root.classList.toggle("filtering"), { kind: "lib-phone" });
      const filters = el(
        "div",
        { class: "lib-filters" },
        this.kinds,
        el("div", { class: "lib-chips", role: "group", "aria-label": "Which" }, this.starred, this.trashed),
        (this.tagField = el("div", { class: "at-field" }, el("span", { text: "Tags" }), this.tags)),
        el("div", { class: "lib-two" }, field("Sort", this.sort), (this.modelField = field("Model", this.models))),
        el("div", { class: "lib-two" }, field("From", this.after), field("To", this.before)),
        this.clear,
      );
      const add = el("div", { class: "lib-add" }, tool("drop", "Add files", () => this.picker.click()), el("p", { text: "Or drop them anywhere on the page. Pictures, scores, sounds, shapes and texts; one that carries its settings brings them along." }), this.picker);
      this.count = el("div", { class: "lib-count", role: "status", id: "library-count", text: "…" });
      this.bar = el("div", { class: "lib-bar" });
      this.note = el("div", { class: "lib-note", hidden: true });
      this.end = el("div", { class: "lib-end", "aria-hidden": "true" });
      this.scroll = el("div", { class: "lib-scroll" }, this.grid.node, this.note, this.end);
      this.root.append(
        el("section", { class: "lib-side", "aria-label": "Search and filters" }, el("div", { class: "lib-searching" }, field("Search", this.search), this.more), filters, add, this.tagList),
        el("section", { class: "lib-stage", "aria-label": "Works" }, this.bar, this.scroll),
        this.detail.node,
      );
      // on a desktop the works scroll in their own box, on a phone with the page
      this.scroll.addEventListener("scroll", () => this.nearEnd() && this.next(), { passive: true });
      addEventListener("scroll", () => this.nearEnd() && this.next(), { passive: true });
      this.showFilters();
      this.showBar();
    }
    chip(text, run, data = {}, icon = "") {
      return el("button", { type: "button", class: "lib-chip", "aria-pressed": "false", onclick: run, dataset: data, dir: "auto" }, icon ? glyph(icon) : null, el("span", { text }));
    }
    showFilters() {
      const { filter } = this;
      for (const chip of this.kinds.children) chip.setAttribute("aria-pressed", String(chip.dataset.media === filter.media));
      this.starred.setAttribute("aria-pressed", String(filter.starred));
      this.trashed.setAttribute("aria-pressed", String(filter.trashed));
      this.trashed.lastChild.textContent = this.known.trash ? `Trash (${this.known.trash.toLocaleString("en")})` : "Trash";
      const names = new Set([...filter.tags, ...this.known.tags.slice(0, 24).map((one) => one.tag)]);
      this.tags.replaceChildren(...[...names].map((tag) => {
        const chip = this.chip(tag, () => this.toggleTag(tag));
        chip.setAttribute("aria-pressed", String(filter.tags.has(tag)));
        return chip;
      }));
      this.tagField.hidden = !names.size;
      this.tagList.replaceChildren(...this.known.tags.map((one) => el("option", { value: one.tag })));
      this.models.replaceChildren(el("option", { value: "", text: "Any" }), ...this.known.models.map((one) => el("option", { value: one.id, text: one.name || one.id })));
      this.models.value = filter.model;
      this.sort.value = filter.sort;
      this.clear.hidden = !this.narrowed;
    }
    get narrowed() {
      const { text, media, starred, tags, model, after, before, trashed } = this.filter;
      return Boolean(text || media || starred || tags.size || model || after || before || trashed);
    }
    showBar() {
      const chosen = this.grid.chosenItems;
      const shas = chosen.map((item) => item.sha256);
      const { trashed } = this.filter;
      const one = atelier.plural(this.total, "work");
      const said = chosen.length > 1 ? `${chosen.length} of ${one} selected` : trashed ? `${one} in the trash` : this.narrowed ? `${one} found` : one;
      if (this.count.textContent !== said) this.count.textContent = said;
      const tools = [];
      if (chosen.length > 1) {
        const starred = chosen.every((item) => item.starred);
        if (trashed) tools.push(tool("restore", "Restore", () => this.restore(shas)));
        else tools.push(tool("star", starred ? "Unstar" : "Star", () => this.star(shas, !starred)), tool("tag", "Tag", () => this.askTags(chosen)), tool("trash", "Trash", () => this.trash(shas)));
      } else if (trashed && this.total) tools.push(tool("trash", "Empty the trash", () => this.emptyTrash(), { kind: "danger" }));
      if (chosen.length && !trashed) tools.push(tool("download", chosen.length > 1 ? "Export" : "Export as zip", () => this.export(shas)));
      if (chosen.length > 1) tools.push(tool("close", "Clear selection", () => this.grid.choose([]), { bare: true }));
      const focused = this.bar.contains(document.activeElement);
      this.bar.replaceChildren(this.count, el("div", { class: "lib-tools", role: "toolbar", "aria-label": "What to do with the selection" }, ...tools));
      if (focused) this.grid.activate(this.grid.active, true);
    }

    nearEnd() {
      const edge = Math.min(innerHeight, this.scroll.getBoundingClientRect().bottom);
      return this.visible && this.end.getBoundingClientRect().top < edge + 800;
    }

    // --- finding

    set(name, value) {
      if (this.filter[name] === value) return;
      this.filter[name] = value;
      this.restart();
    }
    toggleTag(tag) {
      if (!this.filter.tags.delete(tag)) this.filter.tags.add(tag);
      this.restart();
    }
    reset() {
      Object.assign(this.filter, { text: "", media: "", starred: false, tags: new Set(), model: "", after: "", before: "", trashed: false });
      this.search.value = this.after.value = this.before.value = "";
      this.restart();
      this.search.focus();
    }
    restart() {
      this.grid.chosen.clear();
      if (this.detail.open) this.detail.close();
      this.showFilters();
      this.scroll.scrollTop = 0;
      this.load();
    }
    address(offset, limit) {
      const { filter } = this;
      const day = (text, more) => (text ? String(new Date(`${text}T00:00:00`).getTime() / 1000 + more) : "");
      const given = { text: filter.text, media: filter.media, starred: filter.starred ? "1" : "", tags: [...filter.tags].join("\n"), model: filter.model, sort: filter.sort, trashed: filter.trashed ? "1" : "", after: day(filter.after, 0), before: day(filter.before, 86400), offset, limit };
      return `/atelier/find?${new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ""))}`;
    }
    /** The first page, or as many as are shown already. */
    async load(limit = PAGE) {
      this.loading?.abort();
      const mine = (this.loading = new AbortController());
      this.root.setAttribute("aria-busy", "true");
      if (!this.grid.order.length && !this.total) this.say(el("div", { class: "lib-wait", "aria-hidden": "true" }, ...Array.from({ length: 12 }, () => el("i"))));
      try {
        const [page, known] = await Promise.all([atelier.fetchJson(this.address(0, limit), { signal: mine.signal }), atelier.fetchJson("/atelier/facets", { signal: mine.signal })]);
        this.known = known;
        this.total = page.total;
        this.grid.show(page.items);
        this.showFilters();
        this.showEmpty();
      } catch (error) {
        if (error.name === "AbortError") return;
        this.total = 0;
        this.grid.show([]);
        this.say(el("p", { class: "lib-failed", text: error.message }), tool("retry", "Try again", () => this.load()));
      }
      this.root.removeAttribute("aria-busy");
      this.loading = null;
      this.loaded = performance.now();
      this.showBar();
      if (this.nearEnd()) this.next();
    }
    async next() {
      if (this.loading || !this.grid.order.length || this.grid.order.length >= this.total) return;
      const mine = (this.loading = new AbortController());
      try {
        const page = await atelier.fetchJson(this.address(this.grid.order.length, PAGE), { signal: mine.signal });
        this.grid.add(page.items);
        this.total = page.items.length ? page.total : this.grid.order.length;
        this.showBar();
      } catch (error) {
        atelier.failed(error);
      }
      if (this.loading !== mine) return;
      this.loading = null;
      if (this.nearEnd()) this.next();
    }
    refresh() {
      if (this.visible && !this.loading && performance.now() - (this.loaded || 0) > 1000) this.load(Math.min(500, Math.max(PAGE, this.grid.order.length)));
    }
    /** Something was made or changed elsewhere: look again soon, but not at every step of a running job. */
    changed() {
      clearTimeout(this.soon);
      if (this.grid.order.length <= 500) this.soon = setTimeout(() => this.refresh(), 1500);
    }
    say(...children) {
      this.note.replaceChildren(...children);
      this.note.hidden = false;
    }
    showEmpty() {
      if (this.total) {
        this.note.hidden = true;
        return;
      }
      const { trashed, ...others } = this.filter;
      const narrowed = others.text || others.media || others.starred || others.tags.size || others.model || others.after || others.before;
      if (narrowed) this.say(el("h2", { text: "Nothing matches" }), el("p", { text: "Try fewer words, or take a filter away." }), tool("close", "Clear filters", () => this.reset()));
      else if (trashed) this.say(el("h2", { text: "The trash is empty" }), el("p", { text: "What you throw away waits here until you empty the trash." }));
      else this.say(el("h2", { text: "Everything you make is kept here" }), el("p", { text: "Every take with its settings and its ancestry. Make a first picture, or drop some of yours on this page." }), tool("open", "Make a picture", () => atelier.goTo("image"), { kind: "strong" }));
    }

    // --- doing

    async do(action, data, then) {
      try {
        const answer = await atelier.act(action, data);
        await then?.(answer);
        return answer;
      } catch (error) {
        atelier.failed(error);
        return null;
      }
    }
    star(shas, on) {
      return this.do("star", { shas, on }, () => {
        for (const sha of shas) {
          const tile = this.grid.tiles.get(sha);
          if (tile) this.grid.update({ ...tile.item, starred: on });
        }
        this.showBar();
      });
    }
    setTags(item, text) {
      const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
      return this.do("tag", { sha256: item.sha256, tags }, () => this.load(Math.max(PAGE, this.grid.order.length)));
    }
    askTags(items) {
      const field = el("input", { type: "text", list: "library-known-tags", dir: "auto", autocomplete: "off" });
      atelier.form("Tag the selection", el("label", { class: "at-field at-say" }, el("span", { text: `Tags to add to ${atelier.plural(items.length, "work")}, separated by commas` }), field), "Add", () => {
        const add = field.value.split(",").map((tag) => tag.trim()).filter(Boolean);
        if (add.length) this.do("tag", { shas: items.map((item) => item.sha256), add }, () => this.load(Math.max(PAGE, this.grid.order.length)));
      });
    }
    gone(shas) {
      const here = shas.filter((sha) => this.grid.tiles.has(sha));
      this.total -= here.length;
      this.grid.remove(here);
      if (this.detail.open) this.detail.close();
      this.showEmpty();
      this.showBar();
      this.changed();
    }
    trash(shas) {
      return this.do("trash", { shas }, () => {
        this.gone(shas);
        this.offer = atelier.toast(`${atelier.plural(shas.length, "work")} moved to the trash.`, { label: "Undo", run: () => this.undo() });
      });
    }
    restore(shas) {
      return this.do("restore", { shas }, () => {
        this.gone(shas);
        this.offer = atelier.toast(`${atelier.plural(shas.length, "work")} restored.`, { kind: "good", label: "Undo", run: () => this.undo() });
      });
    }
    undo() {
      return this.do("undo", {}, (answer) => {
        this.offer?.remove();
        atelier.toast(answer.undone || "There is nothing to undo.");
        return this.load(Math.max(PAGE, this.grid.order.length));
      });
    }
    async emptyTrash() {
      const sure = await atelier.ask("Empty the trash?", `${atelier.plural(this.known.trash, "work")} will be deleted from the disk. This cannot be undone.`, "Delete for ever");
      if (sure) this.do("empty_trash", {}, (answer) => (atelier.toast(`The trash is empty; ${atelier.bytes(answer.freed)} are free again.`, { kind: "good" }), this.load()));
    }
    async export(shas) {
      try {
        const reply = await fetch("/atelier/export", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ shas }) });
        if (!reply.ok) throw new Error(((told) => [told.error, told.hint].filter(Boolean).join(" "))(await reply.json().catch(() => ({}))) || `The studio answered ${reply.status}.`);
        const address = URL.createObjectURL(await reply.blob());
        const link = el("a", { href: address, download: `atelier-${shas.length}-works.zip` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(address), 10000);
      } catch (error) {
        atelier.failed(error);
      }
    }
    give() {
      for (const file of this.picker.files) atelier.take(file);
      this.picker.value = "";
    }

    // --- keys

    gridKey(event) {
      const shas = this.grid.chosen.size ? [...this.grid.chosen] : this.grid.active ? [this.grid.active] : [];
      if (event.ctrlKey || event.metaKey || event.altKey || !shas.length) return false;
      if (event.key === "s") this.star(shas, !shas.every((sha) => this.grid.tiles.get(sha).item.starred)).then(() => this.detail.open && this.detail.again());
      else if (event.key === "Delete" || event.key === "Backspace") this.filter.trashed ? this.restore(shas) : this.trash(shas);
      else if (event.key === "Escape" && (this.detail.open || this.grid.chosen.size)) {
        if (this.detail.open) this.detail.close();
        this.grid.choose([]);
      } else return false;
      return true;
    }
    key(event) {
      if (!this.visible || event.defaultPrevented || document.querySelector("dialog[open]") || atelier.typing(event.target)) return;
      const command = event.ctrlKey || event.metaKey;
      if (event.key === "/" && !command) this.search.focus();
      else if (command && event.key.toLowerCase() === "z" && !event.shiftKey) this.undo();
      else return;
      event.preventDefault();
    }
  }

  /** Turns an empty element into the library, once. */
  atelier.library = (root) => root && (root.library = root.library || new Library(root));
})();
