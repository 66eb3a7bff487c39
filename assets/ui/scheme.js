// Light or dark, before the first paint: what the person chose, else what the system says. gradio reads `dark` on the body.
(() => {
  "use strict";
  const atelier = (window.atelier = window.atelier || {});
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("atelier:theme");
    } catch {
      return null; // storage may be forbidden; then the system decides
    }
  };
  const apply = () => {
    const dark = (chosen() || (system.matches ? "dark" : "light")) === "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const body = document.body;
    if (body && body.classList.contains("dark") !== dark) body.classList.toggle("dark", dark);
    return dark;
  };
  atelier.dark = () => document.documentElement.dataset.theme === "dark";
  atelier.setScheme = (name) => {
    try {
      if (name) localStorage.setItem("atelier:theme", name);
      else localStorage.removeItem("atelier:theme");
    } catch {
      // it then holds for this page alone
    }
    apply();
    dispatchEvent(new CustomEvent("atelier:scheme"));
  };
  system.addEventListener("change", apply);
  const watch = new MutationObserver(() => {
    if (!document.body) return;
    watch.disconnect();
    apply();
    new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
  watch.observe(document.documentElement, { childList: true });
  apply();
})();
