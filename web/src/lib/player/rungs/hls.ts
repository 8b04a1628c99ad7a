/**
 * LL-HLS and plain HLS through hls.js, or the browser's own player where there is no Media Source Extension.
 * Capture times are the playlist's EXT-X-PROGRAM-DATE-TIME.
 */

import Hls, { type HlsConfig } from 'hls.js/light';

import { type Emit, type Source, VideoRung } from '../rung';

const SHARED: Partial<HlsConfig> = {
  // fMP4 passes through unchanged, and a worker from a blob: would need a hole in the content security policy.
  enableWorker: false,
  backBufferLength: 10,
  // The default of 1 never catches up: one stall at the start pinned viewers at 7.5 s.
  maxLiveSyncPlaybackRate: 1.5,
  // The default adds a whole second of delay for each stall.
  liveSyncOnStallIncrease: 0.2,
};

const CONFIG: Record<'llhls' | 'hls', Partial<HlsConfig>> = {
  llhls: { ...SHARED, lowLatencyMode: true },
  hls: { ...SHARED, lowLatencyMode: false, liveSyncDurationCount: 2, liveMaxLatencyDurationCount: 6 },
};

/** Farther behind the wanted place than this, catching up by rate takes too long. */
const JUMP_BEHIND_S = 4;
/** Media left when a dried-up stream is held, and what it takes to go on, seconds. */
const HOLD_AT_S = 0.16;
const GO_AT_S = 0.3;

export class HlsRung extends VideoRung {
  readonly name: 'llhls' | 'hls';
  #url: string;
  #hls: Hls | null = null;
  #mediaErrors = 0;
  #held = false;

  constructor(name: 'llhls' | 'hls', source: Source, emit: Emit) {
    super(emit);
    this.name = name;
    this.#url = new URL(name === 'llhls' ? source.urls.hls : source.urls.hls_plain, location.href).href;
  }

  protected override load(): Promise<void> {
    if (Hls.isSupported()) this.#withHls();
    else if (this.element.canPlayType('application/vnd.apple.mpegurl')) this.#native();
    else this.emit({ type: 'failed', reason: 'this browser plays no HLS', permanent: true });
    return Promise.resolve();
  }

  protected override unload(): void {
    this.#hls?.destroy();
    this.#hls = null;
    this.element.removeAttribute('src');
    this.element.load();
  }

  protected override captured_ms(media_s: number): number | null {
    if (this.#hls) {
      const date = this.#hls.playingDate;
      return date ? date.getTime() + (media_s - this.element.currentTime) * 1000 : null;
    }
    const start = (this.element as { getStartDate?: () => Date }).getStartDate?.().getTime();
    return start !== undefined && Number.isFinite(start) ? start + media_s * 1000 : null;
  }

  protected override steer(): void {
    const { element } = this;
    this.#bridge();
    this.#hold();
    if (element.paused && !this.#held && element.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA && !document.hidden) this.play();
    const wanted = this.#hls?.liveSyncPosition;
    if (wanted != null && element.currentTime > 0 && wanted - element.currentTime > JUMP_BEHIND_S && this.name === 'llhls') {
      if (covers(element.buffered, wanted)) element.currentTime = wanted;
    }
  }

  protected override moreStats(): Record<string, number | string | null> {
    return { target_ms: this.#hls ? Math.round((this.#hls.targetLatency ?? 0) * 1000) : null };
  }

  #withHls(): void {
    const hls = new Hls(CONFIG[this.name]);
    this.#hls = hls;
    hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
      if (!fatal) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR && this.#mediaErrors < 2) {
        this.#mediaErrors += 1;
        hls.recoverMediaError();
        return;
      }
      const permanent = details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
      this.emit({ type: 'failed', reason: details, permanent });
    });
    hls.loadSource(this.#url);
    hls.attachMedia(this.element);
    this.play();
  }

  #native(): void {
    this.element.addEventListener('error', () => this.emit({ type: 'failed', reason: this.element.error?.message ?? 'media error' }));
    this.element.src = this.#url;
    this.play();
  }

  /**
   * Stops just before the end of a playlist that no longer grows. Playing past it makes hls.js seek back and play the
   * last second over and over.
   */
  #hold(): void {
    const ahead_s = this.ahead_s();
    if (this.#held && ahead_s > GO_AT_S) this.#held = false;
    const details = this.#hls?.latestLevelDetails;
    if (this.#held || !details?.live || ahead_s > HOLD_AT_S || this.element.currentTime === 0) return;
    const due_s = this.name === 'llhls' && details.partTarget ? 3 * details.partTarget : 1.5 * details.targetduration;
    if (details.age < due_s) return;
    this.#held = true;
    this.element.pause();
  }

  /** A publisher that was away leaves a hole: step over it once there is media beyond. */
  #bridge(): void {
    const { element } = this;
    if (!(this.standing || this.#held) || element.seeking) return;
    const { buffered, currentTime } = element;
    for (let i = 0; i < buffered.length; i += 1) {
      const start = buffered.start(i);
      if (start > currentTime + 0.05 && buffered.end(i) - start > 0.2 && this.ahead_s() < HOLD_AT_S) {
        element.currentTime = start + 0.01;
        return;
      }
    }
  }
}

function covers(ranges: TimeRanges, at: number): boolean {
  for (let i = 0; i < ranges.length; i += 1) if (ranges.start(i) <= at && ranges.end(i) > at) return true;
  return false;
}
