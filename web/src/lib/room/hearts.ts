/**
 * Hearts on their way: one's own taps fold into at most one frame each 500 ms, and what the room reports is replayed
 * without the ones already shown here. Pure.
 */

import { COLOURS } from './protocol';

export const SEND_EVERY_MS = 500;
export const SEND_MAX = 10;
/** Hearts of others drawn per gauge: beyond that the number says it better. */
export const REPLAY_MAX = 14;

export class HeartFold {
  #taps: number[] = [];
  #sentAt = -Infinity;
  /** Sent but not yet in a gauge. */
  #out: number[] = Array.from({ length: COLOURS }, () => 0);

  tap(colour: number): void {
    if (this.#taps.length < 100) this.#taps.push(colour);
  }

  /** Taps that the room's total does not have yet. */
  get ahead(): number {
    return this.#taps.length + this.#out.reduce((a, b) => a + b, 0);
  }

  /** What to send now, if it is time: a frame has one colour, so taps of one colour go together. */
  take(now_ms: number): { n: number; colour: number } | null {
    const colour = this.#taps[0];
    if (colour === undefined || now_ms - this.#sentAt < SEND_EVERY_MS) return null;
    const n = Math.min(SEND_MAX, this.#taps.filter((tap) => tap === colour).length);
    let left = n;
    this.#taps = this.#taps.filter((tap) => tap !== colour || left-- <= 0);
    this.#out[colour] = (this.#out[colour] ?? 0) + n;
    this.#sentAt = now_ms;
    return { n, colour };
  }

  /** Takes a gauge's hearts and gives those of others. */
  others(colours: readonly number[]): number[] {
    return colours.map((n, colour) => {
      const own = Math.min(n, this.#out[colour] ?? 0);
      this.#out[colour] = (this.#out[colour] ?? 0) - own;
      return n - own;
    });
  }

  /** The connection is gone, and with it what was on its way. */
  lost(): void {
    this.#out.fill(0);
  }
}

/** When, within the next `over_ms`, to let each heart rise. Spread evenly with a little disorder. */
export function schedule(colours: readonly number[], over_ms: number, random: () => number = Math.random): { colour: number; at_ms: number }[] {
  const all = colours.flatMap((n, colour) => Array.from({ length: Math.min(n, REPLAY_MAX) }, () => colour));
  const shown = all.length <= REPLAY_MAX ? all : Array.from({ length: REPLAY_MAX }, (_, i) => all[Math.floor((i * all.length) / REPLAY_MAX)] ?? 0);
  return shown.map((colour, i) => ({ colour, at_ms: ((i + random() * 0.8) * over_ms) / shown.length }));
}
