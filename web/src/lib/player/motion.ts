/**
 * Tells from a playhead whether the picture moves. Pure: one sample a tick. A hidden page is not judged, since browsers
 * slow its timers and drawing.
 */

/** A playhead that stands for this long has stalled. */
export const STALL_MS = 500;

export type Motion = 'started' | 'stalled' | 'resumed';

export class MotionWatch {
  #at: number | null = null;
  #movedAt = 0;
  #state: 'waiting' | 'moving' | 'standing' = 'waiting';
  /** Stalls since it first moved. */
  stalls = 0;
  /** Time spent stalled, milliseconds. */
  stalled_ms = 0;

  /** `position` is any number that changes with the picture; null when there is none yet. */
  sample(now_ms: number, position: number | null, hidden = false): Motion | null {
    if (position === null) return null;
    const moved = this.#at !== null && position !== this.#at;
    const first = this.#at === null;
    this.#at = position;
    if (first || hidden) {
      this.#movedAt = now_ms;
      return null;
    }
    if (moved) {
      const was = this.#state;
      if (was === 'standing') this.stalled_ms += now_ms - this.#movedAt;
      this.#movedAt = now_ms;
      this.#state = 'moving';
      return was === 'waiting' ? 'started' : was === 'standing' ? 'resumed' : null;
    }
    if (this.#state === 'moving' && now_ms - this.#movedAt >= STALL_MS) {
      this.#state = 'standing';
      this.stalls += 1;
      return 'stalled';
    }
    return null;
  }
}
