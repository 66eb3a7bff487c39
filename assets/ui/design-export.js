// Exports of what Design makes: shapes, drawings, palettes and pictures in the formats that other programs open.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, notice } = atelier;

  const FORMATS = {
    shape: [
      ["3mf", "3MF", "to print: size in mm and settings inside"],
      ["stl", "STL", "to print, opens everywhere"],
      ["glb", "GLB", "for the web and for games, with settings"],
      ["obj", "OBJ", "for modelling programs"],
      ["png", "Picture", "PNG of 1024 pixels"],
      ["gif", "Turning GIF", "a whole turn; takes a while"],
      ["mp4", "Turning film", "MP4; takes a while"],
    ],
    drawing: [["svg", "SVG", "the drawing as it is"], ["png", "PNG", "drawn at 2048 pixels"]],
    palette: [
      ["css", "CSS", "custom properties"],
      ["gpl", "GIMP palette", "also for Inkscape and Krita"],
      ["ase", "ASE", "swatches for Adobe programs"],
      ["json", "JSON", "with contrast and harmonies"],
      ["png", "Picture", "PNG of the swatches"],
    ],
    image: [["png", "PNG", "nothing lost"], ["jpg", "JPEG", "small, without transparency"], ["webp", "WebP", "nothing lost, smaller"]],
  };
  const PICTURES = ["image/png", "image/jpeg", "image/webp"];
  const SLOW = ["gif", "mp4", "png"];

  /** Saves what an address answers; throws the studio's sentence where it answers with one. */
  const save = async (address) => {
    const reply = await fetch(address);
    if (!reply.ok) {
      const told = await reply.json().catch(() => ({}));
      throw new Error([told.error, told.hint].filter(Boolean).join(" ") || `The studio answered ${reply.status}.`);
    }
    const name = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition") || "")?.[1] || "export";
    const url = URL.createObjectURL(await reply.blob());
    const link = el("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  const exportOthers = atelier.Board.prototype.exportAs;
  atelier.Board.prototype.exportAs = function exportAs(entry) {
    const kind = atelier.kind(entry.take);
    if (atelier.sounds(entry.take) || kind === "text") return exportOthers.call(this, entry);
    const known = kind === "image" && !PICTURES.includes(entry.take.media_type) ? null : FORMATS[kind];
    if (!known) return this.download(entry.take);
    const dialog = el("dialog", { class: "bd-dialog", "aria-label": "Export" });
    const choice = ([format, name, what]) =>
      el("button", { type: "button", class: "bd-button bd-format", "data-format": format, onclick: async () => {
        dialog.close();
        if (kind === "shape" && SLOW.includes(format)) this.say("Drawing the file…");
        try {
          await save(`/atelier/design/export/${entry.take.sha256}?format=${format}`);
          this.say(this.progress());
        } catch (error) {
          notice(this.root, error.message);
        }
      } }, el("b", { text: name }), el("span", { class: "bd-quiet", text: what }));
    dialog.append(
      el("h2", { text: "Export" }),
      el("div", { class: "mu-formats" }, ...known.map(choice)),
      el("div", { class: "bd-dialogfoot" }, el("button", { type: "button", class: "bd-button", text: "Cancel", onclick: () => dialog.close() })));
    dialog.addEventListener("close", () => dialog.remove());
    this.root.append(dialog);
    dialog.showModal();
    return undefined;
  };
})();
