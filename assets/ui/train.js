// The Train tab: data sets and settings at the side, a data set or runs on the stage. Asks /atelier/train/ for all it shows.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, fill, tool } = atelier;

  const ACTIVE = new Set(["queued", "running"]);
  const PRESETS = { quick: "Quick", balanced: "Balanced", best: "Best" };
  const MODES = [["lora", "LoRA", "Teach"], ["scratch", "From scratch", "Teach"], ["evaluate", "Evaluate", "Evaluate"]];
  const KINDS = { vae: "VAE", gan: "GAN", diffusion: "Diffusion", transformer: "Transformer", score: "Transformer", shapes: "Shape model" };
  const HOLDS = { image: "My pictures", text: "My texts", score: "My scores", sound: "My sounds", shape: "My shapes" };
  const FILES = { text: /\.(txt|text|md|markdown|docx|pdf|jsonl)$/i, score: /\.(midi?|musicxml|xml|mxl|abc|krn)$/i, sound: /\.(wav|flac|ogg|oga|opus|mp3|aiff?|aifc|au|caf|w64|rf64)$/i, shape: /\.(stl|obj|glb|3mf|ply)$/i };
  const NOUNS = { image: "picture", text: "text", sound: "sound", shape: "shape" };

  // the works of the library that can be learnt, by what a data set holds
  const WORKS = {
    image: { title: "Pictures of the library", media: ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif", "image/heic"] },
    text: { title: "Texts of the library", media: ["text/plain", "text/markdown"] },
    sound: { title: "Sounds of the library", media: ["audio/flac", "audio/wav", "audio/mpeg", "audio/ogg"] },
    shape: { title: "Shapes of the library", media: ["model/gltf-binary"] },
  };

  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

  /** Shows [value, word] pairs as a radio group. Buttons that are there stay, and with them the focus. */
  const showRadios = (group, pairs, chosen, choose) => {
    const before = group.contains(document.activeElement) && document.activeElement;
    if ([...group.children].map((button) => button.value).join("\n") !== pairs.map(([value]) => value).join("\n"))
      fill(group, ...pairs.map(([value, text]) => el("button", { type: "button", role: "radio", value, text, onclick: () => choose(value) })));
    for (const button of group.children) {
      const on = button.value === chosen;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
      if (on && before && !before.isConnected) button.focus();
    }
  };
  /** Arrow keys, Home and End move in a radio group, and what they come to is chosen. */
  const radioKeys = (event) => {
    const buttons = [...event.currentTarget.children];
    const ends = { Home: 0, End: buttons.length - 1 };
    const at = ends[event.key] ?? buttons.indexOf(event.target) + STEPS[event.key];
    if (Number.isNaN(at) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    buttons[(at + buttons.length) % buttons.length].focus();
    document.activeElement.click();
  };

  class Train {
    constructor(root) {
      this.root = root;
      this.known = { datasets: [], bases: [], presets: [], own: [], runs: [], adding: {}, captioners: [], captioning: {}, kinds: [], measured: [], adapters: [] };
      this.mode = "lora";
      this.chosen = { dataset: "", base: "", preset: "balanced" };
      this.changed = {}; // settings that differ from the preset's
      this.showing = { what: "data" };
      this.done = 0; // how often something was done: what was answered before is no longer so
      this.edits = 0; // grows when a change of the data set begins and when it has ended, likewise
      this.data = new atelier.TrainData(this);
      this.run = new atelier.TrainRun(this);
      this.build();
      addEventListener("atelier:changed", () => this.refresh());
      addEventListener("keydown", (event) => this.key(event));
      new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.refresh()).observe(root);
      this.refresh();
    }
    get visible() {
      return this.root.getClientRects().length > 0;
    }

    // --- what stands on the page

    build() {
      const field = (text, control, help) => el("label", { class: "at-field" }, el("span", { text }), control, help ? el("small", { text: help }) : null);
      this.sets = el("select", { id: "train-dataset", onchange: () => this.choose(this.sets.value) });
      this.picker = this.filePicker({ multiple: true });
      this.folderPicker = this.filePicker({ multiple: true, webkitdirectory: true });
      this.zone = el(
        "div",
        { class: "trn-zone", "data-takes-files": "" },
        atelier.glyph("drop"),
        el("b", { text: "Drop pictures, texts, scores, sounds or shapes, a folder or a zip" }),
        el("small", { text: "For a LoRA 5 to 50 pictures of one subject or style. Your files stay as they are." }),
        el("div", { class: "trn-buttons" }, tool(null, "Files", () => this.picker.click()), tool(null, "Folder", () => this.folderPicker.click()), (this.library = tool(null, "Library", () => this.fromLibrary()))),
        this.picker,
        this.folderPicker,
      );
      this.coming = el("div", { class: "trn-coming", role: "status", hidden: true }, el("span"), el("progress", { "aria-label": "How much is done" }), tool("close", "Stop", () => this.act("stop", { job: this.known.captioning[this.chosen.dataset].id }), { kind: "stop" }));
      this.takeDrops(this.root);
      this.trigger = el("input", { type: "text", id: "train-trigger", maxlength: 50, autocomplete: "off", spellcheck: "false", placeholder: "zwx", dir: "auto", onchange: () => this.keepTrigger({ focus: false }) });
      this.consent = el("input", { type: "checkbox", id: "train-consent", onchange: () => this.edit("consent", { on: this.consent.checked }) });
      this.bases = el("select", { id: "train-base", onchange: () => ((this.chosen.base = this.bases.value), this.showKinds(), this.showMode(), this.plan()) });
      this.name = el("input", { type: "text", id: "train-name", maxlength: 60, autocomplete: "off", dir: "auto", placeholder: "as the data set" });
      this.presets = el("div", { class: "trn-segments", role: "radiogroup", "aria-label": "How thoroughly", onkeydown: radioKeys });
      this.cost = el("p", { class: "trn-cost", id: "train-cost", role: "status" });
      this.advice = el("p", { class: "trn-cost", hidden: true });
      this.fields = el("div", { class: "trn-fields" });
      this.more = el(
        "details",
        { class: "trn-more" },
        el("summary", { text: "Settings" }),
        this.fields,
        el("div", { class: "trn-buttons" }, tool(null, "Save as preset", () => this.savePreset()), (this.forget = tool(null, "Delete preset", () => this.deletePreset(), { bare: true }))),
      );
      this.go = el("button", { type: "button", class: "at-button strong trn-go go", id: "train-go", text: "Teach", onclick: () => this.start() });
      this.problem = el("p", { class: "trn-problem", role: "alert", hidden: true });
      this.runs = el("ol", { class: "trn-runs", "aria-label": "Trainings" });
      this.compare = tool(null, "Side by side", () => this.show({ what: "compare", jobs: [...this.marked] }));
      this.marked = new Set();
      this.modes = el("div", { class: "trn-segments", role: "radiogroup", "aria-label": "What to do", onkeydown: radioKeys });
      this.kinds = el("div", { class: "trn-kinds", role: "group", "aria-label": "Kinds of model" });
      this.minutes = el("input", { type: "number", id: "train-minutes", min: 0.02, max: 10080, step: "any", value: 3, onchange: () => this.showScratchCost() });
      this.lora = el("select", { id: "train-lora" });
      this.against = el("input", { type: "checkbox", checked: true });
      this.prompts = el("textarea", { id: "train-probe", rows: 2, placeholder: "a car\na hat", dir: "auto", maxlength: 4000 });
      this.leaning = this.prompts.placeholder;
      this.attribute = el("select", { id: "train-attribute" });
      this.words = el("input", { type: "text", id: "train-words", placeholder: "what turns up", autocomplete: "off", dir: "auto" });
      this.seeds = el("input", { type: "number", id: "train-seeds", min: 2, max: 500, value: 24 });
      const only = (mode, node) => {
        node.dataset.mode = mode;
        return node;
      };
      this.consents = el("label", { class: "trn-consent" }, this.consent, el("span", { text: "These are mine to use." }));
      this.settings = el(
        "div",
        { class: "trn-settings" },
        only("lora", (this.triggerLine = field("Trigger word", this.trigger, "A rare word that will call what you teach, in prompts."))),
        only("scratch", this.kinds),
        only("scratch", field("Minutes for each", this.minutes)),
        only("lora evaluate", (this.baseField = field("Model", this.bases))),
        only("lora scratch", field("Name", this.name)),
        only("lora", this.presets),
        only("evaluate", (this.againstLine = el("label", { class: "trn-consent" }, this.against, el("span", { text: "Compare with the data set's held-out part" })))),
        ...(this.worded = [
          only("evaluate", field("With and without the LoRA", this.lora)),
          only("evaluate", field("Bias probe: prompts, a line each", this.prompts, "Prompts that leave something open, made from many seeds: does the model lean?")),
          only("evaluate", el("div", { class: "trn-fields" }, (this.counted = field("What is counted", this.attribute, " ")), field("Seeds", this.seeds))),
          only("evaluate", field("Words", this.words, "Such as red, blue; or with asked shares, red=0.7, blue=0.3.")),
        ]),
        this.cost,
        this.advice,
        only("lora", this.more),
        this.consents,
      );
      const side = el(
        "section",
        { class: "trn-side", "aria-label": "Data and settings" },
        el("div", { class: "trn-row" }, field("Data set", this.sets), tool("plus", "New data set", () => this.create(), { bare: true })),
        this.zone,
        this.coming,
        this.modes,
        this.settings,
        this.problem,
        this.go,
        el("header", { class: "trn-head" }, el("h3", { text: "Trainings" }), this.compare),
        this.runs,
      );
      this.tabs = el("div", { class: "trn-tabs", role: "tablist", "aria-label": "What is shown" });
      this.stage = el("section", { class: "trn-stage", "aria-label": "Data set or training" }, this.tabs, this.data.node, this.run.node);
      this.root.append(side, this.stage);
    }
    filePicker(options) {
      const input = el("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", ...options });
      input.addEventListener("change", () => {
        this.take([...input.files].map((file) => [file, file.webkitRelativePath || file.name]));
        input.value = "";
      });
      return input;
    }

    // --- what the studio says

    /** Looks again; where an answer is still on its way, which may be older than what was just done, after that one. */
    refresh() {
      if (!this.visible) return Promise.resolve();
      if (!this.asking) return (this.asking = this.look().finally(() => (this.asking = null)));
      return (this.again = this.again || this.asking.then(() => ((this.again = null), this.refresh())));
    }
    async look() {
      const { done } = this;
      try {
        const known = await atelier.fetchJson("/atelier/train/state");
        if (done === this.done && JSON.stringify(known) !== JSON.stringify(this.known)) this.takeOver(known);
      } catch (error) {
        this.say(error.message);
      }
      clearTimeout(this.timer);
      const captioning = Object.values(this.known.captioning).some((job) => ACTIVE.has(job.state));
      const busy = captioning || this.known.runs.some((run) => ACTIVE.has(run.state)) || Object.keys(this.known.adding).length;
      this.timer = setTimeout(() => this.refresh(), busy ? 1000 : 8000);
      if (this.showing.what !== "data" && busy) this.run.refresh();
    }
    takeOver(known) {
      const before = this.known;
      this.known = known;
      const ids = known.datasets.map((set) => set.id);
      if (!ids.includes(this.chosen.dataset)) this.chosen.dataset = ids.includes(this.memory) ? this.memory : ids[0] || "";
      fill(this.sets, ...(ids.length ? [] : [el("option", { value: "", text: "none yet" })]), ...known.datasets.map((set) => el("option", { value: set.id, text: `${set.name} (${set.count})` })));
      this.sets.value = this.chosen.dataset;
      this.showPresets();
      this.showKinds();
      this.showMode();
      this.showRuns();
      this.showComing();
      const finished = known.runs.filter((run) => !ACTIVE.has(run.state) && before.runs.some((old) => old.id === run.id && ACTIVE.has(old.state)));
      if (finished.length && this.showing.what !== "data") this.run.refresh();
      if (finished.length) dispatchEvent(new CustomEvent("atelier:models"));
      for (const [set, job] of Object.entries(known.captioning)) {
        const old = before.captioning[set];
        const unseen = this.placed && old?.id !== job.id; // begun and ended between two looks
        if ((unseen || ACTIVE.has(old?.state)) && !ACTIVE.has(job.state)) this.captioned(set, job);
      }
      const running = known.runs.find((run) => run.state === "running");
      if (!this.placed && running) this.show({ what: "run", job: running.id });
      this.placed = true;
      this.loadData();
    }
    /** The person's own presets for what the data set holds. */
    get own() {
      return this.known.own.filter((preset) => preset.learns === this.kind).map((preset) => preset.name);
    }
    showPresets() {
      if (this.kind !== this.settled) [this.changed, this.planned] = [{}, []]; // settings of texts are none of pictures
      this.settled = this.kind;
      const names = [...this.known.presets, ...this.own];
      if (!names.includes(this.chosen.preset)) this.chosen.preset = "balanced";
      showRadios(
        this.presets,
        names.map((name) => [name, PRESETS[name] || name]),
        this.chosen.preset,
        (name) => ((this.chosen.preset = name), (this.changed = {}), this.showPresets(), this.plan()),
      );
      this.forget.hidden = !this.own.includes(this.chosen.preset);
    }
    /** What the chosen data set holds: "image", "text" ... */
    get kind() {
      return this.known.datasets.find((set) => set.id === this.chosen.dataset)?.kind || "image";
    }
    /** The models that can be taught what the data set holds. */
    get able() {
      if (this.mode === "evaluate") return this.known.measured.filter((one) => one.reads === this.kind);
      return this.known.bases.filter((base) => base.learns === this.kind);
    }
    /** Whether the chosen model follows words: only then can it be probed, and have a LoRA. */
    get prompted() {
      return this.able.find((one) => one.id === this.chosen.base)?.prompts !== false;
    }
    showBases() {
      const { able } = this;
      if (!able.some((base) => base.id === this.chosen.base)) this.chosen.base = able[0]?.id || "";
      if ([...this.bases.options].map((option) => option.value).join() !== able.map((base) => base.id).join())
        fill(this.bases, ...able.map((base) => el("option", { value: base.id, text: base.name })));
      this.bases.value = this.chosen.base;
    }
    showKinds() {
      this.showBases();
      const learn = this.known.kinds.filter((kind) => kind.learns === this.kind);
      if ([...this.kinds.querySelectorAll("input")].map((box) => box.value).join() !== learn.map((kind) => kind.id).join())
        fill(
          this.kinds,
          ...learn.map(({ id, told }) => {
            const box = el("input", { type: "checkbox", value: id, checked: id === "diffusion" || learn.length === 1, onchange: () => this.showScratchCost() });
            return el("label", { class: "trn-kind" }, box, el("span", {}, el("b", { text: KINDS[id] || id }), el("small", { text: told })));
          }),
        );
      this.showAttributes();
      const able = this.known.adapters.filter((one) => (one.base ? one.base === this.chosen.base : this.kind === "image"));
      const lora = this.lora.value;
      fill(this.lora, el("option", { value: "", text: "no LoRA" }), ...able.map((one) => el("option", { value: one.id, text: one.id })));
      this.lora.value = able.some((one) => one.id === lora) ? lora : "";
    }
    /** What a probe of the chosen model can count. */
    showAttributes() {
      const able = this.known.measured.find((one) => one.id === this.chosen.base)?.attributes || ["colour"];
      const { value } = this.attribute;
      fill(this.attribute, ...able.map((name) => el("option", { value: name, text: name })));
      this.attribute.value = able.includes(value) ? value : able[0];
      const judged = able.includes("thing"), captioner = able.includes("person") && this.known.captioners[0];
      this.counted.querySelector("small").textContent = captioner
        ? `Told by the captions of ${captioner.name}${judged ? " where the model's own judge knows nothing" : ""}, the colour of any picture.`
        : judged ? "Told by the model's own judge, the colour of any picture." : "Of this model's pictures only the colour of their subject can be told; a captioning model (see Models) tells more.";
    }
    showMode() {
      const pictures = this.kind === "image";
      const measured = this.known.measured.some((one) => one.reads === this.kind);
      const able = { lora: this.known.bases.some((one) => one.learns === this.kind) || pictures || this.kind === "sound", scratch: this.kind !== "sound", evaluate: measured };
      const modes = MODES.filter(([mode]) => able[mode]);
      if (!able[this.mode]) [[this.mode]] = modes;
      showRadios(this.modes, modes, this.mode, (mode) => ((this.mode = mode), this.say(""), this.showKinds(), this.showMode(), this.plan()));
      for (const node of this.settings.children) if (node.dataset.mode) node.hidden = !node.dataset.mode.split(" ").includes(this.mode);
      if (this.kind === "text") this.triggerLine.hidden = true;
      this.library.hidden = !WORKS[this.kind];
      for (const node of this.worded) node.hidden ||= !this.prompted;
      this.counted.hidden = !pictures;
      this.prompts.placeholder = pictures ? this.leaning : "The doctor said that\nThe nurse said that";
      this.words.placeholder = pictures ? "what turns up" : "he, she";
      const empty = !this.chosen.dataset;
      this.settings.hidden = this.go.hidden = empty && this.mode !== "evaluate"; // the pictures first
      this.go.disabled = (empty && this.mode !== "evaluate") || (this.mode !== "scratch" && !this.able.length);
      this.name.placeholder = this.mode === "lora" && this.kind !== "text" ? "as the trigger word" : "as the data set";
      this.go.textContent = MODES.find(([mode]) => mode === this.mode)[2];
      this.againstLine.hidden = this.consents.hidden = empty;
      if (this.mode !== "evaluate") this.againstLine.hidden = true;
    }
    get chosenKinds() {
      return [...this.kinds.querySelectorAll("input:checked")].map((box) => box.value);
    }
    /** What is wrong with the minutes, in words; "" where they will do. */
    get wrongMinutes() {
      const { value, valueAsNumber, min, max } = this.minutes;
      if (valueAsNumber >= Number(min) && valueAsNumber <= Number(max)) return "";
      return `Minutes is ${value || "empty"}. It must lie between ${min} and ${Number(max).toLocaleString("en")}.`;
    }
    showScratchCost() {
      if (this.wrongMinutes) {
        this.say(this.wrongMinutes, "minutes", { focus: false });
        return fill(this.cost);
      }
      if (this.minutes.hasAttribute("aria-invalid")) this.say("");
      const many = this.chosenKinds.length;
      const minutes = this.minutes.valueAsNumber;
      this.cost.textContent = many > 1 ? `${many} models on the same pictures with the same time, then laid side by side: about ${atelier.seconds(many * minutes * 75)} in all.` : many ? `About ${atelier.seconds(minutes * 75)} with its measuring.` : "Choose a kind of model.";
    }
    showRuns() {
      const { runs } = this.known;
      const here = new Set(runs.map((run) => run.id));
      for (const id of this.marked) if (!here.has(id)) this.marked.delete(id);
      fill(
        this.runs,
        ...(runs.length ? [] : [el("li", { class: "trn-none", text: "What you teach appears here, and goes on when this page is closed." })]),
        ...runs.map((run) => {
          const open = this.showing.what === "run" && this.showing.job === run.id;
          const mark = el("input", { type: "checkbox", "aria-label": `Lay ${run.name} beside others`, checked: this.marked.has(run.id) });
          mark.addEventListener("change", () => (mark.checked ? this.marked.add(run.id) : this.marked.delete(run.id), this.showCompare()));
          const opener = el("button", { type: "button", class: "trn-run", "aria-current": open ? "true" : null, onclick: () => this.show({ what: "run", job: run.id }) }, el("b", { text: run.name || run.task, dir: "auto" }), el("span", { text: this.told(run) }));
          const row = el("li", { dataset: { state: run.state } }, mark, opener);
          if (run.state === "running") row.append(el("progress", { max: run.steps || 1, value: run.steps ? run.step : null, "aria-label": "Progress" }));
          return row;
        }),
      );
      this.showCompare();
      this.showTabs();
    }
    showCompare() {
      this.compare.hidden = this.known.runs.length < 2;
      this.compare.disabled = this.marked.size < 2;
      this.compare.title = this.marked.size < 2 ? "Mark two trainings or more" : "";
    }
    told(run) {
      const kind = { train_lora: "LoRA", train_text_lora: "LoRA", train_sound_lora: "LoRA", train_vae: "VAE", train_gan: "GAN", train_diffusion: "Diffusion", train_transformer: "Transformer", train_score: "Transformer", train_shapes: "Shape model", merge_lora: "Merge", evaluate_pictures: "Evaluation", evaluate_texts: "Evaluation" }[run.task] || run.task;
      if (run.state === "queued") return `${kind}, waits`;
      if (run.state === "running") return `${kind}, ${run.steps ? `${run.step} of ${run.steps}` : run.message || "begins"}${run.eta ? `, ${atelier.seconds(run.eta)} left` : ""}`;
      const state = { done: "ready", cancelled: "stopped", failed: "failed", interrupted: "interrupted" }[run.state] || run.state;
      return `${kind}, ${state}`;
    }
    showTabs() {
      const { what, job } = this.showing;
      const run = this.known.runs.find((one) => one.id === (job || this.latest));
      if (what === "run") this.latest = job;
      const tab = (text, on, run) => el("button", { type: "button", role: "tab", "aria-selected": String(on), text, onclick: run, dir: "auto" });
      const name = this.known.datasets.find((set) => set.id === this.chosen.dataset)?.name;
      fill(
        this.tabs,
        tab(name ? `Data: ${name}` : "Data", what === "data", () => this.show({ what: "data" })),
        run ? tab(`Training: ${run.name || run.task}`, what === "run", () => this.show({ what: "run", job: run.id })) : null,
        what === "compare" ? tab("Side by side", true, () => {}) : null,
      );
    }
    show(showing) {
      this.showing = showing;
      this.data.node.hidden = showing.what !== "data";
      this.run.node.hidden = showing.what === "data";
      if (showing.what !== "data") this.run.open(showing.what === "run" ? [showing.job] : showing.jobs);
      this.showRuns();
      if (innerWidth < 900) this.stage.scrollIntoView({ block: "start" });
    }
    /** What is wrong, and at which field; `focus`: the person asked for it, and is led there. */
    say(text, field, { focus = true } = {}) {
      this.problem.textContent = text || "";
      this.problem.hidden = !text;
      const fields = { consent: this.consent, trigger: this.trigger, name: this.name, base: this.bases, model: this.bases, minutes: this.minutes };
      for (const input of Object.values(fields)) input.removeAttribute("aria-invalid");
      if (!fields[field]) return;
      fields[field].setAttribute("aria-invalid", "true");
      if (focus) fields[field].focus();
    }

    // --- data sets

    choose(id) {
      this.chosen.dataset = id;
      this.mode = "lora";
      this.showPresets();
      this.showKinds();
      this.show({ what: "data" });
      this.loadData();
    }
    async loadData() {
      const id = this.chosen.dataset, edits = this.edits;
      this.showMode();
      if (!id) {
        this.seen = "";
        this.data.show(null);
        return;
      }
      try {
        const state = await atelier.fetchJson(`/atelier/train/dataset/${id}`);
        if (id !== this.chosen.dataset || edits !== this.edits) return; // the change's own look comes after it
        const now = JSON.stringify(state);
        if (now === this.seen) return;
        this.seen = now;
        if (id !== this.set?.id) this.refused = false;
        this.set = state;
        if (document.activeElement !== this.trigger && !this.refused) this.trigger.value = state.trigger;
        this.consent.checked = state.consent;
        this.data.show(state);
        this.plan();
      } catch (error) {
        if (id === this.chosen.dataset) atelier.failed(error);
      }
    }
    /** Keeps the trigger word, or says at its field why it cannot be kept. */
    async keepTrigger(how) {
      const answer = await this.edit("trigger", { text: this.trigger.value }, (error) => ((this.refused = true), this.say(error.message, "trigger", how)));
      if (answer) this.refused = false; // until then the field keeps what was typed
      return answer;
    }
    /** A change of the data set; the answer is seen at once. */
    async edit(action, data = {}, failed = atelier.failed) {
      this.edits += 1;
      try {
        const answer = await atelier.postJson("/atelier/train/act", { action, dataset: this.chosen.dataset, ...data });
        this.done += 1;
        this.edits += 1;
        this.say("");
        await this.loadData();
        this.refresh(); // the menu says names and counts
        return answer;
      } catch (error) {
        this.edits += 1;
        failed(error);
        await this.loadData();
        return null;
      }
    }
    async act(action, data = {}) {
      try {
        const answer = await atelier.postJson("/atelier/train/act", { action, ...data });
        this.done += 1;
        dispatchEvent(new CustomEvent("atelier:queue"));
        await this.refresh();
        return answer;
      } catch (error) {
        atelier.failed(error);
        return null;
      }
    }
    create() {
      const field = el("input", { type: "text", maxlength: 60, autocomplete: "off", dir: "auto" });
      const kind = el("select", {}, ...[["image", "Pictures"], ["text", "Texts"], ["score", "Scores"], ["sound", "Sounds"], ["shape", "Shapes"]].map(([value, text]) => el("option", { value, text })));
      const line = (text, control) => el("label", { class: "at-field" }, el("span", { text }), control);
      atelier.form("New data set", el("div", { class: "at-say trn-fields" }, line("Name", field), line("What it holds", kind)), "Make it", () => this.make(field.value, kind.value));
    }
    async make(name, kind = "image") {
      const answer = await this.act("create", { name: name.trim() || HOLDS[kind], kind });
      if (!answer) return null;
      this.chosen.dataset = this.memory = answer.dataset;
      this.show({ what: "data" });
      this.known = { ...this.known, stale: true }; // so that the next look takes it over
      await this.refresh();
      return answer.dataset;
    }
    async remove() {
      const set = this.known.datasets.find((one) => one.id === this.chosen.dataset);
      if (!set || !(await atelier.ask(`Delete ${set.name}?`, "Its copies, captions and history go. Your own files and what was taught from it stay.", "Delete"))) return;
      this.removing = set.id; // no plan for it is asked for any more
      await this.act("delete", { dataset: set.id }); // what is shown then is another one
      this.removing = "";
      this.sets.focus();
    }
    rename() {
      const set = this.known.datasets.find((one) => one.id === this.chosen.dataset);
      if (!set) return;
      const field = el("input", { type: "text", maxlength: 60, autocomplete: "off", dir: "auto", value: set.name });
      atelier.form("Rename the data set", el("label", { class: "at-field at-say" }, el("span", { text: "Name" }), field), "Rename", () => this.edit("rename", { name: field.value }));
      field.select();
    }
    takeDrops(node) {
      const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
      node.addEventListener("dragover", (event) => files(event) && event.preventDefault());
      node.addEventListener("drop", async (event) => {
        if (!files(event)) return;
        event.preventDefault();
        const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
        const plain = [...event.dataTransfer.files].map((file) => [file, file.name]);
        this.take(entries.some((entry) => entry.isDirectory) ? await walk(entries) : plain);
      });
    }
    /** Sends files with their names and takes them in together. */
    async take(files) {
      if (!files.length) return;
      if (!this.chosen.dataset) {
        const first = files[0][1];
        const mostly = Object.entries(FILES).find(([, ends]) => 2 * files.filter(([, path]) => ends.test(path)).length > files.length);
        const kind = mostly?.[0] || "image";
        const name = first.includes("/") ? first.split("/")[0] : files.length === 1 ? first.replace(/\.[^.]*$/, "") : HOLDS[kind];
        if (!(await this.make(name, kind))) return;
      }
      const dataset = this.chosen.dataset;
      const batch = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      this.show({ what: "data" });
      try {
        for (const [place, [file, name]] of files.entries()) {
          this.sending = [place, files.length];
          this.showComing();
          await atelier.fetchJson(`/atelier/train/upload?${new URLSearchParams({ batch, name })}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
        }
        this.sending = [files.length, files.length];
        this.showComing();
        this.refresh();
        const report = await atelier.postJson("/atelier/train/add", { dataset, batch });
        this.data.told(report, dataset);
      } catch (error) {
        atelier.failed(error);
      }
      this.sending = null;
      this.showComing();
      await this.refresh();
      await this.loadData();
    }
    showComing() {
      const adding = this.known.adding[this.chosen.dataset];
      const [text, bar, stop] = this.coming.children;
      const job = this.known.captioning[this.chosen.dataset];
      const captioning = ACTIVE.has(job?.state) && !this.sending && !adding ? job : null;
      this.coming.hidden = !this.sending && !adding && !captioning;
      stop.hidden = !captioning;
      if (captioning) {
        text.textContent = captioning.state === "queued" ? "Captioning waits for its turn" : captioning.steps ? `Captioning picture ${Math.min(captioning.step + 1, captioning.steps)} of ${captioning.steps}` : `Captioning: ${captioning.message || "begins"}`;
        if (captioning.steps) [bar.max, bar.value] = [captioning.steps, captioning.step];
        else bar.removeAttribute("value");
        return;
      }
      const sent = this.sending && this.sending[0] < this.sending[1];
      const [done, all] = sent ? this.sending : adding || [0, 0];
      text.textContent = sent ? `Copying file ${done + 1} of ${all}` : all ? `Looking at file ${done} of ${all}` : "Looking at the files";
      if (all) {
        bar.max = all;
        bar.value = done;
      } else bar.removeAttribute("value");
    }
    /** A captioning job has ended. */
    captioned(set, job) {
      const name = this.known.datasets.find((one) => one.id === set)?.name || set;
      if (job.state === "failed" || job.state === "interrupted") return atelier.toast(`${job.error} ${job.hint}`.trim(), { kind: "failed" });
      const undo = set === this.chosen.dataset ? { label: "Undo", run: () => this.edit("undo") } : {};
      atelier.toast(job.state === "cancelled" ? `Stopped: ${atelier.plural(job.step, "picture")} of ${name} captioned.` : `${atelier.plural(job.step, "picture")} of ${name} captioned.`, { kind: "good", ...undo });
    }
    async fromLibrary() {
      const { title, media } = WORKS[this.kind];
      const chosen = await atelier.chooseWorks(title, { media });
      if (!chosen.length || (!this.chosen.dataset && !(await this.make("From the library")))) return;
      const { dataset } = this.chosen;
      const answer = await this.edit("add_library", { shas: chosen.map((item) => item.sha256) });
      if (answer) this.data.told(answer.report, dataset);
      this.refresh();
    }

    // --- settings

    plan() {
      clearTimeout(this.planning);
      this.planning = setTimeout(() => this.askPlan(), 120);
    }
    async askPlan() {
      const { dataset, base, preset } = this.chosen, mode = this.mode;
      if (this.mode === "evaluate") this.advice.hidden = true;
      if (dataset && dataset === this.removing) return;
      if (dataset && !base && this.mode === "lora" && this.kind === "sound") return (this.cost.textContent = "No model that learns sounds is here yet: get MusicGen in Models.");
      if (!dataset || (!base && this.mode !== "scratch") || this.mode === "evaluate") return fill(this.cost);
      try {
        if (this.mode === "scratch") {
          const { advice } = await atelier.postJson("/atelier/train/plan", { dataset, mode: "scratch" });
          if (dataset !== this.chosen.dataset || mode !== this.mode) return; // another question by now
          this.advice.textContent = advice;
          this.advice.hidden = !advice;
          return this.showScratchCost();
        }
        const plan = await atelier.postJson("/atelier/train/plan", { dataset, base, preset, params: this.changed });
        if (dataset !== this.chosen.dataset || mode !== this.mode) return;
        if (this.unplanned) this.say("");
        this.unplanned = false;
        const [low, high] = plan.seconds;
        const room = plan.room && plan.memory > plan.room ? ` That is more than the ${atelier.bytes(plan.room)} there are: it will go slower, in smaller pieces.` : "";
        const time = atelier.seconds(low) === atelier.seconds(high) ? `about ${atelier.seconds(high)}` : `${atelier.seconds(low)} to ${atelier.seconds(high)}`;
        this.cost.textContent = plan.pictures ? `${atelier.plural(plan.pictures, NOUNS[this.kind])} to learn, ${plan.held_out} held out. Takes ${time} and ${atelier.bytes(plan.memory)} of memory${plan.measured ? "" : ", roughly"}.${plan.shapes ? ` Shapes in pixels: ${plan.shapes}.` : ""}${room}` : "";
        this.advice.textContent = plan.advice;
        this.advice.hidden = !plan.pictures || !plan.advice;
        this.showFields(plan.fields);
      } catch (error) {
        this.unplanned = true;
        this.say(error.message);
      }
    }
    showFields(fields) {
      const now = JSON.stringify(fields);
      this.planned = fields;
      if (now === this.drawn || this.fields.contains(document.activeElement)) return;
      this.drawn = now;
      fill(
        this.fields,
        ...fields.map((field) => {
          const set = (value) => {
            if (value === "") delete this.changed[field.name];
            else this.changed[field.name] = value;
            this.drawn = "";
            this.plan();
          };
          let control;
          if (field.type === "bool") {
            control = el("input", { type: "checkbox", checked: field.value, onchange: (event) => set(event.target.checked) });
            return el("label", { class: "trn-consent", title: field.help }, control, el("span", { text: field.label }));
          }
          if (field.choices.length) {
            control = el("select", { onchange: (event) => set(event.target.value) }, ...field.choices.map((choice) => el("option", { value: choice, text: choice.replaceAll("_", " ") })));
            control.value = field.value;
          } else {
            control = el("input", { type: "number", value: field.value ?? "", min: field.minimum, max: field.maximum, step: field.type === "int" ? field.step || 1 : "any" });
            control.addEventListener("change", () => set(control.value === "" ? "" : Number(control.value)));
          }
          return el("label", { class: "at-field", title: field.help }, el("span", { text: field.label }), control);
        }),
      );
    }
    savePreset() {
      const field = el("input", { type: "text", maxlength: 60, autocomplete: "off", dir: "auto" });
      atelier.form("Save these settings", el("label", { class: "at-field at-say" }, el("span", { text: "Name" }), field), "Save", async () => {
        const planned = this.planned.filter((one) => one.value !== null).map((one) => [one.name, one.value]);
        const params = { ...Object.fromEntries(planned), ...this.changed }; // a change may not be planned yet
        if (await this.act("save_preset", { dataset: this.chosen.dataset, name: field.value, params })) {
          this.chosen.preset = field.value.trim();
          this.changed = {};
          this.showPresets();
        }
      });
    }
    async deletePreset() {
      await this.act("delete_preset", { name: this.chosen.preset });
      this.chosen.preset = "balanced";
      this.showPresets();
      this.plan();
    }
    async start() {
      const { dataset, base, preset } = this.chosen;
      if (this.mode === "scratch" && this.wrongMinutes) return this.say(this.wrongMinutes, "minutes");
      this.go.disabled = true;
      const meant = this.mode === "lora" && this.trigger.value.trim() !== (this.set?.trigger || "");
      if (meant && !(await this.keepTrigger({ focus: true }))) return this.showMode();
      try {
        const asked = {
          lora: { action: "start", dataset, base, preset, name: this.name.value, params: this.changed },
          scratch: { action: "start_scratch", dataset, kinds: this.chosenKinds, seconds: Math.round(60 * Number(this.minutes.value)), name: this.name.value },
          evaluate: { action: "start_evaluation", base, lora: this.lora.value, dataset: this.against.checked ? dataset : "", prompts: this.prompts.value, attribute: this.attribute.value, words: this.words.value, seeds: Number(this.seeds.value) || 24 },
        }[this.mode];
        const answer = await atelier.postJson("/atelier/train/act", asked);
        this.say("");
        dispatchEvent(new CustomEvent("atelier:queue"));
        await this.refresh();
        if (answer.jobs?.length > 1) this.show({ what: "compare", jobs: answer.jobs });
        else this.show({ what: "run", job: answer.job || answer.jobs[0] });
      } catch (error) {
        this.say(error.message, /yours to use/.test(error.message) ? "consent" : "");
      }
      this.showMode();
    }
    key(event) {
      if (!this.visible || event.defaultPrevented || document.querySelector("dialog[open]") || atelier.typing(event.target)) return;
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || this.showing.what !== "data") return;
      event.preventDefault();
      this.edit(event.shiftKey ? "redo" : "undo");
    }
  }

  /** All files below dropped folders, each with its path. */
  const walk = async (entries) => {
    const found = [];
    const waiting = entries.map((entry) => [entry, ""]);
    while (waiting.length) {
      const [entry, path] = waiting.pop();
      const name = path ? `${path}/${entry.name}` : entry.name;
      if (entry.isFile) found.push([await new Promise((done, failed) => entry.file(done, failed)), name]);
      else {
        const reader = entry.createReader();
        for (;;) {
          const some = await new Promise((done, failed) => reader.readEntries(done, failed));
          if (!some.length) break;
          waiting.push(...some.map((one) => [one, name]));
        }
      }
    }
    return found.sort((a, b) => (a[1] < b[1] ? -1 : 1));
  };

  /** Turns an empty element into the Train tab, once. */
  atelier.train = (root) => root && (root.train = root.train || new Train(root));
})();
