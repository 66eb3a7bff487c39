// What the board does with things to design: tools on a take, palettes, drawings, patterns repeated, sends between panels.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button, icon, notice } = atelier;

  const TOOLS = [
    ["make_seamless", "Make seamless", "edges that meet, to repeat it"],
    ["recolour", "Recolour", "in the palette of the form"],
    ["upscale", "Enlarge", "two to four times, sharper than stretching"],
    ["depth_map", "Depth", "how near everything lies, by a model"],
    ["pose_map", "Pose", "how somebody stands, by a model"],
    ["materials", "Materials", "colour without light, roughness and metal, by a model"],
    ["cut_out", "Cut out", "what stands in front, on transparent ground"],
    ["vectorise", "Trace", "as a clean SVG drawing"],
    ["palette", "Palette", "its colours, with names and contrast"],
    ["mock_up", "Products", "on those that the form has ticked"],
    ["print_pdf", "Print file", "a page with bleed and crop marks"],
  ];
  const PICTURES = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"];
  const isPicture = (take) => PICTURES.includes(take.media_type);

  // --- drawings and palettes

  const failed = (node, error) => node.replaceWith(el("p", { class: "bd-quiet", text: error.message }));
  /** An SVG as a picture: nothing in it can run there, and it stays sharp when enlarged. */
  const drawing = (take, alt) => {
    const image = el("img", { alt, draggable: "false", class: "de-drawing" });
    fetch(take.url)
      .then((reply) => (reply.ok ? reply.text() : Promise.reject(new Error("This drawing cannot be read. Is the studio still running?"))))
      .then((text) => {
        const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
        image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
        image.src = address;
      })
      .catch((error) => failed(image, error));
    return image;
  };

  const ink = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
    return 0.3 * r + 0.59 * g + 0.11 * b > 0.55 ? "#000" : "#fff";
  };
  const swatch = ({ hex, name, share, oklch }) =>
    el("button", { type: "button", class: "de-swatch", style: { "--c": hex, "--ink": ink(hex) }, title: `Copy ${hex}`, "aria-label": `Copy ${name} ${hex}`, onclick: () => navigator.clipboard?.writeText(hex) },
      el("b", { text: hex }), el("span", { text: name }),
      share ? el("small", { text: `${Math.round(share * 100)} %` }) : null,
      oklch ? el("small", { text: `oklch(${oklch[0].toFixed(2)} ${oklch[1].toFixed(3)} ${Math.round(oklch[2])})` }) : null);
  const HARMONIES = { complementary: "Complement", analogous: "Neighbours", triadic: "Triad", split: "Split complement", tetradic: "Square", monochrome: "One hue" };

  const paletteView = (take, alt, board) => {
    const node = el("div", { class: "de-palette", role: "group", "aria-label": alt, tabindex: "0" });
    fetch(take.url)
      .then((reply) => (reply.ok ? reply.json() : Promise.reject(new Error("This palette cannot be read. Is the studio still running?"))))
      .then((palette) => {
        const use = (colours, text) => el("button", { type: "button", class: "bd-button", text, onclick: () => board.ask("palette", null, { colours: colours.map((one) => one.hex).join(", ") }) });
        const rows = palette.contrast.filter((row) => row.passes).sort((a, b) => b.ratio - a.ratio).slice(0, 14);
        node.replaceChildren(
          el("div", { class: "de-swatches" }, ...palette.colours.map(swatch)),
          board && el("div", { class: "bd-bar" }, use(palette.colours, "Recolour with these")),
          el("h3", { text: "Harmonies of the strongest colour" }),
          ...Object.entries(palette.harmonies).map(([kind, colours]) =>
            el("div", { class: "de-harmony" }, el("span", { text: HARMONIES[kind] || kind.replaceAll("_", " ") }), el("div", { class: "de-swatches small" }, ...colours.map(swatch)), board && use(colours, "Use"))),
          el("h3", { text: "Contrast for text (WCAG 2.2)" }),
          el("table", { class: "de-contrast" }, el("tbody", {}, ...rows.map((row) =>
            el("tr", {}, el("td", {}, el("span", { class: "de-sample", style: { "--c": row.ground, "--ink": row.text }, text: "Sample" })),
              el("td", { text: `${row.text} on ${row.ground}` }), el("td", { text: `${row.ratio.toFixed(2)} : 1` }), el("td", { text: row.passes }))))),
        );
      })
      .catch((error) => failed(node, error));
    return node;
  };

  atelier.renderers.drawing = drawing;
  atelier.renderers.palette = (take, alt) => el("img", { src: take.thumb, alt });
  atelier.renderers.page = (take, alt) => el("img", { src: `/atelier/design/look/${take.sha256}`, alt, draggable: "false" });
  atelier.large.palette = paletteView;

  // --- a picture repeated

  /** The picture side by side with itself; `offset` moves the edges into the middle, where a seam would show. */
  const repeated = (board, entry) => {
    const sheet = el("div", { class: "de-repeat", role: "img", "aria-label": "The picture repeated" });
    const figure = el("span", { class: "bd-quiet", text: "Measuring the seam…" });
    let times = 2;
    let offset = false;
    const paint = () => {
      sheet.style.setProperty("--times", String(times));
      sheet.style.backgroundImage = `url("${entry.take.url}")`;
      sheet.classList.toggle("offset", offset);
      for (const one of bar.querySelectorAll("[data-times]")) one.setAttribute("aria-pressed", String(Number(one.dataset.times) === times));
      shift.setAttribute("aria-pressed", String(offset));
    };
    const shift = button("tile", "Offset: edges in the middle", () => ((offset = !offset), paint()), {});
    const bar = el("div", { class: "bd-bar de-repeatbar" },
      ...[1, 2, 4].map((n) => el("button", { type: "button", class: "bd-button", "data-times": n, text: `${n}×`, onclick: () => ((times = n), paint()) })),
      shift, figure, el("span", { class: "bd-spring" }),
      button("close", "Back to the picture", () => ((board.shownUrl = ""), board.render()), {}));
    fetch(`/atelier/design/seam/${entry.take.sha256}`)
      .then((reply) => reply.json())
      .then((told) => (figure.textContent = told.error || `Seam ${told.worst.toFixed(2)}: ${told.worst <= 1 ? "no more than its own inner differences" : "it shows; make it seamless"}`))
      .catch(() => (figure.textContent = "The seam could not be measured."));
    paint();
    return el("div", { class: "de-repeatbox" }, bar, sheet);
  };

  // --- the tray, wherever it is filled from

  const KEY = "atelier-design-tray";
  const MOST = 60;
  const kept = () => {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) || "[]");
      return Array.isArray(found) ? found.filter((one) => one && typeof one.sha256 === "string").slice(0, MOST) : [];
    } catch {
      return [];
    }
  };
  const keep = (pieces) => localStorage.setItem(KEY, JSON.stringify(pieces.slice(0, MOST)));
  const usable = (type, wanted) => wanted === "any" || PICTURES.includes(type);

  /** Puts a work into the tray and opens Design. */
  atelier.sendToDesign = (take, words = "") => {
    const piece = { sha256: take.sha256, media_type: take.media_type, name: String(words || take.name || "").slice(0, 80) };
    const pieces = [...kept().filter((one) => one.sha256 !== piece.sha256), piece];
    keep(pieces);
    dispatchEvent(new CustomEvent("atelier:tray", { detail: pieces }));
    const design = atelier.boards.get("design");
    if (window.atelier.panel() === "design") notice(design.root, `In the tray: ${pieces.length} ${pieces.length === 1 ? "piece" : "pieces"}.`);
    else {
      window.atelier.goTo("design");
      window.atelier.toast("It lies in the tray of Design. Choose a bench that works on pictures, or Sheet.", { kind: "good" });
    }
  };

  const pictureOf = (piece) =>
    /^(image|video|model|audio)\//.test(piece.media_type) || /(pdf|json)$/.test(piece.media_type)
      ? el("img", { src: `/atelier/thumbs/${encodeURIComponent(piece.sha256)}`, alt: "", loading: "lazy" })
      : el("span", { class: "de-text" }, icon("page"));

  /** Works of the library to choose from: what was picked first. Resolves to the chosen ones, [] for none. */
  const choosePieces = (wanted, already) =>
    window.atelier.chooseWorks("Pieces from the library", {
      media: wanted === "any" ? [] : PICTURES,
      fits: (item) => usable(item.media_type, wanted) && !/safetensors|octet|zip|html/.test(item.media_type),
      already,
      which: "picked",
    });

  const mountOf = (element) => element.querySelector(".bd-widget");
  atelier.tray = (element, props, trigger, watch) => {
    const pieces = () => (props.value && props.value.pieces) || [];
    const set = (now, problem = "") => {
      props.value = { ...props.value, pieces: now.slice(0, MOST), restore: false };
      keep(now);
      for (const told of (element.closest("[id$=-tray]") || element).querySelectorAll(".bd-problem")) told.remove(); // of the form: it may be mended now
      paint(problem);
    };
    const add = (more) => set([...pieces().filter((one) => !more.some((other) => other.sha256 === one.sha256)), ...more]);
    const upload = async (files) => {
      for (const file of files) {
        try {
          const answer = await window.atelier.upload(file, "source");
          add([{ sha256: answer.sha256, media_type: answer.media_type, name: file.name }]);
        } catch (error) {
          paint(error.message);
        }
      }
    };
    const tile = (piece) => {
      const fits = usable(piece.media_type, props.value.wanted);
      return el("div", { class: `de-piece${fits ? "" : " dim"}`, title: fits ? piece.name : `${piece.name} (not used here)` }, pictureOf(piece),
        button("close", `Take ${piece.name || "this piece"} out`, () => set(pieces().filter((one) => one !== piece)), { bare: true }));
    };
    const paint = (problem = "") => {
      const now = pieces();
      const input = el("input", { type: "file", multiple: true, class: "bd-file", "aria-label": "Files for the tray", onchange: (event) => upload([...event.target.files]) });
      const zone = el("label", { class: "bd-drop de-drop", "data-takes-files": true }, input, icon("plus"), el("span", { class: "bd-dropname", text: "Drop files, or choose some" }));
      zone.addEventListener("dragover", (event) => event.preventDefault());
      zone.addEventListener("drop", (event) => (event.preventDefault(), upload([...event.dataTransfer.files])));
      mountOf(element).replaceChildren(
        el("div", { class: "de-trayhead" }, el("span", { text: now.length ? `Tray: ${now.length} ${now.length === 1 ? "piece" : "pieces"}` : "The tray is empty" }),
          el("button", { type: "button", class: "bd-button", text: "From the library", onclick: async () => add((await choosePieces(props.value.wanted, new Set(now.map((one) => one.sha256)))).map(({ sha256, media_type, prompt, name }) => ({ sha256, media_type, name: (prompt || name || "").slice(0, 80) }))) }),
          now.length ? button("close", "Empty the tray", () => set([]), { bare: true }) : null),
        el("div", { class: "de-pieces" }, ...now.map(tile)),
        zone,
        ...(problem ? [el("div", { class: "bd-problem", role: "alert", dir: "auto", text: problem })] : []),
      );
    };
    addEventListener("atelier:tray", ({ detail }) => set(detail));
    const restore = () => {
      if (props.value && props.value.restore && !pieces().length && kept().length) props.value = { ...props.value, pieces: kept(), restore: false };
      else if (props.value && !props.value.restore) keep(pieces());
      paint();
    };
    watch("value", restore);
    restore();
  };

  // --- a brief for another panel

  const LANDS = ["mountains", "desert", "forest", "sea", "snow", "hills", "canyon", "volcano"];
  const THEMES = { knight: "a solemn hymn in D major, 16 bars", wizard: "a slow waltz in D minor, 16 bars", pirate: "a cheerful jig in G major, 16 bars", robot: "a fast chiptune in A minor, 16 bars", slime: "a playful polka in F major, 16 bars", ghost: "a sad slow waltz in B minor, 16 bars", bird: "a light reel in G major, 16 bars", beast: "a heavy march in E minor, 16 bars" };
  const kindOf = ({ take, job }) => (take.facts || []).find((fact) => fact in THEMES || LANDS.includes(fact)) || job.settings.label || "";
  const story = (kind, words) => {
    if (LANDS.includes(kind)) return `A place in a story: ${kind}. What it looks like, who lives there, and what happened here long ago.`;
    if (kind) return `A ${kind} in a story: how they look, what they want, and what stands in their way.`;
    return words;
  };
  const theme = (kind, words) => THEMES[kind] || (kind ? `a calm slow piece for a place of ${kind}, 16 bars` : words);

  /** Opens a panel and gives its form words that come from a take, which stays in the ancestry of what is made of them. */
  const send = (panel, told, does = "received") => {
    const go = (left) => {
      const board = atelier.boards.get(panel);
      if (board) board.ask(does, null, told);
      else if (left) setTimeout(() => go(left - 1), 100);
    };
    window.atelier.goTo(panel);
    go(50);
  };
  atelier.send = send;

  const sendTextToMusic = atelier.Board.prototype.sendToMusic;
  const sendTextToImage = atelier.Board.prototype.sendToImage;
  const plainTools = atelier.Board.prototype.canvasTools;
  Object.assign(atelier.Board.prototype, {
    sendToText(entry) {
      send("text", { text: story(kindOf(entry), entry.job.prompt), sha256: entry.take.sha256 });
    },

    sendToMusic(entry) {
      if (atelier.kind(entry.take) === "text") return sendTextToMusic.call(this, entry);
      return send("music", { text: theme(kindOf(entry), entry.job.prompt), sha256: entry.take.sha256 });
    },

    sendToImage(entry) {
      if (atelier.kind(entry.take) === "text") return sendTextToImage.call(this, entry);
      if (!isPicture(entry.take)) return notice(this.root, "Only a picture can be the start of one.");
      return send("image", { sha256: entry.take.sha256 }, "start");
    },

    /** What can be made of this picture, at once, with the settings that the form holds. */
    toolsOn(entry) {
      if (!isPicture(entry.take)) return void notice(this.root, "The tools work on pictures.");
      const dialog = el("dialog", { class: "bd-dialog", "aria-label": "Tools" },
        el("h2", { text: `Tools on take ${entry.take.index + 1}` }),
        el("div", { class: "mu-formats" }, ...TOOLS.map(([task, name, what]) =>
          el("button", { type: "button", class: "bd-button bd-format", "data-tool": task, onclick: () => {
            dialog.close();
            this.ask("tool", entry, { task });
            this.say("Asking for it…");
          } }, el("b", { text: name }), el("span", { class: "bd-quiet", text: what })))),
        el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() })));
      dialog.addEventListener("close", () => dialog.remove());
      this.root.append(dialog);
      dialog.showModal();
    },

    canvasTools() {
      const tools = plainTools.call(this);
      const entry = this.entries.get(this.active);
      if (!this.options.patterns || !entry?.take.sha256 || !["image/png", "image/jpeg", "image/webp"].includes(entry.take.media_type)) return tools;
      const corner = tools.find((tool) => tool.classList.contains("bd-corner"));
      corner.prepend(button("tile", "Repeat it", () => {
        this.largePane?.close();
        this.canvas.replaceChildren(repeated(this, entry));
      }, { bare: true }));
      return tools;
    },
  });
})();
