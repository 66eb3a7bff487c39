// Ctrl+Up and Ctrl+Down in the prompt of pictures: what is selected, or the word at the cursor, counts more or less.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const FIELDS = "#image-prompt textarea, #image-negative textarea";
  const STEP = 0.1;
  const LIMIT = 8;

  const wordAt = (text, at) => {
    const start = text.slice(0, at).search(/[^\s,.;:()[\]]*$/);
    return [start, at + text.slice(at).search(/[\s,.;:()[\]]|$/)];
  };

  /** The text and what is selected in it, one step on; null where there is no word. */
  const reweighted = (text, start, end, more) => {
    if (start === end) [start, end] = wordAt(text, start);
    if (start === end) return null;
    const before = /\($/.test(text.slice(0, start));
    const after = before && /^:\s*([+-]?\d*\.?\d+)\s*\)/.exec(text.slice(end));
    const weight = Math.round(((after ? Number(after[1]) : 1) + (more ? STEP : -STEP)) * 100) / 100;
    if (Math.abs(weight) > LIMIT) return null;
    const head = text.slice(0, after ? start - 1 : start);
    const words = text.slice(start, end);
    const tail = text.slice(after ? end + after[0].length : end);
    const wrapped = weight === 1 ? words : `(${words}:${weight})`;
    const first = head.length + (weight === 1 ? 0 : 1);
    return [head + wrapped + tail, first, first + words.length];
  };
  atelier.reweighted = reweighted;

  document.addEventListener("keydown", (event) => {
    const input = event.target instanceof Element && event.target.matches(FIELDS) ? event.target : null;
    const way = { ArrowUp: true, ArrowDown: false }[event.key];
    if (!input || way === undefined || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopPropagation();
    const changed = reweighted(input.value, input.selectionStart, input.selectionEnd, way);
    if (!changed) return;
    atelier.write(input, changed[0]);
    input.setSelectionRange(changed[1], changed[2]);
  }, true);
})();
