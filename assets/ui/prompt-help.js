// Beside the prompt: words that installed models offer. Nothing is put into the prompt before a person takes it.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;
  const LOOK = 400; // ms between two questions whether the answer is there

  const asked = async (path, given = null) => {
    const options = given ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) } : { cache: "no-store" };
    const reply = await fetch(`/atelier/words/${path}`, options).catch(() => null);
    const told = reply ? await reply.json().catch(() => ({})) : { error: "The studio does not answer." };
    if (!reply?.ok || told.error) throw new Error([told.error, told.hint].filter(Boolean).join(" ") || "That did not work.");
    return told;
  };

  class PromptHelp {
    constructor(element, panel) {
      this.panel = panel;
      this.able = {};
      this.node = element.querySelector(".bd-widget") || element;
      addEventListener("atelier:describe", ({ detail }) => detail.panel === panel && this.describe(detail.sha256));
      addEventListener("atelier:models", () => this.learn());
      this.learn();
    }
    get input() {
      return document.querySelector(`#${CSS.escape(this.panel)}-prompt textarea`);
    }
    async learn() {
      this.able = await asked("able").catch(() => ({}));
      if (!this.busy) this.paint();
    }
    paint(...below) {
      const { captioner, writer } = this.able;
      const file = el("input", { type: "file", accept: "image/*", class: "bd-file", "aria-label": "Picture to describe", onchange: (event) => event.target.files[0] && this.upload(event.target.files[0]) });
      const picture = !captioner ? null : el("label", { class: "bd-button bd-describe", "data-takes-files": true, title: `Words for a picture, by ${captioner}: choose one, or drop it here` }, file, atelier.icon("start"), el("span", { class: "bd-word", text: "From a picture" }));
      picture?.addEventListener("dragover", (event) => event.preventDefault());
      picture?.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) this.upload(event.dataTransfer.files[0]);
      });
      const expand = !writer ? null : button("page", "Suggest more words", () => this.expand());
      if (expand) expand.title = `The prompt at more length, by ${writer}`;
      const tools = [picture, expand].filter(Boolean);
      this.node.replaceChildren(...(tools.length ? [el("div", { class: "bd-helptools" }, ...tools)] : []), ...below);
    }
    say(text, kind = "bd-quiet") {
      this.paint(el("div", { class: kind, role: kind === "bd-problem" ? "alert" : "status", dir: "auto", text }));
    }
    async upload(file) {
      this.say(`Reading ${file.name}…`);
      const answer = await atelier.upload(file, file.name, "source");
      if (answer.sha256) return this.describe(answer.sha256);
      this.say([answer.error, answer.hint].filter(Boolean).join(" "), "bd-problem");
    }
    describe(sha256) {
      return this.ask("describe", { sha256 });
    }
    expand() {
      return this.ask("expand", { prompt: this.input.value });
    }
    async ask(path, given) {
      const mine = (this.busy = {});
      this.say("Asking the model…");
      this.node.scrollIntoView({ block: "nearest" });
      try {
        const { job } = await asked(path, given);
        let told = await asked(`answer/${job}`);
        while (told.waiting && this.busy === mine) {
          await new Promise((go) => setTimeout(go, LOOK));
          told = await asked(`answer/${job}`);
        }
        if (this.busy === mine) this.offer(told.text);
      } catch (error) {
        if (this.busy === mine) this.say(error.message, "bd-problem");
      }
      if (this.busy === mine) this.busy = null;
    }
    offer(text) {
      const put = (words) => {
        atelier.write(this.input, words);
        this.paint();
        this.input.focus();
      };
      const before = () => this.input.value.trim();
      this.paint(
        el("div", { class: "bd-offer", role: "group", "aria-label": "Suggested words" },
          el("p", { dir: "auto", text }),
          el("div", { class: "bd-offerfoot" },
            button("pick", "Use", () => put(text)),
            before() && button("plus", "Add", () => put(`${before()}, ${text}`)),
            button("close", "Leave", () => this.paint(), { bare: true }))));
    }
  }

  atelier.promptHelp = (element, props) => new PromptHelp(element, props.value.panel);
})();
