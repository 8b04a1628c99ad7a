import { describe, expect, it } from 'vitest';

import { ServerClock } from '../../src/lib/clock';
import { MotionWatch, STALL_MS } from '../../src/lib/player/motion';
import { FLV_PACE, Pace } from '../../src/lib/player/pace';
import { choices } from '../../src/lib/player/support';

describe('pace', () => {
  /** Plays against a source that adds media in real time; gives the distance after so long. */
  function play(ahead_s: number, seconds: number, pace = new Pace()) {
    const rates: number[] = [];
    let skipped_s = 0;
    for (let ms = 0; ms < seconds * 1000; ms += 100) {
      const { rate, skip_s } = pace.update({ now_ms: ms, ahead_s, stalled: false });
      rates.push(rate);
      skipped_s += skip_s;
      ahead_s += 0.1 - 0.1 * rate - skip_s;
    }
    return { ahead_s, rates, skipped_s };
  }

  it('comes down to the target without a jump', () => {
    const { ahead_s, rates, skipped_s } = play(1, 30);
    expect(ahead_s).toBeLessThan(FLV_PACE.target_s + FLV_PACE.slack_s + 0.02);
    expect(Math.max(...rates)).toBeLessThanOrEqual(FLV_PACE.rate_max);
    expect(skipped_s).toBe(0);
  });

  it('grows back to the target when too near the edge', () => {
    const { ahead_s, rates } = play(0.1, 30);
    expect(ahead_s).toBeGreaterThan(FLV_PACE.target_s - FLV_PACE.slack_s - 0.02);
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(FLV_PACE.rate_min);
  });

  it('leaves the rate alone near the target', () => {
    expect(new Set(play(FLV_PACE.target_s + 0.04, 10).rates)).toEqual(new Set([1]));
  });

  it('jumps when far behind', () => {
    const { skipped_s, ahead_s } = play(6, 1);
    expect(skipped_s).toBeCloseTo(6 - FLV_PACE.target_s, 1);
    expect(ahead_s).toBeLessThan(0.5);
  });

  it('keeps more distance after each stall, up to a bound, and relaxes again', () => {
    const pace = new Pace();
    for (let i = 0; i < 30; i += 1) {
      pace.update({ now_ms: i * 200, ahead_s: 0, stalled: true });
      pace.update({ now_ms: i * 200 + 100, ahead_s: 0.3, stalled: false });
    }
    expect(pace.target_s).toBeGreaterThan(1);
    expect(pace.target_s).toBeLessThanOrEqual(FLV_PACE.target_max_s);
    play(0.3, 200, pace);
    expect(pace.target_s).toBeCloseTo(FLV_PACE.target_s, 1);
  });
});

describe('motion', () => {
  it('starts with the first movement, not the first position', () => {
    const watch = new MotionWatch();
    expect(watch.sample(0, null)).toBeNull();
    expect(watch.sample(100, 1)).toBeNull();
    expect(watch.sample(200, 1)).toBeNull();
    expect(watch.sample(300, 1.1)).toBe('started');
  });

  it('counts a stall once and its time when it ends', () => {
    const watch = new MotionWatch();
    watch.sample(0, 0);
    watch.sample(100, 1);
    expect(watch.sample(100 + STALL_MS - 1, 1)).toBeNull();
    expect(watch.sample(100 + STALL_MS, 1)).toBe('stalled');
    expect(watch.sample(2_000, 1)).toBeNull();
    expect(watch.sample(2_100, 2)).toBe('resumed');
    expect(watch.stalls).toBe(1);
    expect(watch.stalled_ms).toBe(2_000);
  });

  it('does not judge a hidden page', () => {
    const watch = new MotionWatch();
    watch.sample(0, 0);
    watch.sample(100, 1);
    expect(watch.sample(60_000, 1, true)).toBeNull();
    expect(watch.sample(60_200, 1)).toBeNull();
    expect(watch.stalls).toBe(0);
  });
});

describe('server clock', () => {
  it('trusts the quickest exchange', () => {
    const clock = new ServerClock();
    clock.add(1_000, 6_400, 1_600);
    clock.add(2_000, 7_010, 2_020);
    clock.add(3_000, 8_300, 3_500);
    expect(clock.offset_ms).toBe(5_000);
    expect(clock.error_ms).toBe(10);
    expect(clock.now(10_000)).toBe(15_000);
  });

  it('forgets old exchanges, so that a clock that was set is followed', () => {
    const clock = new ServerClock();
    clock.add(0, 100, 2);
    for (let i = 1; i <= 8; i += 1) clock.add(i * 1_000, i * 1_000 + 505, i * 1_000 + 10);
    expect(clock.offset_ms).toBe(500);
  });

  it('ignores an exchange in which the device clock went back', () => {
    const clock = new ServerClock();
    clock.add(5_000, 5_000, 1_000);
    expect(clock.known).toBe(false);
    expect(clock.offset_ms).toBe(0);
  });
});

describe('choices', () => {
  const all = { secure: true, webCodecs: true, audioWorklet: true, webRtc: true, mse: true, nativeHls: false };

  it('gives every rung to a browser that can', () => {
    expect(choices(all, null).map(({ unavailable }) => unavailable)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });

  it('says why MoQ is not for a plain http page', () => {
    expect(choices({ ...all, secure: false, webCodecs: false }, null)[0]?.unavailable).toContain('HTTPS');
  });

  it('keeps to a pinned rung, and ignores one that does not exist', () => {
    expect(choices(all, 'llhls')).toEqual([{ name: 'llhls' }]);
    expect(choices(all, 'carrier-pigeon')).toHaveLength(5);
  });
});
