// The Models tab: what is installed, what can be had, downloads on their way. Asks /atelier/models/ for all it shows.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, glyph, tool } = atelier;

  const MEDIA = [["", "All"], ["image", "Pictures"], ["text", "Text"], ["music", "Music"], ["sound", "Sound"], ["speech", "Speech"], ["3d", "3D"], ["video", "Video"]];
  const MEDIUM_OF = { diffusion: "image", gan: "image", causal_lm: "text", captioning: "text", score: "music", audio: "music", shapes: "3d" };
  const UNUSED = "not used";
  const DAMAGED = "damaged"; // its card cannot be read
  const KINDS = { preview: "shows pictures while they grow" };
  const FAST = 500;
  const SLOW = 5000;
  const UNDER_WAY = ["starting", "downloading", "checking", "waiting"];
  const WORDS = { starting: "Beginning", downloading: "Downloading", checking: "Checking", waiting: "Waiting for the hub", paused: "Paused", failed: "Stopped", done: "Here" };
  const GB = 2 ** 30;
  const gb = (bytes) => (bytes ? `${(bytes / GB).toFixed(bytes < GB ? 2 : 1)} GB` : "size not known");
  /** Text whose addresses are links. */
  const linked = (text) => text.split(/(https?:\/\/[^\s),;]+)/).map((part, k) => (k % 2 ? el("a", { href: part, target: "_blank", rel: "noopener noreferrer", text: part.replace(/^https?:\/\//, "") }) : part));
  const names = (tasks) => tasks.map((task) => task.replaceAll("_", " ")).join(", ");

  class Models {
    constructor(root) {
      this.root = root;
      this.medium = "";
      this.state = null;
      this.found = null;
      this.unfolded = new Set(); // rows that tell all that is known of their model
      this.rev = -1;
      this.build();
      addEventListener("atelier:changed", () => this.visible && this.soon());
      new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.load()).observe(root);
      this.load();
      this.poll();
    }
    get visible() {
      return this.root.getClientRects().length > 0;
    }

    // --- what stands there

    build() {
      this.words = el("input", { type: "search", id: "models-search", placeholder: "Words, or owner/name", autocomplete: "off", "aria-label": "Search the hub" });
      this.words.addEventListener("keydown", (event) => event.key === "Enter" && this.search());
      this.chips = el("div", { class: "lib-chips", role: "group", "aria-label": "Medium" }, ...MEDIA.map(([value, text]) =>
        el("button", { type: "button", class: "lib-chip", "data-medium": value, "aria-pressed": String(value === ""), onclick: () => this.narrow(value) }, el("span", { text }))));
      this.about = el("dl", { class: "mdl-about" });
      this.token = el("div", { class: "mdl-token" });
      this.stage = el("section", { class: "mdl-stage", "aria-label": "Models" }, el("p", { class: "mdl-quiet", text: "…" }));
      this.root.append(
        el("section", { class: "lib-side", "aria-label": "Search and settings" },
          el("div", { class: "at-field" }, el("span", { text: "Search the Hugging Face Hub" }), el("div", { class: "mdl-searching" }, this.words, tool("search", "Search", () => this.search()))),
          this.chips,
          this.about,
          tool("drop", "Use models of another program", () => this.askPlace()),
          el("p", { class: "mdl-quiet", text: "The models folder of ComfyUI, A1111, Forge or InvokeAI, or a single file: what you choose is used where it lies." }),
          this.token),
        this.stage,
      );
    }
    narrow(medium) {
      this.medium = medium;
      for (const chip of this.chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.medium === medium));
      this.paint();
    }

    // --- looking

    soon() {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.load(), 800);
    }
    async load() {
      if (!this.visible) return;
      try {
        this.state = await atelier.fetchJson("/atelier/models/state");
        this.paint();
      } catch (error) {
        this.stage.replaceChildren(el("p", { class: "lib-failed", text: error.message }), tool("retry", "Try again", () => this.load()));
      }
    }
    async poll() {
      const running = this.state?.downloads.some((one) => UNDER_WAY.includes(one.state));
      if (this.visible && this.state && (running || this.rev >= 0)) {
        const told = await atelier.fetchJson("/atelier/models/progress").catch(() => null);
        if (told && told.revision !== this.rev) {
          const done = (list) => list.filter((one) => one.state === "done").length;
          const more = done(told.downloads) > done(this.state.downloads);
          this.rev = told.revision;
          this.state.downloads = told.downloads;
          if (more) {
            await this.load();
            dispatchEvent(new CustomEvent("atelier:models"));
            atelier.toast("The model is here, in the menus of its panel.", { kind: "good" });
          } else this.paintDownloads();
        }
      }
      setTimeout(() => this.poll(), running ? FAST : SLOW);
    }

    // --- painting

    paint() {
      const { state } = this;
      if (!state) return;
      const row = (name, value) => [el("dt", { text: name }), el("dd", { text: value })];
      this.about.replaceChildren(
        ...row("Device", `${state.device.kind.toUpperCase()}, ${(state.device.memory / GB).toFixed(0)} GB${state.device.simulated ? " (simulated)" : ""}`),
        ...row("Free disk", gb(state.disk.free)),
        ...row("Network", state.offline ? "off: started with --offline" : "only when you search or download"),
      );
      this.paintToken();
      this.downloads = el("section", { class: "mdl-part", "aria-label": "Downloads" });
      const parts = [this.downloads];
      if (this.folder) parts.push(this.folder.node);
      if (this.found) parts.push(this.part("From the hub", this.found.map((one) => this.foundRow(one)), "Nothing was found. Try fewer words.", tool("close", "Clear", () => ((this.found = null), this.paint()), { bare: true })));
      const fits = ({ medium, family }) => !this.medium || this.medium === (medium || MEDIUM_OF[family]);
      parts.push(this.part("Installed", state.installed.filter(fits).map((one) => this.installedRow(one)), "Nothing of this kind yet."));
      const beside = state.companions.filter((one) => this.companionFits(one));
      if (beside.length) parts.push(this.part("Beside models", beside.map((one) => this.companionRow(one))));
      for (const [medium, title] of MEDIA.slice(1)) {
        const entries = state.listed.filter((one) => one.medium === medium && fits(one) && !one.installed);
        const [models, others] = [entries.filter((one) => !one.kind), entries.filter((one) => one.kind)];
        if (models.length) parts.push(this.part(`${title} to be had`, models.map((one) => this.listedRow(one))));
        if (others.length) parts.push(this.part(`Beside models of ${title.toLowerCase()}, to be had`, others.map((one) => this.listedRow(one))));
      }
      const { scrollTop } = this.stage;
      this.stage.replaceChildren(...parts);
      this.stage.scrollTop = scrollTop;
      this.paintDownloads();
    }
    part(title, rows, empty = "", more = null) {
      return el("section", { class: "mdl-part", "aria-label": title }, el("div", { class: "mdl-head" }, el("h2", { text: title }), more), rows.length ? el("ul", { class: "mdl-list" }, ...rows) : el("p", { class: "mdl-quiet", text: empty }));
    }
    paintToken() {
      const { token } = this.state;
      this.token.replaceChildren(
        el("p", { class: "mdl-quiet", text: token === "home" ? "An access token is kept here, for gated models." : token ? `The access token comes from ${token}.` : "Gated models need an access token of the hub." }),
        token === "home" ? tool("close", "Forget the token", () => this.act({ action: "forget_token" })) : tool("use", "Give a token", () => this.askToken()),
      );
    }
    paintDownloads() {
      if (!this.downloads) return;
      const shown = this.state.downloads.filter((one) => one.state !== "done");
      this.downloads.hidden = !shown.length;
      this.downloads.replaceChildren(el("div", { class: "mdl-head" }, el("h2", { text: "Downloads" })), el("ul", { class: "mdl-list" }, ...shown.map((one) => this.downloadRow(one))));
    }
    downloadRow(one) {
      const live = UNDER_WAY.includes(one.state);
      const share = one.total ? one.done / one.total : 0;
      const pace = one.speed ? `, ${atelier.bytes(one.speed)}/s` : "";
      const left = one.seconds_left === null || one.seconds_left === undefined ? "" : `, ${atelier.seconds(one.seconds_left)} left`;
      const said = one.message ? `${one.message} ${one.hint}` : `${WORDS[one.state] || one.state}: ${atelier.bytes(one.done)} of ${atelier.bytes(one.total)}${pace}${left}`;
      return el("li", { class: "mdl-row", "data-download": one.id, "data-state": one.state },
        el("div", { class: "mdl-what" }, el("b", { text: one.repo }), el("progress", { max: 1, value: share, "aria-label": `${one.repo}: ${Math.round(share * 100)} %` }), el("p", { class: one.message ? "lib-failed" : "mdl-quiet", role: one.message ? "alert" : null, text: said })),
        el("div", { class: "mdl-do" },
          live ? tool("pause", "Pause", () => this.act({ action: "pause", id: one.id })) : tool("play", "Resume", () => this.act({ action: "resume", id: one.id })),
          tool("close", "Cancel", () => this.cancel(one))));
    }
    badges(...words) {
      return el("span", { class: "mdl-badges" }, ...words.filter(Boolean).map(([text, kind = ""]) => el("span", { class: `mdl-badge ${kind}`, text })));
    }
    fitBadge(fit) {
      if (fit?.damaged) return ["damaged", "bad"];
      return fit ? (fit.fits ? [fit.offload || fit.tiled || fit.batch === 1 ? "fits, with less" : "fits", "good"] : ["too large for this device", "bad"]) : null;
    }
    installedRow(one) {
      return el("li", { class: "mdl-row", "data-model": one.id },
        el("div", { class: "mdl-what" },
          el("div", { class: "mdl-name" }, el("b", { text: one.name }), this.badges([one.source === "starter" ? "comes with the program" : gb(one.size)], this.fitBadge(one.fit), one.licence ? [one.licence] : null)),
          el("p", { text: one.about || names(one.tasks) }),
          el("p", { class: "mdl-quiet", text: [names(one.tasks), one.fit.sentence, one.repo, one.file].filter(Boolean).join(" · ") })),
        el("div", { class: "mdl-do" },
          one.panel ? tool("open", "Open its panel", () => atelier.goTo(one.panel)) : null,
          one.removable ? this.remover(one) : null),
        this.factsFold(one));
    }
    remover(one) {
      const frees = /^([/\\]|[A-Za-z]:)/.test(one.file || "") ? 0 : one.frees; // a file elsewhere that its card names stays
      return tool("trash", frees ? `Remove, frees ${atelier.bytes(frees)}` : "Remove, keeps the file", () => this.remove(one.id, one.name, frees), { kind: "danger" });
    }
    /** All that a card tells beside its description, in a fold that stays open while the list is drawn again. */
    factsFold({ id, facts }) {
      const { limits, teaching, figures, tables, knows, data, credits, trained } = facts;
      const parts = [
        ["limits", limits], ["figures", figures.length + tables.length], ["words", knows.length], ["training data", data.length + trained.length], ["credits", credits.length],
      ].filter(([, there]) => there).map(([name]) => name);
      if (!parts.length) return null;
      const section = (title, ...inside) => el("section", {}, el("h3", { text: title }), ...inside);
      const pairs = (rows, kind = "") => el("dl", { class: `mdl-pairs ${kind}` }, ...rows.map(([name, text]) => el("div", {}, el("dt", { text: name }), el("dd", { dir: "auto" }, ...linked(text)))));
      const fold = el("details", { class: "mdl-facts", open: this.unfolded.has(id) },
        el("summary", {}, el("b", { text: "What it knows and how well" }), el("span", { text: parts.join(", ") })));
      const fill = () => fold.childElementCount === 1 && fold.append(el("div", { class: "mdl-told" },
        limits || teaching ? section("Limits", ...[limits, teaching].filter(Boolean).map((text) => el("p", { text }))) : null,
        figures.length + tables.length ? section(facts.measured ? `Measured on ${facts.measured}` : "Measured",
          figures.length ? pairs(figures.map(([name, text]) => [name, text.replace(/ (?=%|dB|s$)/g, "\u00a0")]), "figures") : null,
          ...tables.map((table) => this.figureTable(table)),
          facts.means ? el("p", { class: "mdl-quiet", text: `The figures are ${facts.means}.` }) : null,
          facts.command ? el("p", { class: "mdl-quiet" }, "Measure it yourself: ", el("code", { text: facts.command })) : null) : null,
        knows.length ? section("What it knows", pairs(knows)) : null,
        data.length + trained.length ? section("What it was taught on",
          data.length ? pairs(data) : null,
          trained.length ? pairs([["Trained", trained[0]], ...trained.slice(1).map((text) => ["Before that", text])]) : null) : null,
        credits.length ? section("Credits", el("ul", {}, ...credits.map((text) => el("li", {}, ...linked(text))))) : null));
      if (fold.open) fill();
      fold.addEventListener("toggle", () => {
        if (fold.open) this.unfolded.add(id);
        else this.unfolded.delete(id);
        fill();
      });
      return fold;
    }
    figureTable({ title, columns, rows }) {
      const head = columns.some(Boolean) ? el("thead", {}, el("tr", {}, el("td"), ...columns.map((text) => el("th", { scope: "col", text })))) : null;
      const cell = (text) => {
        const [, middle, interval] = /^(.*) \((.*)\)$/.exec(text) || [null, text || "–", ""]; // an interval stands beneath
        return el("td", {}, middle, interval ? el("small", { text: interval }) : null);
      };
      const body = rows.map(([name, ...values]) => el("tr", {}, el("th", { scope: "row", text: name }), ...values.map(cell)));
      return el("div", { class: "mdl-scroll", tabindex: 0, role: "region", "aria-label": title }, el("table", { class: "mdl-table" }, el("caption", { text: title }), head, el("tbody", {}, ...body)));
    }
    /** Whether it belongs under the chosen medium: by the models that it works with, else it is one for pictures. */
    companionFits({ beside }) {
      const media = this.state.installed.filter(({ id }) => beside.includes(id)).map(({ family }) => MEDIUM_OF[family]);
      return !this.medium || (media.length ? media : ["image"]).includes(this.medium);
    }
    companionRow(one) {
      const usable = one.beside.map((id) => this.state.installed.find((model) => model.id === id)?.name || id);
      const missing = ["LoRA", "embedding", DAMAGED].includes(one.kind) ? "" : "fits no model that is installed";
      const works = one.kind === UNUSED ? "Nothing in this version can use it." : usable.length ? `works with ${usable.join(", ")}` : missing;
      return el("li", { class: "mdl-row", "data-model": one.id },
        el("div", { class: "mdl-what" },
          el("div", { class: "mdl-name" }, el("b", { text: one.name }), this.badges([KINDS[one.kind] || one.kind, one.kind === UNUSED || one.kind === DAMAGED ? "warn" : ""], one.removable ? null : ["comes with the program"], one.licence ? [one.licence] : null)),
          one.about ? el("p", { text: one.about }) : null,
          el("p", { class: "mdl-quiet", text: [works, one.trigger && `word: ${one.trigger}`, atelier.bytes(one.size), one.repo].filter(Boolean).join(" · ") })),
        el("div", { class: "mdl-do" }, one.removable ? this.remover(one) : null),
        this.factsFold(one));
    }
    listedRow(one) {
      return el("li", { class: "mdl-row", "data-entry": one.id },
        el("div", { class: "mdl-what" },
          el("div", { class: "mdl-name" }, el("b", { text: one.name }), this.badges([one.size ? gb(one.size) : null, ""].filter(Boolean).length ? [gb(one.size)] : null, this.fitBadge(one.fit), one.kind ? [KINDS[one.kind] || one.kind] : null, [one.licence || "licence not known", one.limits_use ? "warn" : ""], one.gated ? ["gated", "warn"] : null, one.runs ? null : ["nothing here uses it yet", "warn"])),
          el("p", { text: one.good_for }),
          el("p", { class: "mdl-quiet", text: [one.repo, one.file || one.pipeline, names(one.tasks), one.fit?.sentence].filter(Boolean).join(" · ") }),
          one.forbids ? el("p", { class: "mdl-quiet", text: `The licence forbids: ${one.forbids}` }) : null,
          one.note ? el("p", { class: "mdl-quiet", text: one.note }) : null,
          one.unchecked.length ? el("p", { class: "mdl-quiet", text: `Not checked: ${one.unchecked.join(", ")}. The hub has the last word.` }) : null),
        el("div", { class: "mdl-do" }, tool("download", "Get", () => this.offer(one.id))));
    }
    foundRow(one) {
      return el("li", { class: "mdl-row", "data-found": one.id },
        el("div", { class: "mdl-what" }, el("div", { class: "mdl-name" }, el("b", { text: one.id }), this.badges(one.kind ? [one.kind] : null, one.licence ? [one.licence] : null, one.gated ? ["gated", "warn"] : null)), el("p", { class: "mdl-quiet", text: `${one.downloads.toLocaleString("en")} downloads` })),
        el("div", { class: "mdl-do" }, tool("download", "Get", () => this.offer(one.id))));
    }

    // --- doing

    async act(data) {
      try {
        const answer = await atelier.postJson("/atelier/models/act", data);
        this.rev = 0;
        await this.load();
        return answer;
      } catch (error) {
        atelier.failed(error);
        return null;
      }
    }
    async search() {
      const words = this.words.value.trim();
      try {
        this.found = (await atelier.fetchJson(`/atelier/models/search?${new URLSearchParams({ words })}`)).found;
        if (!this.found.length && /^[\w.-]+\/[\w.-]+$/.test(words)) return void this.offer(words);
        this.paint();
        this.stage.scrollTop = 0;
      } catch (error) {
        atelier.failed(error);
      }
    }
    /** What a download would bring, the licence to accept where it limits use, then the download. */
    async offer(id, file = "") {
      let plan;
      try {
        plan = await atelier.postJson("/atelier/models/plan", { id, file });
      } catch (error) {
        return void atelier.failed(error);
      }
      if (plan.choose) return void this.chooseFile(id, plan.choose);
      if (plan.here) return void atelier.toast(`${plan.repo} is here already.`);
      const must = plan.limits_use && !plan.accepted;
      const room = plan.size - plan.cached <= plan.free;
      const read = el("input", { type: "checkbox", id: "models-accept" });
      const lines = [
        `${atelier.bytes(plan.size)} in ${atelier.plural(plan.files.length, "file")}${plan.cached ? `, ${atelier.bytes(plan.cached)} of it lie on this machine already` : ""}; ${atelier.bytes(plan.free)} are free.`,
        plan.fit ? plan.fit.sentence : "",
        plan.licence_says,
        plan.entry?.unchecked.length ? `Not checked by us: ${plan.entry.unchecked.join(", ")}.` : "",
        room ? "" : "That does not fit on the disk. Make room, or choose a smaller model.",
      ].filter(Boolean);
      const body = el("div", { class: "mdl-offer" },
        ...lines.map((text) => el("p", { text })),
        plan.link ? el("p", {}, el("a", { href: plan.link, target: "_blank", rel: "noopener noreferrer", text: "Read the licence" })) : null,
        must ? el("label", { class: "mdl-accept" }, read, "I have read the licence and accept it.") : null,
        el("p", { class: "mdl-quiet", text: `${plan.repo} at ${plan.revision.slice(0, 12)}; safetensors only, no code of it is run.` }));
      atelier.form(`Download ${plan.repo}?`, body, "Download", async () => {
        if (must && !read.checked) return void atelier.toast("Its licence limits use: accept it first.", { kind: "failed" });
        if (await this.act({ action: "get", id, file, accept: read.checked })) atelier.toast("The download has begun. It goes on when this page is closed.", { kind: "good" });
      });
    }
    /** Of a repository with several models or adapters, each a file: which one is meant. */
    chooseFile(id, files) {
      const name = "models-which";
      const body = el("div", { class: "mdl-offer", role: "radiogroup", "aria-label": "Files" },
        el("p", { text: `${id} holds ${atelier.plural(files.length, "file")}. Which one?` }),
        el("div", { class: "mdl-files" }, ...files.map(({ path, size }, k) => el("label", { class: "mdl-file" },
          el("input", { type: "radio", name, value: path, checked: k === 0 }), el("span", { dir: "auto", text: path }), el("small", { text: atelier.bytes(size) })))));
      atelier.form("Choose a file", body, "Go on", () => this.offer(id, body.querySelector(`input[name=${name}]:checked`).value));
    }
    async cancel(one) {
      if (one.done < 1e6 || (await atelier.ask("Cancel the download?", `${atelier.bytes(one.done)} of ${one.repo} are thrown away.`, "Throw away"))) this.act({ action: "cancel", id: one.id });
    }
    async remove(id, name, frees) {
      const told = frees ? `${atelier.bytes(frees)} of disk are free again.` : "The file stays where it lies; only the link to it goes.";
      if (!(await atelier.ask(`Remove ${name}?`, `${told} What was made with it stays.`, "Remove"))) return;
      if (await this.act({ action: "remove", id })) dispatchEvent(new CustomEvent("atelier:models"));
    }
    async askPlace() {
      const path = el("input", { type: "text", id: "models-file", placeholder: "/home/me/ComfyUI/models", spellcheck: "false", autocomplete: "off" });
      const { folders } = await atelier.fetchJson("/atelier/models/usual").catch(() => ({ folders: [] }));
      const usual = folders.map((folder) => tool("open", folder, () => ((path.value = folder), path.focus())));
      const body = el("div", { class: "mdl-offer" },
        el("label", { class: "at-field" }, el("span", { text: "The whole path of a folder or a file" }), path),
        usual.length ? el("div", { class: "mdl-usual" }, el("span", { class: "mdl-quiet", text: "On this machine:" }), ...usual) : null,
        el("p", { class: "mdl-quiet", text: "You see what a folder holds and choose from it. Nothing in it is changed, now or when you remove a model here." }));
      atelier.form("Use models of another program", body, "Look", () => this.lookAt(path.value));
    }
    /** A folder is looked through; a single file or model folder is taken in. */
    async lookAt(path) {
      let told;
      try {
        told = await atelier.postJson("/atelier/models/scan", { path });
      } catch (error) {
        return void atelier.failed(error);
      }
      if (told.file) {
        const taken = await this.act({ action: "import", path: told.file });
        if (taken) {
          atelier.toast(`${taken.name} is the ${taken.kind} ${taken.id} now.`, { kind: "good" });
          dispatchEvent(new CustomEvent("atelier:models"));
        }
        return;
      }
      const taken = () => (this.load(), dispatchEvent(new CustomEvent("atelier:models")));
      this.folder = new atelier.FoundModels(told, { ended: () => ((this.folder = null), this.paint()), taken });
      this.paint();
      this.stage.scrollTop = 0;
      this.stage.scrollIntoView({ block: "nearest" });
    }
    askToken() {
      const field = el("input", { type: "password", id: "models-token", autocomplete: "off", spellcheck: "false" });
      atelier.form("Access token of the hub", el("div", {}, el("label", { class: "at-field" }, el("span", { text: "It is kept in a file that only you can read, and sent to the hub alone." }), field)), "Keep it", async () => {
        const kept = await this.act({ action: "token", token: field.value });
        field.value = "";
        if (kept) atelier.toast("The token is kept.", { kind: "good" });
      });
    }
  }

  /** Turns an empty element into the Models tab, once. */
  atelier.models = (root) => root && (root.models = root.models || new Models(root));
})();
