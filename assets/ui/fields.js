// The page side of the small widgets around a form: problems under fields, notes under a prompt, the start picture.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;

  const mountOf = (element) => element.querySelector(".bd-widget") || element;
  const inputOf = (id) => document.querySelector(`#${CSS.escape(id)} :is(textarea, input)`);

  /** Write into a field as a person would, so that gradio hears of it. */
  const write = (input, text) => {
    const kind = input instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  atelier.write = write;

  /** The one message about the form: under its field, or where the widget stands. */
  atelier.problem = (element, props, trigger, watch) => {
    const id = `${element.id || element.closest("[id]").id}-text`;
    const paint = () => {
      const { field, message, hint } = props.value || {};
      document.getElementById(id)?.remove();
      document.querySelectorAll(`[aria-describedby="${id}"]`).forEach((input) => {
        input.removeAttribute("aria-describedby");
        input.removeAttribute("aria-invalid");
      });
      if (!message) return;
      const text = el("div", { id, class: "bd-problem", role: "alert", dir: "auto" }, el("b", { text: message }), ` ${hint || ""}`);
      const host = field && document.getElementById(field);
      if (!host) {
        mountOf(element).replaceChildren(text);
        return;
      }
      for (let fold = host.closest(".accordion, details, .block"); fold; fold = fold.parentElement?.closest(".accordion, details, .block")) {
        const label = fold.querySelector(":scope > button.label-wrap:not(.open)");
        if (label) label.click();
      }
      const row = host.clientWidth < 240 && host.closest(".row");
      if (row) row.after(text); // a column as narrow as its field would be a word a line
      else host.append(text);
      const input = document.querySelector(`#${CSS.escape(field)} input:checked`) || inputOf(field);
      if (input) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", id);
        input.focus({ preventScroll: true });
        host.addEventListener("input", () => text.isConnected && ((props.value = {}), paint()), { once: true }); // it may be right now
      }
      text.scrollIntoView({ block: "nearest" });
    };
    watch("value", paint);
    paint();
  };

  class PromptNotes {
    constructor(element, props, trigger) {
      this.element = element;
      this.props = props;
      this.trigger = trigger;
      this.at = -1; // in the history; -1 is what is being written
      document.addEventListener("input", (event) => this.typed(event));
      document.addEventListener("keydown", (event) => this.key(event));
      document.addEventListener("change", (event) => this.chosen(event)); // another mode reads the words otherwise
      document.addEventListener("click", (event) => event.target instanceof Element && event.target.closest(`#${this.panel}-go`) && this.keep());
      this.paint();
      setTimeout(() => this.input?.value && this.note(this.input.value), 600); // typed or put back before this was here
    }
    note(prompt) {
      this.trigger("act", { do: "notes", prompt });
    }
    get panel() {
      return this.props.value.prompt.replace(/-prompt$/, "");
    }
    /** As they were typed in this browser, newest first: a job knows its words without LoRAs and wildcards. */
    get typedBefore() {
      try {
        return JSON.parse(localStorage.getItem(`atelier-${this.panel}-typed`) || "[]").map(String);
      } catch {
        return []; // no storage, or not ours
      }
    }
    keep() {
      const text = this.input?.value.trim();
      if (!text || text.length > 4000) return;
      try {
        localStorage.setItem(`atelier-${this.panel}-typed`, JSON.stringify([...new Set([text, ...this.typedBefore])].slice(0, 50)));
      } catch {
        // no storage: the jobs' own words are there still
      }
    }
    /** Earlier prompts, newest first: those of this session are known to the board before any answer comes. */
    get history() {
      const typed = this.typedBefore;
      const bare = new Set(typed.map((text) => text.replace(/<lora:[^>]*>/g, "").trim()));
      const jobs = atelier.boards?.get(this.panel)?.data.jobs || [];
      const fresh = jobs.map((job) => job.prompt).filter(Boolean).reverse();
      return [...typed, ...new Set([...fresh, ...(this.props.value.history || [])].filter((text) => !bare.has(text.trim())))];
    }
    get input() {
      return inputOf(this.props.value.prompt);
    }
    typed(event) {
      if (event.target !== this.input) return;
      if (!this.moving) this.at = -1;
      this.paintChange();
      this.noteSoon();
    }
    chosen(event) {
      const panel = this.element.closest("[role=tabpanel]");
      if (event.target.type === "radio" && this.input?.value && panel?.contains(event.target)) this.noteSoon();
    }
    noteSoon() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.input && this.note(this.input.value), 350);
    }
    /** Arrow up at the very start of the field goes back in the history, arrow down at its end forward again. */
    key(event) {
      const input = this.input;
      if (event.target !== input || event.ctrlKey || event.altKey || event.shiftKey) return;
      const { history } = this;
      const up = event.key === "ArrowUp" && input.selectionStart === 0 && input.selectionEnd === 0;
      const down = event.key === "ArrowDown" && input.selectionStart === input.value.length && this.at >= 0;
      if (!up && !down) return;
      const next = this.at + (up ? 1 : -1);
      if (next >= history.length) return;
      event.preventDefault();
      if (this.at === -1) this.draft = input.value;
      this.at = next;
      this.put(next === -1 ? this.draft : history[next]);
      if (up) input.setSelectionRange(0, 0);
    }
    put(text) {
      this.moving = true;
      write(this.input, text);
      this.moving = false;
    }
    paint() {
      const { parent, note, kept, before, prompt } = this.props.value;
      this.change = el("div", { class: "bd-change" });
      this.menu = el("div", { class: "bd-history", hidden: true, role: "listbox", "aria-label": "Earlier prompts" });
      const opener = button("clock", "Earlier prompts", () => this.toggle(), { bare: true });
      const extra = kept && kept.params && kept.params.variation_strength;
      const known = parent && [...atelier.boards.values()].map((board) => board.entryOf(parent)).find(Boolean);
      const textual = known ? !known.take.thumb : prompt === "text-prompt" && before; // a text of the library has no picture either
      mountOf(this.element).replaceChildren(
        el("div", { class: "bd-notes" },
          el("div", { class: "bd-note", dir: "auto", text: note || "" }),
          opener),
        this.menu,
        ...(parent ? [el("div", { class: "bd-branch" },
          textual ? atelier.icon("page") : el("img", { src: `/atelier/thumbs/${encodeURIComponent(parent)}`, alt: "The take it branches from" }),
          el("div", {}, el("span", { class: "bd-quiet", text: extra ? "Branches from this take and keeps its variation." : "Branches from this take." }), this.change),
          button("close", "No longer a branch", () => this.trigger("act", { do: "detach" }), { bare: true }))] : []),
      );
      this.paintChange();
    }
    paintChange() {
      if (!this.change || !this.input) return;
      const { before } = this.props.value;
      const now = this.input.value;
      this.change.replaceChildren(...(before && now !== before ? [atelier.diff(atelier.wordDiff(before, now))] : []));
    }
    toggle() {
      this.menu.hidden = !this.menu.hidden;
      if (this.menu.hidden) return;
      const options = this.history.map((text) =>
        el("button", { type: "button", role: "option", "aria-selected": "false", dir: "auto", title: text, text, onclick: () => {
          this.menu.hidden = true;
          this.put(text);
          this.input.focus();
        } }));
      this.menu.replaceChildren(...options);
      if (!options.length) this.menu.append(el("span", { class: "bd-quiet", text: "No prompts yet." }));
      options[0]?.focus();
    }
  }

  atelier.promptNotes = (element, props, trigger, watch) => {
    const notes = new PromptNotes(element, props, trigger);
    let parent = null;
    watch("value", () => {
      notes.paint();
      const now = props.value.parent;
      if (now && now !== parent) {
        notes.input.focus();
        notes.input.setSelectionRange(notes.input.value.length, notes.input.value.length);
      }
      parent = now;
    });
  };

  /** What each model of a panel wants in the fields; `wished` keeps what is there where a model wishes nothing. */
  const wishes = {};
  const lacking = {}; // by panel: actions of its board that nothing installed can do
  atelier.modelWishes = (element, props, trigger, watch) => {
    const keep = () => {
      const { panel } = props.value;
      wishes[panel] = props.value.models;
      lacking[panel] = props.value.lacking || [];
      atelier.showFields?.(panel);
      atelier.boards?.get(panel)?.renderActions();
    };
    watch("value", keep);
    keep();
  };
  atelier.lacks = (panel, action) => (lacking[panel] || []).includes(action);
  atelier.wishOf = (panel, model) => (wishes[panel] || {})[model];
  atelier.wished = (panel, names, model, ...now) => {
    const wanted = (wishes[panel] || {})[model] || {};
    return names.map((name, k) => wanted[name] ?? now[k]);
  };

  const PASSAGES = [
    ["rewrite", "Rewrite", "The selection, anew"],
    ["shorten", "Shorten", "The selection, shorter"],
    ["expand", "Expand", "The selection, longer"],
    ["insert", "Insert here", "Something new at the cursor"],
  ];
  /** The tools of a notebook act on what is selected in the panel's prompt, or where the cursor stood last. */
  atelier.notebookTools = (element, props, trigger, watch) => {
    let [start, end] = [0, 0];
    document.addEventListener("selectionchange", () => {
      const input = inputOf(`${props.value.panel}-prompt`);
      if (input && document.activeElement === input) [start, end] = [input.selectionStart, input.selectionEnd];
    });
    const paint = () => {
      const tools = PASSAGES.map(([how, word, title]) =>
        el("button", { type: "button", class: "bd-button bd-passage", title, text: word, onclick: () => trigger("act", { do: "passage", how, start: how === "insert" ? end : start, end }) }));
      mountOf(element).replaceChildren(...(props.value.shown ? [el("div", { class: "bd-passages", role: "toolbar", "aria-label": "Passage" }, ...tools)] : []));
    };
    watch("value", paint);
    paint();
  };

  /** Under a place for a picture: one that is in the library already. */
  const fromLibrary = (find) => button("start", "From the library", find, { kind: "bd-fromlibrary" });
  atelier.fromLibrary = fromLibrary;

  atelier.startPicture = (element, props, trigger, watch) => {
    const set = (value) => {
      props.value = value;
      paint();
    };
    const paintMask = () => {
      const { sha256, mask, name } = props.value;
      new atelier.Painter(sha256, mask, (painted) => set({ sha256, mask: painted, name }));
    };
    /** Laid over the picture, to be looked at and gone on with. */
    const findMask = async () => {
      const { sha256, name } = props.value;
      const chosen = await window.atelier.choosePicture("A mask: what is light in it is made new");
      if (chosen) new atelier.Painter(sha256, chosen.sha256, (painted) => set({ sha256, mask: painted, name }));
    };
    const upload = async (file) => {
      const host = mountOf(element);
      host.querySelector(".bd-dropname").textContent = `Reading ${file.name}…`;
      const answer = await atelier.upload(file, file.name, "init_image");
      if (answer.sha256) {
        set({ sha256: answer.sha256, mask: null, name: file.name });
        return trigger("act", { sha256: answer.sha256 });
      }
      paint([answer.error, answer.hint].filter(Boolean).join(" ") || "That file cannot be used.");
    };
    const empty = (problem) => {
      const input = el("input", { type: "file", accept: "image/*", class: "bd-file", "aria-label": "Start picture", onchange: (event) => event.target.files[0] && upload(event.target.files[0]) });
      const zone = el("label", { class: "bd-drop", "data-takes-files": true }, input, atelier.icon("start"), el("span", { class: "bd-dropname", text: "Drop a picture, or choose one" }));
      zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
      zone.addEventListener("dragleave", () => zone.classList.remove("over"));
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        if (event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
      });
      const find = async () => {
        const chosen = await window.atelier.choosePicture("A picture to begin with");
        if (!chosen) return;
        set({ ...chosen, mask: null });
        trigger("act", { sha256: chosen.sha256 });
      };
      return [zone, fromLibrary(find), problem && el("div", { class: "bd-problem", role: "alert", dir: "auto", text: problem })];
    };
    const filled = ({ sha256, mask, name }) => [
      el("div", { class: "bd-started" },
        el("img", { src: `/atelier/thumbs/${encodeURIComponent(sha256)}`, alt: name || "Start picture" }),
        el("div", {},
          el("div", { class: "bd-quiet", dir: "auto", text: mask ? "Only the masked part is made new." : name || "The new picture begins with this one." }),
          button("inpaint", mask ? "Paint another mask" : "Paint a mask", () => paintMask(), { kind: "do-mask" }),
          button("start", "Mask from the library", findMask),
          button("close", "Remove", () => set({ sha256: null, mask: null, name: "" })))),
    ];
    const paint = (problem = "") => {
      const value = props.value || {};
      mountOf(element).replaceChildren(...(value.sha256 ? filled(value) : empty(typeof problem === "string" ? problem : "")).filter(Boolean));
    };
    watch("value", () => {
      paint();
      if (props.value && props.value.paint) paintMask();
    });
    paint();
  };
})();
