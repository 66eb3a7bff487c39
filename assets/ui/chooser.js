// Works of the library to choose from, for any panel: searched, page by page, what was picked or starred alone.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const { el, fill, tool } = atelier;

  const PAGE = 120;
  const WHICH = [["picked", "Picked", { tags: "picked" }], ["starred", "Starred", { starred: "1" }], ["all", "Everything", {}]];
  const NONE = { picked: "Nothing that fits is picked yet: P on a take picks it.", starred: "Nothing that fits is starred yet.", all: "Nothing fits." };

  const nameOf = (item) => item.prompt || item.name || item.media_type;
  const tile = (item, { chosen, already, one, changed }) => {
    const node = el(
      "button",
      { type: "button", role: "option", class: "at-work", "aria-selected": String(chosen.has(item.sha256)), title: nameOf(item), "aria-label": nameOf(item), disabled: already.has(item.sha256) },
      item.thumb ? el("img", { src: item.thumb, alt: "", loading: "lazy" }) : el("span", { text: nameOf(item), dir: "auto" }),
    );
    node.addEventListener("click", () => {
      const had = chosen.delete(item.sha256);
      if (one) {
        chosen.clear();
        for (const other of node.parentElement.children) other.setAttribute("aria-selected", "false");
      }
      if (!had) chosen.set(item.sha256, item);
      node.setAttribute("aria-selected", String(!had));
      changed();
    });
    return node;
  };

  /** Asks for works and resolves to the chosen ones, [] for none. `media`: their types, all for []; `fits`: which of
   *  them will do; `already`: the hashes of those that are chosen already; `which`: what is shown first; `one`: no more
   *  than one is wanted. */
  atelier.chooseWorks = (title, { media = [], fits = () => true, already = new Set(), which = "all", one = false } = {}) =>
    new Promise((resolve) => {
      const chosen = new Map();
      const list = el("div", { class: "at-works", role: "listbox", "aria-multiselectable": String(!one), "aria-label": "Works" });
      const words = el("input", { type: "search", placeholder: "Words of a prompt", "aria-label": "Search", autocomplete: "off", dir: "auto" });
      const told = el("span", { class: "at-told", role: "status" });
      const more = tool(null, "Show more", () => load(true));
      const go = el("button", { class: "at-button strong", value: "go", text: one ? "Use" : "Add", disabled: true });
      const changed = () => {
        go.disabled = !chosen.size;
        if (!one) go.textContent = chosen.size ? `Add ${chosen.size}` : "Add";
      };
      let [seen, asked, waiting] = [0, 0, null];
      const load = async (further = false) => {
        const mine = (asked += 1);
        const offset = further ? seen : 0;
        const query = new URLSearchParams({ limit: PAGE, offset, text: words.value, media: media.join("\n"), ...WHICH.find(([id]) => id === which)[2] });
        const page = await atelier.fetchJson(`/atelier/find?${query}`).catch((error) => ({ items: [], total: 0, error: error.message }));
        if (mine !== asked) return; // other words by now
        const tiles = page.items.filter(fits).map((item) => tile(item, { chosen, already, one, changed }));
        if (!further) fill(list);
        list.append(...tiles);
        seen = offset + page.items.length;
        more.hidden = seen >= page.total;
        told.textContent = page.error || (list.children.length ? `${seen.toLocaleString("en")} of ${page.total.toLocaleString("en")}` : words.value.trim() ? "Nothing that fits has these words." : NONE[which]);
        if (further) tiles[0]?.focus();
      };
      const tabs = el("div", { class: "at-which", role: "group", "aria-label": "Which" });
      for (const [id, text] of WHICH) {
        const show = () => {
          which = id;
          for (const one of tabs.children) one.setAttribute("aria-pressed", String(one.dataset.which === which));
          load();
        };
        const tab = tool(null, text, show);
        tab.dataset.which = id;
        tab.setAttribute("aria-pressed", String(id === which));
        tabs.append(tab);
      }
      words.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(load, 150);
      });
      words.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), load()));
      const form = el(
        "form",
        { method: "dialog", class: "at-chooser" },
        el("div", { class: "at-asked" }, words, tabs),
        list,
        el("div", { class: "at-choices" }, told, more, tool(null, "Cancel", () => node.close()), go),
      );
      const node = atelier.dialog(title, form);
      node.addEventListener("close", () => resolve(node.returnValue === "go" ? [...chosen.values()] : []));
      words.focus();
      load();
    });

  const PICTURES = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"];
  atelier.isPicture = ({ media_type: type }) => PICTURES.includes(type);
  /** Asks for one picture: {sha256, name}, or null. */
  atelier.choosePicture = async (title) => {
    const [item] = await atelier.chooseWorks(title, { media: PICTURES, one: true });
    return item ? { sha256: item.sha256, name: nameOf(item).slice(0, 80) } : null;
  };
})();
