/**
 * Plays a recording: a replay, which ends, or the rewind list of a broadcast that goes on. HLS through hls.js, or the browser's
 * own player where there is no Media Source Extension.
 */

import type Hls from 'hls.js/light';
import type { HlsConfig } from 'hls.js/light';

import { capturedAt, mediaAt, parse, type Span } from './timeline';

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2] as const;

const CONFIG: Partial<HlsConfig> = {
  // A worker from a blob: would need a hole in the content security policy.
  enableWorker: false,
  lowLatencyMode: false,
  backBufferLength: 60,
  maxBufferLength: 30,
};

const TICK_MS = 250;
/** Closer to the end than this is the end. */
const AT_END_S = 0.25;

export interface Options {
  /** Address of the playlist. */
  url: string;
  /** The broadcast goes on, and the playlist grows. */
  live: boolean;
  /** Play at once. */
  play: boolean;
  /** Begin with the picture taken then. */
  from_ms?: number;
  /** Length as far as it is known beforehand, seconds. */
  length_s?: number;
  poster?: string;
  sound: boolean;
  volume: number;
}

export class Playback {
  /** Where it is, and what can be reached, on the recording's time line. */
  current_s = $state(0);
  start_s = $state(0);
  end_s = $state(0);
  buffered_s = $state(0);
  paused = $state(true);
  /** It should play and has nothing to show. */
  waiting = $state(false);
  ended = $state(false);
  /** Something was shown. */
  begun = $state(false);
  sound = $state(true);
  volume = $state(1);
  rate = $state(1);
  trouble = $state('');
  /** Unix capture time of the picture on screen. */
  captured_ms: number | null = $state(null);
  readonly live: boolean;
  readonly element: HTMLVideoElement;
  #options: Options;
  #hls: Hls | null = null;
  #spans: Span[] = [];
  #mediaErrors = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stop = new AbortController();

  constructor(options: Options) {
    this.#options = options;
    this.live = options.live;
    this.end_s = options.length_s ?? 0;
    this.sound = options.sound;
    this.volume = options.volume;
    this.element = document.createElement('video');
    this.element.playsInline = true;
    this.element.preload = 'metadata';
    this.element.tabIndex = -1;
    this.element.classList.add('layer', 'shown');
    this.element.setAttribute('aria-label', options.live ? 'Recorded picture' : 'Replay');
    if (options.poster) this.element.poster = options.poster;
    this.#hear();
    this.#applySound();
  }

  /** Loads it into `stage`. */
  start(stage: HTMLElement): () => void {
    stage.append(this.element);
    this.#timer = setInterval(() => this.#look(), TICK_MS);
    void this.#open();
    return () => {
      this.#stop.abort();
      clearInterval(this.#timer);
      this.#hls?.destroy();
      this.#hls = null;
      this.element.removeAttribute('src');
      this.element.load();
      this.element.remove();
    };
  }

  play(): void {
    if (this.ended) this.seek(this.start_s);
    this.element.play().catch(() => {
      // Refused with sound: without it, everything may play.
      if (this.#stop.signal.aborted || this.element.muted || !this.element.paused) return;
      this.setSound(false);
      this.element.play().catch(() => undefined);
    });
  }

  toggle(): void {
    if (this.paused) this.play();
    else this.element.pause();
  }

  seek(to_s: number): void {
    const at = Math.min(Math.max(to_s, this.start_s), Math.max(this.start_s, this.end_s - AT_END_S));
    this.ended = false;
    this.current_s = at;
    this.element.currentTime = at;
  }

  setSound(on: boolean, volume: number = this.volume): void {
    this.sound = on;
    this.volume = volume;
    this.#applySound();
  }

  setRate(rate: number): void {
    this.rate = rate;
    this.element.playbackRate = rate;
  }

  async #open(): Promise<void> {
    const { url, live, from_ms, play } = this.#options;
    const { signal } = this.#stop;
    this.trouble = '';
    try {
      const { default: Hls } = await import('hls.js/light');
      if (signal.aborted) return;
      const native = !Hls.isSupported();
      if (native && !this.element.canPlayType('application/vnd.apple.mpegurl')) {
        this.trouble = 'This browser cannot play recordings.';
        return;
      }
      // Without hls.js nobody says when a picture was taken; with it, where to begin.
      if (native || from_ms !== undefined) this.#spans = await spans(url, signal);
      const start_s = from_ms === undefined ? -1 : mediaAt(this.#spans, from_ms);
      if (native) this.#native(url, start_s);
      else this.#withHls(Hls, url, live || start_s >= 0 ? start_s : 0);
      if (play) this.play();
    } catch {
      if (!signal.aborted) this.trouble = 'The recording does not load just now.';
    }
  }

  retry(): void {
    this.#hls?.destroy();
    this.#hls = null;
    this.#mediaErrors = 0;
    void this.#open();
  }

  #withHls(Kind: typeof Hls, url: string, startPosition: number): void {
    const hls = new Kind({ ...CONFIG, startPosition });
    this.#hls = hls;
    hls.on(Kind.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return;
      if (type === Kind.ErrorTypes.MEDIA_ERROR && this.#mediaErrors < 3) {
        this.#mediaErrors += 1;
        hls.recoverMediaError();
        return;
      }
      this.trouble = 'The recording does not load just now.';
    });
    hls.loadSource(url);
    hls.attachMedia(this.element);
  }

  #native(url: string, start_s: number): void {
    this.element.src = url;
    if (start_s > 0) this.element.addEventListener('loadedmetadata', () => (this.element.currentTime = start_s), { once: true });
  }

  #hear(): void {
    const { element } = this;
    const { signal } = this.#stop;
    const on = (name: string, call: () => void) => element.addEventListener(name, call, { signal });
    on('play', () => {
      this.paused = false;
      this.ended = false;
    });
    on('pause', () => (this.paused = true));
    on('waiting', () => (this.waiting = !element.paused));
    on('playing', () => {
      this.waiting = false;
      this.begun = true;
      // Some browsers forget it with a new source.
      element.playbackRate = this.rate;
    });
    on('ended', () => (this.ended = this.paused = true));
    for (const name of ['timeupdate', 'seeking', 'seeked', 'durationchange', 'progress']) on(name, () => this.#look());
    on('error', () => {
      if (!this.#hls && element.error) this.trouble = 'The recording does not load just now.';
    });
  }

  #look(): void {
    const { element } = this;
    if (element.readyState === HTMLMediaElement.HAVE_NOTHING) return;
    const { seekable, buffered, currentTime } = element;
    if (seekable.length > 0) {
      this.start_s = seekable.start(0);
      const end = seekable.end(seekable.length - 1);
      if (Number.isFinite(end)) this.end_s = Math.max(end, currentTime);
    }
    this.current_s = currentTime;
    let until = currentTime;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime + 0.1 && buffered.end(i) > until) until = buffered.end(i);
    }
    this.buffered_s = until;
    this.captured_ms = this.#hls ? (this.#hls.playingDate?.getTime() ?? this.captured_ms) : capturedAt(this.#spans, currentTime);
  }

  #applySound(): void {
    this.element.muted = !this.sound;
    this.element.volume = this.volume;
  }
}

/** The capture times of a recording, from the list of its segments. */
async function spans(url: string, signal: AbortSignal): Promise<Span[]> {
  const address = new URL(url, location.href);
  const media = address.pathname.endsWith('/index.m3u8') ? new URL('media.m3u8', address) : address;
  const answer = await fetch(media, { signal });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return parse(await answer.text());
}
