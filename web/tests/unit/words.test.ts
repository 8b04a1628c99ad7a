import { describe, expect, it } from 'vitest';

import type { Health } from '../../src/lib/api';
import { bitrate, count, delay, duration, hue, initial, length, place, plural } from '../../src/lib/format';
import { lines, overall } from '../../src/lib/health';
import { match, safeNext } from '../../src/lib/routes';

describe('formatting', () => {
  it('says how long', () => {
    expect([0, 59_999, 60_000, 3_600_000, 4_320_000].map(duration)).toEqual(['just now', 'just now', '1 min', '1 h', '1 h 12 min']);
    expect([42_000, 60_000, 250_000, 4_320_000].map(length)).toEqual(['42 s', '1 min', '4 min 10 s', '1 h 12 min']);
  });

  it('counts exactly as long as it is short', () => {
    expect([0, 999, 9_999, 12_345, 10_000, 999_999, 1_250_000].map(count)).toEqual(['0', '999', '9,999', '12.3 K', '10 K', '999 K', '1.2 M']);
    expect([plural(1, 'heart'), plural(2, 'heart')]).toEqual(['1 heart', '2 hearts']);
  });

  it('says a delay in tenths, never below nothing', () => {
    expect([-20, 40, 812, 9_940, 12_400].map(delay)).toEqual(['0.0 s', '0.0 s', '0.8 s', '9.9 s', '12 s']);
  });

  it('says rates, places and initials', () => {
    expect([bitrate(128_000), bitrate(2_500_000)]).toEqual(['128 kbit/s', '2.5 Mbit/s']);
    expect(place({ lat: -33.86, lng: 151.21 })).toBe('33.9° S, 151.2° E');
    expect([initial(' lio'), initial('')]).toEqual(['L', '?']);
    expect(hue('amber')).toBe(hue('amber'));
  });
});

describe('routes', () => {
  it('knows every page', () => {
    expect(match('/')).toEqual({ page: 'home' });
    expect(match('/watch/abcdefghjkmnp')).toEqual({ page: 'watch', id: 'abcdefghjkmnp' });
    expect(match('/go')).toEqual({ page: 'go', id: null });
    expect(match('/go/abcdefghjkmnp/')).toEqual({ page: 'go', id: 'abcdefghjkmnp' });
    expect(match('/signin')).toEqual({ page: 'signin' });
  });

  it('knows what is no page', () => {
    for (const path of ['/watch', '/watch/short', '/watch/abcdefghjkmn0', '/watch/abcdefghjkmnp/more', '/x']) {
      expect(match(path)).toEqual({ page: 'missing' });
    }
  });

  it('goes only to this site after signing in', () => {
    expect(safeNext('/go')).toBe('/go');
    for (const bad of [null, '', 'https://elsewhere', '//elsewhere', '/\\elsewhere']) expect(safeNext(bad)).toBe('/');
  });
});

describe('health', () => {
  const good: Health = {
    connected: true, peer: 'x', uptime_ms: 1, bitrate_bps: { video: 2_500_000, audio: 128_000 }, fps: 30, keyframe_interval_ms: 2_000,
    b_frames: false, capture: 'device', warnings: [],
  };

  it('is very good without anything to say', () => {
    expect(overall(good)).toEqual({ bars: 3, words: 'Very good' });
  });

  it('says what to change', () => {
    const slow = { ...good, keyframe_interval_ms: 10_000, b_frames: true };
    expect(overall(slow).bars).toBe(1);
    expect(lines(slow).map(({ words }) => words).join()).toContain('2 s lets viewers join sooner');
  });

  it('has no bars without an encoder', () => {
    expect(overall({ ...good, connected: false }).bars).toBe(0);
  });
});
