// What a board does with music: hear, rework bars, change notes, export; and the notes that a piece begins with.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, icon, notice, player } = atelier;

  const FORMATS = [
    ["wav", "WAV", "sound, 16 bit"],
    ["flac", "FLAC", "sound, nothing lost"],
    ["ogg", "Ogg Vorbis", "sound, small"],
    ["mp3", "MP3", "sound, plays everywhere"],
    ["mid", "MIDI", "notes for other programs"],
    ["musicxml", "MusicXML", "score for notation programs"],
    ["abc", "ABC", "score as text"],
    ["svg", "Score as SVG", "the first page; all pages as a zip"],
    ["pdf", "Score as PDF", "to print"],
    ["stems", "Stems", "each part as WAV, in a zip"],
  ];
  const AUDIO = FORMATS.slice(0, 4);

  const exportTexts = atelier.Board.prototype.exportAs;

  const number = (name, label, value, min, max) =>
    el("label", {}, el("span", { text: label }), el("input", { type: "number", name, value, min, max, required: true }));

  Object.assign(atelier.Board.prototype, {
    hear(entry = this.entries.get(this.active)) {
      if (!entry || !entry.take.sha256) return;
      const large = this.view === "focus" && this.largePane?.media.sounding;
      if (large) return void large.hear();
      player.toggle(atelier.soundOf(entry.take)).catch((error) => notice(this.root, error.message));
    },

    changeNotes(entry) {
      if (atelier.kind(entry.take) !== "score") return void notice(this.root, "This take is a sound without notes.");
      this.focusEntry(entry.key);
      const open = () => (this.largePane?.media.sounding?.score ? this.largePane.media.sounding.startEditing() : setTimeout(open, 60));
      open();
    },

    /** Asks which bars, and what shall become of them. */
    async rework(entry) {
      if (atelier.kind(entry.take) !== "score") return void notice(this.root, "Only a take with notes can be reworked.");
      let told;
      try {
        told = await atelier.scoreOf(entry.take.sha256);
      } catch (error) {
        return void notice(this.root, error.message);
      }
      const bars = told.score.bars.length;
      const marked = (this.view === "focus" && this.largePane?.media.sounding?.roll?.bars) || [1, bars];
      const styles = this.options.styles || [];
      const kinds = [
        ["vary", "Vary", "these bars again, near to how they are"],
        ["fill", "Write anew", "these bars, to fit what stands around them"],
        ["continue", "Continue", "after the last bar"],
        ["harmonise", "Harmonise", "chords and bass under the melody"],
        ["restyle", "Change the style", "the outline of the melody stays"],
      ];
      const choice = ([name, label, what], k) =>
        el("label", { class: "mu-choice" }, el("input", { type: "radio", name: "how", value: name, checked: k === 0 }), el("b", { text: label }), el("span", { class: "bd-quiet", text: what }));
      const style = el("select", { name: "style" }, ...styles.map((one) => el("option", { value: one, text: one })));
      const strength = el("input", { type: "range", name: "strength", min: 0.1, max: 1, step: 0.1, value: 0.5, "aria-label": "How much changes" });
      const form = el("form", { method: "dialog" },
        el("h2", { text: `Rework take ${entry.take.index + 1}` }),
        el("div", { class: "mu-choices", role: "radiogroup", "aria-label": "What is done" }, ...kinds.map(choice)),
        el("div", { class: "mu-fields", "data-for": "vary fill" }, number("from_bar", "From bar", marked[0], 1, bars), number("to_bar", "to bar", marked[1], 1, bars)),
        el("div", { class: "mu-fields", "data-for": "continue" }, number("bars", "Bars more", 8, 1, 32)),
        el("div", { class: "mu-fields", "data-for": "vary" }, el("label", {}, el("span", { text: "How much changes" }), strength)),
        el("div", { class: "mu-fields", "data-for": "harmonise restyle" }, el("label", {}, el("span", { text: "Style" }), style)),
        number("count", "Takes", 3, 1, 8),
        el("div", { class: "bd-dialogfoot" },
          el("button", { type: "button", class: "bd-button", onclick: () => dialog.close(), text: "Cancel" }),
          el("button", { type: "submit", class: "bd-button primary", value: "go", text: "Make" })));
      const shape = () => {
        const how = new FormData(form).get("how");
        for (const part of form.querySelectorAll("[data-for]")) {
          part.hidden = !part.dataset.for.split(" ").includes(how);
          for (const field of part.querySelectorAll("input, select")) field.disabled = part.hidden && !part.dataset.for.includes(how);
        }
        for (const field of form.querySelectorAll("[data-for]:not([hidden]) :is(input, select)")) field.disabled = false;
      };
      form.addEventListener("change", shape);
      const dialog = el("dialog", { class: "bd-dialog mu-rework", "aria-label": "Rework" }, form);
      dialog.addEventListener("close", () => {
        if (dialog.returnValue === "go") {
          const given = Object.fromEntries(new FormData(form));
          for (const name of ["from_bar", "to_bar", "bars", "count", "strength"]) if (name in given) given[name] = Number(given[name]);
          this.ask("rework", entry, given);
          this.say("Asking for it…");
        }
        dialog.remove();
      });
      shape();
      this.root.append(dialog);
      dialog.showModal();
    },

    exportAs(entry) {
      if (!atelier.sounds(entry.take)) return exportTexts.call(this, entry);
      const score = atelier.kind(entry.take) === "score";
      const dialog = el("dialog", { class: "bd-dialog", "aria-label": "Export" });
      const loop = el("input", { type: "checkbox", id: `${this.panel}-export-loop` });
      const link = ([format, name, what]) =>
        el("button", { type: "button", class: "bd-button bd-format", "data-format": format, onclick: () => {
          const made = el("a", { href: `/atelier/music/export/${entry.take.sha256}?format=${format}${loop.checked ? "&loop=1" : ""}`, download: "" });
          dialog.append(made);
          made.click();
          setTimeout(() => dialog.close(), 60);
        } }, el("b", { text: name }), el("span", { class: "bd-quiet", text: what }));
      dialog.append(
        el("h2", { text: "Export" }),
        el("div", { class: "mu-formats" }, ...(score ? FORMATS : AUDIO).map(link)),
        score && el("label", { class: "mu-loopbox" }, loop, "Sound as a seamless loop"),
        el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => dialog.remove());
      this.root.append(dialog);
      dialog.showModal();
    },
  });

  // --- what a piece begins with: a file, or notes from a small keyboard

  const mountOf = (element) => element.querySelector(".bd-widget");
  const LOWEST = 55;
  const HIGHEST = 79;
  const MOST = 32; // notes
  const BLACK = new Set([1, 3, 6, 8, 10]);
  const TYPED = "awsedftgyhujkolp"; // as on a piano from C4 on
  const LENGTHS = [["half", "½", 2], ["quarter", "¼", 1], ["eighth", "⅛", 0.5]];

  /** value: {sha256, name, notes: [[pitch, quarters], ...]}. A file is taken in at once; notes when Generate is pressed. */
  atelier.startScore = (element, props, trigger, watch) => {
    let length = 1;
    const set = (value) => {
      props.value = { sha256: null, name: "", notes: [], ...value };
      paint();
    };
    const upload = async (file) => {
      try {
        const answer = await window.atelier.upload(file, "beginning");
        if (answer.media_type !== "audio/midi") throw new Error(`${file.name} holds no notes. Give a MIDI, MusicXML or ABC file.`);
        set({ sha256: answer.sha256, name: file.name });
      } catch (error) {
        paint(error.message);
      }
    };
    const press = (pitch) => {
      const notes = props.value.notes || [];
      player.tone(pitch);
      if (notes.length < MOST) set({ notes: [...notes, [pitch, length]] });
    };
    const keyboard = () => {
      const keys = el("div", { class: "mu-keys", role: "group", "aria-label": "Keyboard" });
      let white = 0;
      for (let pitch = LOWEST; pitch <= HIGHEST; pitch++) {
        const black = BLACK.has(pitch % 12);
        const key = el("button", { type: "button", class: black ? "black" : "white", "aria-label": atelier.pitchName(pitch), title: atelier.pitchName(pitch), "data-pitch": pitch, onclick: () => press(pitch) });
        key.style.setProperty("--at", String(black ? white : white++));
        keys.append(key);
      }
      keys.style.setProperty("--whites", String(white));
      keys.addEventListener("keydown", (event) => {
        const at = TYPED.indexOf(event.key);
        if (at < 0 || event.ctrlKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation();
        press(60 + at);
      });
      return keys;
    };
    const empty = (problem) => {
      const { notes = [] } = props.value || {};
      const input = el("input", { type: "file", accept: ".mid,.midi,.musicxml,.xml,.mxl,.abc,.krn", class: "bd-file", "aria-label": "A score to begin with", onchange: (event) => event.target.files[0] && upload(event.target.files[0]) });
      const zone = el("label", { class: "bd-drop", "data-takes-files": true }, input, icon("note"), el("span", { class: "bd-dropname", text: "MIDI, MusicXML or ABC file" }));
      zone.addEventListener("dragover", (event) => event.preventDefault());
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
      });
      const lengths = el("div", { class: "mu-lengths", role: "group", "aria-label": "Length of the next note" }, ...LENGTHS.map(([name, sign, quarters]) =>
        el("button", { type: "button", class: "bd-button", "aria-label": name, "aria-pressed": String(length === quarters), text: sign, onclick: () => ((length = quarters), paint()) })));
      const played = el("div", { class: "mu-played", dir: "ltr" }, notes.length
        ? el("span", { text: notes.map(([pitch, quarters]) => `${atelier.pitchName(pitch)}${quarters === 2 ? "½" : quarters === 0.5 ? "⅛" : ""}`).join(" ") })
        : el("span", { class: "bd-quiet", text: "Play some notes: the piece begins with them." }));
      return [zone, el("div", { class: "mu-keybar" }, lengths, el("span", { class: "bd-spring" }),
        button("undo", "Take the last note back", () => set({ notes: notes.slice(0, -1) }), { bare: true }),
        button("close", "No notes", () => set({}), { bare: true })), keyboard(), played,
      problem && el("div", { class: "bd-problem", role: "alert", dir: "auto", text: problem })];
    };
    const filled = ({ name }) => [
      el("div", { class: "mu-begun" }, icon("note"), el("span", { dir: "auto", text: name || "A take" }), button("close", "Remove", () => set({}), { bare: true })),
    ];
    const paint = (problem = "") => {
      const value = props.value || {};
      const focused = document.activeElement?.dataset?.pitch;
      mountOf(element).replaceChildren(...(value.sha256 ? filled(value) : empty(typeof problem === "string" ? problem : "")).filter(Boolean));
      if (focused) element.querySelector(`[data-pitch="${focused}"]`)?.focus();
    };
    watch("value", () => paint());
    paint();
  };
})();
