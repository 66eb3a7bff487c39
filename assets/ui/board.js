// The variation board: polls what the studio has made, shows it live, and turns keys and buttons into requests.
// All state of the work comes from the server; this keeps only what is looked at and what is selected.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, icon, notice, seconds } = atelier;

  const FAST = 300; // ms between two looks while something runs
  const SLOW = 2000;
  const ANSWER = 4_000; // ms after which a question without an answer holds up the next one no longer

  const MAIN = [
    ["pick", "pick", "Pick", "p"],
    ["star", "star", "Star", "s"],
    ["vary-subtle", "subtle", "Vary subtly", "v"],
    ["vary-strong", "strong", "Vary strongly", "Shift+V"],
    ["hear", "play", "Hear", "h"],
    ["open-up", "open", "Open up", "o"],
    ["rework", "rework", "Rework", "w"],
    ["tools", "rework", "Tools", "w"],
    ["continue", "right", "Continue", "k"],
    ["more", "retry", "More like this", "r"],
    ["edit", "edit", "Edit prompt", "e"],
    ["use", "use", "Use settings", "u"],
  ];
  const MORE = [
    ["start", "start", "Use as start image", "m"],
    ["inpaint", "inpaint", "Inpaint", "n"],
    ["extend", "extend", "Extend the picture", "Shift+X"],
    ["enlarge", "focus", "Enlarge", "Shift+L"],
    ["reference", "open", "Use as reference", "Shift+M"],
    ["control", "outline", "Follow its outlines", "Shift+F"],
    ["describe", "page", "Describe in words", "Shift+W"],
    ["walk", "walk", "Walk to another take", "l"],
    ["rewrite", "edit", "Edit the text by hand", "t"],
    ["notes", "note", "Change notes by hand", "t"],
    ["cover", "strong", "Cover with an audio model", "m"],
    ["notebook", "page", "Put into the notebook", "n"],
    ["piece", "plus", "Put into the tray", "n"],
    ["copy", "copy", "Copy", "y"],
    ["to-image", "start", "Send to Image", "m"],
    ["to-music", "note", "Send to Music", "h"],
    ["to-text", "page", "Send to Text", "t"],
    ["to-design", "cube", "Send to Design", "q"],
    ["ancestry", "tree", "Ancestry", "a"],
    ["download", "download", "Download", "d"],
    ["export", "download", "Export as …", "d"],
    ["trash", "trash", "Move to trash", "Del"],
  ];

  /** What was asked by one click is one brief. */
  const briefOf = (job) => job.group || job.id;

  class Board {
    constructor(element, options, trigger) {
      this.element = element;
      this.panel = options.panel;
      this.options = options;
      this.trigger = trigger;
      this.rev = -1;
      this.data = { jobs: [], queue: [], labels: {} };
      this.briefs = [];
      this.entries = new Map(); // key -> entry
      this.known = new Set(); // briefs that were seen
      this.brief = null;
      this.follow = true; // the newest brief is shown when it comes
      this.view = "grid";
      this.active = null;
      this.chosen = new Set();
      this.comparing = null;
      this.walking = null;
      this.info = window.innerWidth >= 1200;
      this.timer = 0;
      this.failures = 0;
      this.questions = []; // that wait for the answer to the one before
      this.asking = 0;
      this.build();
      atelier.boards.set(this.panel, this);
      if (options.restores) {
        addEventListener("atelier:restored", ({ detail }) => detail.panel === this.panel && this.ask("restored", null, { restored: detail.restored }));
        addEventListener("atelier:models", () => this.ask("menus"));
        if (modelsCame) setTimeout(() => this.ask("menus"), 1200); // models came before this panel was first opened
        addEventListener("atelier:open", ({ detail }) => detail.panel === this.panel && this.ask("open", null, { sha256: detail.sha256 }));
      }
      document.addEventListener("visibilitychange", () => !document.hidden && this.poke());
      document.addEventListener("keydown", (event) => this.key(event), true);
      new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && this.poke()).observe(this.element);
      this.poll();
    }

    // --- the frame

    build() {
      this.status = el("div", { id: `${this.panel}-status`, class: "bd-status", role: "status", "aria-live": "polite", text: "Ready" });
      this.bar = el(
        "div",
        { class: "bd-bar bd-top" },
        el("div", { class: "bd-progress", hidden: true }, el("i")),
        this.status,
        el("span", { class: "bd-spring" }),
        (this.stopButton = button("stop", "Stop", () => this.stop(), { key: "Esc", id: `${this.panel}-stop`, kind: "stop" })),
        (this.gridButton = button("grid", "Grid", () => this.toGrid(), { key: "g" })),
        (this.compareButton = button("compare", "Compare", () => this.compare(), { key: "c" })),
        (this.treeButton = button("tree", "Ancestry", () => this.ancestry.toggle(), { key: "a" })),
        button("undo", "Undo", () => this.undo(), { key: "Ctrl+Z", bare: true }),
        (this.freshButton = button("fresh", "New session", () => this.fresh(), { bare: true })),
      );
      this.stopButton.hidden = true;
      this.head = el("div", { class: "bd-head" });
      this.grid = new atelier.Grid(this);
      this.large = el("section", { class: "bd-focus", "aria-label": "Large view", hidden: true });
      this.empty = this.emptyState();
      this.stage = el("div", { class: "bd-stage" }, this.grid.node, this.large, this.empty);
      this.actions = el("div", { class: "bd-bar bd-actions", role: "toolbar", "aria-label": "Actions on the take" });
      this.strip = new atelier.Strip(this);
      this.ancestry = new atelier.Ancestry(this);
      this.root = el("div", { class: "bd", "data-view": "grid" }, this.bar, this.head, this.stage, this.actions, this.strip.node, this.ancestry.node);
      this.element.replaceChildren(this.root);
    }

    emptyState() {
      const examples = el("div", { class: "bd-examples" });
      (this.options.examples || []).forEach((example, index) => {
        examples.append(el("button", { type: "button", class: "bd-example", dir: "auto", text: example, onclick: () => this.ask("example", null, { index }) }));
      });
      return el(
        "div",
        { class: "bd-empty", hidden: true },
        el("div", { class: "bd-emptyicon" }, icon(this.options.icon || "start")),
        el("h2", { text: this.options.invitation || "Describe something" }),
        el("p", {}, el("span", { class: "bd-wide" }, "Write it at the side, then press ", el("kbd", { text: "Ctrl" }), " ", el("kbd", { text: "Enter" }), "."), el("span", { class: "bd-narrow", text: "Write it below." }), " Or begin with one of these:"),
        examples,
      );
    }

    // --- looking

    get seen() {
      return !document.hidden && this.element.isConnected && this.element.getClientRects().length > 0;
    }

    poke() {
      clearTimeout(this.timer);
      if (!this.busy) this.poll();
      else this.again = true;
    }

    async poll() {
      if (!this.element.isConnected && this.wasConnected) return;
      this.wasConnected = this.wasConnected || this.element.isConnected;
      this.busy = true;
      if (this.seen || this.rev === -1) await this.look();
      this.busy = false;
      clearTimeout(this.timer);
      const wait = this.again ? 0 : this.running ? FAST : SLOW;
      this.again = false;
      this.timer = setTimeout(() => this.poll(), this.failures ? SLOW : wait);
    }

    async look() {
      try {
        const reply = await fetch(`/atelier/board/${this.panel}?rev=${this.rev}`, { cache: "no-store" });
        if (reply.status === 200) this.take(await reply.json());
        else if (reply.status !== 204) throw new Error(String(reply.status));
        if (this.failures) this.say(this.progress());
        this.failures = 0;
      } catch {
        this.failures += 1;
        if (this.failures > 1) this.say("The studio does not answer. Start it again; this page finds it by itself.");
      }
    }

    get running() {
      return this.data.jobs.some((job) => job.state === "running" || job.state === "queued");
    }

    take(data) {
      const { running } = this;
      this.rev = data.rev;
      this.data = data;
      if (running && !this.running) dispatchEvent(new CustomEvent("atelier:queue")); // its number is out of date
      const briefs = new Map();
      for (const job of data.jobs) {
        const id = briefOf(job);
        if (!briefs.has(id)) briefs.set(id, { id, jobs: [], entries: [], axes: null });
        const brief = briefs.get(id);
        brief.jobs.push(job);
        for (const take of job.takes) brief.entries.push({ key: `${job.id}-${take.index}`, take, job, brief });
      }
      for (const [id, axes] of Object.entries(data.grids || {})) if (briefs.has(id)) briefs.get(id).axes = axes;
      this.briefs = [...briefs.values()].filter((brief) => brief.entries.length || brief.jobs.some((job) => job.error));
      this.entries = new Map(this.briefs.flatMap((brief) => brief.entries.map((entry) => [entry.key, entry])));
      this.chosen = new Set([...this.chosen].filter((key) => this.entries.has(key)));
      this.followNewest();
      this.render();
    }

    followNewest() {
      const newest = this.briefs[this.briefs.length - 1] || null;
      const first = this.known.size === 0;
      const fresh = newest && !this.known.has(newest.id);
      for (const brief of this.briefs) this.known.add(brief.id);
      const current = this.brief && this.briefs.find((brief) => brief.id === this.brief.id);
      if (fresh && (first || !this.comparing)) {
        this.brief = newest;
        this.active = newest.entries.length ? newest.entries[0].key : null;
        this.chosen.clear();
        this.setView("grid");
      } else {
        this.brief = current || newest;
      }
      if (!this.entries.has(this.active)) this.active = this.brief && this.brief.entries.length ? this.brief.entries[0].key : null;
    }

    label(name) {
      return (this.data.labels && this.data.labels[name]) || name.replaceAll("_", " ");
    }

    entryOf(sha) {
      for (const entry of this.entries.values()) if (entry.take.sha256 === sha) return entry;
      return null;
    }

    // --- painting

    render() {
      const nothing = !this.briefs.length;
      this.root.classList.toggle("nothing", nothing);
      this.empty.hidden = !nothing;
      this.grid.node.hidden = nothing || this.view !== "grid" || !this.brief;
      this.large.hidden = nothing || this.view !== "focus";
      this.head.hidden = nothing || this.view === "compare";
      if (this.brief) {
        this.renderHead();
        if (this.view === "grid") this.grid.update(this.brief);
        if (this.view === "focus") this.renderFocus();
      }
      this.strip.update(this.briefs);
      this.ancestry.render();
      this.renderTop();
      this.renderActions();
      this.element.dispatchEvent(new Event("atelier:drawn"));
    }

    renderTop() {
      const { live } = this;
      this.stopButton.hidden = !live.length;
      const bar = this.bar.firstChild;
      const job = live.find((j) => j.state === "running");
      bar.hidden = !live.length;
      bar.classList.toggle("waiting", !job || !job.steps);
      bar.firstChild.style.width = job && job.steps ? `${(100 * job.step) / job.steps}%` : "";
      if (this.failures < 2) this.say(this.progress());
      this.compareButton.disabled = this.chosen.size < 2 && !(this.brief && this.brief.entries.filter(({ take }) => take.sha256).length >= 2);
      this.gridButton.setAttribute("aria-pressed", String(this.view === "grid"));
      this.treeButton.disabled = !this.briefs.length;
      this.freshButton.disabled = !this.briefs.length;
      this.root.dataset.view = this.view;
    }

    /** What goes on, in one line. */
    progress() {
      const { jobs, paused } = this.data;
      const { live } = this;
      const job = live.find((j) => j.state === "running");
      const waiting = live.filter((j) => j.state === "queued").length;
      const behind = waiting ? ` · ${waiting} waiting` : "";
      if (job && job.steps && job.step) {
        const left = typeof job.eta === "number" ? ` · ${seconds(job.eta)} left` : "";
        return `Step ${job.step} of ${job.steps}${left}${behind}`;
      }
      if (job) return `${job.message || "Loading the model"}…${behind}`;
      if (paused && waiting) return `Paused · ${waiting} waiting`;
      if (waiting) {
        const others = (this.data.queue || []).filter((entry) => entry.panel !== this.panel).length;
        return others ? `Waiting · ${others} in other panels` : `Waiting to start${waiting > 1 ? ` · ${waiting}` : ""}`;
      }
      const last = jobs[jobs.length - 1];
      if (!last) return "Ready";
      const made = jobs.filter((one) => briefOf(one) === briefOf(last)).reduce((sum, one) => sum + one.takes.filter((take) => take.sha256).length, 0);
      const takes = made === 1 ? "1 take" : `${made} takes`;
      return { done: `Done: ${takes}`, cancelled: made ? `Stopped: ${takes} kept` : "Stopped", failed: `Failed: ${last.error}` }[last.state] || `Interrupted: ${takes} kept`;
    }

    say(text) {
      if (this.status.textContent !== text) this.status.textContent = text;
    }

    renderHead() {
      const job = this.brief.jobs[0];
      const print = JSON.stringify([this.brief.id, this.brief.jobs.map((j) => [j.state, j.error, j.warnings]), job.changed, this.brief.axes]);
      if (print === this.headPrint) return;
      this.headPrint = print;
      const warnings = [...new Set(this.brief.jobs.flatMap((j) => j.warnings || []))];
      const failed = this.brief.jobs.filter((j) => j.error);
      this.head.replaceChildren(
        el("div", { class: "bd-brief" }, el("span", { class: "bd-badge", text: job.operation || "Brief" }), el("div", { class: "bd-briefprompt" }, atelier.prompt(job))),
        ...warnings.map((text) => el("p", { class: "bd-hint" }, icon("info"), el("span", { dir: "auto", text }))),
        ...failed.slice(0, 3).map((j) => this.failure(j)),
      );
    }

    failure(job) {
      return el(
        "div",
        { class: "bd-error", role: "alert" },
        icon("warn"),
        el("span", { dir: "auto" }, el("b", { text: job.error }), " ", job.hint || ""),
        button("retry", "Retry", () => this.call("retry", { job: job.id })),
        button("close", "Dismiss", () => this.call("dismiss", { job: job.id }), { bare: true }),
      );
    }

    // --- one take, large

    renderFocus() {
      const entry = this.entries.get(this.active);
      if (!entry) return;
      const { take } = entry;
      const url = take.state === "done" ? take.url : take.preview || "";
      if (this.shownUrl !== url || this.shownKey !== this.active) this.showLarge(entry, url);
      const print = JSON.stringify([this.active, take, this.info]);
      if (print !== this.asidePrint) {
        this.asidePrint = print;
        this.aside.replaceChildren(...(this.info ? this.details(entry) : []));
        this.aside.hidden = !this.info;
      }
    }

    showLarge(entry, url) {
      const same = this.shownKey === this.active && this.largeView;
      if (!same) this.largeView = new atelier.View();
      this.shownUrl = url;
      this.shownKey = this.active;
      if (!this.aside) {
        this.aside = el("aside", { class: "bd-aside", "aria-label": "Settings of this take" });
        this.canvas = el("div", { class: "bd-canvas" });
        this.large.replaceChildren(this.canvas, this.aside);
      }
      const alt = `Take ${entry.take.index + 1}: ${entry.job.prompt}`;
      const take = entry.take.state === "done" ? entry.take : { ...entry.take, url, media_type: entry.take.media_type || "image/jpeg" };
      if (same && url && this.largePane?.media.classList.contains("bd-text")) return void atelier.fillText(this.largePane.media, url, take.copied);
      if (same && url && this.largePane?.media.sounding) return void this.largePane.media.sounding.update(take, url);
      const large = atelier.large[atelier.kind(take)] || atelier.media;
      const media = url ? large(take, alt, this) : el("p", { class: "bd-quiet", text: "Nothing to see yet." });
      const place = () => {
        if (this.shownUrl !== url || this.shownKey !== entry.key) return;
        this.largePane?.close();
        this.largePane = new atelier.Pane(this.largeView, media);
        this.canvas.replaceChildren(this.largePane.node, ...this.canvasTools());
        this.largePane.pixels && this.largePane.paint();
      };
      if (media.tagName === "IMG") media.decode().then(place, place);
      else place();
    }

    canvasTools() {
      return [
        button("left", "Previous take", () => this.step(-1), { bare: true, key: "Left", kind: "edge left" }),
        button("right", "Next take", () => this.step(1), { bare: true, key: "Right", kind: "edge right" }),
        el("div", { class: "bd-corner" },
          this.largePane.pixels && button("focus", "Fit or 100 %", () => this.largePane.toggle(), { bare: true, key: "z" }),
          button("info", "Settings", () => this.toggleInfo(), { bare: true, key: "i" }),
          button("close", "Back to the grid", () => this.toGrid(), { bare: true, key: "Esc" })),
      ];
    }

    toggleInfo() {
      this.info = !this.info;
      this.asidePrint = "";
      this.render();
    }

    details({ take, job }) {
      const list = el("dl", { class: "bd-settings" });
      const row = (name, value) => value !== "" && value !== null && value !== undefined && list.append(el("dt", { text: name }), el("dd", { dir: "auto", text: atelier.shown(value) }));
      if (job.model) row("Seed", take.seed);
      const about = { text: "Text", score: "Music", audio: "Sound", video: "Length" }[atelier.kind(take)] || "Measured";
      (take.facts || []).forEach((fact, k) => row(k ? "" : about, fact));
      for (const [name, value] of Object.entries(atelier.own({ take, job }))) {
        if (name !== "prompt" && name !== "seed" && name !== "num_images_per_prompt") row(this.label(name), value);
      }
      if (take.width && !job.settings.width) row("Pixels", `${take.width} × ${take.height}`);
      const tags = (take.tags || []).filter((tag) => tag !== "picked");
      return [
        el("h3", { text: `Take ${take.index + 1} of ${job.takes.length}` }),
        el("p", { class: "bd-asideprompt" }, atelier.prompt(job)),
        list,
        tags.length ? el("p", { class: "bd-tags" }, ...tags.map((tag) => el("span", { class: "bd-badge", dir: "auto", text: tag }))) : null,
      ].filter(Boolean);
    }

    // --- actions

    /** Whether this board has the action, and something that is installed now can do it. */
    can(name) {
      return this.options.actions.includes(name) && !atelier.lacks?.(this.panel, name);
    }

    renderActions() {
      const entry = this.view === "compare" ? null : this.entries.get(this.active);
      const many = this.chosen.size > 1 && this.view !== "compare";
      const print = JSON.stringify([many ? [...this.chosen] : entry && entry.take, this.view, this.walking, this.options.actions.filter((name) => this.can(name))]);
      if (print === this.actionsPrint) return;
      this.actionsPrint = print;
      this.actions.hidden = !entry && !this.walking;
      if (this.walking) this.actions.replaceChildren(...this.walkBanner());
      else if (many) this.actions.replaceChildren(...this.manyActions());
      else if (entry) this.actions.replaceChildren(...this.oneActions(entry));
    }

    oneActions({ take, job }) {
      const make = (bare) => ([does, picture, word, key]) => {
        if (!this.can(does)) return null;
        const on = (does === "pick" && take.picked) || (does === "star" && take.starred);
        const says = does === "edit" && job.settings.mode === "chat" ? "Reply" : word;
        const made = button(picture, on ? { pick: "Picked", star: "Starred" }[does] : says, () => this.does(does), { bare, key, kind: `${on ? "on" : ""} do-${does}` });
        made.disabled = !take.sha256;
        if (does === "pick" || does === "star") made.setAttribute("aria-pressed", String(Boolean(on)));
        return made;
      };
      return [...MAIN.map(make(false)), el("span", { class: "bd-spring" }), ...MORE.map(make(true))].filter(Boolean);
    }

    manyActions() {
      const few = this.chosen.size <= 8;
      const compare = button("compare", "Compare", () => this.compare(), { key: "c" });
      const blind = button("blind", "Compare blind", () => this.compare(true), { key: "b" });
      compare.disabled = blind.disabled = !few;
      return [
        el("strong", { text: `${this.chosen.size} selected` }),
        !few && el("span", { class: "bd-quiet", text: "Compare takes 2 to 8." }),
        compare,
        blind,
        (this.options.actions || []).includes("merge") && button("merge", "Merge", () => this.merge([...this.chosen].map((key) => this.entries.get(key)).filter(Boolean)), { key: "j" }),
        el("span", { class: "bd-spring" }),
        button("trash", "Move to trash", () => this.does("trash"), { key: "Del" }),
        button("close", "Clear selection", () => this.clear(), { key: "Esc" }),
      ].filter(Boolean);
    }

    walkBanner() {
      return [
        el("strong", { text: "Choose the take to walk to." }),
        el("span", { class: "bd-spring" }),
        button("close", "Cancel", () => this.endWalk(), { key: "Esc" }),
      ];
    }

    does(name) {
      const entry = this.entries.get(this.active);
      if (!entry || !this.can(name)) return;
      const { take } = entry;
      if (!take.sha256) return;
      const run = {
        pick: () => this.pick(entry, !take.picked),
        star: () => this.call("star", { sha256: take.sha256, on: !take.starred }),
        "vary-subtle": () => this.ask("vary", entry, { strength: "subtle" }),
        "vary-strong": () => this.ask("vary", entry, { strength: "strong" }),
        walk: () => this.startWalk(entry),
        enlarge: () => this.enlarge(entry),
        ancestry: () => this.ancestry.toggle(),
        download: () => this.download(take),
        trash: () => this.trash(),
        "open-up": () => this.openUp(entry),
        rewrite: () => this.merge([entry]),
        copy: () => this.copyText(entry),
        "to-image": () => this.sendToImage(entry),
        "to-music": () => this.sendToMusic(entry),
        "to-text": () => this.sendToText(entry),
        "to-design": () => this.sendToDesign(entry),
        piece: () => atelier.sendToDesign(take, entry.job.prompt),
        describe: () => dispatchEvent(new CustomEvent("atelier:describe", { detail: { panel: this.panel, sha256: take.sha256 } })),
        tools: () => this.toolsOn(entry),
        hear: () => this.hear(entry),
        rework: () => this.rework(entry),
        notes: () => this.changeNotes(entry),
        export: () => this.exportAs(entry),
      }[name];
      if (run) run();
      else this.ask(name, entry);
    }

    /** Something that the panel's form or the queue must do: goes to its Python handler, after what was asked before. */
    ask(what, entry, more = {}) {
      this.questions.push({ do: what, sha256: entry ? entry.take.sha256 : null, ...more });
      if (what === "vary") this.say("Asking for variations…");
      this.askNext();
    }

    /** One at a time: gradio drops what is asked while an answer is under way. */
    askNext() {
      if (this.asking || !this.questions.length) return;
      this.asking = setTimeout(() => this.answered(), ANSWER);
      this.trigger("act", this.questions.shift());
    }

    answered() {
      clearTimeout(this.asking);
      this.asking = 0;
      this.poke();
      this.askNext();
    }

    /** Something that changes only the library or the queue: goes straight to the studio. */
    async call(action, data) {
      try {
        const answer = await atelier.act(action, data);
        this.poke();
        return answer;
      } catch (error) {
        notice(this.root, error.message);
        return null;
      }
    }

    async pick(entry, on, blind = null) {
      entry.take.picked = on;
      const answer = await this.call("pick", { sha256: entry.take.sha256, on, ...(blind ? { blind } : {}) });
      if (answer && !blind) notice(this.root, on ? `Picked take ${entry.take.index + 1}.` : "Pick taken back.");
      else if (answer) notice(this.root, `You chose take ${entry.take.index + 1}, seed ${entry.take.seed}.`);
    }

    async trash() {
      const keys = this.chosen.size > 1 ? [...this.chosen] : [this.active];
      const shas = keys.map((key) => this.entries.get(key)).filter((entry) => entry && entry.take.sha256).map((entry) => entry.take.sha256);
      if (!shas.length) return;
      const place = this.brief.entries.findIndex((entry) => entry.key === this.active);
      if (await this.call("trash", { shas })) {
        const left = this.brief.entries.filter((entry) => !keys.includes(entry.key));
        this.active = left.length ? left[Math.min(place, left.length - 1)].key : null;
        notice(this.root, shas.length === 1 ? "Moved to the trash." : `${shas.length} takes moved to the trash.`, "Undo", () => this.undo());
      }
    }

    async undo() {
      const answer = await this.call("undo", {});
      if (answer) notice(this.root, answer.undone || answer.message || answer.text || "There is nothing to undo.");
    }

    get live() {
      return this.data.jobs.filter((job) => job.state === "queued" || job.state === "running");
    }

    /** Ends the brief that runs, or else the next one; what was asked after it keeps its place. */
    async stop() {
      const { live } = this;
      const now = live.find((job) => job.state === "running") || live[0];
      if (!now) return;
      const ended = live.filter((job) => briefOf(job) === briefOf(now));
      await this.cancel(ended);
      const waiting = new Set(live.filter((job) => !ended.includes(job)).map(briefOf)).size;
      if (waiting) notice(this.root, waiting === 1 ? "Stopped. One more waits." : `Stopped. ${waiting} more wait.`, "Stop them too", () => this.cancel(this.live));
    }

    async cancel(jobs) {
      for (const job of [...jobs].reverse()) await this.call("cancel", { job: job.id });
    }

    async fresh() {
      if (await this.call("new_session", { panel: this.panel })) {
        this.known.clear();
        this.brief = this.active = null;
        notice(this.root, "A new session begins. Everything made before is in the library.");
      }
    }

    download(take) {
      const link = el("a", { href: `${take.url}?download=1`, download: "" });
      document.body.append(link);
      link.click();
      link.remove();
    }

    // --- a walk between two takes

    startWalk(entry) {
      this.walking = entry.take.sha256;
      this.toGrid();
    }

    endWalk() {
      this.walking = null;
      this.render();
    }

    walkTo(entry) {
      if (!entry.take.sha256 || entry.take.sha256 === this.walking) return;
      const number = (name, label, value, min, max) =>
        el("label", {}, el("span", { text: label }), el("input", { type: "number", name, value, min, max, required: true }));
      const format = el("select", { name: "format" }, el("option", { value: "gif", text: "GIF" }), el("option", { value: "mp4", text: "MP4" }));
      const picture = (sha, label) => el("img", { src: `/atelier/thumbs/${encodeURIComponent(sha)}`, alt: label });
      const form = el(
        "form",
        { method: "dialog" },
        el("h2", { text: "Latent walk" }),
        el("div", { class: "bd-walkpair" }, picture(this.walking, "From"), icon("right"), picture(entry.take.sha256, "To")),
        number("frames", "Frames", 16, 2, 240),
        number("fps", "Frames a second", 8, 1, 60),
        el("label", {}, el("span", { text: "Format" }), format),
        el("div", { class: "bd-dialogfoot" },
          el("button", { type: "button", class: "bd-button", onclick: () => dialog.close(), text: "Cancel" }),
          el("button", { type: "submit", class: "bd-button primary", value: "go", text: "Make the walk" })),
      );
      const dialog = el("dialog", { class: "bd-dialog", "aria-label": "Latent walk" }, form);
      dialog.addEventListener("close", () => {
        if (dialog.returnValue === "go") {
          const data = new FormData(form);
          this.ask("walk", null, { sha256: this.walking, to: entry.take.sha256, frames: Number(data.get("frames")), fps: Number(data.get("fps")), format: data.get("format") });
        }
        dialog.remove();
        this.endWalk();
      });
      this.root.append(dialog);
      dialog.showModal();
    }
  }

  atelier.boards = new Map();
  let modelsCame = false;
  addEventListener("atelier:models", () => (modelsCame = true));
  atelier.Board = Board;
  /** Look at once: something was queued or changed. */
  atelier.poke = (panel) => atelier.boards.get(panel)?.poke();
  /** The panel has answered what its board asked. */
  atelier.answered = (panel) => {
    atelier.boards.get(panel)?.answered();
    dispatchEvent(new CustomEvent("atelier:queue"));
  };
  atelier.mountBoard = (element, options, trigger) => new Board(element, options, trigger);
})();
