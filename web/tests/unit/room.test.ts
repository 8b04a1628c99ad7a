import { beforeEach, describe, expect, it } from 'vitest';

import { ServerClock } from '../../src/lib/clock';
import { BASE_MS, CAP_MS, fullJitter } from '../../src/lib/room/backoff';
import { type Playing, RoomClient, type Socket } from '../../src/lib/room/client';
import { HeartFold, REPLAY_MAX, schedule } from '../../src/lib/room/hearts';
import { type ClientFrame, type CommentEvent, parse, type ServerFrame, type Welcome } from '../../src/lib/room/protocol';
import { EMPTY, KEPT, reduce } from '../../src/lib/room/reducer';

const comment = (o: number, text = `line ${o}`, cid = `cid-${o}`): CommentEvent => ({
  k: 'comment', o, id: `c${o}`, cid, who: { id: 'u1', name: 'amber', role: 'user' }, text, at_ms: o, captured_ms: null,
});
const welcome = (more: Partial<Welcome> = {}): Welcome => ({
  t: 'welcome', epoch: 'e1', offset: 2, recovered: false, you: { id: 'g1', name: 'Amber Heron 27', role: 'guest' }, now_ms: 0,
  snapshot: { comments: [comment(1), comment(2)], hearts: 5, viewers: 3, state: 'RUNNING', interrupted: false },
  ...more,
});
const batch = (...e: Extract<ServerFrame, { t: 'batch' }>['e']): ServerFrame => ({ t: 'batch', e });

describe('reducer', () => {
  it('takes a snapshot', () => {
    const state = reduce(EMPTY, welcome());
    expect(state.comments.map(({ o }) => o)).toEqual([1, 2]);
    expect(state).toMatchObject({ hearts: 5, viewers: 3, position: { epoch: 'e1', offset: 2 } });
  });

  it('moves its position with each event and not with gauges', () => {
    const state = reduce(reduce(EMPTY, welcome()), batch(comment(3), { k: 'viewers', n: 9 }, comment(7)));
    expect(state.position?.offset).toBe(7);
    expect(state.viewers).toBe(9);
    expect(state.comments).toHaveLength(4);
  });

  it('never doubles a line that comes again after a recovery', () => {
    let state = reduce(reduce(EMPTY, welcome()), batch(comment(3)));
    const snapshot = { hearts: 9, viewers: 4, state: 'RUNNING' as const, interrupted: false };
    state = reduce(state, welcome({ recovered: true, offset: 5, snapshot }));
    expect(state.comments).toHaveLength(3);
    expect(state.position?.offset).toBe(3);
    state = reduce(state, batch(comment(3), comment(4), comment(5)));
    expect(state.comments.map(({ o }) => o)).toEqual([1, 2, 3, 4, 5]);
    expect(state.position?.offset).toBe(5);
  });

  it('starts afresh when it could not be recovered', () => {
    const state = reduce(reduce(EMPTY, welcome()), welcome({ epoch: 'e2', offset: 1, snapshot: { ...welcome().snapshot, comments: [comment(1, 'new')] } }));
    expect(state.comments.map(({ text }) => text)).toEqual(['new']);
    expect(state.position).toEqual({ epoch: 'e2', offset: 1 });
  });

  it('keeps a bounded list, newest last', () => {
    let state = reduce(EMPTY, welcome());
    for (let o = 3; o < KEPT + 50; o += 1) state = reduce(state, batch(comment(o)));
    expect(state.comments).toHaveLength(KEPT);
    expect(state.comments.at(-1)?.o).toBe(KEPT + 49);
  });

  it('follows the broadcast', () => {
    const state = reduce(reduce(EMPTY, welcome()), batch({ k: 'state', o: 3, state: 'RUNNING', interrupted: true }));
    expect(state.broadcast).toEqual({ state: 'RUNNING', interrupted: true });
  });

  it('passes over kinds it does not know', () => {
    const state = reduce(EMPTY, welcome());
    expect(reduce(state, batch({ k: 'poll_open' } as never))).toEqual(state);
    expect(parse('{"t":"later"}')).toBeNull();
    expect(parse('no json')).toBeNull();
  });
});

describe('full jitter', () => {
  it('lies between nothing and the doubled ceiling', () => {
    expect(fullJitter(0, () => 0.999)).toBeLessThan(BASE_MS);
    expect(fullJitter(3, () => 1)).toBe(BASE_MS * 8);
    expect(fullJitter(3, () => 0)).toBe(0);
    expect(fullJitter(500, () => 1)).toBe(CAP_MS);
  });
});

describe('hearts', () => {
  it('folds taps into one frame each half second', () => {
    const fold = new HeartFold();
    for (let i = 0; i < 25; i += 1) fold.tap(2);
    expect(fold.take(0)).toEqual({ n: 10, colour: 2 });
    expect(fold.take(499)).toBeNull();
    expect(fold.take(500)).toEqual({ n: 10, colour: 2 });
    expect(fold.take(1000)).toEqual({ n: 5, colour: 2 });
    expect(fold.take(1500)).toBeNull();
  });

  it('does not show its own hearts a second time', () => {
    const fold = new HeartFold();
    fold.tap(1);
    fold.tap(1);
    fold.take(0);
    expect(fold.ahead).toBe(2);
    expect(fold.others([4, 3, 0, 0, 0, 0])).toEqual([4, 1, 0, 0, 0, 0]);
    expect(fold.ahead).toBe(0);
    expect(fold.others([0, 3, 0, 0, 0, 0])).toEqual([0, 3, 0, 0, 0, 0]);
  });

  it('replays a crowd as a bounded number of hearts of its colours', () => {
    const shown = schedule([1000, 0, 0, 1000, 0, 0], 500, () => 0.5);
    expect(shown).toHaveLength(REPLAY_MAX);
    expect(shown.every(({ at_ms }) => at_ms >= 0 && at_ms < 500)).toBe(true);
    expect(new Set(shown.map(({ colour }) => colour))).toEqual(new Set([0, 3]));
  });
});

class FakeSocket implements Socket {
  sent: ClientFrame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  closed = false;
  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }
  close(): void {
    this.closed = true;
  }
  says(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  of(t: ClientFrame['t']): ClientFrame[] {
    return this.sent.filter((frame) => frame.t === t);
  }
}

describe('client', () => {
  let now: number;
  let timers: { at: number; call: () => void }[];
  let sockets: FakeSocket[];
  let links: string[];
  let troubles: [string, string | null][];
  let replayed: (readonly number[])[];
  let playing: Playing | null;
  let chance: number;
  let client: RoomClient;
  let clock: ServerClock;

  const socket = () => sockets.at(-1) as FakeSocket;
  function advance(ms: number): void {
    const end = now + ms;
    for (;;) {
      const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      timers.splice(timers.indexOf(next), 1);
      now = Math.max(now, next.at);
      next.call();
    }
    now = end;
  }
  function join(more: Partial<Welcome> = {}): void {
    socket().onopen?.();
    socket().says(welcome(more));
  }

  beforeEach(() => {
    now = 100_000;
    timers = [];
    sockets = [];
    links = [];
    troubles = [];
    replayed = [];
    playing = null;
    chance = 0.5;
    clock = new ServerClock();
    let ids = 0;
    client = new RoomClient(
      'device-token-of-16',
      clock,
      {
        connect: () => {
          const one = new FakeSocket();
          sockets.push(one);
          return one;
        },
        now: () => now,
        random: () => chance,
        after: (ms, call) => {
          const timer = { at: now + ms, call };
          timers.push(timer);
          return () => {
            timers = timers.filter((one) => one !== timer);
          };
        },
        uuid: () => `uuid-${(ids += 1)}`,
      },
      {
        state: () => undefined,
        link: (link) => links.push(link),
        hearts: (colours) => replayed.push(colours),
        trouble: (words, text) => troubles.push([words, text]),
      },
      () => playing,
    );
    client.start();
  });

  it('says hello first, without a position', () => {
    socket().onopen?.();
    expect(socket().sent).toEqual([{ t: 'hello', device: 'device-token-of-16' }]);
  });

  it('settles the clock with quick pings', () => {
    join();
    const ping = socket().of('ping')[0];
    now += 20;
    socket().says({ t: 'pong', c: (ping as { c: number }).c, s: now - 10 + 3_000 });
    expect(clock.offset_ms).toBe(3_000);
    advance(2_000);
    expect(socket().of('ping').length).toBeGreaterThanOrEqual(4);
  });

  it('reports what plays every five seconds, and nothing when nothing plays', () => {
    join();
    advance(5_000);
    expect(socket().of('playing')).toEqual([]);
    playing = { rung: 'flv', latency_ms: 420, captured_ms: 1 };
    advance(5_000);
    expect(socket().of('playing')).toEqual([{ t: 'playing', rung: 'flv', latency_ms: 420, captured_ms: 1 }]);
  });

  it('comes back after a pause of full jitter with its position', () => {
    join();
    socket().says(batch(comment(3)));
    socket().onclose?.({ code: 1012 });
    expect(links.at(-1)).toBe('lost');
    advance(BASE_MS * 0.5 - 1);
    expect(sockets).toHaveLength(1);
    advance(1);
    expect(sockets).toHaveLength(2);
    socket().onopen?.();
    expect(socket().sent).toEqual([{ t: 'hello', device: 'device-token-of-16', epoch: 'e1', offset: 3 }]);
    socket().says(welcome({ recovered: true }));
    expect(links.at(-1)).toBe('open');
  });

  it('doubles the ceiling with each failure and starts over after a welcome', () => {
    chance = 1;
    for (const pause of [500, 1_000, 2_000]) {
      const before = sockets.length;
      socket().onclose?.({ code: 1006 });
      advance(pause - 1);
      expect(sockets).toHaveLength(before);
      advance(1);
      expect(sockets).toHaveLength(before + 1);
    }
    join();
    socket().onclose?.({ code: 4000 });
    advance(500);
    expect(sockets).toHaveLength(5);
  });

  it('spreads over the time that a draining server names', () => {
    join();
    socket().says({ t: 'drain', retry_ms: 8_000 });
    socket().onclose?.({ code: 1012 });
    advance(3_999);
    expect(sockets).toHaveLength(1);
    advance(1);
    expect(sockets).toHaveLength(2);
  });

  it('does not come back to a broadcast that does not exist', () => {
    socket().onclose?.({ code: 4004 });
    advance(60_000);
    expect(sockets).toHaveLength(1);
    expect(links.at(-1)).toBe('closed');
  });

  it('gives a refused comment back with words', () => {
    join();
    client.comment('too quick', null);
    socket().says({ t: 'error', code: 'rate_limited', detail: 'x', cid: 'uuid-1' });
    expect(troubles).toEqual([[expect.stringContaining('slower'), 'too quick']]);
  });

  it('gives a comment back that was lost with the connection', () => {
    join();
    client.comment('did you get this', null);
    socket().onclose?.({ code: 1006 });
    advance(1_000);
    join({ recovered: true });
    advance(1_500);
    expect(troubles).toEqual([[expect.stringContaining('may not have arrived'), 'did you get this']]);
  });

  it('knows that a comment arrived when it is among the recovered ones', () => {
    join();
    client.comment('hello', null);
    socket().onclose?.({ code: 1006 });
    advance(1_000);
    join({ recovered: true });
    socket().says(batch(comment(3, 'hello', 'uuid-1')));
    advance(1_500);
    expect(troubles).toEqual([]);
  });

  it('refuses to send while there is no connection', () => {
    expect(client.comment('x', null)).toBe(false);
  });

  it('leaves a line that has gone quiet', () => {
    join();
    advance(40_000);
    expect(sockets[0]?.closed).toBe(true);
    expect(sockets.length).toBeGreaterThan(1);
  });

  it('replays the hearts of others only', () => {
    join();
    client.heart(0);
    expect(socket().of('hearts')).toEqual([{ t: 'hearts', n: 1, colour: 0, captured_ms: null }]);
    socket().says(batch({ k: 'hearts', total: 8, delta: 3, colours: [2, 0, 0, 0, 0, 1] }));
    expect(replayed).toEqual([[1, 0, 0, 0, 0, 1]]);
  });

  it('hurries back when the network returns', () => {
    join();
    chance = 1;
    socket().onclose?.({ code: 1006 });
    client.hurry();
    expect(sockets).toHaveLength(2);
    advance(60_000);
    expect(sockets).toHaveLength(2);
  });
});
