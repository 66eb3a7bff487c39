// The piano roll: the notes of a score on a canvas, with a playback line; and the same with tools to change them.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});
  const { el } = atelier;

  // parts by colour, told apart in both themes and by the colour-blind (after Okabe and Ito, 2008)
  const COLOURS = ["#3b9ddd", "#e69f00", "#22b07d", "#cc79a7", "#d55e00", "#8f7ee7", "#b5a900", "#8a8f98"];
  const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
  const BLACK = new Set([1, 3, 6, 8, 10]);
  const KEYS = 44; // px at the left: the names of the pitches
  const RULER = 18; // px above: the bars
  const EDGE = 6; // px of a note's right end at which it is made longer

  atelier.trackColour = (index) => COLOURS[index % COLOURS.length];
  atelier.pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

  const sizedFor = (canvas) => {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    return [pen, width, height];
  };

  /** Lowest and highest pitch with a little air; at least an octave and a half. */
  const span = (score) => {
    const pitches = score.tracks.filter((track) => !track.drums).flatMap((track) => track.notes.map((note) => note[2]));
    if (!pitches.length) return [54, 78];
    let [low, high] = [Math.min(...pitches) - 2, Math.max(...pitches) + 2];
    while (high - low < 18) [low, high] = [low - 1, high + 1];
    return [low, high];
  };

  /** A whole score small: notes alone, drums as a line of strokes at the foot. */
  atelier.paintSmall = (canvas, score, share = null) => {
    const [pen, width, height] = sizedFor(canvas);
    if (width < 4 || !score.length) return;
    const [low, high] = span(score);
    const foot = score.tracks.some((track) => track.drums && track.notes.length) ? 8 : 0;
    const across = width / score.length;
    const down = (height - foot - 4) / (high - low + 1);
    score.tracks.forEach((track, index) => {
      pen.fillStyle = atelier.trackColour(index);
      for (const [onset, duration, pitch] of track.notes) {
        if (track.drums) pen.fillRect(onset * across, height - foot + (pitch % 3) * 2, 1.5, 2);
        else pen.fillRect(onset * across, 2 + (high - pitch) * down, Math.max(1.5, duration * across - 0.7), Math.max(1.5, down * 0.86));
      }
    });
    if (share === null) return;
    pen.fillStyle = getComputedStyle(canvas).color;
    pen.fillRect(Math.round(share * width), 0, 1.5, height);
  };

  /** Seconds at a tick and the other way round, through the changes of tempo. */
  class TempoMap {
    constructor(score) {
      this.quarter = score.quarter;
      this.marks = [];
      let [seconds, tick, bpm] = [0, 0, 120];
      for (const [at, next] of score.tempi.length ? score.tempi : [[0, 120]]) {
        seconds += ((at - tick) / this.quarter) * (60 / bpm);
        [tick, bpm] = [at, next];
        this.marks.push([tick, seconds, bpm]);
      }
    }
    seconds(tick) {
      const [from, at, bpm] = this.marks.findLast(([mark]) => mark <= tick) || this.marks[0];
      return at + ((tick - from) / this.quarter) * (60 / bpm);
    }
    tick(seconds) {
      const [from, at, bpm] = this.marks.findLast(([, mark]) => mark <= seconds) || this.marks[0];
      return from + ((seconds - at) * bpm * this.quarter) / 60;
    }
  }
  atelier.TempoMap = TempoMap;

  /** A score to look at and, once `edit` is called, to change. `told` hears of {seek}, {changed}, {bars}. */
  class PianoRoll {
    constructor(score, told = () => {}) {
      this.told = told;
      this.muted = new Set();
      this.zoom = 1;
      this.from = 0; // the first tick that is seen
      this.time = null; // s: where the playback line stands
      this.track = 0; // that new notes belong to
      this.editing = false;
      this.chosen = new Set(); // notes, as the arrays themselves
      this.bars = null; // [first, last], 1-based: marked for a rework
      this.canvas = el("canvas", { class: "mu-roll", tabindex: "0", role: "img", "aria-label": "Piano roll" });
      this.pitchLabel = el("span", { class: "mu-pitch", hidden: true });
      this.node = el("div", { class: "mu-rollbox" }, this.canvas, this.pitchLabel);
      this.set(score);
      this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.canvas.addEventListener("pointerdown", (event) => this.press(event));
      this.canvas.addEventListener("pointermove", (event) => this.move(event));
      this.canvas.addEventListener("pointerup", (event) => this.release(event));
      this.canvas.addEventListener("pointerleave", () => (this.pitchLabel.hidden = true));
      this.canvas.addEventListener("dblclick", (event) => this.double(event));
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      this.watcher = new ResizeObserver(() => this.paint());
      this.watcher.observe(this.canvas);
    }

    close() {
      this.watcher.disconnect();
    }

    set(score) {
      this.score = score;
      this.tempo = new TempoMap(score);
      [this.low, this.high] = span(score);
      this.chosen.clear();
      const notes = score.tracks.reduce((sum, track) => sum + track.notes.length, 0);
      this.canvas.setAttribute("aria-label", `Piano roll: ${notes} notes in ${score.bars.length} bars, ${score.tracks.map((track) => track.name).join(", ")}`);
      this.paint();
    }

    // --- geometry

    get box() {
      return [this.canvas.clientWidth - KEYS, this.canvas.clientHeight - RULER];
    }
    get across() {
      return (this.box[0] * this.zoom) / Math.max(1, this.score.length); // px a tick
    }
    get down() {
      return this.box[1] / (this.high - this.low + 1); // px a semitone
    }
    x(tick) {
      return KEYS + (tick - this.from) * this.across;
    }
    y(pitch) {
      return RULER + (this.high - pitch) * this.down;
    }
    tickAt(x) {
      return this.from + (x - KEYS) / this.across;
    }
    pitchAt(y) {
      return Math.floor(this.high - (y - RULER) / this.down + 1);
    }
    barAt(tick) {
      const found = this.score.bars.findLastIndex((start) => start <= tick);
      return Math.max(0, found) + 1;
    }

    zoomTo(zoom, tick = this.from + this.score.length / this.zoom / 2) {
      const x = this.x(tick);
      this.zoom = Math.min(64, Math.max(1, zoom));
      this.scrollTo(tick - (x - KEYS) / this.across);
    }
    scrollTo(tick) {
      const seen = this.score.length / this.zoom;
      this.from = Math.max(0, Math.min(this.score.length - seen, tick));
      this.paint();
    }

    // --- painting

    paint() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = 0;
        if (this.canvas.isConnected) this.draw();
      });
    }

    draw() {
      const [pen, width, height] = sizedFor(this.canvas);
      if (width < KEYS + 20) return;
      const style = getComputedStyle(this.canvas);
      const ink = style.color;
      this.drawGrid(pen, width, height, ink);
      pen.save();
      pen.beginPath();
      pen.rect(KEYS, RULER, width - KEYS, height - RULER);
      pen.clip();
      this.score.tracks.forEach((track, index) => this.drawTrack(pen, track, index, height, ink));
      if (this.dragging?.kind === "box") this.drawBox(pen, ink);
      pen.restore();
      if (this.time !== null) {
        const x = this.x(this.tempo.tick(this.time));
        if (x >= KEYS && x <= width) {
          pen.fillStyle = ink;
          pen.fillRect(x - 0.75, 0, 1.5, height);
        }
      }
    }

    drawGrid(pen, width, height, ink) {
      for (let pitch = this.low; pitch <= this.high; pitch++) {
        const y = this.y(pitch);
        if (BLACK.has(pitch % 12)) {
          pen.fillStyle = ink;
          pen.globalAlpha = 0.05;
          pen.fillRect(KEYS, y, width - KEYS, this.down);
          pen.globalAlpha = 1;
        }
        if (pitch % 12 === 0 && this.down * 12 > 11) {
          pen.fillStyle = ink;
          pen.globalAlpha = 0.7;
          pen.font = "10px system-ui, sans-serif";
          pen.fillText(atelier.pitchName(pitch), 8, y + Math.min(this.down, 10));
          pen.globalAlpha = 1;
        }
      }
      if (this.bars) {
        const ends = [...this.score.bars, this.score.length];
        pen.fillStyle = COLOURS[0];
        pen.globalAlpha = 0.16;
        const [left, right] = [this.x(ends[this.bars[0] - 1]), this.x(ends[Math.min(this.bars[1], ends.length - 1)])];
        pen.fillRect(Math.max(KEYS, left), 0, Math.max(0, right - Math.max(KEYS, left)), height);
        pen.globalAlpha = 1;
      }
      const perBar = (this.score.length / Math.max(1, this.score.bars.length)) * this.across;
      const every = perBar > 26 ? 1 : perBar > 7 ? 4 : 16;
      pen.font = "10px system-ui, sans-serif";
      this.score.bars.forEach((start, index) => {
        const x = this.x(start);
        if (x < KEYS - 1 || x > width) return;
        pen.fillStyle = ink;
        pen.globalAlpha = 0.16;
        pen.fillRect(x, index % every ? RULER : 0, 1, height);
        pen.globalAlpha = 0.7;
        if (index % every === 0) pen.fillText(String(index + 1), x + 4, 12);
        pen.globalAlpha = 1;
      });
      if (perBar > 90) this.drawBeats(pen, width, height, ink);
    }

    drawBeats(pen, width, height, ink) {
      pen.fillStyle = ink;
      pen.globalAlpha = 0.07;
      for (let tick = Math.floor(this.from / this.score.quarter) * this.score.quarter; tick < this.score.length; tick += this.score.quarter) {
        const x = this.x(tick);
        if (x > width) break;
        if (x > KEYS) pen.fillRect(x, RULER, 1, height);
      }
      pen.globalAlpha = 1;
    }

    drawTrack(pen, track, index, height, ink) {
      const dim = this.muted.has(index);
      pen.fillStyle = atelier.trackColour(index);
      for (const note of track.notes) {
        const [onset, duration, pitch] = note;
        const [x, w] = [this.x(onset), Math.max(2, duration * this.across - 1)];
        if (x + w < KEYS || x > this.canvas.clientWidth) continue;
        pen.globalAlpha = dim ? 0.16 : this.editing && index !== this.track ? 0.45 : 1;
        const y = track.drums ? height - 16 + (pitch % 4) * 4 : this.y(pitch);
        pen.fillRect(x, y, track.drums ? 3 : w, track.drums ? 3 : Math.max(2, this.down - 1));
        if (!this.chosen.has(note)) continue;
        pen.strokeStyle = ink;
        pen.lineWidth = 1.5;
        pen.strokeRect(x - 0.5, y - 0.5, w + 1, Math.max(2, this.down));
      }
      pen.globalAlpha = 1;
    }

    drawBox(pen, ink) {
      const { at, now } = this.dragging;
      pen.strokeStyle = ink;
      pen.setLineDash([4, 3]);
      pen.strokeRect(at[0], at[1], now[0] - at[0], now[1] - at[1]);
      pen.setLineDash([]);
    }

    // --- hands

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }

    wheel(event) {
      event.preventDefault();
      const tick = this.tickAt(this.point(event)[0]);
      if (event.ctrlKey || event.metaKey) this.zoomTo(this.zoom * Math.exp(-event.deltaY * 0.004), tick);
      else if (this.zoom > 1) this.scrollTo(this.from + ((event.deltaX || event.deltaY) / this.across));
      else if (event.deltaY < 0) this.zoomTo(1.3, tick);
    }

    /** The note of the track in hand under a point, the last drawn first. */
    noteAt([x, y]) {
      const [tick, pitch] = [this.tickAt(x), this.pitchAt(y)];
      const notes = this.score.tracks[this.track]?.notes || [];
      return notes.findLast(([onset, duration, its]) => its === pitch && onset <= tick && tick < onset + Math.max(duration, 4 / this.across)) || null;
    }

    press(event) {
      if (event.button !== 0) return;
      const at = this.point(event);
      this.canvas.setPointerCapture(event.pointerId);
      if (at[1] < RULER) this.dragging = { kind: "bars", first: this.barAt(this.tickAt(at[0])), at };
      else if (!this.editing) this.dragging = { kind: "seek", at, from: this.from };
      else this.grab(at, event.shiftKey);
    }

    grab(at, more) {
      const note = this.noteAt(at);
      if (!note) {
        if (!more) this.chosen.clear();
        this.dragging = { kind: "box", at, now: at, before: new Set(this.chosen) };
        return this.paint();
      }
      if (more) this.chosen.has(note) ? this.chosen.delete(note) : this.chosen.add(note);
      else if (!this.chosen.has(note)) this.chosen = new Set([note]);
      const longer = this.x(note[0] + note[1]) - at[0] < EDGE && note[1] * this.across > EDGE * 2;
      this.dragging = { kind: longer ? "lengthen" : "shift", at, was: [...this.chosen].map((one) => [one, [...one]]), note };
      if (!this.score.tracks[this.track].drums) atelier.player?.tone(note[2], 0.25);
      this.paint();
    }

    move(event) {
      const now = this.point(event);
      this.showPitch(now);
      const drag = this.dragging;
      if (!drag) return void (this.canvas.style.cursor = this.cursor(now));
      if (drag.kind === "bars") {
        const last = this.barAt(this.tickAt(now[0]));
        this.mark([Math.min(drag.first, last), Math.max(drag.first, last)]);
      } else if (drag.kind === "seek") {
        if (Math.abs(now[0] - drag.at[0]) > 4) drag.moved = true;
        if (drag.moved && this.zoom > 1) this.scrollTo(drag.from - (now[0] - drag.at[0]) / this.across);
      } else if (drag.kind === "box") {
        drag.now = now;
        this.chooseWithin(drag);
        this.paint();
      } else this.drag(drag, now);
    }

    cursor(at) {
      if (at[1] < RULER) return "col-resize";
      const note = this.editing && this.noteAt(at);
      if (!note) return this.editing ? "crosshair" : "pointer";
      return this.x(note[0] + note[1]) - at[0] < EDGE ? "ew-resize" : "grab";
    }

    get grid() {
      return this.score.quarter / 4;
    }

    drag(drag, now) {
      const ticks = Math.round((now[0] - drag.at[0]) / this.across / this.grid) * this.grid;
      const pitches = drag.kind === "shift" ? Math.round((drag.at[1] - now[1]) / this.down) : 0;
      if (!drag.begun && (ticks || pitches)) this.remember();
      drag.begun = drag.begun || Boolean(ticks || pitches);
      const heard = drag.note[2];
      for (const [note, [onset, duration, pitch]] of drag.was) {
        if (drag.kind === "lengthen") note[1] = Math.max(this.grid / 2, Math.min(duration + ticks, this.score.length - onset));
        else {
          note[0] = Math.max(0, Math.min(this.score.length - duration, onset + ticks));
          note[2] = Math.max(0, Math.min(127, pitch + pitches));
        }
      }
      if (drag.note[2] !== heard && !this.score.tracks[this.track].drums) atelier.player?.tone(drag.note[2], 0.2);
      this.widen();
      this.paint();
    }

    chooseWithin({ at, now, before }) {
      const [left, right] = [Math.min(at[0], now[0]), Math.max(at[0], now[0])].map((x) => this.tickAt(x));
      const [high, low] = [Math.min(at[1], now[1]), Math.max(at[1], now[1])].map((y) => this.pitchAt(y));
      const inside = (this.score.tracks[this.track]?.notes || []).filter(([onset, duration, pitch]) => onset + duration > left && onset < right && pitch >= low && pitch <= high);
      this.chosen = new Set([...before, ...inside]);
    }

    release(event) {
      const drag = this.dragging;
      this.dragging = null;
      if (!drag) return;
      if (drag.kind === "seek" && !drag.moved) this.told({ seek: this.tempo.seconds(Math.max(0, this.tickAt(this.point(event)[0]))) });
      if (drag.kind === "bars" && Math.abs(this.point(event)[0] - drag.at[0]) < 4) this.mark(this.bars && this.bars[0] === drag.first && this.bars[1] === drag.first ? null : [drag.first, drag.first]);
      if (drag.begun) this.changed();
      this.paint();
    }

    mark(bars) {
      this.bars = bars;
      this.told({ bars });
      this.paint();
    }

    double(event) {
      const at = this.point(event);
      if (!this.editing || at[1] < RULER || at[0] < KEYS) return;
      const note = this.noteAt(at);
      if (note) return this.remove(new Set([note]));
      this.remember();
      const onset = Math.floor(this.tickAt(at[0]) / this.grid) * this.grid;
      const made = [onset, Math.min(this.grid * 2, this.score.length - onset), this.pitchAt(at[1]), 84];
      this.score.tracks[this.track].notes.push(made);
      this.chosen = new Set([made]);
      this.changed();
    }

    showPitch([x, y]) {
      const label = this.pitchLabel;
      label.hidden = y < RULER || x < KEYS;
      if (label.hidden) return;
      label.textContent = atelier.pitchName(this.pitchAt(y));
      label.style.top = `${Math.max(0, y - 9)}px`;
    }

    // --- changing notes

    edit(on) {
      this.editing = on;
      this.canvas.toggleAttribute("data-own-keys", on);
      this.undone = [];
      this.done = [];
      this.chosen.clear();
      this.paint();
    }

    copyOfNotes() {
      return this.score.tracks.map((track) => track.notes.map((note) => [...note]));
    }

    remember() {
      this.done.push(this.copyOfNotes());
      this.undone = [];
      if (this.done.length > 200) this.done.shift();
    }

    restore(from, to) {
      const before = from.pop();
      if (!before) return;
      to.push(this.copyOfNotes());
      this.score.tracks.forEach((track, index) => (track.notes = before[index]));
      this.chosen.clear();
      this.changed();
    }
    undo() {
      this.restore(this.done, this.undone);
    }
    redo() {
      this.restore(this.undone, this.done);
    }

    changed() {
      for (const track of this.score.tracks) track.notes.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
      this.widen();
      this.told({ changed: true });
      this.paint();
    }

    /** Room for notes that went beyond the pitches that were seen. */
    widen() {
      const [low, high] = span(this.score);
      this.low = Math.min(this.low, low);
      this.high = Math.max(this.high, high);
    }

    remove(notes = this.chosen) {
      if (!notes.size) return;
      this.remember();
      const { tracks } = this.score;
      tracks[this.track].notes = tracks[this.track].notes.filter((note) => !notes.has(note));
      this.chosen.clear();
      this.changed();
    }

    /** Moves the chosen notes by ticks and semitones, or makes them longer. */
    nudge(ticks, pitches, longer = 0) {
      if (!this.chosen.size) return;
      this.remember();
      for (const note of this.chosen) {
        note[0] = Math.max(0, Math.min(this.score.length - note[1], note[0] + ticks));
        note[2] = Math.max(0, Math.min(127, note[2] + pitches));
        note[1] = Math.max(this.grid / 2, Math.min(this.score.length - note[0], note[1] + longer));
      }
      this.changed();
    }

    nextNote(by) {
      const notes = this.score.tracks[this.track]?.notes || [];
      if (!notes.length) return;
      const at = notes.findIndex((note) => this.chosen.has(note));
      const note = notes[Math.max(0, Math.min(notes.length - 1, at < 0 ? 0 : at + by))];
      this.chosen = new Set([note]);
      if (this.x(note[0]) < KEYS || this.x(note[0]) > this.canvas.clientWidth) this.scrollTo(note[0]);
      this.paint();
    }

    key(event) {
      if (!this.editing) return;
      const control = event.ctrlKey || event.metaKey;
      const does = {
        ArrowUp: () => this.nudge(0, event.shiftKey ? 12 : 1),
        ArrowDown: () => this.nudge(0, event.shiftKey ? -12 : -1),
        ArrowRight: () => (event.shiftKey ? this.nudge(0, 0, this.grid) : event.altKey ? this.nextNote(1) : this.nudge(this.grid, 0)),
        ArrowLeft: () => (event.shiftKey ? this.nudge(0, 0, -this.grid) : event.altKey ? this.nextNote(-1) : this.nudge(-this.grid, 0)),
        Delete: () => this.remove(),
        Backspace: () => this.remove(),
        "+": () => this.zoomTo(this.zoom * 1.4),
        "-": () => this.zoomTo(this.zoom / 1.4),
        n: () => this.nextNote(1),
        z: () => control && (event.shiftKey ? this.redo() : this.undo()),
        Z: () => control && this.redo(),
        y: () => control && this.redo(),
        a: () => control && ((this.chosen = new Set(this.score.tracks[this.track].notes)), this.paint()),
      }[event.key];
      if (!does || (control && !["z", "Z", "y", "a"].includes(event.key))) return;
      event.preventDefault();
      event.stopPropagation();
      does();
    }
  }

  atelier.PianoRoll = PianoRoll;
})();
