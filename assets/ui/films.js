// Films in the page: which fields of the Image panel a film model has, and films side by side that run as one.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});

  /** Show the fields that the chosen model has; the panel tells which one that is, the wishes what it makes. */
  atelier.showFields = (panel) => {
    const model = (window.atelierModels || {})[panel];
    const wanted = model && atelier.wishOf(panel, model);
    const workspace = document.getElementById(`${panel}-go`)?.closest(".ws");
    if (!wanted || !workspace) return;
    if ("num_frames" in wanted) workspace.dataset.makes = "films";
    else delete workspace.dataset.makes;
  };

  /** Play, pause and place of any of these films are those of all. Hidden ones (a page that is left) stand still. */
  atelier.inStep = (films) => {
    if (films.length < 2) return;
    const apart = (one, other) => Math.abs(one.currentTime - other.currentTime) > 0.12;
    const others = (film) => films.filter((other) => other !== film);
    for (const film of films) {
      film.addEventListener("play", () => others(film).forEach((other) => other.paused && other.play().catch(() => {})));
      film.addEventListener("pause", () => film.isConnected && !film.seeking && others(film).forEach((other) => other.pause()));
      film.addEventListener("seeked", () => film.paused && others(film).forEach((other) => apart(film, other) && (other.currentTime = film.currentTime)));
    }
    const [first] = films;
    first.addEventListener("timeupdate", () => {
      if (!first.paused) others(first).forEach((other) => first.currentTime < other.duration && apart(first, other) && (other.currentTime = first.currentTime));
    });
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) first.play().catch(() => {}); // where a browser forbids it, the person presses play
  };
})();
