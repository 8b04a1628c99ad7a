/** What every rung of the ladder is to the player, and what the three that use a video element share. */

import type { LadderEvent, RungName } from './ladder';
import { MotionWatch } from './motion';

export type RungEvent =
  | LadderEvent
  /** Capture time (Unix milliseconds, the broadcast's clock) of the frame on screen, twice a second. */
  | { type: 'sample'; captured_ms: number };

export interface RungStats {
  stalls: number;
  stalled_ms: number;
  /** Media held ahead of the screen, milliseconds. */
  buffer_ms: number | null;
  /** In words: "WebTransport", "HTTP", … */
  transport: string;
  [more: string]: number | string | null;
}

export interface Rung {
  readonly name: RungName;
  /** Filled by the rung with the picture; its owner places it on the page before `start`. */
  readonly element: HTMLVideoElement | HTMLCanvasElement;
  /** Begins; everything that happens then is an event, errors too. Called once. */
  start(): void;
  /** Ends and frees everything. No event follows. */
  stop(): void;
  setSound(on: boolean, volume: number): void;
  stats(): RungStats;
}

/** What a rung is given. */
export interface Source {
  id: string;
  urls: { flv: string; hls: string; hls_plain: string; moq: string; whep?: string | null };
  /** The server's clock, Unix milliseconds. */
  serverNow(): number;
}

export type Emit = (event: RungEvent) => void;

const TICK_MS = 100;
const SAMPLE_MS = 500;

/** The base of WebRTC, FLV and HLS: one video element, its motion, and the frame on screen. */
export abstract class VideoRung implements Rung {
  abstract readonly name: RungName;
  readonly element: HTMLVideoElement;
  protected motion = new MotionWatch();
  #emit: Emit;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopped = false;
  #sampledAt = 0;
  /** Media time of the newest frame handed to the screen. */
  #shown_s: number | null = null;

  constructor(emit: Emit) {
    this.#emit = emit;
    this.element = document.createElement('video');
    this.element.playsInline = true;
    this.element.muted = true;
    this.element.autoplay = true;
    this.element.tabIndex = -1;
    this.element.disablePictureInPicture = false;
  }

  start(): void {
    this.#frames();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.load().catch((error: unknown) => this.emit({ type: 'failed', reason: String(error) }));
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.unload();
  }

  setSound(on: boolean, volume: number): void {
    this.element.muted = !on;
    this.element.volume = volume;
    this.play();
  }

  stats(): RungStats {
    const { stalls, stalled_ms } = this.motion;
    const quality = this.element.getVideoPlaybackQuality();
    return {
      stalls,
      stalled_ms: Math.round(stalled_ms),
      buffer_ms: Math.round(this.ahead_s() * 1000),
      transport: 'HTTP',
      rate: this.element.playbackRate,
      frames: quality.totalVideoFrames,
      dropped: quality.droppedVideoFrames,
      ...this.moreStats(),
    };
  }

  protected abstract load(): Promise<void>;
  protected abstract unload(): void;
  /** Capture time of the frame at this media time; null while unknown. */
  protected abstract captured_ms(media_s: number): number | null;
  /** Called each tick, after the motion was judged. */
  protected abstract steer(now_ms: number): void;
  protected moreStats(): Record<string, number | string | null> {
    return {};
  }

  protected emit(event: RungEvent): void {
    if (!this.#stopped) this.#emit(event);
  }

  protected get stopped(): boolean {
    return this.#stopped;
  }

  /** A number that changes with the picture; null before the first. */
  protected position(): number | null {
    return this.element.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA ? this.element.currentTime : null;
  }

  protected get standing(): boolean {
    return this.element.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Media after the playhead without a hole, seconds. */
  protected ahead_s(): number {
    const { buffered, currentTime } = this.element;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + 0.05 && buffered.end(i) >= currentTime) return buffered.end(i) - currentTime;
    }
    return 0;
  }

  protected play(): void {
    this.element.play().catch(() => {
      // Refused with sound: without it, everything may play.
      if (this.#stopped || this.element.muted) return;
      this.element.muted = true;
      this.element.play().catch(() => undefined);
    });
  }

  #tick(): void {
    const now = performance.now();
    const { element } = this;
    const position = this.position();
    const motion = this.motion.sample(now, position, document.hidden);
    if (motion === 'started' || motion === 'resumed') this.emit({ type: 'playing' });
    else if (motion === 'stalled') this.emit({ type: 'stalled' });
    this.steer(now);
    if (now - this.#sampledAt < SAMPLE_MS) return;
    this.#sampledAt = now;
    const captured_ms = this.captured_ms(this.#shown_s ?? element.currentTime);
    if (captured_ms !== null && position !== null) this.emit({ type: 'sample', captured_ms });
  }

  #frames(): void {
    if (!('requestVideoFrameCallback' in this.element)) return;
    const next = () =>
      this.element.requestVideoFrameCallback((_, { mediaTime }) => {
        this.#shown_s = mediaTime;
        if (!this.#stopped) next();
      });
    next();
  }
}
