// A file of prompts into the field for many prompts: read here in the page, so that it can be looked at before.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el } = atelier;
  const LARGEST = 2_000_000; // characters

  atelier.promptList = (element, props) => {
    const field = () => document.querySelector(`#${CSS.escape(props.value.field)} textarea`);
    const note = el("span", { class: "bd-quiet", role: "status" });
    const read = async (file) => {
      const text = await file.text().catch(() => null);
      if (text === null || text.length > LARGEST) return void (note.textContent = "That file cannot be read as text.");
      atelier.write(field(), text);
      note.textContent = file.name;
    };
    const input = el("input", { type: "file", accept: ".txt,.csv,.tsv,text/*", class: "bd-file", "aria-label": "File of prompts", onchange: (event) => event.target.files[0] && read(event.target.files[0]) });
    const zone = el("label", { class: "bd-drop", "data-takes-files": true }, input, atelier.icon("page"), el("span", { text: "Drop a text or CSV file, or choose one" }));
    zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
    });
    (element.querySelector(".bd-widget") || element).replaceChildren(zone, note);
  };
})();
