/**
 * Carries out what the ladder decides: loads a rung's library, puts its element on the stage, swaps when the new one
 * moves, and keeps the numbers that the page and the tests read.
 */

import type { ServerClock } from '../clock';
import { type Effect, Ladder, type LadderView, type RungName } from './ladder';
import type { Emit, Rung, RungEvent, RungStats, Source } from './rung';

const TICK_MS = 200;
/** The delay shown is the median of so many samples. */
const MEDIAN_OF = 7;
const KEPT_SAMPLES = 1_200;
const LOG_KEPT = 100;

export interface LogLine {
  at_ms: number;
  text: string;
}

export class Player {
  view: LadderView = $state({ phase: 'idle', rung: null, trying: null, notice: '' });
  latency_ms: number | null = $state(null);
  stats: RungStats | null = $state.raw(null);
  sound = $state(false);
  volume = $state(1);
  paused = $state(false);
  /** What happened, newest last. */
  log: LogLine[] = [];
  /** Every latency sample: page time and delay, milliseconds. */
  samples: [at_ms: number, latency_ms: number][] = [];
  captured_ms: number | null = null;
  #stallsBefore = 0;

  #ladder: Ladder;
  #source: Source;
  #clock: ServerClock;
  #stage: HTMLElement;
  #check: () => void;
  #rungs = new Map<number, Rung>();
  #shown: number | null = null;
  #recent: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(ladder: Ladder, source: Source, clock: ServerClock, stage: HTMLElement, check: () => void) {
    this.#ladder = ladder;
    this.#source = source;
    this.#clock = clock;
    this.#stage = stage;
    this.#check = check;
  }

  start(): void {
    this.#timer = setInterval(() => this.#run(this.#ladder.tick(performance.now())), TICK_MS);
    this.#run(this.#ladder.start(performance.now()));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#run(this.#ladder.stop());
  }

  broadcast(phase: 'live' | 'interrupted' | 'ended'): void {
    this.#run(this.#ladder.broadcast(performance.now(), phase));
  }

  /** Pausing frees the network and keeps the last picture; going on is at the live edge. */
  setPaused(paused: boolean): void {
    if (paused === this.paused) return;
    this.paused = paused;
    if (paused) {
      this.#freeze();
      this.#run(this.#ladder.stop());
    } else this.#run(this.#ladder.start(performance.now()));
  }

  setSound(on: boolean, volume: number = this.volume): void {
    this.sound = on;
    this.volume = volume;
    if (this.#shown !== null) this.#rungs.get(this.#shown)?.setSound(on, volume);
  }

  get stalls(): number {
    return this.#stallsBefore + (this.#current?.stats().stalls ?? 0);
  }

  get choices() {
    return this.#ladder.choices;
  }

  get element(): HTMLElement | null {
    return this.#current?.element ?? null;
  }

  get #current(): Rung | undefined {
    return this.#shown === null ? undefined : this.#rungs.get(this.#shown);
  }

  #run(effects: Effect[]): void {
    for (const effect of effects) {
      switch (effect.do) {
        case 'open':
          this.#note(`open ${effect.rung}`);
          void this.#open(effect.id, effect.rung);
          break;
        case 'show':
          this.#show(effect.id);
          break;
        case 'close':
          this.#close(effect.id);
          break;
        case 'check':
          this.#check();
          break;
      }
    }
    const view = this.#ladder.view(performance.now());
    if (Object.entries(view).some(([key, value]) => this.view[key as keyof LadderView] !== value)) this.view = view;
    this.stats = this.#current?.stats() ?? null;
  }

  async #open(id: number, name: RungName): Promise<void> {
    this.#opening.add(id);
    const emit: Emit = (event) => this.#event(id, event);
    try {
      const rung = await load(name, this.#source, emit);
      // Closed while its library was loading.
      if (!this.#opening.delete(id)) return;
      this.#rungs.set(id, rung);
      rung.element.classList.add('layer');
      rung.element.setAttribute('aria-hidden', 'true');
      this.#stage.append(rung.element);
      rung.start();
    } catch (error) {
      this.#event(id, { type: 'failed', reason: String(error) });
    }
  }

  #opening = new Set<number>();

  #show(id: number): void {
    const rung = this.#rungs.get(id);
    if (!rung) return;
    this.#note(`show ${rung.name}`);
    this.#shown = id;
    this.#recent = [];
    this.latency_ms = null;
    rung.element.classList.add('shown');
    rung.element.removeAttribute('aria-hidden');
    rung.element.setAttribute('aria-label', 'Live picture');
    rung.setSound(this.sound, this.volume);
    this.#stage.querySelector('.frozen')?.remove();
  }

  #close(id: number): void {
    this.#opening.delete(id);
    const rung = this.#rungs.get(id);
    if (!rung) return;
    this.#note(`close ${rung.name}`);
    this.#stallsBefore += rung.stats().stalls;
    if (this.#shown === id) this.#shown = null;
    rung.stop();
    rung.element.remove();
    this.#rungs.delete(id);
    if (this.#shown === null) {
      this.latency_ms = null;
      this.captured_ms = null;
    }
  }

  #event(id: number, event: RungEvent): void {
    if (event.type === 'sample') {
      if (id === this.#shown) this.#sample(event.captured_ms);
      return;
    }
    const name = this.#rungs.get(id)?.name ?? 'rung';
    this.#note(event.type === 'failed' ? `${name} failed: ${event.reason}` : `${name} ${event.type}`);
    this.#run(this.#ladder.event(performance.now(), id, event));
  }

  #sample(captured_ms: number): void {
    this.captured_ms = captured_ms;
    const latency_ms = this.#clock.now() - captured_ms;
    this.samples.push([performance.now(), latency_ms]);
    if (this.samples.length > KEPT_SAMPLES) this.samples.shift();
    this.#recent = [...this.#recent.slice(1 - MEDIAN_OF), latency_ms];
    this.latency_ms = median(this.#recent);
  }

  /** Keeps the picture of this moment as a still layer. */
  #freeze(): void {
    const element = this.#current?.element;
    if (!element) return;
    const canvas = document.createElement('canvas');
    canvas.width = element instanceof HTMLVideoElement ? element.videoWidth : element.width;
    canvas.height = element instanceof HTMLVideoElement ? element.videoHeight : element.height;
    if (canvas.width === 0) return;
    canvas.getContext('2d')?.drawImage(element, 0, 0, canvas.width, canvas.height);
    canvas.className = 'layer shown frozen';
    this.#stage.append(canvas);
  }

  #note(text: string): void {
    this.log.push({ at_ms: Math.round(performance.now()), text });
    if (this.log.length > LOG_KEPT) this.log.shift();
  }
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Each library comes over the network only for the rung that needs it. */
async function load(name: RungName, source: Source, emit: Emit): Promise<Rung> {
  switch (name) {
    case 'moq':
      return new (await import('./rungs/moq')).MoqRung(source, emit);
    case 'webrtc':
      return new (await import('./rungs/webrtc')).WebRtcRung(source, emit);
    case 'flv':
      return new (await import('./rungs/flv')).FlvRung(source, emit);
    case 'llhls':
    case 'hls':
      return new (await import('./rungs/hls')).HlsRung(name, source, emit);
  }
}
