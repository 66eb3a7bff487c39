// What a board does with texts: open a draft up and branch at a word, edit and merge, export, hand on.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, notice } = atelier;

  const POLL = 300; // ms
  const DOUBT = 0.05; // a token less likely than this was a surprise to the model

  const post = async (path, data) => {
    const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
    const answer = await reply.json().catch(() => ({}));
    if (!reply.ok || answer.error) throw new Error([answer.error, answer.hint].filter(Boolean).join(" ") || `The studio answered ${reply.status}.`);
    return answer;
  };
  const percent = (chance) => (chance >= 0.0995 ? `${Math.round(chance * 100)} %` : chance >= 0.001 ? `${(chance * 100).toFixed(1)} %` : "< 0.1 %");
  /** A token as a person can see it: spaces and line ends are shown. */
  const visible = (text) => text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replace(/^ /, "␣") || "∅";

  const sheet = (board, label, kind) => {
    const dialog = el("dialog", { class: `bd-dialog bd-wide ${kind}`, "aria-label": label });
    dialog.addEventListener("close", () => dialog.remove());
    board.root.append(dialog);
    dialog.showModal();
    return dialog;
  };
  const head = (title, dialog, ...more) =>
    el("div", { class: "bd-bar" }, el("h2", { text: title }), el("span", { class: "bd-spring" }), ...more, button("close", "Close", () => dialog.close(), { bare: true, key: "Esc" }));

  /** A draft with its words coloured by how likely the model held them; a word's alternatives, each a branch. */
  class OpenedUp {
    constructor(board, entry) {
      this.board = board;
      this.entry = entry;
      this.at = -1;
      this.dialog = sheet(board, "Open up", "bd-openup");
      this.words = el("div", { class: "bd-tokens", dir: "auto", role: "group", "aria-label": "The text, word by word" });
      this.side = el("aside", { class: "bd-odds", "aria-live": "polite" });
      this.dialog.append(
        head(`Open up: take ${entry.take.index + 1}`, this.dialog, button("right", "Next doubt", () => this.nextDoubt(), { key: "n" })),
        el("div", { class: "bd-openupbody" }, this.words, this.side),
      );
      this.words.append(el("p", { class: "bd-quiet", text: "The model reads its draft again…" }));
      this.dialog.addEventListener("keydown", (event) => this.key(event));
      this.ask().catch((error) => this.words.replaceChildren(el("p", { class: "bd-problem", role: "alert", text: error.message })));
    }

    async ask() {
      const path = "/atelier/text/odds";
      let answer = await post(path, { sha256: this.entry.take.sha256 });
      while (!answer.tokens && this.dialog.isConnected) {
        await new Promise((done) => setTimeout(done, POLL));
        answer = await post(path, { sha256: this.entry.take.sha256 });
      }
      if (answer.tokens) this.show(answer);
    }

    show({ tokens, bits_a_byte: bits, copied }) {
      this.tokens = tokens;
      this.spans = tokens.map((token, at) => {
        const span = el("span", { class: `bd-token ${token.given ? "given" : ""} ${token.copied ? "copied" : ""}`, role: "button", tabindex: "-1", text: token.text, "data-at": at });
        if (!token.given) span.style.setProperty("--doubt", String(Math.min(1, -Math.log(Math.max(token.chance, 1e-4)) / 9.2).toFixed(3)));
        span.setAttribute("aria-label", `${token.text.trim() || visible(token.text)}, ${token.given ? "given" : percent(token.chance)}${token.copied ? ", stands in your texts" : ""}`);
        span.addEventListener("click", () => this.choose(at));
        return span;
      });
      this.words.replaceChildren(...this.spans);
      const own = tokens.filter((token) => !token.given);
      const doubts = own.filter((token) => token.chance < DOUBT).length;
      this.summary = [
        el("p", { class: "bd-quiet", text: "Pale words were expected, strong ones surprised the model. Choose a word to see what else could have stood there." }),
        el("p", { text: `${own.length} tokens · ${doubts} of them below ${DOUBT * 100} %${typeof bits === "number" ? ` · ${bits.toFixed(2)} bits a byte` : ""}` }),
        copied ? el("p", { class: "bd-hint" }, atelier.icon("info"), el("span", { text: `The underlined passage repeats ${copied} characters of the texts that the model was taught.` })) : "",
      ];
      this.side.replaceChildren(...this.summary);
      this.spans[0]?.setAttribute("tabindex", "0");
    }

    choose(at) {
      if (!this.spans || !this.spans[at]) return;
      this.spans[this.at]?.classList.remove("here");
      this.at = at;
      const span = this.spans[at];
      for (const other of this.spans) other.tabIndex = -1;
      span.tabIndex = 0;
      span.classList.add("here");
      span.focus();
      span.scrollIntoView({ block: "nearest" });
      this.side.replaceChildren(...this.summary, ...this.odds(this.tokens[at], at));
    }

    odds(token, at) {
      if (token.given) return [el("p", { text: "This was given, not chosen by the model." })];
      const rows = [{ id: token.id, text: token.text, chance: token.chance }, ...token.alternatives.filter((other) => other.id !== token.id)];
      return [
        el("h3", { text: `“${visible(token.text)}” was number ${token.rank}, ${percent(token.chance)}` }),
        el("ol", { class: "bd-alternatives" }, ...rows.map((other, k) => el("li", {},
          el("button", { type: "button", class: `bd-alternative ${k ? "" : "own"}`, disabled: k === 0, "aria-label": k ? `Branch with ${visible(other.text)}, ${percent(other.chance)}` : `${visible(other.text)}, as it stands`, onclick: () => this.branch(at, other.id) },
            el("i", { style: { width: `${Math.max(1, other.chance * 100)}%` } }),
            el("span", { text: visible(other.text), dir: "auto" }),
            el("b", { text: percent(other.chance) }))))),
        el("p", { class: "bd-quiet", text: "Choosing one keeps the text up to here and goes on from it." }),
      ];
    }

    branch(at, token) {
      this.dialog.close();
      this.board.ask("branch", this.entry, { tokens: [...this.tokens.slice(0, at).map(({ id }) => id), token] });
      this.board.say("Asking for branches…");
    }

    nextDoubt() {
      if (!this.tokens) return;
      const found = this.tokens.findIndex((token, at) => at > this.at && !token.given && token.chance < DOUBT);
      if (found >= 0) this.choose(found);
      else if (this.at >= 0) {
        this.at = -1;
        this.nextDoubt();
      }
    }

    key(event) {
      if (event.target.closest("button, input, textarea") || !this.spans) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        this.choose(Math.max(0, Math.min(this.spans.length - 1, this.at + (event.key === "ArrowRight" ? 1 : -1))));
      } else if (event.key === "Enter") this.choose(Number(event.target.dataset.at));
      else if (event.key === "n") this.nextDoubt();
    }
  }

  /** Sentences, or lines where a text is made of lines, each with the space behind it. */
  const sentences = (text) => {
    const lines = text.split(/(?<=\n)/);
    if (lines.length > 6 && text.length / lines.length < 70) return lines.filter((line) => line.trim());
    return text.split(/(?<=[.!?…]["”’')]?\s+)|(?<=\n\n)/).filter((part) => part.trim());
  };

  /** One text from several drafts, sentence by sentence; or one draft edited by hand. */
  class Merge {
    constructor(board, entries) {
      this.board = board;
      this.entries = entries;
      this.dialog = sheet(board, entries.length > 1 ? "Merge drafts" : "Edit the text", "bd-merge");
      this.text = el("textarea", { class: "bd-merged", "aria-label": "The new text", dir: "auto", spellcheck: "true" });
      this.keep = button("pick", "Keep as a new draft", () => this.send(), { kind: "primary" });
      this.problem = el("p", { class: "bd-problem", role: "alert", hidden: true });
      this.columns = el("div", { class: "bd-mergefrom" });
      this.dialog.append(
        head(entries.length > 1 ? `Merge ${entries.length} drafts` : `Edit take ${entries[0].take.index + 1}`, this.dialog),
        entries.length > 1 ? el("p", { class: "bd-quiet", text: "Click sentences in the order in which you want them; then change what you like." }) : "",
        el("div", { class: "bd-mergebody", "data-many": entries.length > 1 || null }, entries.length > 1 ? this.columns : "", el("div", { class: "bd-mergeto" }, this.text, this.problem, this.keep)),
      );
      this.read();
    }

    async read() {
      try {
        const texts = await Promise.all(this.entries.map(({ take }) => atelier.readText(take)));
        if (texts.length === 1) this.text.value = texts[0];
        else this.columns.replaceChildren(...texts.map((text, k) => this.column(text, this.entries[k])));
        this.text.focus();
      } catch (error) {
        this.fail(error);
      }
    }

    column(text, entry) {
      const parts = sentences(text).map((part) => {
        const chip = el("button", { type: "button", class: "bd-sentence", dir: "auto", text: part.trim(), onclick: () => this.add(part, chip) });
        return chip;
      });
      return el("section", {}, el("h3", { text: `Take ${entry.take.index + 1}` }), ...parts);
    }

    add(part, chip) {
      const field = this.text;
      const before = field.value.slice(0, field.selectionEnd);
      const after = field.value.slice(field.selectionEnd);
      const gap = before && !/\s$/.test(before) ? " " : "";
      const piece = /\n\s*$/.test(part) ? `${part.trimEnd()}\n` : part.trim();
      field.value = `${before}${gap}${piece}${after && !/^\s/.test(after) ? " " : ""}${after}`;
      field.selectionStart = field.selectionEnd = before.length + gap.length + piece.length;
      chip.classList.add("used");
    }

    async send() {
      this.keep.disabled = true;
      try {
        await post("/atelier/text/keep", { shas: this.entries.map(({ take }) => take.sha256), text: this.text.value, panel: this.board.panel });
        this.dialog.close();
        this.board.clear();
        this.board.poke();
      } catch (error) {
        this.fail(error);
      }
      this.keep.disabled = false;
    }

    fail(error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }

  const FORMATS = [
    ["txt", "Plain text", "only the words"],
    ["md", "Markdown", "with the settings as front matter"],
    ["html", "Web page", "one file, with the settings"],
    ["docx", "Word document", "with the settings in its properties"],
  ];

  const SHORT = 400; // characters of a brief
  const short = (text) => {
    const plain = text.replace(/\s+/g, " ").trim();
    return plain.length > SHORT ? plain.slice(0, SHORT).replace(/\s\S*$/, "") : plain;
  };

  /** A dialog of a few large buttons: [name, what it means, what it does]. */
  const choose = (board, title, ways) => {
    const dialog = el("dialog", { class: "bd-dialog", "aria-label": title });
    const way = ([name, what, run]) =>
      el("button", { type: "button", class: "bd-button bd-format", onclick: () => (dialog.close(), run()) }, el("b", { text: name }), el("span", { class: "bd-quiet", text: what }));
    dialog.append(el("h2", { text: title }), ...ways.map(way), el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() })));
    dialog.addEventListener("close", () => dialog.remove());
    board.root.append(dialog);
    dialog.showModal();
  };

  Object.assign(atelier.Board.prototype, {
    openUp(entry) {
      new OpenedUp(this, entry);
    },

    merge(entries) {
      if (entries.length && entries.every(({ take }) => take.sha256)) new Merge(this, entries.slice(0, 8));
    },

    mergeChosen() {
      if (!(this.options.actions || []).includes("merge")) return;
      if (this.chosen.size > 1) this.merge([...this.chosen].map((key) => this.entries.get(key)));
      else notice(this.root, "Select 2 to 8 drafts to merge: Space or the circle on a draft.");
    },

    async copyText(entry) {
      try {
        await navigator.clipboard.writeText(await atelier.readText(entry.take));
        notice(this.root, "Copied.");
      } catch (error) {
        notice(this.root, `Nothing was copied: ${error.message}`);
      }
    },

    async sendToImage(entry) {
      atelier.send("image", { text: short(await atelier.readText(entry.take)), sha256: entry.take.sha256 });
    },

    async sendToMusic(entry) {
      const text = await atelier.readText(entry.take);
      const sha256 = entry.take.sha256;
      choose(this, "Send to Music", [
        ["As lyrics", "the words are sung", () => atelier.send("music", { text, lyrics: true, sha256 })],
        ["As a mood", "the words are the brief of a piece", () => atelier.send("music", { text: short(text), sha256 })],
      ]);
    },

    async sendToDesign(entry) {
      const { take, job } = entry;
      if (atelier.kind(take) !== "text" || !take.media_type.startsWith("text/")) return atelier.sendToDesign(take, job.prompt);
      const text = short(await atelier.readText(take));
      choose(this, "Send to Design", [
        ["As a brief", "the words of a shape, a pattern or a drawing", () => atelier.send("design", { text, sha256: take.sha256 })],
        ["Into the tray", "for a concept sheet", () => atelier.sendToDesign(take, job.prompt)],
      ]);
    },

    exportAs(entry) {
      const dialog = el("dialog", { class: "bd-dialog", "aria-label": "Export" });
      const link = ([format, name, what]) =>
        el("a", { class: "bd-button bd-format", href: `/atelier/text/export/${entry.take.sha256}?format=${format}`, download: "", onclick: () => setTimeout(() => dialog.close(), 50) },
          el("b", { text: name }), el("span", { class: "bd-quiet", text: what }));
      dialog.append(el("h2", { text: "Export" }), ...FORMATS.map(link), el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => dialog.remove());
      this.root.append(dialog);
      dialog.showModal();
    },
  });
})();
