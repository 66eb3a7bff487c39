// The first of the shell's scripts: elements, glyphs, calls to the studio, words for figures.
// Data reaches the page through textContent and attributes only, never as markup.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const SVG = "http://www.w3.org/2000/svg";

  const set = (node, name, value) => {
    if (value === null || value === undefined || value === false) return;
    if (name === "text") node.textContent = value;
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "value") node.value = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  };

  /** el("button", {class: "x", onclick: f, text: "Go"}, child, null, child ...) */
  const el = (atelier.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) set(node, name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  });

  /** Replaces what is in a node; null and false are left out. */
  atelier.fill = (node, ...children) => node.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));

  const PATHS = {
    search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
    cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    queue: "M5 6h14M5 12h14M5 18h8M17 16v5M14.5 18.5h5",
    plus: "M12 5v14M5 12h14",
    pause: "M9 6v12M15 6v12",
    play: "M8 5l11 7-11 7z",
    up: "M12 19V6M6 11l6-6 6 6",
    down: "M12 5v13M6 13l6 6 6-6",
    retry: "M20 5v5h-5M20 10a8 8 0 1 0 .5 5",
    close: "M6 6l12 12M18 6L6 18",
    sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M4.5 4.5l1.6 1.6M17.9 17.9l1.6 1.6M2.5 12h2M19.5 12h2M4.5 19.5l1.6-1.6M17.9 6.1l1.6-1.6",
    moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
    help: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1 1-1.1 1.8M12 16.8v.2",
    shield: "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6zM9 12l2.2 2.2L15.5 10",
    drop: "M12 15V4M7 9l5-5 5 5M5 15v5h14v-5",
    star: "M12 4l2.5 5.2 5.7.8-4.1 4 1 5.6-5.1-2.7-5.1 2.7 1-5.6-4.1-4 5.7-.8z",
    tag: "M4 4h7l9 9-7 7-9-9zM8 8v.2",
    trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
    restore: "M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-3",
    download: "M12 4v11M7 11l5 5 5-5M5 20h14",
    filter: "M4 6h16M7 12h10M10 18h4",
    edit: "M4 20l4-1L19.5 7.5l-3-3L5 16zM14 7l3 3",
    open: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
    use: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    check: "M5 12.5l4.5 4.5L19 7.5",
    left: "M15 5l-7 7 7 7",
    right: "M9 5l7 7-7 7",
    audio: "M9 18V5l10-2v13M9 18a3 3 0 1 1-3-3h3M19 16a3 3 0 1 1-3-3h3",
    video: "M4 6h16v12H4zM10 9l5 3-5 3z",
    page: "M6 3h9l4 4v14H6zM9 12h7M9 16h7",
  };

  const svg = (box, label, ...shapes) => {
    const node = document.createElementNS(SVG, "svg");
    node.setAttribute("viewBox", box);
    node.setAttribute("aria-hidden", "true");
    if (label) node.setAttribute("class", label);
    for (const [tag, attributes] of shapes) {
      const shape = document.createElementNS(SVG, tag);
      for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
      node.append(shape);
    }
    return node;
  };
  atelier.glyph = (name) => svg("0 0 24 24", "at-glyph", ["path", { d: PATHS[name] || "" }]);
  atelier.mark = () =>
    svg(
      "0 0 32 32",
      "",
      ["rect", { width: 32, height: 32, rx: 8, fill: "#6d28d9" }],
      ["path", { d: "M9 24.5 16 7l7 17.5M11.7 18.5h8.6", fill: "none", stroke: "#fff", "stroke-width": 2.6, "stroke-linecap": "round", "stroke-linejoin": "round" }],
      ["circle", { cx: 24.5, cy: 8, r: 2.6, fill: "#fbbf24" }],
    );

  /** A button of the shell; `bare` shows the glyph alone and says the word to screen readers and in the tooltip. */
  atelier.tool = (glyph, word, run, { bare = false, kind = "" } = {}) =>
    el(
      "button",
      { type: "button", class: `at-button ${bare ? "bare" : ""} ${kind}`, title: bare ? word : null, "aria-label": bare ? word : null, onclick: run },
      glyph ? atelier.glyph(glyph) : null,
      bare ? null : el("span", { text: word }),
    );

  /** JSON of one of our routes; throws an Error with the studio's own sentence and hint. */
  atelier.fetchJson = async (path, options = {}) => {
    let reply;
    try {
      reply = await fetch(path, { cache: "no-store", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The studio does not answer. Is it still running in its terminal?");
    }
    const answer = await reply.json().catch(() => ({}));
    if (!reply.ok || answer.error) throw new Error([answer.error, answer.hint].filter(Boolean).join(" ") || `The studio answered ${reply.status}.`);
    return answer;
  };

  atelier.postJson = (path, data) =>
    atelier.fetchJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
  atelier.act = (action, data = {}) => atelier.postJson("/atelier/act", { action, ...data });

  /** [["same", "a fox "], ["del", "red"], ["add", "blue"]] as a line with marked words. */
  atelier.diff = (parts) =>
    el("span", { class: "at-diff", dir: "auto" }, ...parts.map(([kind, text]) => el(kind === "add" ? "ins" : kind === "del" ? "del" : "span", { text })));

  atelier.shown = (value) => {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value === "number" && !Number.isInteger(value)) return String(Math.round(value * 1000) / 1000);
    if (typeof value === "boolean") return value ? "on" : "off";
    if (Array.isArray(value)) return value.map(atelier.shown).join(", ");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };
  atelier.seconds = (value) => {
    if (value < 1) return "under a second";
    if (value < 90) return `${Math.round(value)} s`;
    return value < 5400 ? `${Math.round(value / 60)} min` : `${Math.round(value / 360) / 10} h`;
  };
  atelier.bytes = (value) => (value < 1e6 ? `${Math.ceil(value / 1e3)} kB` : value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`);
  atelier.plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

  atelier.typing = (target) =>
    target instanceof Element && Boolean(target.closest("input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true], dialog"));
})();
