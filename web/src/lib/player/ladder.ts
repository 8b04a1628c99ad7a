/**
 * The ladder of protocols: which rung plays, when to step down, when to try back up, and what to say about it.
 *
 * Pure: events and the time go in, effects come out; `player.svelte.ts` carries them out. Nouns: a *rung* is a way to
 * receive the picture; an *attempt* is one run of a rung; at most one attempt is shown and one more starts behind it, so
 * that the old picture stays until the new one moves. All times are milliseconds on one monotonic clock.
 */

export type RungName = 'moq' | 'webrtc' | 'flv' | 'llhls' | 'hls';

/** A rung in order of preference; `unavailable` says in words why it cannot be used here. */
export interface RungChoice {
  name: RungName;
  unavailable?: string | undefined;
}

export type Effect =
  | { do: 'open'; id: number; rung: RungName }
  | { do: 'show'; id: number }
  | { do: 'close'; id: number }
  /** Ask the server what the broadcast is doing, in case the room has not said so yet. */
  | { do: 'check' };

export type LadderEvent =
  | { type: 'playing' }
  | { type: 'stalled' }
  /** Frames are missing in what arrived: the server skipped groups for us, or the publisher was away. */
  | { type: 'gap' }
  | { type: 'failed'; reason: string; permanent?: boolean };

export type BroadcastPhase = 'live' | 'interrupted' | 'ended';

export type Phase = 'idle' | 'starting' | 'playing' | 'stalled' | 'waiting' | 'retrying' | 'ended';

export interface LadderView {
  phase: Phase;
  /** The rung whose picture is shown. */
  rung: RungName | null;
  /** The rung being started behind it. */
  trying: RungName | null;
  /** What is going on, in words for the viewer; empty when there is nothing to say. */
  notice: string;
}

export const RULES = {
  /** A rung that shows no picture in this time has failed. */
  start_ms: { moq: 6_000, webrtc: 6_000, flv: 6_000, llhls: 10_000, hls: 20_000 } satisfies Record<RungName, number>,
  /** A rung gets this long to go on by itself when the publisher is back, before it is opened again. */
  heal_ms: { moq: 2_500, webrtc: 2_500, flv: 3_000, llhls: 4_000, hls: 9_000 } satisfies Record<RungName, number>,
  /** A stall this long is a step down. */
  stall_ms: 3_000,
  /** So many stalls within the window are a step down too. */
  stalls: 3,
  stall_window_ms: 20_000,
  /** After a failure the room may be about to say "interrupted" or "ended": wait for it before acting. */
  grace_ms: 600,
  /** First try of the better rung after so much steady play; doubled after each failed try. */
  up_ms: 30_000,
  up_max_ms: 600_000,
  /** Steady play of this length forgets earlier failures. */
  forget_ms: 300_000,
  retry_ms: 1_000,
  retry_max_ms: 15_000,
  /** A gap this soon after an interruption belongs to it. */
  resume_window_ms: 45_000,
  notice_ms: 6_000,
} as const;

export const WORDS = {
  slow: 'Your network slowed down, switching to a steadier picture',
  cut: 'The picture was cut off, switching to a steadier one',
  stalled: 'Waiting for your network…',
  waiting: 'The broadcaster’s connection dropped, waiting for them to come back…',
  retrying: 'No picture yet, still trying…',
  up: 'Your network is steady again, back to the faster picture',
} as const;

type Purpose = 'first' | 'down' | 'up' | 'resume' | 'retry';

interface Attempt {
  id: number;
  rung: RungName;
  purpose: Purpose;
  /** When it was opened, or when it last began to play. */
  since: number;
  state: 'starting' | 'playing' | 'stalled' | 'dead';
  stalledAt: number;
}

export class Ladder {
  #choices: RungChoice[];
  #shown: Attempt | null = null;
  #next: Attempt | null = null;
  #ids = 0;
  #phase: BroadcastPhase = 'live';
  #resumedAt = -Infinity;
  #healBy: number | null = null;
  #stalls: number[] = [];
  #failures = 0;
  #upDelay: number = RULES.up_ms;
  #stepAt: { at: number; words: string } | null = null;
  #retryAt: number | null = null;
  #running = false;
  #notice = { words: '', until: -Infinity };

  constructor(choices: RungChoice[]) {
    this.#choices = choices.map((choice) => ({ ...choice }));
  }

  get choices(): readonly RungChoice[] {
    return this.#choices;
  }

  view(now: number): LadderView {
    return {
      phase: this.#viewPhase(),
      rung: this.#shown?.rung ?? null,
      trying: this.#next?.rung ?? null,
      notice: this.#viewNotice(now),
    };
  }

  /** Starts from the best usable rung. */
  start(now: number): Effect[] {
    this.#running = true;
    if (this.#phase === 'ended') return [];
    return this.#open(now, this.#best(), 'first');
  }

  /** Stops playing (the viewer paused); `start` begins anew. */
  stop(): Effect[] {
    this.#running = false;
    this.#stepAt = this.#retryAt = this.#healBy = null;
    this.#stalls = [];
    return this.#closeAll();
  }

  broadcast(now: number, phase: BroadcastPhase): Effect[] {
    if (phase === this.#phase || this.#phase === 'ended') return [];
    const was = this.#phase;
    this.#phase = phase;
    if (!this.#running) return [];
    if (phase === 'ended') return this.stop();
    this.#stepAt = this.#retryAt = null;
    if (phase === 'interrupted') return this.#next?.purpose === 'up' ? this.#drop(this.#next) : [];
    return was === 'interrupted' ? this.#resumed(now) : [];
  }

  event(now: number, id: number, event: LadderEvent): Effect[] {
    const attempt = this.#next?.id === id ? this.#next : this.#shown?.id === id ? this.#shown : null;
    if (!attempt || !this.#running) return [];
    switch (event.type) {
      case 'playing':
        return this.#playing(now, attempt);
      case 'stalled':
        return this.#stalled(now, attempt);
      case 'gap':
        return this.#gap(now, attempt);
      case 'failed':
        if (event.permanent) this.#forbid(attempt.rung, event.reason);
        return this.#failed(now, attempt);
    }
  }

  tick(now: number): Effect[] {
    if (!this.#running || this.#phase !== 'live') return [];
    const next = this.#next;
    if (next && now - next.since >= RULES.start_ms[next.rung]) return this.#failed(now, next);
    if (this.#stepAt && now >= this.#stepAt.at) return this.#stepDown(now, this.#stepAt.words);
    if (this.#retryAt !== null && now >= this.#retryAt) return this.#open(now, this.#best(), 'retry');
    const shown = this.#shown;
    if (!shown || next) return [];
    if (this.#healBy !== null && now >= this.#healBy) return this.#open(now, shown.rung, 'resume');
    if (shown.state === 'stalled' && this.#healBy === null && now - shown.stalledAt >= RULES.stall_ms) {
      return [{ do: 'check' }, ...this.#stepDown(now, WORDS.slow)];
    }
    if (shown.state === 'playing') return this.#considerUp(now, shown);
    return [];
  }

  // One method an event.

  #playing(now: number, attempt: Attempt): Effect[] {
    const fresh = attempt === this.#next;
    if (attempt.state !== 'playing') attempt.since = now;
    attempt.state = 'playing';
    this.#healBy = null;
    if (!fresh) {
      this.#stepAt = null;
      return [];
    }
    const effects: Effect[] = [{ do: 'show', id: attempt.id }];
    if (this.#shown) effects.push({ do: 'close', id: this.#shown.id });
    if (attempt.purpose === 'up') this.#say(now, WORDS.up);
    this.#shown = attempt;
    this.#next = null;
    this.#stepAt = this.#retryAt = null;
    this.#stalls = [];
    return effects;
  }

  #stalled(now: number, attempt: Attempt): Effect[] {
    if (attempt !== this.#shown || attempt.state !== 'playing') return [];
    attempt.state = 'stalled';
    attempt.stalledAt = now;
    if (this.#phase !== 'live') return [];
    this.#stalls = [...this.#stalls.filter((at) => now - at < RULES.stall_window_ms), now];
    if (this.#stalls.length >= RULES.stalls && !this.#next) return this.#stepDown(now, WORDS.slow);
    return [{ do: 'check' }];
  }

  #gap(now: number, attempt: Attempt): Effect[] {
    if (attempt !== this.#shown || this.#next) return [];
    const ofInterruption = this.#phase === 'interrupted' || now - this.#resumedAt < RULES.resume_window_ms;
    return ofInterruption ? this.#open(now, attempt.rung, 'resume') : this.#stepDown(now, WORDS.slow);
  }

  #failed(now: number, attempt: Attempt): Effect[] {
    if (attempt === this.#shown) {
      if (attempt.state === 'dead') return [];
      attempt.state = 'dead';
      // The picture of the dead attempt stays until another one moves.
      if (!this.#next) this.#stepAt = { at: now + RULES.grace_ms, words: WORDS.cut };
      return [{ do: 'check' }];
    }
    const dropped = this.#drop(attempt);
    if (attempt.purpose === 'up') {
      this.#upDelay = Math.min(this.#upDelay * 2, RULES.up_max_ms);
      if (this.#shown) this.#shown.since = now;
      if (this.#shown?.state !== 'dead') return dropped;
    }
    if (this.#phase !== 'live') return dropped;
    return [...dropped, { do: 'check' }, ...this.#below(now, attempt.rung)];
  }

  #resumed(now: number): Effect[] {
    this.#resumedAt = now;
    if (this.#next) {
      this.#next.since = now;
      return [];
    }
    const shown = this.#shown;
    if (!shown) return this.#open(now, this.#best(), 'resume');
    if (shown.state === 'dead') return this.#open(now, shown.rung, 'resume');
    if (shown.state === 'stalled') this.#healBy = now + RULES.heal_ms[shown.rung];
    return [];
  }

  #considerUp(now: number, shown: Attempt): Effect[] {
    const steady = now - shown.since;
    if (steady >= RULES.forget_ms) this.#upDelay = RULES.up_ms;
    if (steady > RULES.stall_window_ms) this.#failures = 0;
    if (steady < this.#upDelay) return [];
    const usable = this.#usable();
    const better = usable[usable.indexOf(shown.rung) - 1];
    return better ? this.#open(now, better, 'up') : [];
  }

  // The moves.

  #stepDown(now: number, words: string): Effect[] {
    this.#stepAt = null;
    this.#stalls = [];
    const from = this.#shown?.rung;
    if (!from) return this.#open(now, this.#best(), 'first');
    const usable = this.#usable();
    const lower = this.#lower(from);
    if (lower) this.#say(now, words);
    // Nothing below: once more on the same rung, at once the first time, then with a pause.
    if (!lower && usable.length > 0 && this.#failures === 0) {
      this.#failures += 1;
      return this.#open(now, usable.includes(from) ? from : this.#best(), 'down');
    }
    return lower ? this.#open(now, lower, 'down') : this.#retryLater(now);
  }

  #below(now: number, rung: RungName): Effect[] {
    const lower = this.#lower(rung);
    return lower ? this.#open(now, lower, 'down') : this.#retryLater(now);
  }

  #retryLater(now: number): Effect[] {
    this.#retryAt = now + Math.min(RULES.retry_ms * 2 ** this.#failures, RULES.retry_max_ms);
    this.#failures += 1;
    return [];
  }

  #open(now: number, rung: RungName | undefined, purpose: Purpose): Effect[] {
    this.#stepAt = this.#retryAt = this.#healBy = null;
    if (!rung) return [];
    const effects: Effect[] = this.#next ? this.#drop(this.#next) : [];
    this.#ids += 1;
    this.#next = { id: this.#ids, rung, purpose, since: now, state: 'starting', stalledAt: 0 };
    return [...effects, { do: 'open', id: this.#ids, rung }];
  }

  #drop(attempt: Attempt): Effect[] {
    if (this.#next === attempt) this.#next = null;
    return [{ do: 'close', id: attempt.id }];
  }

  #closeAll(): Effect[] {
    const effects: Effect[] = [];
    for (const attempt of [this.#shown, this.#next]) if (attempt) effects.push({ do: 'close', id: attempt.id });
    this.#shown = this.#next = null;
    return effects;
  }

  #forbid(rung: RungName, reason: string): void {
    const choice = this.#choices.find(({ name }) => name === rung);
    // The last usable rung is kept: trying again is better than giving up.
    if (choice && this.#usable().length > 1) choice.unavailable = reason;
  }

  #usable(): RungName[] {
    return this.#choices.filter((choice) => !choice.unavailable).map(({ name }) => name);
  }

  #best(): RungName | undefined {
    return this.#usable()[0];
  }

  /** The next usable rung below `rung`, which itself may have become unusable. */
  #lower(rung: RungName): RungName | undefined {
    const place = this.#choices.findIndex(({ name }) => name === rung);
    return this.#choices.slice(place + 1).find((choice) => !choice.unavailable)?.name;
  }

  #say(now: number, words: string): void {
    this.#notice = { words, until: now + RULES.notice_ms };
  }

  #viewPhase(): Phase {
    if (this.#phase === 'ended') return 'ended';
    if (!this.#running) return 'idle';
    if (this.#phase === 'interrupted') return this.#shown?.state === 'playing' ? 'playing' : 'waiting';
    if (this.#retryAt !== null) return 'retrying';
    if (!this.#shown) return this.#failures > 0 ? 'retrying' : 'starting';
    return this.#shown.state === 'playing' ? 'playing' : 'stalled';
  }

  #viewNotice(now: number): string {
    const phase = this.#viewPhase();
    if (phase === 'waiting') return WORDS.waiting;
    if (phase === 'retrying') return WORDS.retrying;
    if (phase === 'ended' || phase === 'idle') return '';
    if (now < this.#notice.until) return this.#notice.words;
    return phase === 'stalled' ? WORDS.stalled : '';
  }
}
