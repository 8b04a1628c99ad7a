import { describe, expect, it } from 'vitest';

import { bytes, clock, spoken } from '../../src/lib/format';
import { Pages } from '../../src/lib/replay/pages';
import { capturedAt, mediaAt, parse } from '../../src/lib/replay/timeline';
import { embedded } from '../../src/lib/routes';

const AT = Date.parse('2026-11-21T11:00:00Z');

/** Two segments, a break of a minute, one more. */
const LIST = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="init-0000000000000007.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:00.000Z
#EXTINF:2.000000,
seg-0.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:02.000Z
#EXTINF:1.500000,
seg-1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-0000000000000007.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:01:03.500Z
#EXTINF:2.000000,
seg-2.m4s
#EXT-X-ENDLIST
`;

describe('the time line of a recording', () => {
  const spans = parse(LIST);

  it('knows when each picture was taken, across a break', () => {
    expect(capturedAt(spans, 0)).toBe(AT);
    expect(capturedAt(spans, 3)).toBe(AT + 3_000);
    expect(capturedAt(spans, 3.5)).toBe(AT + 63_500);
    expect(capturedAt(spans, 5)).toBe(AT + 65_000);
    expect(capturedAt(spans, -1)).toBe(null);
    expect(capturedAt([], 0)).toBe(null);
  });

  it('finds the place of a picture, and the next one for a moment in the break', () => {
    expect(mediaAt(spans, AT - 9_000)).toBe(0);
    expect(mediaAt(spans, AT + 3_000)).toBe(3);
    expect(mediaAt(spans, AT + 30_000)).toBe(3.5);
    expect(mediaAt(spans, AT + 64_500)).toBe(4.5);
    expect(mediaAt(spans, AT + 999_000)).toBe(5.5);
    expect(mediaAt([], AT)).toBe(0);
  });

  it('goes on counting where a segment has no date, and makes nothing of garbage', () => {
    const undated = parse(LIST.replace(/#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:02.*\n/, ''));
    expect(undated[1]).toEqual({ start_s: 2, length_s: 1.5, captured_ms: AT + 2_000 });
    expect(parse('<html>')).toEqual([]);
    expect(parse('#EXTINF:nonsense,\n#EXT-X-PROGRAM-DATE-TIME:never\nseg-0.m4s')).toEqual([]);
  });
});

describe('what was said, a page at a time', () => {
  /** One thing a second for `count` seconds; pages of 100. */
  function room(count: number) {
    const asked: string[] = [];
    const load = (from_ms: number, after: string | null) => {
      asked.push(after ?? `from ${from_ms}`);
      const start = after === null ? Math.max(0, Math.ceil(from_ms / 1000)) : Number(after);
      const items = Array.from({ length: Math.max(0, Math.min(100, count - start)) }, (_, i) => (start + i) * 1000);
      return Promise.resolve({ items, next: start + items.length < count ? String(start + items.length) : null });
    };
    return { asked, pages: new Pages<number>(load, (time) => time) };
  }

  it('loads around the viewer and goes on ahead of the picture', async () => {
    const { asked, pages } = room(1_000);
    await pages.at(10_000);
    expect(asked).toEqual(['from -290000']);
    expect(pages.upTo(10_000, 3)).toEqual([8_000, 9_000, 10_000]);
    await pages.at(60_000);
    expect(asked).toHaveLength(1);
    await pages.at(75_000);
    expect(asked).toEqual(['from -290000', '100']);
    expect(pages.between(98_000, 101_000)).toEqual([99_000, 100_000, 101_000]);
  });

  it('begins anew after a leap, either way', async () => {
    const { asked, pages } = room(2_000);
    await pages.at(1_500_000);
    expect(asked[0]).toBe('from 1200000');
    expect(pages.upTo(1_500_000, 1)).toEqual([1_500_000]);
    await pages.at(5_000);
    expect(pages.upTo(5_000, 2)).toEqual([4_000, 5_000]);
  });

  it('asks no more at the end', async () => {
    const { asked, pages } = room(5);
    await pages.at(1_000);
    await pages.at(9_000_000);
    expect(asked).toHaveLength(1);
    expect(pages.upTo(9_000_000, 200)).toHaveLength(5);
  });

  it('rests after a failure and then tries again', async () => {
    let now = 0;
    let fails = true;
    let tries = 0;
    const pages = new Pages<number>(
      () => {
        tries += 1;
        return fails ? Promise.reject(new Error('away')) : Promise.resolve({ items: [1], next: null });
      },
      (time) => time,
      () => now,
    );
    await pages.at(1_000);
    await pages.at(1_100);
    expect(tries).toBe(1);
    now = 5_000;
    fails = false;
    await pages.at(1_200);
    expect(pages.upTo(1_200, 9)).toEqual([1]);
  });
});

describe('words', () => {
  it('tells a place on a time line', () => {
    expect([clock(0), clock(67.9), clock(3723)]).toEqual(['0:00', '1:07', '1:02:03']);
    expect([spoken(0.4), spoken(61), spoken(3600)]).toEqual(['0 s', '1 min 1 s', '1 h']);
    expect([bytes(10), bytes(2_400_000), bytes(1_440_000_000)]).toEqual(['1 KB', '2 MB', '1.4 GB']);
  });

  it('knows the player of a broadcast by its address', () => {
    expect(embedded('/embed/abcdefghjkmnp')).toBe('abcdefghjkmnp');
    for (const path of ['/embed', '/embed/x', '/watch/abcdefghjkmnp', '/embed/abcdefghjkmnp/x']) expect(embedded(path)).toBe(null);
  });
});
