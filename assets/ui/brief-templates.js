// Templates of briefs: chosen from a menu, kept under a name, renamed, deleted and taken back.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el } = atelier;

  const action = (text, run, more = {}) => el("button", { type: "button", class: "bd-button bd-passage", text, onclick: run, ...more });

  class BriefTemplates {
    constructor(element, props, trigger) {
      this.host = element.querySelector(".bd-widget") || element;
      this.props = props;
      this.trigger = trigger;
      this.naming = ""; // "keep" or "rename" while a name is asked for
      this.paint();
    }

    act(does, more = {}) {
      this.naming = "";
      this.trigger("act", { do: `template-${does}`, ...more });
    }

    get mine() {
      const { own, at } = this.props.value;
      return own.includes(at);
    }

    paint() {
      const { shipped, own, at, problem, deleted, note } = this.props.value;
      const option = (name) => el("option", { value: name, text: name, selected: name === at || null });
      const menu = el("select", { class: "bd-templates", "aria-label": "Template", onchange: () => menu.value && this.act("use", { name: menu.value }) },
        el("option", { value: "", text: "Choose a template…", selected: !at || null }),
        own.length ? el("optgroup", { label: "Yours" }, ...own.map(option)) : "",
        el("optgroup", { label: "Shipped" }, ...shipped.map(option)));
      this.host.replaceChildren(
        el("div", { class: "bd-templaterow" },
          menu,
          action("Save…", () => this.name("keep"), { title: "Keep this form as a template of yours" })),
        this.mine ? el("div", { class: "bd-templaterow" }, action("Rename…", () => this.name("rename")), action("Delete", () => this.act("delete", { name: at }))) : "",
        this.naming ? this.asking() : "",
        deleted ? el("p", { class: "bd-templatenote", role: "status" }, `“${deleted.name}” is deleted. `, action("Undo", () => this.act("restore", deleted))) : "",
        note ? el("p", { class: "bd-templatenote", role: "status", dir: "auto", text: note }) : "",
        problem ? el("p", { class: "bd-problem", role: "alert", dir: "auto", text: problem }) : "");
    }

    name(what) {
      this.naming = what;
      this.paint();
      this.field.focus();
      this.field.select();
    }

    /** A field for the name; keeping under a name that is taken says that it overwrites. */
    asking() {
      const { own, at } = this.props.value;
      const field = (this.field = el("input", { type: "text", class: "bd-templatename", maxlength: 80, autocomplete: "off", dir: "auto", "aria-label": "Name of the template", value: this.mine ? at : "" }));
      const word = () => (this.naming === "rename" ? "Rename" : own.includes(field.value.trim()) ? "Overwrite" : "Save");
      const go = action(word(), () => this.act(this.naming, { name: at, new: field.value }), { class: "bd-button bd-passage primary" });
      field.addEventListener("input", () => (go.textContent = word()));
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter") go.click();
        if (event.key === "Escape") this.stop();
        if (event.key === "Enter" || event.key === "Escape") {
          event.preventDefault();
          event.stopPropagation();
        }
      });
      return el("div", { class: "bd-templaterow" }, field, go, action("Cancel", () => this.stop()));
    }

    stop() {
      this.naming = "";
      this.paint();
    }
  }

  atelier.briefTemplates = (element, props, trigger, watch) => {
    const templates = new BriefTemplates(element, props, trigger);
    watch("value", () => templates.paint());
  };
})();
