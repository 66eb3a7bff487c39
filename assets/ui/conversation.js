// A conversation: which answer the next message goes on from, what was said so far over the drafts, and the card under
// the message that tells both. The turns come from the studio as the model gets them; they are shown as text only.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;

  const EXCERPT = 90; // characters of the answer in the card
  const ENDED = ["failed", "interrupted", "cancelled"];

  class Conversation {
    constructor(element, props, trigger) {
      this.host = element.querySelector(".bd-widget") || element;
      this.props = props;
      this.trigger = trigger;
      this.panel = props.value.panel;
      this.shown = props.value.shown;
      this.reply = null; // an answer that was chosen with Reply
      this.again = false; // what Generate writes is written already, with the turns of that time
      this.chat = null; // id of the brief whose answers are gone on from
      this.sent = null;
      this.threads = new Map(); // by job: its turns
      this.thread = el("ol", { class: "bd-thread", "aria-label": "The conversation so far", tabindex: "0", hidden: true });
      this.begins = el("div", { class: "bd-begins", hidden: true }, el("h2", { text: "A new conversation" }), el("p", { text: "Write the first message. What was said before stays on the board and in the library." }));
      this.find();
    }

    /** The board may be drawn later than this. */
    find() {
      this.board = atelier.boards?.get(this.panel);
      if (!this.board) return void setTimeout(() => this.find(), 50);
      this.board.root.insertBefore(this.thread, this.board.stage);
      this.board.stage.append(this.begins);
      this.board.element.addEventListener("atelier:drawn", () => this.look());
      this.look();
    }

    // --- what the studio says

    told({ mine, shown, reply, again, sent }) {
      if (mine) return;
      if (shown !== undefined) {
        this.turnTo = shown && !this.shown;
        this.shown = shown;
      }
      this.again = Boolean(again);
      if (reply) this.goOnFrom(reply);
      if (sent) {
        this.sent = sent;
        const { input } = this;
        if (input && input.value.trim() === sent.text.trim()) atelier.write(input, "");
      }
      this.look();
    }

    goOnFrom(sha256) {
      this.begun(null);
      this.reply = sha256;
      const entry = this.board.entryOf(sha256);
      if (!entry) return;
      this.pickedThen = this.picks(entry.brief);
      this.board.activate(entry);
      this.board.toGrid();
    }

    get input() {
      return document.querySelector(`#${CSS.escape(this.panel)}-prompt textarea`);
    }

    // --- the briefs of the board

    isChat(job) {
      if (job.task !== "edit_text") return job.settings.mode === "chat";
      const from = job.parent && this.board.entryOf(job.parent);
      return Boolean(from) && from.job !== job && this.isChat(from.job);
    }

    get chats() {
      return this.board.briefs.filter((brief) => this.isChat(brief.jobs[0]));
    }

    picks(brief) {
      return brief.entries.filter(({ take }) => take.picked).map(({ key }) => key).join();
    }

    /** The conversation that the next message belongs to: the one on the stage, else the one that was there last. */
    current() {
      const { chats, board } = this;
      const newest = chats[chats.length - 1] || null;
      if (newest && newest.id !== this.newest) {
        if (this.newest !== undefined) this.reply = this.start = null;
        this.again = false;
        this.newest = newest.id;
        this.chat = newest.id;
      }
      if (this.turnTo && board.data.rev !== undefined) {
        this.turnTo = false;
        if (newest && !chats.includes(board.brief) && !this.fresh) setTimeout(() => board.openBrief(newest.id));
      }
      if (this.fresh && board.brief && this.seen && (board.brief.id !== this.seen || board.view !== "grid")) this.begun(null);
      if (this.fresh) {
        this.seen = this.seen || board.brief?.id;
        return null;
      }
      this.seen = null;
      if (chats.includes(board.brief)) this.chat = board.brief.id;
      return chats.find((brief) => brief.id === this.chat) || newest;
    }

    /** Whether the next message begins afresh: after "New conversation" until something newer is there, also after a reload. */
    get fresh() {
      if (this.start === undefined || this.start === null) {
        try {
          if (this.start === undefined) this.start = localStorage.getItem(`atelier-${this.panel}-begins`) || null;
        } catch {
          this.start = null; // no storage: a reload goes on with the last conversation
        }
      }
      return Boolean(this.start) && this.start === this.newest;
    }

    begun(after) {
      this.start = after;
      try {
        localStorage.setItem(`atelier-${this.panel}-begins`, after || "");
      } catch {
        // no storage: the same until the page is left
      }
    }

    begin() {
      this.begun(this.newest || null);
      this.seen = this.board.brief?.id;
      this.reply = null;
      this.again = false;
      this.board.setView("grid");
      this.board.render();
      this.trigger("act", { do: "new" });
      this.input?.focus();
    }

    /** {entry, sha256} of the answer that is gone on from, {waiting} while it is written, {} where there is none. */
    answer(brief) {
      if (this.again) return {};
      if (this.reply) {
        const entry = this.board.entryOf(this.reply);
        if (entry && entry.brief === brief && this.picks(brief) === this.pickedThen) return { entry, sha256: this.reply };
        this.reply = null;
      }
      if (!brief) return {};
      const done = brief.entries.filter(({ take }) => take.sha256);
      const picked = done.filter(({ take }) => take.picked);
      const active = (among) => among.find(({ key }) => key === this.board.active);
      const entry = active(picked) || picked[picked.length - 1] || active(done) || done[done.length - 1];
      if (entry) return { entry, sha256: entry.take.sha256 };
      const [job] = brief.jobs;
      if (!ENDED.includes(job.state)) return { waiting: true };
      return job.parent ? { entry: this.board.entryOf(job.parent), sha256: job.parent } : {};
    }

    // --- drawing

    look() {
      if (!this.board) return;
      this.input?.setAttribute("dir", this.shown ? "auto" : "ltr"); // a message may be in any script
      const brief = this.current();
      const answer = this.answer(brief);
      this.giveBack();
      this.publish(answer);
      this.paintThread(answer);
      this.paintCard(answer);
    }

    /** A message that came to nothing stands in its field again, where nothing else was written meanwhile. */
    giveBack() {
      const job = this.sent && this.board.data.jobs.find(({ id }) => id === this.sent.job);
      if (!job || job.state === "queued" || job.state === "running") return;
      if (ENDED.includes(job.state) && !job.takes.some((take) => take.sha256) && this.input && !this.input.value) atelier.write(this.input, this.sent.text);
      this.sent = null;
    }

    publish({ sha256 = null, waiting = false }) {
      const now = { panel: this.panel, mine: true, answers: this.shown ? sha256 : null, waiting: this.shown && waiting };
      if (JSON.stringify(now) !== JSON.stringify(this.props.value)) this.props.value = now;
    }

    paintThread({ sha256 }) {
      const { board, shown } = this;
      const begins = shown && this.fresh;
      const on = !begins && board.view === "grid" && board.brief && this.isChat(board.brief.jobs[0]);
      board.root.classList.toggle("begins", begins);
      board.root.classList.toggle("talks", Boolean(on));
      this.begins.hidden = !begins;
      this.thread.hidden = !on;
      for (const [key, tile] of board.grid.tiles) {
        const entry = board.entries.get(key);
        tile.node.classList.toggle("answered", Boolean(shown && on && sha256 && board.brief.entries.length > 1 && entry && entry.take.sha256 === sha256));
      }
      if (on) this.fill(board.brief.jobs[0]);
    }

    async fill(job) {
      const turns = this.threads.get(job.id);
      if (this.painted !== job.id || (turns && !this.whole)) {
        this.painted = job.id;
        this.whole = Boolean(turns);
        const told = turns || [{ role: "user", content: job.prompt }];
        this.thread.replaceChildren(...told.map((turn) => this.turn(turn)));
        this.thread.scrollTop = this.thread.scrollHeight;
      }
      if (turns || this.asking === job.id) return;
      this.asking = job.id;
      try {
        const reply = await fetch(`/atelier/text/thread/${encodeURIComponent(job.id)}`, { cache: "no-store" });
        if (reply.ok) this.threads.set(job.id, (await reply.json()).turns);
      } catch {
        // the studio is away; the board says so and looks again
      }
      this.asking = "";
      if (this.threads.has(job.id) && this.board.brief?.jobs[0].id === job.id) this.fill(job);
    }

    turn({ role, content, model }) {
      const you = role === "user";
      return el("li", { class: `bd-turn ${you ? "you" : "model"}` }, el("b", { class: "bd-who", text: you ? "You" : model || "Model" }), el("div", { class: "bd-said", dir: "auto", text: content }));
    }

    paintCard(answer) {
      const { entry, sha256, waiting } = answer;
      const print = JSON.stringify([this.shown, this.fresh, this.again, sha256, waiting, entry && entry.take.index, Boolean(this.chats.length)]);
      if (print === this.print) return;
      this.print = print;
      if (!this.shown) return this.host.replaceChildren();
      const excerpt = el("span", { class: "bd-excerpt", dir: "auto" });
      const many = entry && entry.brief.entries.length > 1;
      const says = waiting ? "The answer is being written." : this.again ? "Writes this answer again." : !sha256 ? "Begins a conversation." : many ? `Replies to draft ${entry.take.index + 1}` : "Replies to";
      const fresh = (sha256 || waiting || this.again) && button("fresh", "New conversation", () => this.begin(), { kind: "do-begin" });
      this.host.replaceChildren(el("div", { class: "bd-talk", role: "status" }, el("div", { class: "bd-talksays" }, el("span", { class: "bd-quiet", text: says }), excerpt), fresh || ""));
      if (sha256) this.quote(excerpt, sha256);
    }

    async quote(node, sha256) {
      try {
        const text = (await atelier.readText({ url: `/atelier/files/${encodeURIComponent(sha256)}` })).replace(/\s+/g, " ").trim();
        node.textContent = text.length > EXCERPT ? `${text.slice(0, EXCERPT).trimEnd()}…` : text;
      } catch {
        node.textContent = ""; // it went to the trash; the message says so when it is sent
      }
    }
  }

  atelier.conversation = (element, props, trigger, watch) => {
    const talk = new Conversation(element, props, trigger);
    watch("value", () => talk.board ? talk.told(props.value) : setTimeout(() => talk.told(props.value), 200));
  };
})();
