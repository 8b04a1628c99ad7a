import { beforeEach, describe, expect, it } from 'vitest';

import { type Effect, Ladder, type LadderEvent, RULES, type RungChoice, type RungName, WORDS } from '../../src/lib/player/ladder';

/** Fake rungs on fake time: remembers what is open and shown, as the player would. */
class World {
  now = 0;
  ladder: Ladder;
  open = new Map<number, RungName>();
  shown: number | null = null;
  checks = 0;

  constructor(choices: RungChoice[] = ['moq', 'flv', 'llhls', 'hls'].map((name) => ({ name: name as RungName }))) {
    this.ladder = new Ladder(choices);
    this.run(this.ladder.start(0));
  }

  run(effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.do === 'open') this.open.set(effect.id, effect.rung);
      else if (effect.do === 'close') {
        expect(this.open.delete(effect.id)).toBe(true);
        if (this.shown === effect.id) this.shown = null;
      } else if (effect.do === 'show') this.shown = effect.id;
      else this.checks += 1;
    }
    expect(this.open.size).toBeLessThanOrEqual(2);
  }

  /** The newest open attempt of a rung. */
  id(rung: RungName): number {
    const ids = [...this.open].filter(([, name]) => name === rung).map(([id]) => id);
    const id = ids.at(-1);
    if (id === undefined) throw new Error(`${rung} is not open`);
    return id;
  }

  event(rung: RungName, event: LadderEvent): void {
    this.run(this.ladder.event(this.now, this.id(rung), event));
  }

  plays(rung: RungName): void {
    this.event(rung, { type: 'playing' });
  }

  fails(rung: RungName, permanent = false): void {
    this.event(rung, { type: 'failed', reason: 'test', permanent });
  }

  wait(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now = Math.min(end, this.now + 100);
      this.run(this.ladder.tick(this.now));
    }
  }

  broadcast(phase: 'live' | 'interrupted' | 'ended'): void {
    this.run(this.ladder.broadcast(this.now, phase));
  }

  get view() {
    return this.ladder.view(this.now);
  }

  get rungs(): RungName[] {
    return [...this.open.values()];
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('starting', () => {
  it('opens the best rung and shows it once it plays', () => {
    expect(world.rungs).toEqual(['moq']);
    expect(world.view.phase).toBe('starting');
    world.plays('moq');
    expect(world.view).toMatchObject({ phase: 'playing', rung: 'moq', trying: null, notice: '' });
  });

  it('skips a rung that is unavailable', () => {
    const lan = new World([{ name: 'moq', unavailable: 'needs HTTPS' }, { name: 'flv' }]);
    expect(lan.rungs).toEqual(['flv']);
  });

  it('goes to the next rung when one does not start in time', () => {
    world.wait(RULES.start_ms.moq);
    expect(world.rungs).toEqual(['flv']);
  });

  it('goes to the next rung at once when one fails', () => {
    world.fails('moq');
    expect(world.rungs).toEqual(['flv']);
  });

  it('retries from the top, with a growing pause, when nothing works', () => {
    for (const rung of ['moq', 'flv', 'llhls', 'hls'] as const) world.fails(rung);
    expect(world.rungs).toEqual([]);
    expect(world.view).toMatchObject({ phase: 'retrying', notice: WORDS.retrying });
    world.wait(RULES.retry_ms);
    expect(world.rungs).toEqual(['moq']);
    for (const rung of ['moq', 'flv', 'llhls', 'hls'] as const) world.fails(rung);
    world.wait(RULES.retry_ms);
    expect(world.rungs).toEqual([]);
    world.wait(RULES.retry_ms);
    expect(world.rungs).toEqual(['moq']);
  });
});

describe('stepping down', () => {
  beforeEach(() => world.plays('moq'));

  it('keeps the old picture until the lower rung plays', () => {
    world.event('moq', { type: 'stalled' });
    world.wait(RULES.stall_ms);
    expect(world.rungs).toEqual(['moq', 'flv']);
    expect(world.view).toMatchObject({ rung: 'moq', trying: 'flv', notice: WORDS.slow });
    world.plays('flv');
    expect(world.rungs).toEqual(['flv']);
    expect(world.view).toMatchObject({ phase: 'playing', rung: 'flv' });
  });

  it('stays on a rung whose short stall passes, and asks the server why', () => {
    world.event('moq', { type: 'stalled' });
    expect(world.checks).toBe(1);
    expect(world.view.notice).toBe(WORDS.stalled);
    world.wait(RULES.stall_ms - 500);
    world.plays('moq');
    world.wait(5_000);
    expect(world.rungs).toEqual(['moq']);
  });

  it('steps down after several short stalls', () => {
    for (let i = 0; i < RULES.stalls; i += 1) {
      world.event('moq', { type: 'stalled' });
      if (i < RULES.stalls - 1) {
        world.wait(700);
        world.plays('moq');
        world.wait(1_000);
      }
    }
    expect(world.view.trying).toBe('flv');
  });

  it('forgets stalls of long ago', () => {
    for (let i = 0; i < RULES.stalls + 2; i += 1) {
      world.event('moq', { type: 'stalled' });
      world.wait(700);
      world.plays('moq');
      world.wait(RULES.stall_window_ms);
    }
    expect(world.rungs).toEqual(['moq']);
  });

  it('gives the server a moment to say that the broadcast ended before it acts on a failure', () => {
    world.fails('moq');
    expect(world.checks).toBe(1);
    expect(world.rungs).toEqual(['moq']);
    world.broadcast('ended');
    world.wait(5_000);
    expect(world.rungs).toEqual([]);
    expect(world.view.phase).toBe('ended');
  });

  it('steps down after a failure with the words for it', () => {
    world.fails('moq');
    world.wait(RULES.grace_ms);
    expect(world.view).toMatchObject({ trying: 'flv', notice: WORDS.cut });
  });

  it('never comes back to a rung that cannot work here', () => {
    world.fails('moq', true);
    world.wait(RULES.grace_ms);
    world.plays('flv');
    world.wait(RULES.up_ms * 10);
    expect(world.rungs).toEqual(['flv']);
    expect(world.ladder.choices[0]?.unavailable).toBe('test');
  });

  it('tries the lowest rung once more at once, then with pauses', () => {
    const pinned = new World([{ name: 'hls' }]);
    pinned.plays('hls');
    pinned.fails('hls');
    pinned.wait(RULES.grace_ms);
    expect(pinned.rungs).toEqual(['hls', 'hls']);
    pinned.fails('hls');
    expect(pinned.view.phase).toBe('retrying');
    pinned.wait(RULES.retry_ms * 2);
    expect(pinned.rungs).toEqual(['hls', 'hls']);
    pinned.plays('hls');
    expect(pinned.view.phase).toBe('playing');
  });
});

describe('stepping up', () => {
  beforeEach(() => {
    world.fails('moq');
    world.plays('flv');
  });

  it('tries the better rung behind the picture after steady play', () => {
    world.wait(RULES.up_ms);
    expect(world.view).toMatchObject({ phase: 'playing', rung: 'flv', trying: 'moq' });
    world.plays('moq');
    expect(world.rungs).toEqual(['moq']);
    expect(world.view.notice).toBe(WORDS.up);
    world.wait(RULES.notice_ms);
    expect(world.view.notice).toBe('');
  });

  it('waits twice as long after each failed try, and says nothing', () => {
    world.wait(RULES.up_ms);
    world.fails('moq');
    expect(world.view).toMatchObject({ rung: 'flv', trying: null, notice: '' });
    world.wait(RULES.up_ms * 2 - 100);
    expect(world.view.trying).toBeNull();
    world.wait(100);
    expect(world.view.trying).toBe('moq');
  });

  it('uses the better rung that is starting when the lower one breaks meanwhile', () => {
    world.wait(RULES.up_ms);
    world.fails('flv');
    world.plays('moq');
    expect(world.view).toMatchObject({ phase: 'playing', rung: 'moq' });
  });

  it('goes on down when both break', () => {
    world.wait(RULES.up_ms);
    world.fails('flv');
    world.fails('moq');
    world.wait(RULES.grace_ms);
    expect(world.view.trying).toBe('flv');
  });
});

describe('the publisher', () => {
  beforeEach(() => world.plays('moq'));

  it('may be away for long without a step down', () => {
    world.broadcast('interrupted');
    world.event('moq', { type: 'stalled' });
    world.wait(60_000);
    expect(world.rungs).toEqual(['moq']);
    expect(world.view).toMatchObject({ phase: 'waiting', notice: WORDS.waiting });
  });

  it('may come back to a rung that goes on by itself', () => {
    world.broadcast('interrupted');
    world.event('moq', { type: 'stalled' });
    world.wait(8_000);
    world.broadcast('live');
    world.wait(1_000);
    world.plays('moq');
    world.wait(10_000);
    expect(world.rungs).toEqual(['moq']);
    expect(world.view.phase).toBe('playing');
  });

  it('comes back on a fresh attempt of the same rung when the old one stays still', () => {
    world.broadcast('interrupted');
    world.event('moq', { type: 'stalled' });
    world.wait(8_000);
    world.broadcast('live');
    world.wait(RULES.heal_ms.moq);
    expect(world.rungs).toEqual(['moq', 'moq']);
    world.plays('moq');
    expect(world.rungs).toEqual(['moq']);
  });

  it('comes back on a fresh attempt of a rung that was closed meanwhile', () => {
    world.broadcast('interrupted');
    world.fails('moq');
    world.wait(8_000);
    expect(world.rungs).toEqual(['moq']);
    world.broadcast('live');
    expect(world.rungs).toEqual(['moq', 'moq']);
  });

  it('who was away leaves a gap that reopens the same rung', () => {
    world.broadcast('interrupted');
    world.wait(5_000);
    world.broadcast('live');
    world.wait(1_000);
    world.event('moq', { type: 'gap' });
    expect(world.rungs).toEqual(['moq', 'moq']);
  });

  it('who was not away leaves a gap that is our own slowness', () => {
    world.event('moq', { type: 'gap' });
    expect(world.view).toMatchObject({ trying: 'flv', notice: WORDS.slow });
  });

  it('ends the broadcast for good', () => {
    world.broadcast('ended');
    world.broadcast('live');
    expect(world.rungs).toEqual([]);
    expect(world.view.phase).toBe('ended');
  });
});

it('a paused viewer holds nothing open and starts again at the best rung', () => {
  world.plays('moq');
  world.run(world.ladder.stop());
  world.wait(60_000);
  expect(world.rungs).toEqual([]);
  expect(world.view.phase).toBe('idle');
  world.run(world.ladder.start(world.now));
  expect(world.rungs).toEqual(['moq']);
});

it('events of a closed attempt change nothing', () => {
  const old = world.id('moq');
  world.fails('moq');
  world.run(world.ladder.event(world.now, old, { type: 'playing' }));
  expect(world.rungs).toEqual(['flv']);
});
