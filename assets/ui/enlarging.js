// How a take is enlarged: by which model, how many times. Adds to Board the dialog in which that is chosen.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el, notice } = atelier;

  const FACTORS = [2, 3, 4];
  const option = ([value, text]) => el("option", { value, text });
  const row = (label, field) => el("label", {}, el("span", { text: label }), field);

  Object.assign(atelier.Board.prototype, {
    async enlarge(entry) {
      let models;
      try {
        ({ models } = await window.atelier.fetchJson("/atelier/enlargers"));
      } catch (error) {
        return void notice(this.root, error.message);
      }
      const before = this.enlarged || {};
      const { take } = entry;
      const model = el("select", { name: "model" }, ...models.map(({ id, name }) => option([id, name])), option(["", "None: sharpened by calculation"]));
      if ([...model.options].some(({ value }) => value === before.model)) model.value = before.model;
      const factor = el("select", { name: "factor" }, ...FACTORS.map((times) => option([times, `${times} ×`])));
      const method = el("select", { name: "method" }, ...[["photo", "photo or painting"], ["pixels", "pixel art"]].map(option));
      const kind = row("Kind of picture", method);
      const told = el("p", { class: "bd-told", role: "status" });
      const own = () => models.find(({ id }) => id === model.value)?.factor || 2;
      const describe = () => {
        kind.hidden = Boolean(model.value);
        const times = Number(factor.value);
        const size = take.width ? `${take.width} × ${take.height} becomes ${take.width * times} × ${take.height * times} pixels.` : "";
        const passes = Math.ceil(Math.log(times) / Math.log(own()) - 1e-9);
        const way = model.value && times !== own() ? (passes > 1 ? `The model makes ${own()} × at once: it takes ${passes} passes.` : `The model makes ${own()} ×, which is made smaller again.`) : "";
        told.textContent = [size, way].filter(Boolean).join(" ");
      };
      model.addEventListener("change", () => ((factor.value = String(own())), describe()));
      factor.addEventListener("change", describe);
      factor.value = String((model.value === before.model && before.factor) || own());
      describe();
      const form = el("form", { method: "dialog" },
        el("h2", { text: "Enlarge" }),
        row("Model", model), row("Times as large", factor), kind, told,
        models.length ? null : el("p", { class: "bd-told", text: "Models that draw finer detail can be had in Models: Swin2SR, for instance." }),
        el("div", { class: "bd-dialogfoot" },
          el("button", { type: "button", class: "bd-button", onclick: () => dialog.close(), text: "Cancel" }),
          el("button", { type: "submit", class: "bd-button primary", value: "go", autofocus: true, text: "Enlarge" })));
      const dialog = el("dialog", { class: "bd-dialog bd-enlarge", "aria-label": "Enlarge" }, form);
      dialog.addEventListener("close", () => {
        if (dialog.returnValue === "go") {
          this.enlarged = { model: model.value, factor: factor.value };
          this.ask("enlarge", entry, { model: model.value, factor: factor.value, method: method.value });
        }
        dialog.remove();
      });
      this.root.append(dialog);
      dialog.showModal();
    },
  });
})();
