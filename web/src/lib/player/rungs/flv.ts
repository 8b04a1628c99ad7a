/**
 * HTTP-FLV through mpegts.js and Media Source Extensions. The stream starts at the newest keyframe, up to a GOP behind
 * live: one skip before the first picture, then `Pace` keeps a small distance.
 *
 * Capture times come in the stream: before each keyframe a script tag `onOrielClock {pts_ms, captured_ms}`, where
 * `pts_ms` is that keyframe's presentation time on the FLV timeline (tag timestamp plus composition time) and
 * `captured_ms` its Unix capture time.
 */

import mpegts from 'mpegts.js';

import { Pace } from '../pace';
import { type Emit, type Source, VideoRung } from '../rung';

interface OrielClock {
  pts_ms: number;
  captured_ms: number;
}

/** A keyframe this far after the end of what we have means that groups were left out. */
const GAP_MS = 900;

export class FlvRung extends VideoRung {
  readonly name = 'flv';
  #source: Source;
  #player: mpegts.Player | null = null;
  #pace = new Pace();
  #clock: OrielClock | null = null;
  /** FLV time that mpegts.js put at media time 0. */
  #base_ms: number | null = null;
  #skipped = false;

  constructor(source: Source, emit: Emit) {
    super(emit);
    this.#source = source;
  }

  protected override load(): Promise<void> {
    if (!mpegts.getFeatureList().mseLivePlayback) {
      this.emit({ type: 'failed', reason: 'this browser has no Media Source Extensions', permanent: true });
      return Promise.resolve();
    }
    mpegts.LoggingControl.enableAll = false;
    const player = mpegts.createPlayer(
      { type: 'flv', isLive: true, url: withClock(this.#source.urls.flv) },
      {
        enableWorker: false,
        enableStashBuffer: false,
        liveBufferLatencyChasing: false,
        liveSync: false,
        lazyLoad: false,
        autoCleanupSourceBuffer: true,
        autoCleanupMaxBackwardDuration: 30,
        autoCleanupMinBackwardDuration: 10,
      },
    );
    this.#player = player;
    player.on(mpegts.Events.ERROR, (kind: string, detail: string) => this.#failed(kind, detail));
    player.on(mpegts.Events.LOADING_COMPLETE, () => this.emit({ type: 'failed', reason: 'the server ended the stream' }));
    player.on(mpegts.Events.SCRIPTDATA_ARRIVED, (data: { onOrielClock?: OrielClock }) => {
      if (data.onOrielClock) this.#clocked(data.onOrielClock);
    });
    player.attachMediaElement(this.element);
    player.load();
    this.play();
    return Promise.resolve();
  }

  protected override unload(): void {
    const player = this.#player;
    this.#player = null;
    player?.destroy();
  }

  protected override captured_ms(media_s: number): number | null {
    if (!this.#clock || this.#base_ms === null) return null;
    return this.#clock.captured_ms + (media_s * 1000 + this.#base_ms - this.#clock.pts_ms);
  }

  protected override steer(now_ms: number): void {
    const { element } = this;
    this.#findBase();
    const ahead_s = this.ahead_s();
    if (!this.#skipped) {
      if (ahead_s === 0) return;
      this.#skipped = true;
      const skip_s = ahead_s - this.#pace.target_s;
      if (skip_s > 0.05) element.currentTime += skip_s;
      return;
    }
    if (element.paused && !document.hidden) this.play();
    const { rate, skip_s } = this.#pace.update({ now_ms, ahead_s, stalled: this.standing && !element.seeking });
    if (element.playbackRate !== rate) element.playbackRate = rate;
    if (skip_s > 0) element.currentTime += skip_s;
  }

  protected override moreStats(): Record<string, number | string | null> {
    return { target_ms: Math.round(this.#pace.target_s * 1000) };
  }

  #clocked(clock: OrielClock): void {
    const { buffered } = this.element;
    if (this.#base_ms !== null && buffered.length > 0) {
      const end_ms = buffered.end(buffered.length - 1) * 1000 + this.#base_ms;
      // mpegts.js closes holes in the video and fills them in the sound, so the two part: a fresh start is due.
      if (clock.pts_ms - end_ms > GAP_MS) this.emit({ type: 'gap' });
    }
    this.#clock = clock;
  }

  /** mpegts.js keeps the base to itself; where it moved in a later version, the first picture tells it nearly as well. */
  #findBase(): void {
    if (this.#base_ms !== null || !this.#clock) return;
    const inner = this.#player as unknown as Inner | null;
    const known = inner?._player_engine?._transmuxer?._controller?._remuxer?._dtsBase;
    if (typeof known === 'number' && known >= 0) this.#base_ms = known;
    else if (this.element.buffered.length > 0) this.#base_ms = this.#clock.pts_ms - this.element.buffered.start(0) * 1000;
  }

  #failed(kind: string, detail: string): void {
    const permanent = kind === mpegts.ErrorTypes.MEDIA_ERROR && detail === mpegts.ErrorDetails.MEDIA_CODEC_UNSUPPORTED;
    this.emit({ type: 'failed', reason: `${kind}: ${detail}`, permanent });
  }
}

/** The stream with `onOrielClock` tags in it; other players would list them as a track of its own. */
function withClock(url: string): string {
  const full = new URL(url, location.href);
  full.searchParams.set('clock', '1');
  return full.href;
}

interface Inner {
  _player_engine?: { _transmuxer?: { _controller?: { _remuxer?: { _dtsBase?: number } } } };
}
