// Small building blocks that every board file uses: DOM elements, icons, word diffs, calls to the studio, toasts.
// Data reaches the page through textContent and attributes only, never as markup.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});

  const place = (node, name, value) => {
    if (value === null || value === undefined || value === false) return;
    if (name === "text") node.textContent = value;
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  };

  /** el("button", {class: "x", onclick: f, text: "Go"}, child, child ...) */
  atelier.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) place(node, name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  const PATHS = {
    pick: "M5 12.5l4.5 4.5L19 7.5",
    star: "M12 4l2.5 5.2 5.7.8-4.1 4 1 5.6-5.1-2.7-5.1 2.7 1-5.6-4.1-4 5.7-.8z",
    subtle: "M4 12c3-5 5 5 8 0s5 5 8 0",
    strong: "M3 12l3-7 4 14 4-14 4 14 3-7",
    edit: "M4 20l4-1L19.5 7.5l-3-3L5 16zM14 7l3 3",
    use: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    start: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
    inpaint: "M14 4l6 6-7 7H8l-4-4zM8 17l-3 3M4 20h16",
    extend: "M8 8h8v8H8zM12 5V2M12 22v-3M5 12H2M22 12h-3M10 3.5L12 2l2 1.5M10 20.5l2 1.5 2-1.5M3.5 10L2 12l1.5 2M20.5 10l1.5 2-1.5 2",
    walk: "M5 18a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM19 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16h4c4 0 2-8 6-8",
    tree: "M6 4v16M6 8h6M6 16h6M12 5.5h6v5h-6zM12 13.5h6v5h-6z",
    download: "M12 4v11M7 11l5 5 5-5M5 20h14",
    trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
    compare: "M4 5h7v14H4zM13 5h7v14h-7z",
    wipe: "M4 5h16v14H4zM12 3v18M15 10l2 2-2 2M9 10l-2 2 2 2",
    blind: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zM4 4l16 16",
    grid: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    focus: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    outline: "M3 19c3-10 6-14 9-14s6 4 9 14M7 19h10",
    undo: "M8 5L4 9l4 4M4 9h10a5 5 0 0 1 0 10h-3",
    redo: "M16 5l4 4-4 4M20 9H10a5 5 0 0 0 0 10h3",
    stop: "M7 7h10v10H7z",
    close: "M6 6l12 12M18 6L6 18",
    info: "M12 11v6M12 7.5v.2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
    fresh: "M12 5v14M5 12h14",
    open: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
    copy: "M9 9h10v11H9zM5 15V4h10",
    merge: "M6 4v5c0 4 6 3 6 8v3M18 4v5c0 4-6 3-6 8",
    page: "M6 3h9l4 4v14H6zM9 12h7M9 16h7",
    retry: "M20 5v5h-5M20 10a8 8 0 1 0 .5 5",
    clock: "M12 7v5l3.5 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
    warn: "M12 4l9 16H3zM12 10v4M12 17v.2",
    play: "M8 5l11 7-11 7z",
    pause: "M8 5v14M16 5v14",
    loop: "M5 11a7 7 0 0 1 12-4l2 2M19 4v5h-5M19 13a7 7 0 0 1-12 4l-2-2M5 20v-5h5",
    plus: "M12 5v14M5 12h14",
    minus: "M5 12h14",
    note: "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
    cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    tile: "M4 4h16v16H4zM12 4v16M4 12h16",
    rework: "M4 6h16M4 18h16M8 6v12M16 6v12M8 12h8",
    left: "M15 5l-7 7 7 7",
    right: "M9 5l7 7-7 7",
  };

  atelier.icon = (name) => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", "bd-icon");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", PATHS[name] || "");
    svg.append(path);
    return svg;
  };

  /** A button with an icon and a word. `key` is shown in the tooltip; `bare` leaves the word to the tooltip. */
  atelier.button = (icon, label, run, { key = "", bare = false, id = null, kind = "" } = {}) =>
    atelier.el(
      "button",
      {
        type: "button",
        class: `bd-button ${bare ? "bare" : ""} ${kind}`.trim(),
        "aria-label": label,
        title: key ? `${label} (${key})` : label,
        id,
        onclick: run,
      },
      atelier.icon(icon),
      atelier.el("span", { class: "bd-word", text: label }),
    );

  /** [["same", "a fox "], ["del", "red"], ["add", "blue"]] as a line with marked words. */
  atelier.diff = (parts) => {
    const line = atelier.el("span", { class: "bd-diff", dir: "auto" });
    for (const [kind, text] of parts) {
      line.append(atelier.el(kind === "add" ? "ins" : kind === "del" ? "del" : "span", { text }));
    }
    return line;
  };

  atelier.prompt = (job) =>
    job.changed && job.changed.prompt
      ? atelier.diff(job.changed.prompt)
      : atelier.el("span", { dir: "auto", text: job.prompt || "(no words)" });

  /** The settings of one take alone: those of its job, with the seeds that are its own. */
  atelier.own = ({ take, job }) => {
    const seeds = job.settings.variation_strength ? { variation_seed: job.settings.variation_seed + take.index } : { seed: take.seed };
    return { ...job.settings, ...seeds };
  };

  /** A setting's value as a person would write it. */
  atelier.shown = (value) => {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value === "number" && !Number.isInteger(value)) return String(Math.round(value * 1000) / 1000);
    if (typeof value === "boolean") return value ? "on" : "off";
    return Array.isArray(value) ? value.map(atelier.shown).join(", ") : String(value);
  };

  atelier.seconds = (value) => {
    if (value < 1) return "under a second";
    if (value < 90) return `${Math.round(value)} s`;
    return value < 5400 ? `${Math.round(value / 60)} min` : `${Math.round(value / 360) / 10} h`;
  };

  /** POST /atelier/act. The answer's object; throws an Error with the studio's sentence. */
  atelier.act = async (action, data = {}) => {
    const reply = await fetch("/atelier/act", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ action, ...data }),
    });
    const answer = await reply.json().catch(() => ({}));
    if (!reply.ok || answer.error) throw new Error([answer.error, answer.hint].filter(Boolean).join(" ") || `${reply.status}`);
    return answer;
  };

  /** A short message at the foot of the board, with one way back. */
  atelier.notice = (host, text, label = "", run = null) => {
    host.querySelector(".bd-toast")?.remove();
    const toast = atelier.el("div", { class: "bd-toast", role: "status" }, atelier.el("span", { text, dir: "auto" }));
    const close = () => toast.remove();
    if (run) toast.append(atelier.el("button", { type: "button", text: label, onclick: () => (close(), run()) }));
    toast.append(atelier.el("button", { type: "button", "aria-label": "Dismiss", onclick: close }, atelier.icon("close")));
    host.append(toast);
    setTimeout(close, run ? 9000 : 5000);
    return toast;
  };

  /** Numbers in 0..1 from a 32-bit seed (mulberry32), so that a stated seed gives the same order again. */
  atelier.random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  atelier.shuffled = (items, seed) => {
    const order = [...items];
    const next = atelier.random(seed);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };

  atelier.typing = (target) =>
    target instanceof Element && Boolean(target.closest("input:not([type=range]), textarea, select, [contenteditable=true], dialog"));
})();
