/** One broadcast as a page follows it: what the API said, kept fresh by the room, and the clock to measure against. */

import { api, ApiError, type Broadcast } from './api';
import { ServerClock } from './clock';
import type { Player } from './player/player.svelte';
import { Room } from './room/room.svelte';

export type Stage = 'loading' | 'missing' | 'trouble' | 'not_started' | 'running' | 'ended';

const RETRY_MS = 3_000;
const NOT_STARTED_MS = 3_000;
/** Without the room, ask the API so often how the broadcast is. */
const WITHOUT_ROOM_MS = 5_000;
const CHECK_EVERY_MS = 1_000;

export class Watching {
  broadcast: Broadcast | null = $state.raw(null);
  room: Room | null = $state.raw(null);
  player: Player | null = $state.raw(null);
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
      this.#openRoom(broadcast);
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
  }

  #openRoom(broadcast: Broadcast): void {
    if (this.room || this.stage === 'ended') return;
    this.room = new Room(
      broadcast.urls.room,
      this.clock,
      () => {
        const { player } = this;
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
