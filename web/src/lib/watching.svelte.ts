/**
 * One broadcast as a page follows it: what the API said, kept fresh by the room, the clock to measure against, and the
 * recording: to go back in while it is live, to watch again when it is over.
 */

import { api, ApiError, type Broadcast, type Replay } from './api';
import { ServerClock } from './clock';
import type { Player } from './player/player.svelte';
import { Past } from './replay/past.svelte';
import { Playback } from './replay/playback.svelte';
import { Room } from './room/room.svelte';

export type Stage = 'loading' | 'missing' | 'trouble' | 'not_started' | 'running' | 'ended';

const RETRY_MS = 3_000;
const NOT_STARTED_MS = 3_000;
/** Without the room, ask the API so often how the broadcast is. */
const WITHOUT_ROOM_MS = 5_000;
const CHECK_EVERY_MS = 1_000;
/** A recording is whole some seconds after the end. */
const REPLAY_MS = 2_000;
const REPLAY_TRIES = 15;

export class Watching {
  broadcast: Broadcast | null = $state.raw(null);
  room: Room | null = $state.raw(null);
  player: Player | null = $state.raw(null);
  /** There is a replay, and this viewer may watch it. */
  replay: Replay | null = $state.raw(null);
  /** The recording on the stage, in place of the live picture. */
  playback: Playback | null = $state.raw(null);
  /** The conversation beside the replay on the stage. */
  past: Past | null = $state.raw(null);
  stage: Stage = $state('loading');
  interrupted = $state(false);
  trouble = $state('');
  readonly clock = new ServerClock();
  #id: string;
  #hearts: (colours: readonly number[]) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopRoom: (() => void) | null = null;
  #checkedAt = -Infinity;
  #stopped = false;
  #replayTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string, hearts: (colours: readonly number[]) => void) {
    this.#id = id;
    this.#hearts = hearts;
  }

  start(): () => void {
    void this.load();
    void this.#time();
    return () => {
      this.#stopped = true;
      clearTimeout(this.#timer);
      clearTimeout(this.#replayTimer);
      this.#stopRoom?.();
    };
  }

  load = async (): Promise<void> => {
    clearTimeout(this.#timer);
    try {
      const broadcast = await api.broadcast(this.#id);
      if (this.#stopped) return;
      this.broadcast = broadcast;
      this.trouble = '';
      this.#follow(broadcast.state, broadcast.interrupted);
      const first = this.room === null;
      this.#openRoom(broadcast);
      if (this.stage === 'ended' && !this.replay) void this.#findReplay(REPLAY_TRIES, first);
    } catch (error) {
      if (this.#stopped) return;
      if (error instanceof ApiError && error.status === 404) {
        this.stage = 'missing';
        return;
      }
      this.trouble = (error as Error).message;
      if (!this.broadcast) this.stage = 'trouble';
    }
    this.#again();
  };

  /** The picture stopped: find out why, but not more than once a second. */
  check = (): void => {
    if (Date.now() - this.#checkedAt < CHECK_EVERY_MS) return;
    this.#checkedAt = Date.now();
    void this.load();
  };

  /** Goes back in the broadcast that goes on. */
  rewind(by_ms: number): void {
    const url = this.broadcast?.urls.dvr;
    if (!url || this.playback || this.stage !== 'running') return;
    const from_ms = (this.player?.captured_ms ?? this.clock.now()) - by_ms;
    this.playback = new Playback({ url, live: true, play: true, from_ms, sound: this.player?.sound ?? false, volume: this.player?.volume ?? 1 });
  }

  /** From the recording back to the live picture. */
  toLive(): void {
    if (this.playback?.live) this.playback = null;
  }

  watchReplay(play: boolean): void {
    const { replay } = this;
    if (!replay || this.playback) return;
    this.playback = new Playback({
      url: replay.urls.hls,
      live: false,
      play,
      length_s: replay.duration_ms / 1000,
      poster: replay.urls.picture,
      sound: true,
      volume: 1,
    });
    this.past = new Past(replay.id, this.#hearts);
  }

  /** Its owner has changed it, or deleted it. */
  setReplay(replay: Replay | null): void {
    this.replay = replay;
    if (!replay) this.playback = this.past = null;
  }

  /** How far the picture on the stage is behind this moment; null while that is not known. */
  get behind_ms(): number | null {
    const captured_ms = this.playback?.live ? this.playback.captured_ms : null;
    return captured_ms === null ? null : this.clock.now() - captured_ms;
  }

  async #findReplay(tries: number, show: boolean): Promise<void> {
    clearTimeout(this.#replayTimer);
    let found: Replay | null = null;
    try {
      found = await api.replay(this.#id);
    } catch {
      // None yet, none for this viewer, or the network is away.
    }
    if (this.#stopped || this.replay) return;
    if (found && !found.recording) {
      this.replay = found;
      if (show) this.watchReplay(false);
    } else if (tries > 0 && (found || !show)) {
      // Who comes after the end finds it at once, or there is none.
      this.#replayTimer = setTimeout(() => void this.#findReplay(tries - 1, show), REPLAY_MS);
    }
  }

  /** Called when the room's state changes. */
  fromRoom(): void {
    const known = this.room?.state.broadcast;
    if (!known) return;
    const before = this.stage;
    this.#follow(known.state, known.interrupted);
    // The summary, or the first picture's format, comes from the API.
    if (before !== this.stage && before !== 'loading') void this.load();
  }

  #follow(state: Broadcast['state'], interrupted: boolean): void {
    // Over is over, whichever of the two says it first.
    if (this.stage === 'ended') return;
    this.interrupted = state === 'RUNNING' && interrupted;
    this.stage = state === 'NOT_STARTED' ? 'not_started' : state === 'RUNNING' ? 'running' : 'ended';
    if (this.stage === 'ended') this.toLive();
  }

  #openRoom(broadcast: Broadcast): void {
    if (this.room || this.stage === 'ended') return;
    this.room = new Room(
      broadcast.urls.room,
      this.clock,
      () => {
        const { player, playback, behind_ms } = this;
        if (playback && behind_ms !== null && !playback.paused) {
          return { rung: 'hls', latency_ms: Math.max(0, Math.round(behind_ms)), captured_ms: Math.round(this.clock.now() - behind_ms) };
        }
        if (!player || player.view.phase !== 'playing' || !player.view.rung) return null;
        // A stream without capture times still has a viewer.
        const captured_ms = Math.round(player.captured_ms ?? this.clock.now());
        return { rung: player.view.rung, latency_ms: Math.max(0, Math.round(player.latency_ms ?? 0)), captured_ms };
      },
      this.#hearts,
    );
    this.#stopRoom = this.room.start();
  }

  #again(): void {
    if (this.#stopped || this.stage === 'ended') return;
    const wait = this.stage === 'trouble' ? RETRY_MS : this.stage === 'not_started' ? NOT_STARTED_MS : WITHOUT_ROOM_MS;
    this.#timer = setTimeout(() => {
      if (this.stage === 'running' && this.room?.link === 'open') this.#again();
      else void this.load();
    }, wait);
  }

  async #time(): Promise<void> {
    const sent = Date.now();
    try {
      this.clock.add(sent, await api.time(), Date.now());
    } catch {
      // The room's pings will tell.
    }
  }
}
