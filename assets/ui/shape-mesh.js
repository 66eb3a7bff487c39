// Shapes in three dimensions: reads binary glTF, and draws it with WebGL 2: three lights, shadows, edges.
// One context draws for all: a page may have only a few of them, and a board has many tiles. Lengths are millimetres.
(() => {
  "use strict";
  const atelier = (window.atelierBoard = window.atelierBoard || {});

  const MOST_KEPT = 24; // shapes whose triangles stay on the graphics card
  const MOST_PIXELS = 2048; // a side of what is drawn
  const SHADOW = 1024; // pixels a side of the shadow's map
  const VIEW_ANGLE = 0.5; // radians from top to bottom
  const KEY = [-0.55, 0.75, 0.6]; // where the strongest light comes from, seen from the camera: right, up, towards it

  // --- vectors and matrices (by columns, as WebGL wants them)

  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => {
    const long = Math.hypot(...a) || 1;
    return a.map((x) => x / long);
  };
  const times = (a, b) => {
    const product = new Float32Array(16);
    for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) product[4 * c + r] += a[4 * k + r] * b[4 * c + k];
    return product;
  };
  const lookingAt = (eye, target, up) => {
    const back = unit(minus(eye, target));
    const right = unit(cross(up, back));
    const top = cross(back, right);
    return new Float32Array([right[0], top[0], back[0], 0, right[1], top[1], back[1], 0, right[2], top[2], back[2], 0, -dot(right, eye), -dot(top, eye), -dot(back, eye), 1]);
  };
  const perspective = (angle, aspect, near, far) => {
    const f = 1 / Math.tan(angle / 2);
    return new Float32Array([f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0]);
  };
  const parallel = (half, near, far) => new Float32Array([1 / half, 0, 0, 0, 0, 1 / half, 0, 0, 0, 0, 2 / (near - far), 0, 0, 0, (far + near) / (near - far), 1]);

  // --- binary glTF

  const NUMBERS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
  const PARTS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };

  const numbersOf = (plain, binary, index) => {
    const accessor = plain.accessors[index];
    const view = plain.bufferViews[accessor.bufferView];
    const Kind = NUMBERS[accessor.componentType];
    const parts = PARTS[accessor.type];
    if (!Kind || !parts) throw new Error("This shape is written in a way that cannot be shown.");
    const start = binary.byteOffset + (view.byteOffset || 0) + (accessor.byteOffset || 0);
    const stride = view.byteStride || parts * Kind.BYTES_PER_ELEMENT;
    if (stride === parts * Kind.BYTES_PER_ELEMENT && start % Kind.BYTES_PER_ELEMENT === 0) return new Kind(binary.buffer, start, accessor.count * parts);
    const found = new Kind(accessor.count * parts);
    for (let k = 0; k < accessor.count; k++) found.set(new Kind(binary.buffer.slice(start + k * stride, start + k * stride + parts * Kind.BYTES_PER_ELEMENT)), k * parts);
    return found;
  };

  /** sRGB in 0..1 of linear light. */
  const shownColour = (value) => Math.min(1, Math.max(0, value)) ** (1 / 2.2);

  const smooth = (points, faces) => {
    const normals = new Float32Array(points.length);
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [0, 1, 2].map((k) => points.subarray(3 * faces[f + k], 3 * faces[f + k] + 3));
      const across = cross(minus(b, a), minus(c, a));
      for (let k = 0; k < 3; k++) for (let d = 0; d < 3; d++) normals[3 * faces[f + k] + d] += across[d];
    }
    return normals;
  };

  /** {points, normals, colours (Float32Array, 3 a corner), faces (Uint32Array), low, high} in mm. Throws a sentence. */
  const readGlb = (buffer) => {
    const head = new DataView(buffer);
    if (buffer.byteLength < 20 || head.getUint32(0, true) !== 0x46546c67) throw new Error("This file is no binary glTF.");
    const long = head.getUint32(12, true);
    const plain = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, long)));
    const binary = new Uint8Array(buffer, 28 + long);
    const primitives = (plain.meshes || []).flatMap((mesh) => mesh.primitives || []).filter((one) => (one.mode ?? 4) === 4 && "POSITION" in one.attributes);
    if (!primitives.length) throw new Error("This shape has no faces.");
    const parts = primitives.map((one) => {
      const points = Float32Array.from(numbersOf(plain, binary, one.attributes.POSITION), (x) => x * 1000);
      const count = points.length / 3;
      const faces = "indices" in one ? Uint32Array.from(numbersOf(plain, binary, one.indices)) : Uint32Array.from({ length: count }, (_, k) => k);
      const normals = "NORMAL" in one.attributes ? numbersOf(plain, binary, one.attributes.NORMAL) : smooth(points, faces);
      const factor = plain.materials?.[one.material]?.pbrMetallicRoughness?.baseColorFactor || [0.6, 0.5, 0.42, 1];
      const told = "COLOR_0" in one.attributes ? numbersOf(plain, binary, one.attributes.COLOR_0) : null;
      const width = told ? told.length / count : 0;
      const most = told instanceof Uint8Array ? 255 : told instanceof Uint16Array ? 65535 : 1;
      const colours = new Float32Array(3 * count);
      for (let k = 0; k < count; k++) for (let d = 0; d < 3; d++) colours[3 * k + d] = shownColour((told ? told[width * k + d] / most : 1) * factor[d]);
      return { points, normals, colours, faces };
    });
    const mesh = parts.length === 1 ? parts[0] : joined(parts);
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (let k = 0; k < mesh.points.length; k++) {
      low[k % 3] = Math.min(low[k % 3], mesh.points[k]);
      high[k % 3] = Math.max(high[k % 3], mesh.points[k]);
    }
    if (![...low, ...high].every(Number.isFinite)) throw new Error("This shape has no usable corners.");
    return { ...mesh, low, high };
  };

  const joined = (parts) => {
    const whole = {};
    for (const name of ["points", "normals", "colours"]) {
      whole[name] = new Float32Array(parts.reduce((sum, part) => sum + part[name].length, 0));
      let at = 0;
      for (const part of parts) {
        whole[name].set(part[name], at);
        at += part[name].length;
      }
    }
    let before = 0;
    whole.faces = Uint32Array.from(parts.flatMap((part) => {
      const moved = Array.from(part.faces, (corner) => corner + before);
      before += part.points.length / 3;
      return moved;
    }));
    return whole;
  };

  /** Every edge once, as pairs of corners. */
  const edgesOf = ({ faces, points }) => {
    const seen = new Set();
    const many = points.length / 3;
    const pairs = [];
    for (let f = 0; f < faces.length; f += 3) {
      for (let k = 0; k < 3; k++) {
        const [a, b] = [faces[f + k], faces[f + ((k + 1) % 3)]];
        const name = Math.min(a, b) * many + Math.max(a, b);
        if (seen.has(name)) continue;
        seen.add(name);
        pairs.push(a, b);
      }
    }
    return Uint32Array.from(pairs);
  };

  const files = new Map(); // address -> promise of a mesh
  /** The mesh of a GLB file; asked for once while it is among the last ones. */
  atelier.meshOf = (url) => {
    const known = files.get(url);
    if (known) return known;
    const found = fetch(url)
      .then((reply) => (reply.ok ? reply.arrayBuffer() : Promise.reject(new Error("This shape cannot be read. Is the studio still running?"))))
      .then(readGlb);
    files.set(url, found);
    found.catch(() => files.delete(url));
    if (files.size > 2 * MOST_KEPT) files.delete(files.keys().next().value);
    return found;
  };

  // --- drawing

  const LIT = `#version 300 es
    in vec3 point; in vec3 normal; in vec3 colour;
    uniform mat4 seen; uniform mat4 lit;
    out vec3 place, facing, tint; out vec4 inLight;
    void main() {
      place = point; facing = normal; tint = colour;
      inLight = lit * vec4(point, 1.0);
      gl_Position = seen * vec4(point, 1.0);
    }`;
  // brightness as in studio/design/rendering.py, so that a tile does not jump when it begins to turn
  const SURFACE = `#version 300 es
    precision highp float; precision highp sampler2DShadow;
    in vec3 place, facing, tint; in vec4 inLight;
    uniform vec3 eye, right, up, back, key; uniform sampler2DShadow shadows; uniform float pale; uniform int taps;
    out vec4 shown;
    float light(vec3 n) {
      vec3 at = inLight.xyz / inLight.w * 0.5 + 0.5;
      float steep = clamp(1.0 - dot(n, key), 0.0, 1.0), sum = 0.0;
      if (taps < 9) return texture(shadows, vec3(at.xy, at.z - 0.002 - 0.006 * steep));
      for (int x = -1; x <= 1; x++) for (int y = -1; y <= 1; y++)
        sum += texture(shadows, vec3(at.xy + vec2(x, y) * ${(1.6 / SHADOW).toFixed(6)}, at.z - 0.002 - 0.006 * steep));
      return sum / 9.0;
    }
    void main() {
      vec3 n = normalize(facing) * (gl_FrontFacing ? 1.0 : -1.0), to = normalize(eye - place);
      float open = light(n);
      vec3 fill = normalize(0.8 * right + 0.15 * up + 0.5 * back), rim = normalize(0.3 * right + 0.5 * up - 0.9 * back);
      float bright = 0.42 + 0.12 * dot(n, up) + 0.72 * max(dot(n, key), 0.0) * mix(0.2, 1.0, open)
        + 0.2 * max(dot(n, fill), 0.0) + 0.28 * max(dot(n, rim), 0.0);
      bright *= (0.82 + 0.18 * max(dot(n, back), 0.0)) * mix(0.86, 1.0, open);
      float shine = 0.22 * pow(max(dot(n, normalize(key + to)), 0.0), 40.0) * open;
      shown = vec4(mix(clamp(tint * bright + shine, 0.0, 1.0), vec3(0.93), pale), 1.0);
    }`;
  const GROUND = `#version 300 es
    precision highp float; precision highp sampler2DShadow;
    in vec3 place; in vec4 inLight;
    uniform sampler2DShadow shadows; uniform float reach; uniform vec3 middle; uniform int taps;
    out vec4 shown;
    void main() {
      vec3 at = inLight.xyz / inLight.w * 0.5 + 0.5;
      float fade = 1.0 - smoothstep(0.9, 2.2, length(place.xz - middle.xz) / reach);
      if (fade <= 0.0 || min(at.x, at.y) < 0.0 || max(at.x, at.y) > 1.0) discard;
      float dark = 0.0, turn = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) * 6.2832;
      for (int k = 0; k < taps; k++) {
        float angle = float(k) * 2.39996 + turn * 0.15, far = sqrt((float(k) + 0.5) / float(taps));
        dark += 1.0 - texture(shadows, vec3(at.xy + vec2(cos(angle), sin(angle)) * far * 0.022, at.z - 0.004));
      }
      shown = vec4(0.0, 0.0, 0.0, 0.28 * dark / float(taps) * fade);
    }`;
  const FLAT = `#version 300 es
    in vec3 point; uniform mat4 seen;
    void main() { gl_Position = seen * vec4(point, 1.0); }`;
  const PLAIN = `#version 300 es
    precision highp float; uniform vec4 ink; out vec4 shown;
    void main() { shown = ink; }`;

  /** The one drawing machine of the page. `gl` is null where the browser has no WebGL 2. */
  class Stage {
    constructor() {
      this.canvas = document.createElement("canvas");
      this.canvas.width = this.canvas.height = 512;
      this.gl = this.canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: true, powerPreference: "low-power" });
      if (!this.gl) return;
      const named = this.gl.getExtension("WEBGL_debug_renderer_info");
      /** Whether the processor draws: then fewer pixels are drawn. */
      this.slow = /swiftshader|llvmpipe|software/i.test(named ? this.gl.getParameter(named.UNMASKED_RENDERER_WEBGL) : "");
      this.kept = new Map(); // mesh -> its buffers
      this.canvas.addEventListener("webglcontextlost", (event) => {
        event.preventDefault();
        this.ready = false;
      });
      this.canvas.addEventListener("webglcontextrestored", () => {
        this.kept.clear();
        this.prepare();
        for (const orbit of orbits) orbit.changed();
      });
      this.prepare();
    }

    prepare() {
      const { gl } = this;
      this.surface = this.program(LIT, SURFACE);
      this.ground = this.program(LIT, GROUND);
      this.flat = this.program(FLAT, PLAIN);
      this.plane = gl.createBuffer();
      this.shadows = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, this.shadows);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.DEPTH_COMPONENT24, SHADOW, SHADOW, 0, gl.DEPTH_COMPONENT, gl.UNSIGNED_INT, null);
      for (const [name, value] of [[gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE], [gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE], [gl.TEXTURE_COMPARE_FUNC, gl.LEQUAL]]) gl.texParameteri(gl.TEXTURE_2D, name, value);
      this.shadowing = gl.createFramebuffer();
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowing);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, this.shadows, 0);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      this.ready = true;
    }

    program(vertex, fragment) {
      const { gl } = this;
      const made = gl.createProgram();
      for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, text);
        gl.compileShader(shader);
        gl.attachShader(made, shader);
      }
      ["point", "normal", "colour"].forEach((name, place) => gl.bindAttribLocation(made, place, name));
      gl.linkProgram(made);
      if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(`The shapes' shader was refused: ${gl.getProgramInfoLog(made)}`);
      return { made, at: (name) => gl.getUniformLocation(made, name) };
    }

    buffers(mesh) {
      const known = this.kept.get(mesh);
      this.kept.delete(mesh);
      const { gl } = this;
      const found = known || { array: gl.createVertexArray(), made: [] };
      if (!known) {
        const fill = (target, data) => {
          const buffer = gl.createBuffer();
          gl.bindBuffer(target, buffer);
          gl.bufferData(target, data, gl.STATIC_DRAW);
          found.made.push(buffer);
          return buffer;
        };
        gl.bindVertexArray(found.array);
        [mesh.points, mesh.normals, mesh.colours].forEach((data, place) => {
          fill(gl.ARRAY_BUFFER, data);
          gl.enableVertexAttribArray(place);
          gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
        });
        found.faces = fill(gl.ELEMENT_ARRAY_BUFFER, mesh.faces);
        gl.bindVertexArray(null);
      }
      this.kept.set(mesh, found);
      if (this.kept.size > MOST_KEPT) {
        const [oldest, parts] = this.kept.entries().next().value;
        parts.made.forEach((buffer) => gl.deleteBuffer(buffer));
        gl.deleteVertexArray(parts.array);
        this.kept.delete(oldest);
      }
      return found;
    }

    /** Draws a mesh into the lower left corner of the canvas and tells the camera, for lines over it; null while it
        cannot. `rough` spares what costs most: soft edges of shadows. */
    draw(mesh, orbit, width, height, rough = false) {
      const { gl } = this;
      if (!this.ready || gl.isContextLost()) return null;
      if (this.canvas.width < width) this.canvas.width = width;
      if (this.canvas.height < height) this.canvas.height = height;
      const parts = this.buffers(mesh);
      const camera = cameraOf(mesh, orbit, width / height);
      this.castShadows(mesh, parts, camera);
      gl.viewport(0, 0, width, height);
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.enable(gl.DEPTH_TEST);
      gl.enable(gl.POLYGON_OFFSET_FILL);
      if (rough) gl.enable(gl.CULL_FACE);
      gl.polygonOffset(1, 1);
      this.paintSurface(mesh, parts, camera, orbit.edges ? 0.75 : 0, rough ? 1 : 9);
      gl.disable(gl.POLYGON_OFFSET_FILL);
      gl.disable(gl.CULL_FACE);
      if (orbit.edges) this.paintEdges(mesh, parts, camera);
      if (camera.eye[1] > mesh.low[1]) this.paintGround(mesh, camera, rough ? 5 : 20);
      gl.disable(gl.SCISSOR_TEST);
      return camera;
    }

    castShadows(mesh, parts, camera) {
      const { gl } = this;
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowing);
      gl.viewport(0, 0, SHADOW, SHADOW);
      gl.clear(gl.DEPTH_BUFFER_BIT);
      gl.enable(gl.DEPTH_TEST);
      gl.useProgram(this.flat.made);
      gl.uniformMatrix4fv(this.flat.at("seen"), false, camera.lit);
      gl.bindVertexArray(parts.array);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.faces);
      gl.drawElements(gl.TRIANGLES, mesh.faces.length, gl.UNSIGNED_INT, 0);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    }

    paintSurface(mesh, parts, camera, pale, taps) {
      const { gl, surface } = this;
      gl.useProgram(surface.made);
      gl.uniformMatrix4fv(surface.at("seen"), false, camera.seen);
      gl.uniformMatrix4fv(surface.at("lit"), false, camera.lit);
      for (const name of ["eye", "right", "up", "back", "key"]) gl.uniform3fv(surface.at(name), camera[name]);
      gl.uniform1f(surface.at("pale"), pale);
      gl.uniform1i(surface.at("taps"), taps);
      gl.bindTexture(gl.TEXTURE_2D, this.shadows);
      gl.bindVertexArray(parts.array);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.faces);
      gl.drawElements(gl.TRIANGLES, mesh.faces.length, gl.UNSIGNED_INT, 0);
    }

    paintEdges(mesh, parts, camera) {
      const { gl, flat } = this;
      gl.bindVertexArray(parts.array);
      if (!parts.edges) {
        const pairs = edgesOf(mesh);
        parts.edges = gl.createBuffer();
        parts.made.push(parts.edges);
        parts.lines = pairs.length;
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.edges);
        gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, pairs, gl.STATIC_DRAW);
      }
      gl.useProgram(flat.made);
      gl.uniformMatrix4fv(flat.at("seen"), false, camera.seen);
      gl.uniform4f(flat.at("ink"), 0.24, 0.12, 0.48, 1);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.edges);
      gl.drawElements(gl.LINES, parts.lines, gl.UNSIGNED_INT, 0);
    }

    paintGround(mesh, camera, taps) {
      const { gl, ground } = this;
      const reach = camera.reach;
      const [x, y, z] = [camera.middle[0], mesh.low[1] - 1e-4 * reach, camera.middle[2]];
      const far = 2.4 * reach;
      gl.bindVertexArray(null);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.plane);
      gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([x - far, y, z - far, x - far, y, z + far, x + far, y, z - far, x + far, y, z + far]), gl.STREAM_DRAW);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
      gl.useProgram(ground.made);
      gl.uniformMatrix4fv(ground.at("seen"), false, camera.seen);
      gl.uniformMatrix4fv(ground.at("lit"), false, camera.lit);
      gl.uniform1f(ground.at("reach"), reach);
      gl.uniform1i(ground.at("taps"), taps);
      gl.uniform3fv(ground.at("middle"), camera.middle);
      gl.bindTexture(gl.TEXTURE_2D, this.shadows);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
      gl.disable(gl.BLEND);
      gl.disableVertexAttribArray(0);
    }
  }

  /** Where a mesh is looked at from. It fills the picture whichever way it is turned about its axis. */
  const cameraOf = (mesh, orbit, aspect) => {
    const size = minus(mesh.high, mesh.low);
    const around = Math.hypot(size[0], size[2]) / 2;
    const middle = mesh.low.map((x, d) => x + size[d] / 2);
    const reach = Math.max(around / Math.min(1, aspect), (size[1] / 2) * 0.93 + around * 0.37, 1e-6) * 1.18;
    const { yaw, pitch } = orbit;
    const right = [Math.cos(yaw), 0, -Math.sin(yaw)];
    const back = [Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch)];
    const up = cross(back, right);
    const away = reach / Math.tan(VIEW_ANGLE / 2) / orbit.zoom + around * 0.5;
    const target = middle.map((m, d) => m - reach * (orbit.x * right[d] + orbit.y * up[d]));
    const eye = target.map((t, d) => t + away * back[d]);
    const far = away + 6 * reach;
    const seen = times(perspective(VIEW_ANGLE, aspect, Math.max(away - 3 * reach, 0.01 * reach), far), lookingAt(eye, target, up));
    const key = unit(middle.map((_, d) => KEY[0] * right[d] + KEY[1] * up[d] + KEY[2] * back[d]).map((x, d) => (d === 1 ? Math.max(x, 0.5) : x)));
    const round = Math.hypot(around, size[1] / 2) * 1.15;
    const source = middle.map((m, d) => m + 3 * round * key[d]);
    const lit = times(parallel(2.2 * round, 0.5 * round, 6.5 * round), lookingAt(source, middle, Math.abs(key[1]) > 0.99 ? [1, 0, 0] : [0, 1, 0]));
    return { eye, right, up, back, key, seen, lit, middle, reach };
  };

  /** A point in mm -> pixels from the left and the top of a picture of this size. */
  const projected = ({ seen }, [x, y, z], width, height) => {
    const [a, b, , w] = [0, 1, 2, 3].map((r) => seen[r] * x + seen[4 + r] * y + seen[8 + r] * z + seen[12 + r]);
    return [((a / w + 1) / 2) * width, ((1 - b / w) / 2) * height];
  };

  let only = null;
  /** The page's drawing machine, or null where shapes cannot be drawn: then their pictures are shown. */
  atelier.stage = () => {
    try {
      only = only || new Stage();
    } catch (error) {
      console.warn(error.message);
      only = { gl: null };
    }
    return only.gl ? only : null;
  };

  // --- turning

  const orbits = new Set(); // those that turn
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const SPEED = 0.7; // radians a second
  let before = 0;
  const turn = (now) => {
    const passed = Math.min(0.1, (now - before) / 1000);
    before = now;
    for (const orbit of orbits) orbit.go(SPEED * passed);
    if (orbits.size) requestAnimationFrame(turn);
  };

  /** From where shapes are looked at. Views that share one turn together. */
  class Orbit {
    constructor(zoom = 1) {
      this.usual = zoom;
      this.views = new Set();
      this.edges = false;
      this.lengths = true;
      this.fit();
    }
    fit() {
      Object.assign(this, { yaw: 0.6, pitch: 0.38, zoom: this.usual, x: 0, y: 0 });
      this.changed();
    }
    get turning() {
      return orbits.has(this);
    }
    /** `angle` radians more, after which it rests; without one it turns until it is told to stop. */
    start(angle = Infinity) {
      if (calm.matches) return;
      this.left = angle;
      if (!orbits.size) requestAnimationFrame((now) => ((before = now), turn(now)));
      orbits.add(this);
    }
    stop() {
      orbits.delete(this);
    }
    go(by) {
      this.left -= by;
      if (this.left <= 0 || !this.views.size) this.stop();
      else this.look(by, 0);
    }
    look(yaw, pitch) {
      this.yaw = (this.yaw + yaw) % (2 * Math.PI);
      this.pitch = Math.max(-1.2, Math.min(1.5, this.pitch + pitch));
      this.changed();
    }
    nearer(factor) {
      this.zoom = Math.max(0.3, Math.min(12, this.zoom * factor));
      this.changed();
    }
    move(x, y) {
      this.x = Math.max(-2, Math.min(2, this.x + x));
      this.y = Math.max(-2, Math.min(2, this.y + y));
      this.changed();
    }
    changed() {
      for (const view of this.views) view.ask();
    }
  }

  Object.assign(atelier, { Orbit, projected, readGlb, MOST_SHAPE_PIXELS: MOST_PIXELS });
})();
