// Trainings on the Train tab's stage: progress, curves, samples and the result card of one, or several side by side.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, fill, tool } = atelier;

  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = ["var(--at-accent)", "#0891b2", "#d97706", "#16a34a", "#db2777", "#64748b"];
  const FIGURES = { likeness: "Likeness", held_out: "Held-out gain", drift: "Drift elsewhere", diversity: "Diversity", copying: "Copying", memorised: "Learnt by heart", copied_run: "Longest copy", following: "Prompt-following", kid: "KID", recall: "Recall", kid_floor: "KID, real to real", pictures_a_second: "Pictures a second", parameters: "Parameters", bits_a_byte: "Bits a byte", bits_a_byte_5_grams: "Bits a byte, 5-grams", bits_a_byte_xz: "Bits a byte, xz", seconds: "Seconds learnt", held_out_iou: "Held-out IoU", rebuilt_iou: "Rebuilt IoU", nearest_iou: "IoU with the nearest", one_piece: "In one piece", nats: "Information kept (nats)" };
  const STATES = { queued: "Waits", running: "Learning", done: "Ready", failed: "Failed", cancelled: "Stopped", interrupted: "Interrupted" };

  const USED_IN = { train_text_lora: "Text", train_sound_lora: "Music" }; // LoRAs of other things than pictures
  // where models are used, by the training that made them
  const PANELS = { train_diffusion: "Image", merge_lora: "Image", train_vae: "Design", train_gan: "Design", train_shapes: "Design", train_transformer: "Text", train_score: "Music" };
  const HEARD = { base: "before", card: "result" };

  const named = (name) => FIGURES[name] || (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

  const draw = (tag, attributes) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const short = (value) => (Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString());

  /** The running mean of a noisy line. */
  const smooth = (points) => {
    const share = Math.min(0.2, 8 / points.length);
    let mean = points[0][1];
    return points.map(([x, y]) => [x, (mean += share * (y - mean))]);
  };

  /** A line chart: `lines` are {label, colour, dots, points: [[x, y] ...]}. */
  const chart = (title, lines, unit) => {
    const all = lines.flatMap((line) => line.points);
    if (!all.length) return null;
    const [width, height, left, low] = [560, 180, 46, 22];
    const xs = all.map((point) => point[0]);
    const ys = all.map((point) => point[1]).sort((a, b) => a - b);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    const top = ys[Math.floor((ys.length - 1) * 0.99)];
    const pad = (top - ys[0]) * 0.06 || Math.abs(top) * 0.1 || 1;
    const [y0, y1] = [ys[0] - pad, top + pad];
    const x = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (width - left - 10);
    const y = (value) => height - low - ((Math.min(value, y1) - y0) / (y1 - y0)) * (height - low - 10);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${lines.map((line) => `${line.label} ${short(line.points.at(-1)[1])}`).join(", ")}` });
    for (let k = 0; k < 4; k++) {
      const value = y0 + pad + ((y1 - y0 - 2 * pad) * k) / 3;
      svg.append(draw("line", { x1: left, x2: width - 10, y1: y(value), y2: y(value), class: "trn-gridline" }));
      const text = draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
      text.textContent = short(value);
      svg.append(text);
    }
    for (const [value, anchor] of [[x0, "start"], [x1, "end"]]) {
      const text = draw("text", { x: x(value), y: height - 5, "text-anchor": anchor });
      text.textContent = `${unit} ${short(value)}`;
      svg.append(text);
    }
    for (const line of lines) {
      const points = line.points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`);
      svg.append(draw("polyline", { points: points.join(" "), fill: "none", stroke: line.colour, "stroke-width": line.dots ? 2.4 : 1, opacity: line.dots ? 1 : 0.3 }));
      if (!line.dots) svg.append(draw("polyline", { points: smooth(line.points).map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), fill: "none", stroke: line.colour, "stroke-width": 2.2 }));
      if (line.dots) for (const [a, b] of line.points) svg.append(draw("circle", { cx: x(a), cy: y(b), r: 3, fill: line.colour }));
    }
    const legend = el("div", { class: "trn-legend" }, ...lines.map((line) => el("span", {}, el("i", { style: `background:${line.colour}` }), el("span", { text: `${line.label} ${short(line.points.at(-1)[1])}` }))));
    return el("figure", { class: "trn-chart" }, el("figcaption", {}, el("h3", { text: title }), legend), svg);
  };
  const points = (rows, name) => rows.filter((row) => Number.isFinite(row[name]) && Number.isFinite(row.step)).map((row) => [row.step, row[name]]);

  atelier.TrainRun = class {
    constructor(train) {
      this.train = train;
      this.jobs = [];
      this.head = el("div", { class: "trn-runhead" });
      this.body = el("div", { class: "trn-runbody" });
      this.node = el("div", { class: "trn-runs-stage", hidden: true }, this.head, this.body);
    }
    open(jobs) {
      const same = jobs.join() === this.jobs.join();
      this.jobs = jobs;
      if (!same) {
        this.seen = "";
        fill(this.head);
        fill(this.body, el("p", { class: "trn-none", text: "…" }));
      }
      this.refresh();
    }
    async refresh() {
      if (this.asking || !this.jobs.length) return;
      this.asking = true;
      const jobs = this.jobs;
      try {
        const runs = await Promise.all(jobs.map((job) => atelier.fetchJson(`/atelier/train/run/${job}`)));
        const now = JSON.stringify(runs);
        if (jobs === this.jobs && now !== this.seen) {
          this.seen = now;
          if (runs.length === 1) this.showOne(runs[0]);
          else this.showMany(runs);
        }
      } catch (error) {
        fill(this.head);
        fill(this.body, el("p", { class: "lib-failed", text: error.message }));
      }
      this.asking = false;
      if (jobs !== this.jobs) this.refresh();
    }

    // --- one

    showOne(run) {
      this.showHead(run);
      const before = this.body.querySelector(".trn-scroll");
      const atEnd = !before || before.scrollLeft + before.clientWidth > before.scrollWidth - 40;
      const scrolled = before?.scrollLeft || 0;
      const open = this.body.querySelector("details")?.open;
      const parts = [...this.alarms(run), this.cardOf(run), ...this.probes(run), this.sheets(run), this.texts(run), this.curves([run]), this.samples(run), this.takes(run), this.checkpoints(run), this.measured(run), this.settings(run)];
      fill(this.body, ...parts);
      const after = this.body.querySelector(".trn-scroll");
      if (after) after.scrollLeft = atEnd ? after.scrollWidth : scrolled;
      if (open) this.body.querySelector("details").open = true;
    }
    showHead(run) {
      const active = run.state === "queued" || run.state === "running";
      const left = run.eta ? `, ${atelier.seconds(run.eta)} left` : "";
      const how = run.state === "running" ? (run.steps ? `${run.message || "Step"} ${run.step} of ${run.steps}${left}` : run.message || "begins") : STATES[run.state] || run.state;
      const early = run.state === "done" && run.task.endsWith("_lora") && run.params.early_stopping && run.facts.steps < run.params.max_train_steps;
      const again = early || run.state === "failed" || run.state === "interrupted" || run.state === "cancelled";
      fill(
        this.head,
        el("div", { class: "trn-title" }, el("h2", { text: run.name || run.task, dir: "auto" }), el("span", { class: "trn-state", id: "train-state", role: "status", dataset: { state: run.state }, text: how })),
        el(
          "div",
          { class: "trn-buttons" },
          active ? tool("close", run.state === "queued" ? "Remove" : run.task.startsWith("evaluate_") ? "Stop" : "Stop and keep", () => this.train.act("stop", { job: run.id }), { kind: "stop" }) : null,
          again ? tool("play", "Go on", () => this.goOn(run)) : null,
          run.model ? el("span", { class: "trn-state", text: `kept as the model ${run.model}` }) : null,
          run.model && PANELS[run.task] ? tool("open", `Open ${PANELS[run.task]}`, () => this.openPanel(run)) : null,
          run.adapter ? tool("use", `Use in ${USED_IN[run.task] || "Image"}`, () => this.use(run), { kind: "strong" }) : null,
          run.adapter && !USED_IN[run.task] ? tool(null, "Save as a model", () => this.merge(run)) : null,
          run.file ? el("a", { class: "at-button", href: run.file, download: "" }, atelier.glyph("download"), el("span", { text: "Download" })) : null,
          run.kohya ? el("a", { class: "at-button", href: `/atelier/train/export/${run.id}`, download: "", title: "The LoRA with the names that A1111, Forge, ComfyUI and kohya's scripts know" }, atelier.glyph("download"), el("span", { text: "Kohya format" })) : null,
        ),
        active ? el("progress", { max: run.steps || 1, value: run.steps ? run.step : null, "aria-label": "Progress" }) : null,
      );
    }
    async goOn(run) {
      const answer = await this.train.act("go_on", { job: run.id });
      if (answer) this.train.show({ what: "run", job: answer.job });
    }
    /** Asks for a weight and a name; the LoRA is worked into a copy of its model. */
    merge(run) {
      const name = el("input", { type: "text", maxlength: 60, autocomplete: "off", dir: "auto", value: `${run.base} ${run.name}` });
      const weight = el("input", { type: "number", min: -8, max: 8, step: "any", value: 1 });
      const line = (text, control) => el("label", { class: "at-field" }, el("span", { text }), control);
      atelier.form("Save as a model of its own", el("div", { class: "at-say trn-fields" }, line("Name", name), line("Weight of the LoRA", weight)), "Save", async () => {
        const answer = await this.train.act("merge", { lora: run.adapter, base: run.base, name: name.value, weight: Number(weight.value) });
        if (answer) this.train.show({ what: "run", job: answer.job });
      });
    }
    /** The panel in whose menu of models the new one stands. */
    openPanel(run) {
      atelier.goTo(PANELS[run.task].toLowerCase());
      dispatchEvent(new CustomEvent("atelier:models")); // its menus may be older than this model
      atelier.toast(`${run.model} is in the menu of models now.`);
    }
    /** The LoRA into the Image panel's prompt, with its word. */
    use(run) {
      if (USED_IN[run.task]) {
        const panel = USED_IN[run.task].toLowerCase();
        atelier.goTo(panel);
        setTimeout(() => window.atelierBoard?.boards.get(panel)?.ask("taught", null, { adapter: run.adapter, base: run.base, trigger: run.prompts[0] || "" }), 400);
        return;
      }
      const field = document.querySelector("#image-prompt textarea");
      atelier.goTo("image");
      dispatchEvent(new CustomEvent("atelier:models")); // its menus may be older than this LoRA
      if (!field) return;
      const word = run.facts.trigger && !field.value.includes(run.facts.trigger) ? run.facts.trigger : "";
      const tag = `<lora:${run.adapter}:1>`;
      const plain = field.value.includes(tag) ? field.value : `${field.value.trim()} ${tag}`.trim();
      const subject = run.prompts[0] && !field.value.trim() ? `${run.prompts[0]} ${tag}` : word ? `${word} ${plain}` : plain;
      field.value = subject;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    }
    alarms(run) {
      const told = [];
      if (run.error) told.push(el("p", { class: "trn-alarm", text: `${run.error} ${run.hint}`.trim() }));
      for (const text of run.card?.alarms || []) told.push(el("p", { class: "trn-alarm", role: "alert", text }));
      for (const text of run.evaluation?.alarms || []) told.push(el("p", { class: "trn-alarm trn-lean", text }));
      for (const text of run.warnings) told.push(el("p", { class: "trn-hint", text }));
      return told;
    }
    cardOf(run) {
      const card = run.card || run.evaluation;
      if (!card?.figures || !Object.keys(card.figures).length) return null;
      const told = Object.entries(card.figures).map(([name, figure]) => {
        const before = card.before?.[name];
        const range = [figure.low === undefined ? "" : `${short(figure.low)} to ${short(figure.high)}`, before ? `before: ${short(before.value)}` : ""].filter(Boolean).join(", ");
        return el("div", { class: "trn-figure" }, el("dt", { text: named(name) }), el("dd", {}, el("b", { text: short(figure.value) }), range ? el("small", { text: range }) : null, el("span", { text: figure.means || "" })));
      });
      const facts = run.facts || {};
      const [counted, noun] = Number.isFinite(facts.sounds) ? [facts.sounds, "sound"] : [facts.pictures, "picture"];
      const spent = [Number.isFinite(counted) && `${atelier.plural(counted, noun)} learnt, ${facts.held_out || 0} held out`, facts.shapes && `at ${facts.shapes} pixels`, facts.steps && `${facts.steps} steps`, facts.seconds && atelier.seconds(facts.seconds), run.device].filter(Boolean).join(", ");
      return el("section", { class: "trn-card", "aria-label": "Result card", id: "train-card" }, el("h3", { text: "Result" }), el("dl", {}, ...told), card.suggestion ? el("p", { class: "trn-hint", text: card.suggestion }) : null, el("small", { text: [spent, card.encoder && `compared by the ${card.encoder}`].filter(Boolean).join("; ") }));
    }
    /** Each prompt of a bias probe: how often each word came up, in each set of pictures. */
    probes(run) {
      const NAMES = { model: "model", with_lora: "with the LoRA", data: "data set" };
      return (run.evaluation?.probe || []).map((row) => {
        const sets = Object.keys(row.sets);
        const bar = (share) => (share ? el("td", { class: "trn-share", style: `--share:${Math.round(share.share * 100)}%` }, el("b", { text: `${Math.round(share.share * 100)} %` }), el("small", { text: ` ${Math.round(share.low * 100)}–${Math.round(share.high * 100)}` })) : el("td", { text: "–" }));
        const change = (word) => {
          const one = row.change?.[word];
          return one ? el("td", { text: `${one.value > 0 ? "+" : ""}${Math.round(one.value * 100)} (${Math.round(one.low * 100)} to ${Math.round(one.high * 100)})` }) : null;
        };
        const table = el(
          "table",
          { class: "trn-table" },
          el("thead", {}, el("tr", {}, el("th", { scope: "col", text: row.attribute }), el("th", { scope: "col", text: "asked" }), ...sets.map((name) => el("th", { scope: "col", text: `${NAMES[name] || name} (${row.sets[name].many})` })), row.change ? el("th", { scope: "col", text: "change, points" }) : null)),
          el("tbody", {}, ...row.words.map((word) => el("tr", {}, el("th", { scope: "row", text: word }), el("td", { text: `${Math.round((row.asked[word] || 0) * 100)} %` }), ...sets.map((name) => bar(row.sets[name].shares[word])), change(word)))),
        );
        return el("section", { "aria-label": "Bias probe" }, el("h3", { text: `“${row.prompt}”: how often each ${row.attribute} came up, with 95 % intervals` }), el("div", { class: "trn-scroll", tabindex: "0", role: "group", "aria-label": "Table" }, table));
      });
    }
    sheets(run) {
      if (!run.sheets.length || run.task === "train_lora") return null;
      const NAMES = { "card-made": "What it makes", nearest: "Its pictures, each beside the nearest of yours", "model-data": "Made by the data set's captions", "with_lora-data": "The same with the LoRA", data: "The data set" };
      const name = (one) => NAMES[one.name] || one.name.replaceAll("-", ", ").replaceAll("_", " ");
      return el("section", { class: "trn-sheets", "aria-label": "Sheets" }, ...run.sheets.map((one) => el("figure", {}, el("figcaption", {}, el("h3", { text: name(one) })), el("img", { src: one.url, alt: name(one), loading: "lazy" }))));
    }
    texts(run) {
      if (!run.texts.length) return null;
      const [latest, ...others] = run.texts;
      const NAMES = { "card-drafts": "What it writes", "before-drafts": "What it writes without the LoRA" };
      const name = (one) => NAMES[one.label] || `What it wrote at step ${Number(one.label)}`;
      const block = (one) => [el("h3", { text: name(one) }), el("div", { class: "trn-text", dir: "auto", tabindex: "0", text: one.text })];
      return el("section", { class: "trn-report", "aria-label": "Texts" }, ...block(latest), others.length ? el("details", { class: "trn-more" }, el("summary", { text: "Earlier" }), ...others.flatMap(block)) : null);
    }
    /** How an evaluation was made and what it cannot say; the whole as a model card to keep. */
    measured(run) {
      if (!run.evaluation) return null;
      const { how, limits, card } = run.evaluation;
      const address = `data:text/markdown;charset=utf-8,${encodeURIComponent(card || "")}`;
      return el("section", { class: "trn-report" }, el("h3", { text: "How it was measured" }), el("ul", {}, ...[...how, ...limits].map((text) => el("li", { text }))), el("p", {}, el("a", { class: "at-button", href: address, download: "model-card.md" }, atelier.glyph("download"), el("span", { text: "Model card" }))));
    }
    /** One set of charts for all runs of a kind: the losses of different kinds measure different things. */
    curves(runs) {
      const kinds = [...new Set(runs.map((run) => run.task))];
      if (kinds.length < 2) return this.curvesOf(runs, "");
      const each = kinds.map((kind) => {
        const alike = runs.filter((run) => run.task === kind);
        return this.curvesOf(alike, alike.map((run) => run.name).join(", "));
      });
      return el("div", { class: "trn-kinds-of-curves" }, ...each.filter(Boolean));
    }
    curvesOf(runs, heading) {
      const many = runs.length > 1;
      const name = (run, what) => (many ? run.name : what);
      const one = (field, title, dots) => {
        const lines = runs.map((run, place) => ({ label: name(run, title), colour: COLOURS[place % COLOURS.length], dots, points: points(run.rows, field) })).filter((line) => line.points.length > 1 || (dots && line.points.length));
        return lines.length ? chart(title, lines, "step") : null;
      };
      const others = [...new Set(runs.flatMap((run) => run.rows.flatMap((row) => Object.keys(row))))].filter((key) => !["step", "seconds", "stage", "loss", "held_out"].includes(key));
      const charts = [one("held_out", "Held-out loss", true), one("loss", "Training loss", false), ...others.slice(0, 4).map((key) => one(key, named(key), false))].filter(Boolean);
      if (!charts.length) return null;
      const whole = el("section", { class: "trn-curves", "aria-label": heading ? `Curves of ${heading}` : "Curves" }, ...charts);
      return heading ? el("div", {}, el("h3", { text: heading, dir: "auto" }), whole) : whole;
    }
    samples(run) {
      if (!run.samples.length) return null;
      const rows = Math.max(...run.samples.map((one) => one.pictures.length));
      const label = (one) => (one.label === "base" ? "before" : `step ${one.step}`);
      const table = el("table", { class: "trn-samples" });
      table.append(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "unseen", text: "Prompt" })), ...run.samples.map((one) => el("th", { scope: "col", text: label(one) })))));
      const body = el("tbody");
      for (let k = 0; k < rows; k++) {
        body.append(el("tr", {}, el("th", { scope: "row", text: run.prompts[k] || "", dir: "auto" }), ...run.samples.map((one) => el("td", {}, one.pictures[k] ? el("img", { src: one.pictures[k], alt: `${run.prompts[k] || "sample"}, ${label(one)}`, loading: "lazy" }) : null))));
      }
      table.append(body);
      return el("section", { "aria-label": "Samples" }, el("h3", { text: "The same seeds at every look" }), el("div", { class: "trn-scroll", tabindex: "0", role: "group", "aria-label": "Table" }, table));
    }
    /** Takes of a model of sounds before, at every look and at the end, side by side; one that plays goes on playing. */
    takes(run) {
      if (!run.takes.length) return null;
      const now = JSON.stringify([run.takes, run.prompts]);
      if (this.heard?.now === now) return this.heard.node;
      const before = new Map([...(this.heard?.node.querySelectorAll("audio") || [])].map((audio) => [audio.getAttribute("src"), audio]));
      const label = (one) => HEARD[one.label] || `step ${Number(one.label)}`;
      const rows = Math.max(...run.takes.map((one) => one.sounds.length));
      const table = el("table", { class: "trn-samples trn-heard" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "unseen", text: "Prompt" })), ...run.takes.map((one) => el("th", { scope: "col", text: label(one) })))));
      const audio = (src, text) => before.get(src) || el("audio", { controls: true, preload: "none", src, "aria-label": text });
      const row = (k) => el("tr", {}, el("th", { scope: "row", text: run.prompts[k] || "", dir: "auto" }), ...run.takes.map((one) => el("td", {}, one.sounds[k] ? audio(one.sounds[k], `${run.prompts[k] || "take"}, ${label(one)}`) : null)));
      table.append(el("tbody", {}, ...Array.from({ length: rows }, (_, k) => row(k))));
      const node = el("section", { "aria-label": "Takes" }, el("h3", { text: "The same seeds at every look" }), el("div", { class: "trn-scroll", tabindex: "0", role: "group", "aria-label": "Table" }, table));
      this.heard = { now, node };
      return node;
    }
    /** Every adapter that was kept on the way, with what was measured of it; one click makes another the LoRA. */
    checkpoints(run) {
      const rows = new Map((run.card?.checkpoints || []).map((row) => [row.step, row]));
      const steps = [...new Set([...(run.kept || []), ...rows.keys()])].sort((a, b) => a - b);
      if (!steps.length) return null;
      const sheet = (step) => (rows.has(step) ? `/atelier/train/sample/${run.id}/checkpoint-${String(step).padStart(6, "0")}.webp` : run.samples.find((one) => one.step === step)?.pictures[0]);
      const LOSSES = { held_out: "Held-out loss", smoothed: "Smoothed" }; // of a checkpoint; the result has the gain
      const figures = (row) => Object.keys(row).filter((name) => Number.isFinite(row[name]) && name !== "step").map((name) => el("span", { text: `${(LOSSES[name] || FIGURES[name] || name).toLowerCase()} ${short(row[name])}` }));
      const card = (step) => {
        const used = step === run.offered;
        const remarks = [used && "in use", step === run.card?.suggested_step && "suggested"].filter(Boolean);
        const choose = !used && run.adapter && run.kept.includes(step) ? tool("use", "Use this one", () => this.choose(run, step)) : null;
        choose?.setAttribute("aria-label", `Use the checkpoint of step ${step}`);
        return el(
          "figure",
          { class: used ? "best" : "", dataset: { step } },
          sheet(step) ? el("img", { src: sheet(step), alt: `Pictures of step ${step}`, loading: "lazy" }) : null,
          el("figcaption", {}, el("b", { text: [`step ${step}`, ...remarks].join(", ") }), ...figures(rows.get(step) || {}), choose),
        );
      };
      return el("section", { "aria-label": "Checkpoints" }, el("h3", { text: "Checkpoints at the same seeds" }), el("div", { class: "trn-checkpoints" }, ...steps.map(card)));
    }
    async choose(run, step) {
      const answer = await this.train.act("use_checkpoint", { job: run.id, step });
      if (!answer) return;
      atelier.toast(`${answer.adapter} is the checkpoint of step ${step} now.`, { kind: "good", label: "Undo", run: () => this.choose(run, run.offered) });
      this.refresh();
    }
    settings(run) {
      const rows = Object.entries({ model: run.base, ...run.params, seed: run.seed });
      return el("details", { class: "trn-more" }, el("summary", { text: "All settings" }), el("dl", { class: "trn-all" }, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: atelier.shown(value) })])));
    }

    // --- several side by side

    showMany(runs) {
      fill(this.head, el("div", { class: "trn-title" }, el("h2", { text: `${runs.length} trainings side by side` })));
      const names = [...new Set(runs.flatMap((run) => Object.keys(run.card?.figures || {})))].filter((name) => name !== "seconds"); // a row of its own has them
      const means = (name) => runs.map((run) => run.card?.figures?.[name]?.means).find(Boolean) || "";
      const cell = (figure) => (figure ? el("td", { title: figure.means || "" }, el("b", { text: short(figure.value) }), figure.low === undefined ? null : el("small", { text: ` ${short(figure.low)} to ${short(figure.high)}` })) : el("td", { text: "–" }));
      const facts = [["Steps", (run) => run.facts.steps ?? run.step], ["Seconds learnt", (run) => run.facts.seconds ?? run.rows.at(-1)?.seconds]];
      const table = el(
        "table",
        { class: "trn-table" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "unseen", text: "Figure" }), ...runs.map((run) => el("th", { scope: "col", text: run.name, dir: "auto" })))),
        el(
          "tbody",
          {},
          el("tr", {}, el("th", { scope: "row", text: "State" }), ...runs.map((run) => el("td", { text: this.train.told(run) }))),
          ...facts.map(([title, of]) => el("tr", {}, el("th", { scope: "row", text: title }), ...runs.map((run) => el("td", { text: Number.isFinite(of(run)) ? short(of(run)) : "–" })))),
          ...names.map((name) => el("tr", {}, el("th", { scope: "row", text: named(name), title: means(name) }), ...runs.map((run) => cell(run.card?.figures?.[name])))),
        ),
      );
      const made = (run) => run.sheets.filter((one) => one.name === "card-made").map((one) => one.url);
      const last = (run) => (made(run).length ? { pictures: made(run) } : run.samples.at(-1));
      const columns = el("div", { class: "trn-columns" }, ...runs.map((run) => el("figure", {}, el("figcaption", { text: run.name, dir: "auto" }), ...(last(run)?.pictures || []).map((src) => el("img", { src, alt: `Sample of ${run.name}`, loading: "lazy" })))));
      fill(this.body, columns, el("div", { class: "trn-scroll", tabindex: "0", role: "group", "aria-label": "Table" }, table), this.curves(runs));
    }
  };
})();
