// Sound: one transport for the whole page, so that takes play one at a time, loop without a gap and change places in step.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});

  const KEPT = 16; // decoded sounds; a minute of stereo is about 20 MB
  const AHEAD = 0.03; // s: a start is planned this far ahead, so that nothing is cut off

  // the two filters of ITU-R BS.1770-5, annex 1, at 48 kHz
  const K_WEIGHTING = [
    [[1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585]],
    [[1, -2, 1], [1, -1.99004745483398, 0.99007225036621]],
  ];
  const STEP = 4800; // samples: 0.1 s; a block has four
  const known = new Map(); // address -> LUFS

  /** The gated loudness of a sound in LUFS, by BS.1770; -Infinity for silence. */
  const loudness = async (address, buffer) => {
    if (known.has(address)) return known.get(address);
    const offline = new OfflineAudioContext(buffer.numberOfChannels, Math.ceil(buffer.duration * 48000), 48000);
    const source = new AudioBufferSourceNode(offline, { buffer });
    let last = source;
    for (const [feedforward, feedback] of K_WEIGHTING) last = last.connect(new IIRFilterNode(offline, { feedforward, feedback }));
    last.connect(offline.destination);
    source.start();
    const heard = await offline.startRendering();
    const steps = new Float64Array(Math.max(4, Math.floor(heard.length / STEP)));
    for (let channel = 0; channel < heard.numberOfChannels; channel++) {
      const samples = heard.getChannelData(channel);
      for (let i = 0; i < Math.min(samples.length, steps.length * STEP); i++) steps[Math.floor(i / STEP)] += samples[i] ** 2 / (4 * STEP);
    }
    const blocks = [];
    for (let k = 3; k < steps.length; k++) blocks.push(steps[k] + steps[k - 1] + steps[k - 2] + steps[k - 3]);
    const mean = (some) => some.reduce((sum, power) => sum + power, 0) / some.length;
    const level = (power) => -0.691 + 10 * Math.log10(power);
    const loud = blocks.filter((power) => level(power) > -70);
    const gate = loud.length ? mean(loud) / 10 : 0;
    const found = loud.length ? level(mean(loud.filter((power) => power > gate))) : -Infinity;
    known.set(address, found);
    return found;
  };

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
      this.gains = new Map(); // address -> what it is turned down to while takes are compared
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
      const volume = this.context.createGain();
      volume.gain.value = this.gains.get(address) ?? 1;
      source.connect(volume).connect(this.context.destination);
      source.addEventListener("ended", () => this.source === source && this.pause(0));
      this.began = this.context.currentTime + AHEAD;
      source.start(this.began, this.offset);
      this.source = source;
      this.run();
    }

    /** From now on these sounds are all as loud as the softest of them; no others are turned down. */
    async even(addresses) {
      const found = await Promise.all(addresses.map(async (address) => [address, await loudness(address, await this.load(address))]));
      const softest = Math.min(...found.map(([, lufs]) => lufs).filter(Number.isFinite));
      this.gains = new Map(found.filter(([, lufs]) => lufs > softest).map(([address, lufs]) => [address, 10 ** ((softest - lufs) / 20)]));
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
