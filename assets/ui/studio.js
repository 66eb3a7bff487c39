// What the shell offers to every panel: toasts, questions, tabs, shortcuts and the help that lists them.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el } = atelier;

  let toasts = null;
  /** A short message. kind: "", "good" or "failed"; with `label` and `run` it offers one way back. */
  atelier.toast = (text, { kind = "", label = "", run = null } = {}) => {
    if (!toasts) {
      toasts = el("div", { class: "at at-toasts", role: "status", "aria-live": "polite" });
      document.body.append(toasts);
    }
    const toast = el("div", { class: `at-toast ${kind}` }, el("span", { text, dir: "auto" }));
    const close = () => toast.remove();
    if (run) toast.append(el("button", { type: "button", text: label, onclick: () => (close(), run()) }));
    toast.append(el("button", { type: "button", "aria-label": "Dismiss", onclick: close }, atelier.glyph("close")));
    toasts.append(toast);
    while (toasts.children.length > 4) toasts.firstChild.remove();
    setTimeout(close, kind === "failed" ? 12000 : run ? 9000 : 5000);
    return toast;
  };
  atelier.failed = (error) => error && error.name !== "AbortError" && atelier.toast(error.message || String(error), { kind: "failed" });

  const dialog = (title, ...children) => {
    const id = `at-${Math.random().toString(36).slice(2)}`;
    const node = el(
      "dialog",
      { class: "at at-dialog", "aria-labelledby": id },
      el("header", {}, el("h2", { id, text: title }), atelier.tool("close", "Close", () => node.close(), { bare: true })),
      ...children,
    );
    node.addEventListener("click", (event) => event.target === node && node.close());
    node.addEventListener("close", () => node.remove());
    document.body.append(node);
    node.showModal();
    return node;
  };

  atelier.dialog = dialog;

  /** Asks before something that cannot be undone. Resolves to true or false. */
  atelier.ask = (title, text, yes) =>
    new Promise((resolve) => {
      let answer = false;
      const node = dialog(
        title,
        el("p", { class: "at-say", text }),
        el(
          "div",
          { class: "at-choices" },
          atelier.tool(null, "Keep", () => node.close()),
          atelier.tool(null, yes, () => ((answer = true), node.close()), { kind: "danger" }),
        ),
      );
      node.addEventListener("close", () => resolve(answer));
    });

  /** A dialog with one field or more and a button that says what it does. */
  atelier.form = (title, body, word, run) => {
    const node = dialog(
      title,
      el(
        "form",
        { method: "dialog", onsubmit: () => run() },
        body,
        el("div", { class: "at-choices" }, atelier.tool(null, "Cancel", () => node.close()), el("button", { class: "at-button strong", text: word })),
      ),
    );
    node.querySelector("input")?.focus();
  };

  const KEYS = [
    ["Anywhere", [
      ["Ctrl+Enter", "Generate"],
      ["Esc", "Stop what runs"],
      ["Alt+1 … 9", "Go to a tab"],
      ["Ctrl+Z", "Undo star, tag or trash"],
      ["?", "This help"],
    ]],
    ["In the library", [
      ["/", "Search"],
      ["← → ↑ ↓", "Move"],
      ["Space", "Select; with Shift a range"],
      ["Ctrl+A", "Select all that is shown"],
      ["Enter", "Open the details"],
      ["S", "Star"],
      ["Del", "Put in the trash"],
    ]],
    ["In Train", [
      ["Ctrl+Enter", "Teach"],
      ["Ctrl+Z", "Undo a change of the data set"],
      ["Ctrl+Shift+Z", "Redo it"],
    ]],
    ["In Music", [
      ["H", "Hear"],
      ["Space", "Play or pause in the large view"],
      ["X", "The next take in step, while comparing"],
      ["W", "Rework bars"],
      ["T", "Change notes by hand"],
    ]],
    ["On the board", [
      ["← → ↑ ↓", "Move between takes"],
      ["1 … 9", "Choose a take by its number"],
      ["Enter", "See a take large, and back"],
      ["Space", "Select a take"],
      ["C", "Compare the chosen takes"],
      ["B", "Compare blind"],
      ["G", "Back to the grid"],
      ["P", "Pick"],
      ["S", "Star"],
      ["V", "Vary subtly"],
      ["Shift+V", "Vary strongly"],
      ["E", "Edit the prompt"],
      ["U", "Use these settings"],
      ["A", "Ancestry"],
      ["Del", "Put in the trash"],
    ]],
  ];
  const keyNodes = (text) => {
    const apple = /Mac|iPhone|iPad/.test(navigator.platform);
    const parts = text.split(/(\+| … | )/).filter((part) => part.trim());
    return parts.map((part) => (part === "+" || part === "…" || part === " … " ? el("span", { text: part.trim() }) : el("kbd", { text: apple && part === "Ctrl" ? "⌘" : part })));
  };
  atelier.help = () => {
    if (document.querySelector(".at-dialog[open]")) return;
    const section = ([title, keys]) =>
      el("section", {}, el("h3", { text: title }), el("dl", {}, ...keys.flatMap(([key, what]) => [el("dt", {}, ...keyNodes(key)), el("dd", { text: what })])));
    dialog("Keyboard", el("div", { class: "at-keys" }, ...KEYS.map(section)));
  };

  const shown = (node) => node.getClientRects().length > 0;
  const button = (selector) => {
    const host = [...document.querySelectorAll(selector)].find(shown);
    return host && (host.tagName === "BUTTON" ? host : host.querySelector("button"));
  };
  // gradio keeps a second, hidden tab list to measure itself: the visible buttons are those
  const tabs = () => [...document.querySelectorAll("#studio>.tab-wrapper [role=tab]")].filter((node) => shown(node) && getComputedStyle(node).visibility !== "hidden");

  /** Shows the tab of a panel ("image", "library" ...). */
  atelier.goTo = (name) => {
    const tab = tabs().find((node) => node.id === `tab-${name}-button`);
    if (tab) tab.click();
    return Boolean(tab);
  };
  atelier.panel = () => {
    const tab = tabs().find((node) => node.getAttribute("aria-selected") === "true");
    return tab ? tab.id.replace(/^tab-|-button$/g, "") : "";
  };

  // before the fields hear of it: a checkbox of gradio's would be switched by its Enter
  const generate = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || document.querySelector("dialog[open]")) return;
    const go = button(".go");
    if (!go || go.disabled) return;
    event.preventDefault();
    event.stopPropagation();
    go.click();
  };
  addEventListener("keydown", generate, true);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const command = event.ctrlKey || event.metaKey;
    if (event.altKey && !command && /^Digit[1-9]$/.test(event.code)) {
      const tab = tabs()[Number(event.code.slice(5)) - 1];
      if (tab) {
        event.preventDefault();
        tab.click();
        tab.focus();
      }
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (event.target instanceof Element && event.target.closest("input, select, [role=listbox]")) return; // they have their own Esc
      const stop = button(".stop");
      if (stop && !stop.disabled && !document.querySelector(".at-queue:not([hidden])")) stop.click();
      return;
    }
    if (command || event.altKey || atelier.typing(event.target)) return;
    if (event.key === "?") {
      event.preventDefault();
      atelier.help();
    }
  });
})();
