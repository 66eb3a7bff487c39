// The rail's foot on every page: device, queue, light and dark, help; and files that are dropped on the page.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, glyph, tool } = atelier;

  const railTool = (name, word, run, attributes = {}) =>
    el("button", { type: "button", class: "at-tool", "aria-label": word, title: word, onclick: run, ...attributes }, glyph(name), el("span", { class: "at-word", text: word }));

  const DTYPES = { float32: "fp32", bfloat16: "bf16", float16: "fp16" };

  class Queue {
    constructor() {
      this.open = false;
      this.known = "";
      this.count = el("span", { class: "at-count", hidden: true });
      this.opener = railTool("queue", "Queue", () => this.toggle(), { id: "queue-button", "aria-expanded": "false", "aria-controls": "queue" });
      this.opener.append(this.count);
      this.device = el("div", { class: "at-device", id: "device", title: "Where models run" }, el("b", { text: "…" }));
      this.list = el("ol", { "aria-label": "Jobs" });
      this.none = el("p", { class: "at-none", text: "Nothing waits. What you generate is worked off here, one after the other, even when this page is closed." });
      this.pause = tool("pause", "Pause", () => this.act(this.paused ? "resume" : "pause"), { bare: true });
      this.node = el(
        "section",
        { class: "at at-queue", id: "queue", role: "region", "aria-label": "Queue", tabindex: "-1", hidden: true },
        el("header", {}, el("h2", { text: "Queue" }), this.pause, tool("close", "Close", () => this.toggle(false), { bare: true })),
        this.none,
        this.list,
      );
      this.node.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        this.toggle(false);
      });
      addEventListener("pointerdown", (event) => {
        if (this.open && !this.node.contains(event.target) && !this.opener.contains(event.target)) this.toggle(false, false);
      });
      addEventListener("atelier:queue", () => this.poll());
      document.addEventListener("visibilitychange", () => document.hidden || this.poll());
      this.poll();
    }
    toggle(open = !this.open, focus = true) {
      this.open = open;
      this.node.hidden = !open;
      this.opener.setAttribute("aria-expanded", String(open));
      if (focus) (open ? this.node : this.opener).focus();
      if (open) this.poll();
    }
    async poll() {
      clearTimeout(this.timer);
      let pace = 6000;
      if (!document.hidden) {
        try {
          const state = await atelier.fetchJson("/atelier/queue");
          this.show(state);
          if (state.rev !== this.rev) dispatchEvent(new CustomEvent("atelier:changed"));
          this.rev = state.rev;
          pace = state.jobs.some((job) => job.state === "running") ? (this.open ? 700 : 2000) : this.open ? 2000 : 5000;
        } catch {
          this.lost();
        }
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.poll(), pace);
    }
    lost() {
      this.device.replaceChildren(el("b", { text: "offline" }));
      this.device.title = "The studio does not answer. Is it still running in its terminal?";
    }
    show(state) {
      this.paused = state.paused;
      const waiting = state.jobs.filter((job) => job.state === "queued" || job.state === "running");
      this.count.hidden = !waiting.length;
      this.count.textContent = String(waiting.length);
      this.opener.setAttribute("aria-label", waiting.length ? `Queue, ${waiting.length} ${waiting.length === 1 ? "job" : "jobs"}` : "Queue");
      const { device } = state;
      this.device.replaceChildren(el("b", { text: device ? device.kind.toUpperCase() : "…" }), el("span", { text: device ? DTYPES[device.dtype] || device.dtype : "idle" }));
      this.device.title = device ? `Models run on ${device.name} in ${device.dtype}` : "The device is chosen when the first model runs";
      this.pause.replaceChildren(glyph(state.paused ? "play" : "pause"));
      this.pause.title = state.paused ? "Go on with the queue" : "Pause: what runs goes on, nothing new begins";
      this.pause.setAttribute("aria-label", this.pause.title);
      this.none.hidden = state.jobs.length > 0;
      const now = JSON.stringify(state);
      if (now === this.known || !this.open) return;
      this.known = now;
      const focus = this.node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      this.list.replaceChildren(...state.jobs.map((job) => this.row(job, state.jobs)));
      if (focus) this.list.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
    }
    row(job, all) {
      const queued = all.filter((other) => other.state === "queued");
      const place = queued.findIndex((other) => other.id === job.id);
      const move = (step) => {
        const near = queued[place + step];
        const far = queued[place + 2 * step];
        const position = far ? (near.position + far.position) / 2 : near.position + step;
        this.act("reorder", { job: job.id, position });
      };
      const bare = (name, word, run) => {
        const made = tool(name, word, run, { bare: true });
        made.dataset.key = `${job.id} ${name}`;
        return made;
      };
      const failed = job.state === "failed" || job.state === "interrupted";
      const how = { queued: state(place), running: running(job), failed: job.error, interrupted: job.error || "Interrupted." }[job.state] || job.state;
      const row = el(
        "li",
        { dataset: { state: job.state } },
        el("span", { class: "at-what", text: job.prompt || job.task, dir: "auto", title: job.prompt || job.task }),
        el("span", { class: `at-how ${failed ? "failed" : ""}`, text: how }),
        el(
          "span",
          { class: "at-do" },
          place > 0 ? bare("up", "Sooner", () => move(-1)) : null,
          place >= 0 && place < queued.length - 1 ? bare("down", "Later", () => move(1)) : null,
          failed ? bare("retry", "Try again", () => this.act("retry", { job: job.id })) : null,
          failed ? bare("close", "Dismiss", () => this.act("dismiss", { job: job.id })) : bare("close", job.state === "running" ? "Stop" : "Remove", () => this.act("cancel", { job: job.id })),
        ),
      );
      if (job.state === "running") row.append(el("progress", { max: job.steps || 1, value: job.steps ? job.step : null, "aria-label": "Progress" }));
      return row;
    }
    async act(action, data = {}) {
      try {
        await atelier.act(action, data);
      } catch (error) {
        atelier.failed(error);
      }
      this.poll();
    }
  }
  const state = (place) => (place === 0 ? "next" : `waits, number ${place + 1}`);
  const running = (job) => {
    const left = job.eta === null || job.eta === undefined ? "" : `, ${atelier.seconds(job.eta)} left`;
    return job.steps ? `step ${job.step} of ${job.steps}${left}` : job.message || "begins";
  };

  /** Sends one file; resolves to {sha256, url, thumb, name, restored}. */
  atelier.upload = (file, role = "upload") =>
    atelier.fetchJson(`/atelier/upload?${new URLSearchParams({ role, name: file.name })}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });

  const MODELS = /\.(safetensors|ckpt|gguf)$/i;
  /** What is offered of a file that carries no settings; a text goes into an empty notebook at once. */
  const offer = (file, answer) => {
    if (!answer.media_type.startsWith("text/")) return { label: "Use as start", run: () => openIn(answer) };
    const begun = document.querySelector("#text-prompt textarea")?.value.trim();
    if (atelier.panel() !== "text" || begun) return { said: "", label: "Put into the notebook", run: () => openIn(answer) };
    openIn(answer);
    return { said: "It stands in the notebook." };
  };
  const take = (atelier.take = async (file) => {
    if (MODELS.test(file.name)) {
      const said = `${file.name} is a model: give its path, or that of its folder, in Models, and it is used where it lies.`;
      return void atelier.toast(said, { kind: "failed", label: "Open Models", run: () => atelier.goTo("models") });
    }
    try {
      const answer = await atelier.upload(file);
      dispatchEvent(new CustomEvent("atelier:dropped", { detail: answer }));
      if (!answer.restored) {
        const { said = "It carries no settings.", ...next } = offer(file, answer);
        atelier.toast(`${file.name} is in the library. ${said}`.trim(), { kind: "good", ...next });
        return;
      }
      atelier.useSettings(answer);
      atelier.toast(`The settings of ${file.name} are back${answer.restored.source ? ` (from ${answer.restored.source})` : ""}.`, { kind: "good" });
    } catch (error) {
      atelier.failed(error);
    }
  });
  const DESIGNED = new Set("make_seamless recolour upscale depth_map pose_map materials cut_out vectorise palette mock_up print_pdf sheet text_to_shape vary_shape morph_shapes mix_shapes explore map_latents latent_directions mix_pictures walk_latents sprite_sheet terrain".split(" "));
  /** The panel in which works of this kind are made. */
  atelier.panelOf = ({ media_type: type, restored }) => {
    const request = restored?.request;
    if (DESIGNED.has(request?.task) || (request?.task === "text_to_image" && request.params?.tiling === "both")) return "design";
    if (/^model\/|svg|pdf|json|html/.test(type)) return "design";
    return type.startsWith("audio/") ? "music" : type.startsWith("text/") ? "text" : "image";
  };
  const hand = (event, item) => {
    const panel = atelier.panelOf(item);
    atelier.goTo(panel);
    const tell = () => dispatchEvent(new CustomEvent(event, { detail: { ...item, panel } }));
    const once = (tries) => (tries && !window.atelierBoard?.boards?.has(panel) ? setTimeout(once, 60, tries - 1) : setTimeout(tell, 60));
    once(200); // a panel that is opened for the first time has no board yet
  };
  const openIn = (item) => hand("atelier:open", item);
  atelier.openIn = openIn;
  atelier.useSettings = (item) => hand("atelier:restored", item);

  const dropping = () => {
    const veil = el("div", { class: "at-drop", hidden: true, "aria-hidden": "true" }, glyph("drop"), el("span", { text: "Drop pictures, scores, sounds, shapes or texts here" }), el("small"));
    const purpose = () => (veil.lastChild.textContent = atelier.panel() === "train" ? "They are checked, mended in a copy and added to the data set." : "A file that carries its settings brings them back.");
    document.body.append(veil);
    let depth = 0;
    const files = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
    // fields of gradio that take files themselves keep theirs
    const theirs = (event) => event.target instanceof Element && event.target.closest("[data-testid=image], .image-container, .upload-container, [data-takes-files]");
    const leave = () => ((depth = 0), (veil.hidden = true));
    addEventListener("dragenter", (event) => files(event) && (depth++, purpose(), (veil.hidden = false)));
    addEventListener("dragleave", (event) => files(event) && --depth <= 0 && leave());
    addEventListener("dragover", (event) => files(event) && !theirs(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      leave();
      if (event.defaultPrevented || !files(event) || theirs(event)) return;
      event.preventDefault();
      for (const file of [...event.dataTransfer.files].slice(0, 20)) take(file);
    });
  };

  /** The open panel stands in the address: a reload comes back to it, and so does the browser's Back. */
  const addressing = () => {
    const asked = () => location.hash.slice(1);
    const keep = () => {
      const name = atelier.panel();
      if (name && name !== asked()) history.pushState(null, "", `#${name}`);
    };
    const first = () => {
      if (!atelier.panel()) return setTimeout(first, 50); // gradio has not drawn the tabs yet
      if (!asked() || !atelier.goTo(asked())) history.replaceState(null, "", `#${atelier.panel()}`);
      document.addEventListener("click", (event) => event.target instanceof Element && event.target.closest("[role=tab]") && setTimeout(keep, 0));
      addEventListener("popstate", () => asked() && atelier.goTo(asked()));
    };
    first();
  };

  const begin = () => {
    const queue = new Queue();
    const scheme = railTool("sun", "Theme", () => atelier.setScheme(atelier.dark() ? "light" : "dark"), { id: "theme-button" });
    const paint = () => {
      scheme.replaceChild(glyph(atelier.dark() ? "sun" : "moon"), scheme.firstChild);
      scheme.title = atelier.dark() ? "Light theme" : "Dark theme";
      scheme.setAttribute("aria-label", scheme.title);
    };
    addEventListener("atelier:scheme", paint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(paint, 0));
    paint();
    document.body.append(
      el("div", { class: "at-logo", "aria-hidden": "true" }, atelier.mark()),
      el("nav", { class: "at at-foot", "aria-label": "Studio" }, queue.device, queue.opener, scheme, railTool("shield", "Care", () => atelier.care(), { id: "care-button" }), railTool("help", "Help", () => atelier.help(), { id: "help-button" })),
      queue.node,
    );
    dropping();
    addressing();
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
  else begin();
})();
