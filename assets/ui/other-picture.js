// A picture that new ones shall resemble or follow: dropped, chosen, or a take that was sent here.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;

  atelier.otherPicture = (element, props, trigger, watch) => {
    const host = element.querySelector(".bd-widget") || element;
    const set = (value) => {
      props.value = { ...props.value, ...value };
      paint();
    };
    const upload = async (file) => {
      host.querySelector(".bd-dropname").textContent = `Reading ${file.name}…`;
      const answer = await atelier.upload(file, file.name, props.value.role);
      if (answer.sha256) return set({ sha256: answer.sha256, name: file.name });
      paint([answer.error, answer.hint].filter(Boolean).join(" ") || "That file cannot be used.");
    };
    const empty = (problem) => {
      const input = el("input", { type: "file", accept: "image/*", class: "bd-file", "aria-label": props.value.asks, onchange: (event) => event.target.files[0] && upload(event.target.files[0]) });
      const zone = el("label", { class: "bd-drop", "data-takes-files": true }, input, atelier.icon("start"), el("span", { class: "bd-dropname", text: props.value.asks }));
      zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
      zone.addEventListener("dragleave", () => zone.classList.remove("over"));
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        if (event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
      });
      const find = async () => {
        const chosen = await window.atelier.choosePicture(props.value.chooses);
        if (chosen) set(chosen);
      };
      return [zone, atelier.fromLibrary(find), problem ? el("div", { class: "bd-problem", role: "alert", dir: "auto", text: problem }) : null];
    };
    const filled = ({ sha256, name }) => [
      el("div", { class: "bd-started" },
        el("img", { src: `/atelier/thumbs/${encodeURIComponent(sha256)}`, alt: name || props.value.says }),
        el("div", {},
          el("div", { class: "bd-quiet", dir: "auto", text: name || props.value.says }),
          button("close", "Remove", () => set({ sha256: null, name: "" })))),
    ];
    const paint = (problem = "") => {
      const value = props.value || {};
      host.replaceChildren(...(value.sha256 ? filled(value) : empty(typeof problem === "string" ? problem : "")).filter(Boolean));
    };
    watch("value", () => paint());
    paint();
  };
})();
