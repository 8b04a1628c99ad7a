// Measures what the watch page shows and plays. Runs in the page.
//
// Pictures: a video reports each one by requestVideoFrameCallback; a canvas is looked at before each repaint, and a picture is
// new when the clock in it, or else the sum of a few of its points, changed.
// Sound: everything that reaches an output passes an analyser, by way of the element's audio track or of the audio context.
// Sync: the film's sound ticks on each second of the clock in its picture.
(() => {
  /** Samples looked at each time, 170 ms at 48 kHz: a late look misses no tick. The level is that of the newest. */
  const WINDOW = 8192;
  const NEWEST = 2048;
  const LOUD = 0.2;
  const contexts = [];
  const Native = window.AudioContext;
  // Taps every node that is connected to a destination, before the page's own code runs.
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode && !(this instanceof AnalyserNode)) tap(this, target.context, connect);
    return connect.call(this, target, ...rest);
  };

  const taps = new Map();
  function tap(node, context) {
    if (taps.has(node)) return;
    const analyser = context.createAnalyser();
    analyser.fftSize = WINDOW;
    connect.call(node, analyser);
    taps.set(node, analyser);
    contexts.push(context);
  }

  const elements = new WeakSet();
  function tapElement(video) {
    if (elements.has(video)) return;
    elements.add(video);
    const context = new Native();
    // A media stream is heard from the stream: through its element Chromium gives silence.
    const stream = video.srcObject instanceof MediaStream ? video.srcObject : null;
    const source = stream ? context.createMediaStreamSource(stream) : context.createMediaElementSource(video);
    tap(source, context);
    if (!stream) connect.call(source, context.destination);
    void context.resume();
  }

  const block = new Float32Array(WINDOW);

  function listen(state) {
    let loudest = 0;
    for (const analyser of taps.values()) {
      analyser.getFloatTimeDomainData(block);
      // The page's time at which the newest sample leaves the context.
      const { context } = analyser;
      const now = performance.timeOrigin + performance.now();
      let sum = 0;
      for (let i = WINDOW - NEWEST; i < WINDOW; i++) sum += block[i] * block[i];
      loudest = Math.max(loudest, Math.sqrt(sum / NEWEST));
      const first = block.findIndex((sample) => Math.abs(sample) > LOUD);
      if (first < 0) continue;
      const at = now - ((WINDOW - first) * 1000) / context.sampleRate;
      if (at - (state.ticks.at(-1) ?? 0) > 500) state.ticks.push(at);
    }
    return loudest;
  }

  // How late the sound is against the picture, median over the ticks; null where clock or ticks cannot be read.
  function sync({ ticks, shown }) {
    const late = ticks.flatMap((tick) => {
      const near = shown.filter(({ at }) => Math.abs(at - tick) < 1000).map(({ at, clock }) => at - clock);
      if (near.length === 0) return [];
      return [((((tick - median(near) + 500) % 1000) + 1000) % 1000) - 500];
    });
    return late.length === 0 ? null : Math.round(median(late));
  }

  function median(values) {
    return [...values].sort((a, b) => a - b)[values.length >> 1];
  }

  let run = null;

  function begin() {
    const state = {
      on: true, element: null, pictures: 0, last_at: 0, last_look: null, longest_gap_ms: 0, delays_ms: [], shown: [], ticks: [],
      blocks: 0, silent: 0, levels: [], silence_since: 0, longest_silence_ms: 0,
    };
    run = state;
    follow(state);
    state.timer = setInterval(() => {
      follow(state);
      sound(state);
    }, 20);
  }

  // The player shows another element when it opens a rung anew.
  function follow(state) {
    const element = window.__oriel?.element;
    if (element === state.element) return;
    state.element = element;
    const shown = () => state.on && state.element === element;
    if (element instanceof HTMLVideoElement) {
      if (!element.muted) tapElement(element);
      const each = (now, meta) => {
        if (!shown()) return;
        // The compositor shows the picture at expectedDisplayTime; the page's clock tells what time that is.
        picture(state, element, element.videoWidth, element.videoHeight, performance.timeOrigin + Math.max(now, meta.expectedDisplayTime ?? now));
        element.requestVideoFrameCallback(each);
      };
      element.requestVideoFrameCallback(each);
    } else if (element instanceof HTMLCanvasElement) {
      const each = () => {
        if (!shown()) return;
        picture(state, element, element.width, element.height, Date.now());
        requestAnimationFrame(each);
      };
      requestAnimationFrame(each);
    }
  }

  function picture(state, source, width, height, at_ms) {
    if (!(width > 0)) return;
    const clock = window.readClock?.(source, width, height) ?? null;
    const look = clock ? clock.unixMs : source instanceof HTMLCanvasElement ? points(source, width, height) : at_ms;
    if (look === state.last_look) return;
    state.last_look = look;
    state.pictures++;
    if (state.last_at) state.longest_gap_ms = Math.max(state.longest_gap_ms, at_ms - state.last_at);
    state.last_at = at_ms;
    if (!clock) return;
    state.delays_ms.push(at_ms - clock.unixMs);
    state.shown.push({ at: at_ms, clock: clock.unixMs });
  }

  let small = null;
  function points(source, width, height) {
    if (!small) {
      const canvas = document.createElement('canvas');
      canvas.width = 32;
      canvas.height = 18;
      small = canvas.getContext('2d', { willReadFrequently: true });
    }
    small.drawImage(source, 0, 0, width, height, 0, 0, 32, 18);
    const { data } = small.getImageData(0, 0, 32, 18);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + data[i + 1] * 3 + data[i + 2] * 7) % 2147483647;
    return sum;
  }

  function sound(state) {
    if (taps.size === 0) return;
    const rms = listen(state);
    const now = performance.now();
    state.blocks++;
    state.levels.push(rms);
    // Half the level of the quietest tone the tests play (-40 dBFS peak is 0.0071 RMS).
    if (rms < 0.0035) {
      state.silent++;
      if (!state.silence_since) state.silence_since = now;
      state.longest_silence_ms = Math.max(state.longest_silence_ms, now - state.silence_since);
    } else {
      state.silence_since = 0;
    }
  }

  function end() {
    const state = run;
    run = null;
    state.on = false;
    clearInterval(state.timer);
    const sorted = state.levels.sort((a, b) => a - b);
    return {
      pictures: state.pictures,
      longest_gap_ms: Math.round(Math.max(state.longest_gap_ms, state.last_at ? 0 : Infinity)),
      delays_ms: state.delays_ms.map(Math.round),
      ticks: state.ticks.length,
      sync_ms: sync(state),
      sound: {
        blocks: state.blocks, silent: state.silent, rms: sorted[sorted.length >> 1] ?? 0,
        longest_silence_ms: Math.round(state.longest_silence_ms),
      },
    };
  }

  window.__meter = { start: begin, stop: end };
})();
