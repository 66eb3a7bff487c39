// "Marks and care": what exported copies say of their origin, what a file says of its own, and what to mind with likeness,
// copyright and licences. Data reaches the page through textContent alone.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el } = atelier;

  const CARE = [
    ["People", "Ask before you picture, imitate or clone the voice of a real person, and do not pass the result off as real. In many places likeness and voice are protected by law, after death too; sexual pictures of somebody who did not agree to them, and any of children, are crimes."],
    ["Other people's work", "What a model makes can come close to what it was trained on. Do not ask for a living artist's name to stand in for them; look before you publish whether a take repeats a known work. Train and Evaluate show for your own models what they repeat. Use pictures, texts and recordings for teaching that you made or may use."],
    ["Whose is the result?", "Laws differ: in many countries what a model makes alone is not protected, what you add to it by choosing and changing may be. The ancestry of each work shows what you did."],
    ["Licences of models", "The starter models may be used for anything. Models of the hub come under their own licences: some forbid commercial use, some name uses that they forbid. The Models tab shows both before a download, and with each model that is installed."],
    ["What is said of the files", "Everything exported says in its metadata that a trained model made it (IPTC's digital source type), and how. Metadata can be lost when a file is sent on; the two marks above last longer. In some places, the European Union among them, some made pictures, sounds and films must be marked."],
  ];

  const choose = async (given, node, paint) => {
    try {
      paint(await atelier.postJson("/atelier/origin/choose", given));
    } catch (error) {
      atelier.failed(error);
      node.checked = !node.checked;
    }
  };

  const marks = (told) => {
    const box = el("div", { class: "care-marks" });
    const paint = (now) => {
      const row = (name, title, help, usable) => {
        const input = el("input", { type: "checkbox", id: `care-${name}`, disabled: !usable, "aria-describedby": `care-${name}-help` });
        input.checked = now[name];
        input.addEventListener("change", () => choose({ watermark: now.watermark, credentials: now.credentials, [name]: input.checked }, input, paint));
        return el("div", { class: "care-mark" }, input, el("label", { for: `care-${name}`, text: title }), el("p", { id: `care-${name}-help`, text: help }));
      };
      box.replaceChildren(
        row("watermark", "Invisible mark in exported pictures", "Spread over the pixels; it outlives being sent on, saved as JPEG and scaled, not cropping.", true),
        row("credentials", "Content Credentials (C2PA) in exported files", now.can_sign ? "A signed record in pictures, films, WAV and MP3, with a key that stays on this computer. The words of the prompt are its title." : `Not installed. ${now.install}`, now.can_sign),
      );
    };
    paint(told);
    return box;
  };

  const checker = () => {
    const said = el("div", { class: "care-said", role: "status", "aria-live": "polite" });
    const look = async (file) => {
      if (!file) return;
      said.replaceChildren(el("p", { text: `Looking at ${file.name} …`, dir: "auto" }));
      try {
        const told = await atelier.fetchJson(`/atelier/origin/look?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
        said.replaceChildren(el("b", { text: told.name, dir: "auto" }), el("ul", {}, ...told.sentences.map((text) => el("li", { text }))));
      } catch (error) {
        said.replaceChildren(el("p", { text: error.message }));
      }
    };
    const input = el("input", { type: "file", id: "care-file" });
    input.addEventListener("change", () => look(input.files[0]));
    const box = el("div", { class: "care-drop" }, el("label", { for: "care-file", text: "Which file? It is looked at and not kept." }), input, said);
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", (event) => (event.preventDefault(), event.stopPropagation(), look(event.dataTransfer.files[0])));
    return box;
  };

  atelier.care = async () => {
    if (document.querySelector(".at-dialog[open]")) return;
    let told;
    try {
      told = await atelier.fetchJson("/atelier/origin/marks");
    } catch (error) {
      return atelier.failed(error);
    }
    const part = (title, ...inside) => el("section", {}, el("h3", { text: title }), ...inside);
    atelier.dialog(
      "Marks and care",
      el("div", { class: "care" },
        part("Marks in what leaves the program", el("p", { text: "Downloads and exports of what was made here. The library's own files stay as they are." }), marks(told)),
        part("Where does a file come from?", checker()),
        ...CARE.map(([title, text]) => part(title, el("p", { text }))),
        el("p", { class: "care-note", text: "This is no legal advice." })),
    );
  };
})();
