// A recording whose voice is to speak: dropped or chosen, heard, and used only where one agrees to the sentence.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, button } = atelier;

  atelier.voiceRecording = (element, props, trigger, watch) => {
    const host = element.querySelector(".bd-widget") || element;
    const set = (value) => {
      props.value = { ...props.value, ...value };
      paint();
    };
    const upload = async (file) => {
      host.querySelector(".bd-dropname").textContent = `Reading ${file.name}…`;
      const answer = await atelier.upload(file, file.name, "voice");
      if (answer.sha256 && String(answer.media_type).startsWith("audio/") && answer.media_type !== "audio/midi") return set({ sha256: answer.sha256, name: file.name, agreed: false });
      paint([answer.error, answer.hint].filter(Boolean).join(" ") || `${file.name} is no recording of a voice. Choose a sound file: WAV, FLAC, MP3 or OGG.`);
    };
    const empty = (problem) => {
      const input = el("input", { type: "file", accept: "audio/*", class: "bd-file", "aria-label": "Recording of a voice", onchange: (event) => event.target.files[0] && upload(event.target.files[0]) });
      const zone = el("label", { class: "bd-drop", "data-takes-files": true }, input, atelier.icon("play"), el("span", { class: "bd-dropname", text: "Speak in the voice of a recording: drop one, or choose it" }));
      zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
      zone.addEventListener("dragleave", () => zone.classList.remove("over"));
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        if (event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
      });
      return [zone, problem ? el("div", { class: "bd-problem", role: "alert", dir: "auto", text: problem }) : null];
    };
    const filled = ({ sha256, name, agreed, sentence }) => [
      el("div", { class: "bd-voice" },
        el("div", { class: "bd-voicename" },
          el("span", { dir: "auto", text: name || "A recording" }),
          button("close", "Remove the recording", () => set({ sha256: null, name: "", agreed: false }), { bare: true })),
        el("audio", { controls: true, preload: "none", src: `/atelier/files/${encodeURIComponent(sha256)}` }),
        el("label", { class: "bd-consent" },
          el("input", { type: "checkbox", checked: Boolean(agreed), onchange: (event) => (props.value = { ...props.value, agreed: event.target.checked }) }),
          el("span", { text: sentence }))),
    ];
    const paint = (problem = "") => {
      const value = props.value || {};
      if (!value.shown) return host.replaceChildren();
      host.replaceChildren(...(value.sha256 ? filled(value) : empty(typeof problem === "string" ? problem : "")).filter(Boolean));
    };
    let print = "";
    watch("value", () => {
      const { shown, sha256, agreed } = props.value || {};
      const now = JSON.stringify([shown, sha256, agreed]);
      if (now !== print) paint(); // a tick is drawn by the box itself; painting again would stop what is heard
      print = now;
    });
    paint();
  };
})();
