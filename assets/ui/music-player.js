// Sound: one transport for the whole page, so that takes play one at a time, loop without a gap and change places in step.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});

  const KEPT = 16; // decoded sounds; a minute of stereo is about 20 MB
  const AHEAD = 0.03; // s: a start is planned this far ahead, so that nothing is cut off

  class Player {
    constructor() {
      this.context = null;
      this.sounds = new Map(); // address -> promise of an AudioBuffer, the last used at the end
      this.address = ""; // what plays or is paused
      this.buffer = null;
      this.source = null;
      this.offset = 0; // s into the sound at which it begins, or rests
      this.began = 0; // the context's time at that moment
      this.looping = false;
      this.watchers = new Set();
      this.frame = 0;
    }

    get playing() {
      return this.source !== null;
    }

    /** Seconds into the sound. */
    get time() {
      if (!this.buffer) return this.offset;
      if (!this.playing) return Math.min(this.offset, this.buffer.duration);
      const now = this.offset + Math.max(0, this.context.currentTime - this.began);
      return this.looping ? now % this.buffer.duration : Math.min(now, this.buffer.duration);
    }

    plays(address) {
      return this.playing && this.address === address;
    }

    /** Calls `told()` at every frame while something plays and whenever the transport changes; returns how to end that. */
    watch(told) {
      this.watchers.add(told);
      return () => this.watchers.delete(told);
    }

    tell() {
      for (const told of [...this.watchers]) told();
    }

    /** The decoded sound at an address; an Error with the studio's own sentence where there is none. */
    load(address) {
      const known = this.sounds.get(address);
      this.sounds.delete(address);
      const sound = known || this.decode(address);
      this.sounds.set(address, sound);
      sound.catch(() => this.sounds.delete(address));
      while (this.sounds.size > KEPT) this.sounds.delete(this.sounds.keys().next().value);
      return sound;
    }

    async decode(address) {
      const reply = await fetch(address);
      if (!reply.ok) {
        const answer = await reply.json().catch(() => ({}));
        throw new Error([answer.error, answer.hint].filter(Boolean).join(" ") || "This sound cannot be read. Is the studio still running?");
      }
      const bytes = await reply.arrayBuffer();
      // decoding needs no permission to play; the context that plays is made at the first click
      const offline = new OfflineAudioContext(2, 1, 44100);
      return offline.decodeAudioData(bytes).catch(() => {
        throw new Error("This sound cannot be decoded here. Download it and open it in another player.");
      });
    }

    /** Plays from `at` seconds, or from where this sound rests; another sound stops. */
    async play(address, { at = null, loop = this.looping } = {}) {
      this.context = this.context || new AudioContext({ sampleRate: 44100 });
      const waking = this.context.resume();
      const wanted = (this.wanted = {});
      const buffer = await this.load(address);
      await waking;
      if (this.wanted !== wanted) return; // another was asked for meanwhile
      const from = at ?? (this.address === address ? this.time : 0);
      this.cut();
      this.address = address;
      this.buffer = buffer;
      this.looping = loop;
      this.offset = from >= buffer.duration - 0.02 ? 0 : Math.max(0, from);
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.loop = loop;
      source.connect(this.context.destination);
      source.addEventListener("ended", () => this.source === source && this.pause(0));
      this.began = this.context.currentTime + AHEAD;
      source.start(this.began, this.offset);
      this.source = source;
      this.run();
    }

    /** The same place in another sound, playing on if it played: two takes are compared in step. */
    async change(address) {
      if (address === this.address) return;
      const { time } = this;
      if (this.playing) return this.play(address, { at: await this.inStep(address, time) });
      this.address = address;
      this.buffer = null;
      this.offset = time;
      this.tell();
    }

    /** Where to go on in a sound that may still have to be fetched: what was heard meanwhile is counted. */
    async inStep(address, time) {
      await this.load(address);
      return this.playing ? this.time : time;
    }

    pause(rest = this.time) {
      this.wanted = null;
      this.cut();
      this.offset = rest;
      this.tell();
    }

    cut() {
      const { source } = this;
      this.source = null;
      if (!source) return;
      source.stop();
      source.disconnect();
    }

    toggle(address, options = {}) {
      if (this.plays(address)) this.pause();
      else return this.play(address, options);
    }

    seek(address, at) {
      if (this.plays(address)) return this.play(address, { at });
      this.pause(at);
      this.address = address;
      this.buffer = null;
      this.offset = at;
      this.tell();
    }

    setLoop(on) {
      const { time } = this;
      this.looping = on;
      if (this.source) {
        this.offset = time;
        this.began = this.context.currentTime;
        this.source.loop = on;
      }
      this.tell();
    }

    run() {
      cancelAnimationFrame(this.frame);
      const beat = () => {
        this.tell();
        if (this.playing) this.frame = requestAnimationFrame(beat);
      };
      beat();
    }
  }

  /** A short tone for a key that is pressed: a soft triangle, no sample. */
  Player.prototype.tone = function tone(pitch, seconds = 0.35) {
    this.context = this.context || new AudioContext({ sampleRate: 44100 });
    this.context.resume();
    const now = this.context.currentTime;
    const oscillator = this.context.createOscillator();
    const gain = this.context.createGain();
    oscillator.type = "triangle";
    oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(0.22, now + 0.01);
    gain.gain.exponentialRampToValueAtTime(0.001, now + seconds);
    oscillator.connect(gain).connect(this.context.destination);
    oscillator.start(now);
    oscillator.stop(now + seconds);
  };

  atelier.player = new Player();
  atelier.clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  /** The loudest sample of each of `count` stretches of a sound, as shares of the loudest of all. */
  atelier.peaks = (buffer, count) => {
    const left = buffer.getChannelData(0);
    const right = buffer.numberOfChannels > 1 ? buffer.getChannelData(1) : left;
    const peaks = new Float32Array(count);
    const stretch = left.length / count;
    for (let i = 0; i < count; i++) {
      let most = 0;
      const end = Math.min(left.length, Math.ceil((i + 1) * stretch));
      for (let k = Math.floor(i * stretch); k < end; k += 3) most = Math.max(most, Math.abs(left[k]), Math.abs(right[k]));
      peaks[i] = most;
    }
    const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 0) || 1;
    return peaks.map((peak) => peak / loudest);
  };
})();
