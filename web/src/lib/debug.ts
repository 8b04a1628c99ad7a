/**
 * `window.__oriel` on the watch page: read-only numbers for end-to-end tests and for people who look under the hood.
 * Described in README.md.
 */

import type { ServerClock } from './clock';
import type { Player } from './player/player.svelte';
import type { Playback } from './replay/playback.svelte';
import type { Room } from './room/room.svelte';

export interface OrielDebug {
  readonly rung: string | null;
  readonly trying: string | null;
  readonly phase: string;
  readonly notice: string;
  readonly latency_ms: number | null;
  readonly captured_ms: number | null;
  readonly samples: readonly (readonly [at_ms: number, latency_ms: number])[];
  readonly stalls: number;
  readonly stats: Readonly<Record<string, number | string | null>> | null;
  readonly log: readonly { at_ms: number; text: string }[];
  readonly clock_offset_ms: number;
  readonly room: { link: string; viewers: number; hearts: number; comments: number; epoch: string | null; offset: number | null };
  /** The recording on the stage; null while that is live. */
  readonly recording: { live: boolean; paused: boolean; current_s: number; start_s: number; end_s: number; captured_ms: number | null } | null;
  /** The video or canvas whose picture is shown. */
  readonly element: HTMLElement | null;
}

declare global {
  interface Window {
    __oriel?: OrielDebug;
  }
}

export function expose(
  player: () => Player | null,
  room: () => Room | null,
  clock: ServerClock,
  playback: () => Playback | null,
): () => void {
  const debug: OrielDebug = {
    get rung() {
      return player()?.view.rung ?? null;
    },
    get trying() {
      return player()?.view.trying ?? null;
    },
    get phase() {
      return player()?.view.phase ?? 'idle';
    },
    get notice() {
      return player()?.view.notice ?? '';
    },
    get latency_ms() {
      return player()?.latency_ms ?? null;
    },
    get captured_ms() {
      return player()?.captured_ms ?? null;
    },
    get samples() {
      return player()?.samples ?? [];
    },
    get stalls() {
      return player()?.stalls ?? 0;
    },
    get stats() {
      return player()?.stats ?? null;
    },
    get log() {
      return player()?.log ?? [];
    },
    get clock_offset_ms() {
      return clock.offset_ms;
    },
    get room() {
      const one = room();
      return {
        link: one?.link ?? 'closed',
        viewers: one?.state.viewers ?? 0,
        hearts: one?.hearts ?? 0,
        comments: one?.state.comments.length ?? 0,
        epoch: one?.state.position?.epoch ?? null,
        offset: one?.state.position?.offset ?? null,
      };
    },
    get recording() {
      const one = playback();
      if (!one) return null;
      const { live, paused, current_s, start_s, end_s, captured_ms } = one;
      return { live, paused, current_s, start_s, end_s, captured_ms };
    },
    get element() {
      return playback()?.element ?? player()?.element ?? null;
    },
  };
  window.__oriel = debug;
  return () => {
    if (window.__oriel === debug) delete window.__oriel;
  };
}
