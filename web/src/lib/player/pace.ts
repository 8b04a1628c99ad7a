/**
 * Holds a live video element a small, steady distance behind the newest frame it has: gentle playback rates within what
 * nobody hears, a jump only when far behind. Pure: one call a tick. Seconds, as media elements count.
 */

export interface PaceInput {
  now_ms: number;
  /** Media after the playhead, without a hole, in seconds. */
  ahead_s: number;
  stalled: boolean;
}

export interface PaceOutput {
  rate: number;
  /** Move the playhead forward by so many seconds. */
  skip_s: number;
}

export interface PaceRules {
  /** Wanted distance, and how far it may grow after stalls. */
  target_s: number;
  target_max_s: number;
  /** Within this of the target the rate is exactly 1. */
  slack_s: number;
  rate_min: number;
  rate_max: number;
  /** Farther behind than this: jump. */
  jump_s: number;
}

export const FLV_PACE: PaceRules = {
  target_s: 0.28,
  target_max_s: 1.2,
  slack_s: 0.06,
  rate_min: 0.96,
  rate_max: 1.08,
  jump_s: 1.6,
};

/** After a stall the target grows at once; it comes back this slowly. */
const RELAX_S_PER_S = 0.01;
const STALL_STEP_S = 0.12;
/** Rate per second of error. */
const GAIN = 0.25;
/** Smoothing of the measured distance: appends come in bursts. */
const SMOOTH = 0.15;
/** No more than one jump in this time. */
const JUMP_EVERY_MS = 2_000;

export class Pace {
  #rules: PaceRules;
  #target: number;
  #smooth: number | null = null;
  #last_ms: number | null = null;
  #wasStalled = false;
  #jumpedAt = -Infinity;

  constructor(rules: PaceRules = FLV_PACE) {
    this.#rules = rules;
    this.#target = rules.target_s;
  }

  get target_s(): number {
    return this.#target;
  }

  update({ now_ms, ahead_s, stalled }: PaceInput): PaceOutput {
    const rules = this.#rules;
    const elapsed_s = this.#last_ms === null ? 0 : (now_ms - this.#last_ms) / 1000;
    this.#last_ms = now_ms;
    if (stalled && !this.#wasStalled) this.#target = Math.min(this.#target + STALL_STEP_S, rules.target_max_s);
    this.#wasStalled = stalled;
    if (!stalled) this.#target = Math.max(rules.target_s, this.#target - RELAX_S_PER_S * elapsed_s);
    if (ahead_s > this.#target + rules.jump_s && now_ms - this.#jumpedAt > JUMP_EVERY_MS) {
      this.#jumpedAt = now_ms;
      this.#smooth = null;
      return { rate: 1, skip_s: ahead_s - this.#target };
    }
    this.#smooth = this.#smooth === null ? ahead_s : this.#smooth + (ahead_s - this.#smooth) * SMOOTH;
    const error = this.#smooth - this.#target;
    if (stalled || Math.abs(error) <= rules.slack_s) return { rate: 1, skip_s: 0 };
    const rate = 1 + error * GAIN;
    return { rate: Math.min(rules.rate_max, Math.max(rules.rate_min, rate)), skip_s: 0 };
  }
}
