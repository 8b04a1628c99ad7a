/**
 * The room's connection: hello, pings, taps and comments out, frames in, and coming back after a loss. The socket, the
 * clock, chance and timers are given, so that tests own them.
 */

import type { ServerClock } from '../clock';
import type { RungName } from '../player/ladder';
import { fullJitter } from './backoff';
import { HeartFold } from './hearts';
import { type ClientFrame, CLOSE, type ErrorCode, parse, type ServerFrame } from './protocol';
import { EMPTY, reduce, type RoomState } from './reducer';

export type Link = 'connecting' | 'open' | 'lost' | 'closed';

/** What of a WebSocket we use. */
export interface Socket {
  send(text: string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export interface Surroundings {
  connect(): Socket;
  now(): number;
  random(): number;
  /** Calls back once; the answer cancels. */
  after(ms: number, call: () => void): () => void;
  uuid(): string;
}

export interface Hooks {
  state(state: RoomState): void;
  link(link: Link): void;
  /** Somebody else's hearts, by colour, to let rise. */
  hearts(colours: readonly number[]): void;
  /** A comment was refused or may be lost: the words, and its text to put back in the box. */
  trouble(words: string, text: string | null): void;
}

export interface Playing {
  rung: RungName;
  latency_ms: number;
  captured_ms: number;
}

const PING_MS = 10_000;
/** Quick pings right after the welcome settle the clock. */
const FIRST_PINGS = 4;
const FIRST_PING_MS = 400;
const PLAYING_MS = 5_000;
const HEARTS_MS = 125;
/** A line that stays quiet this long is dead, whatever TCP thinks. */
const QUIET_MS = 25_000;

export class RoomClient {
  #state: RoomState = EMPTY;
  #link: Link = 'connecting';
  #socket: Socket | null = null;
  #attempt = 0;
  #drain_ms: number | null = null;
  #stopped = false;
  #cancels = new Set<() => void>();
  #unanswered = new Map<string, string>();
  #fold = new HeartFold();
  #heardAt = 0;

  constructor(
    private readonly device: string,
    private readonly clock: ServerClock,
    private readonly env: Surroundings,
    private readonly hooks: Hooks,
    /** What plays now, if anything; asked every five seconds. */
    private readonly playing: () => Playing | null,
  ) {}

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelAll();
    this.#socket?.close(1000);
    this.#socket = null;
    this.#setLink('closed');
  }

  /** The network is back: do not sit out the rest of the pause. */
  hurry(): void {
    if (this.#link === 'lost') {
      this.#cancelAll();
      this.#attempt = 0;
      this.#connect();
    }
  }

  /** Hearts the viewer has given that the total does not show yet. */
  get ahead(): number {
    return this.#fold.ahead;
  }

  comment(text: string, captured_ms: number | null): boolean {
    if (this.#link !== 'open') return false;
    const cid = this.env.uuid();
    this.#unanswered.set(cid, text);
    this.#send({ t: 'comment', cid, text, captured_ms });
    return true;
  }

  heart(colour: number): void {
    this.#fold.tap(colour);
    this.#flushHearts();
  }

  #connect(): void {
    this.#setLink(this.#state.position ? 'lost' : 'connecting');
    const socket = this.env.connect();
    this.#socket = socket;
    socket.onopen = () => {
      const { position } = this.#state;
      this.#send({ t: 'hello', device: this.device, ...(position ?? {}) });
    };
    socket.onmessage = ({ data }) => {
      this.#heardAt = this.env.now();
      const frame = typeof data === 'string' ? parse(data) : null;
      if (frame && socket === this.#socket) this.#receive(frame);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#closed(code);
    };
  }

  #receive(frame: ServerFrame): void {
    if (frame.t === 'pong') {
      this.clock.add(frame.c, frame.s, this.env.now());
      return;
    }
    if (frame.t === 'error') {
      this.#refused(frame.code, frame.detail, frame.cid);
      return;
    }
    if (frame.t === 'drain') {
      this.#drain_ms = frame.retry_ms;
      return;
    }
    const before = this.#state;
    this.#state = reduce(before, frame);
    if (frame.t === 'welcome') this.#welcomed(frame.recovered);
    else this.#settle(before);
    this.hooks.state(this.#state);
  }

  #welcomed(recovered: boolean): void {
    this.#attempt = 0;
    this.#setLink('open');
    this.#heardAt = this.env.now();
    this.#pings(FIRST_PINGS);
    this.#every(PLAYING_MS, () => this.#report());
    this.#every(HEARTS_MS, () => this.#flushHearts());
    if (this.#unanswered.size === 0) return;
    // What was sent on the old line and is not in what follows did not get through.
    const settle = () => {
      const lost = [...this.#unanswered.values()].at(-1);
      this.#unanswered.clear();
      if (lost !== undefined) this.hooks.trouble('Your comment may not have arrived. Send it again?', lost);
    };
    if (recovered) this.#after(1_000, settle);
    else {
      for (const comment of this.#state.comments) this.#unanswered.delete(comment.cid);
      settle();
    }
  }

  /** After a batch: own comments have come back, and the hearts of others rise. */
  #settle(before: RoomState): void {
    for (const comment of this.#state.comments.slice(-30)) this.#unanswered.delete(comment.cid);
    if (this.#state.burst.serial !== before.burst.serial) this.hooks.hearts(this.#fold.others(this.#state.burst.colours));
  }

  #refused(code: ErrorCode, detail: string, cid: string | undefined): void {
    const text = cid === undefined ? null : (this.#unanswered.get(cid) ?? null);
    if (cid !== undefined) this.#unanswered.delete(cid);
    // A heart too many is nobody's concern.
    if (text === null && code === 'rate_limited') return;
    this.hooks.trouble(words(code, detail), text);
  }

  #closed(code: number): void {
    this.#socket = null;
    this.#cancelAll();
    this.#fold.lost();
    if (this.#stopped || code === CLOSE.missing || code === CLOSE.bad_hello) {
      this.#setLink('closed');
      return;
    }
    this.#setLink(this.#state.position ? 'lost' : 'connecting');
    const pause = this.#drain_ms === null ? fullJitter(this.#attempt, () => this.env.random()) : this.env.random() * this.#drain_ms;
    this.#drain_ms = null;
    this.#attempt += 1;
    this.#after(pause, () => this.#connect());
  }

  #pings(quick: number): void {
    if (this.env.now() - this.#heardAt > QUIET_MS) {
      // The close event of a dead line can take minutes: act on it now.
      const dead = this.#socket;
      this.#closed(1006);
      dead?.close();
      return;
    }
    this.#send({ t: 'ping', c: this.env.now() });
    this.#after(quick > 0 ? FIRST_PING_MS : PING_MS, () => this.#pings(quick - 1));
  }

  #report(): void {
    const playing = this.playing();
    if (playing) this.#send({ t: 'playing', ...playing });
  }

  #flushHearts(): void {
    if (this.#link !== 'open') return;
    const hearts = this.#fold.take(this.env.now());
    if (hearts) this.#send({ t: 'hearts', ...hearts, captured_ms: this.playing()?.captured_ms ?? null });
  }

  #send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #every(ms: number, call: () => void): void {
    this.#after(ms, () => {
      call();
      this.#every(ms, call);
    });
  }

  #after(ms: number, call: () => void): void {
    const cancel = this.env.after(ms, () => {
      this.#cancels.delete(cancel);
      call();
    });
    this.#cancels.add(cancel);
  }

  #cancelAll(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  #setLink(link: Link): void {
    if (link === this.#link) return;
    this.#link = link;
    this.hooks.link(link);
  }
}

function words(code: ErrorCode, detail: string): string {
  switch (code) {
    case 'rate_limited':
      return 'A little slower, please: one comment a second.';
    case 'too_long':
      return 'That is too long: 500 characters at most.';
    case 'empty':
      return 'Write something first.';
    case 'ended':
      return 'The broadcast has ended, so the room is closed.';
    default:
      return detail || 'The room did not understand that.';
  }
}
