/** The room's frames, as docs/ref/room-protocol.md has them. One WebSocket, JSON text. */

import type { RungName } from '../player/ladder';

export type Role = 'broadcaster' | 'user' | 'guest';
export interface Person {
  id: string;
  name: string;
  role: Role;
}
export type State = 'NOT_STARTED' | 'RUNNING' | 'ENDED' | 'TIMED_OUT';

/** A comment as it is shown. */
export interface Line {
  id: string;
  /** Grows from one to the next. */
  o: number;
  who: Person;
  text: string;
}
export interface CommentEvent extends Line {
  k: 'comment';
  cid: string;
  at_ms: number;
  captured_ms: number | null;
}
export interface StateEvent {
  k: 'state';
  o: number;
  state: State;
  interrupted: boolean;
}
export interface HeartsGauge {
  k: 'hearts';
  total: number;
  delta: number;
  colours: number[];
}
export interface ViewersGauge {
  k: 'viewers';
  n: number;
}
export type RoomEvent = CommentEvent | StateEvent | HeartsGauge | ViewersGauge;

export interface Welcome {
  t: 'welcome';
  epoch: string;
  offset: number;
  recovered: boolean;
  you: Person;
  now_ms: number;
  snapshot: { comments?: RoomEvent[]; hearts: number; viewers: number; state: State; interrupted: boolean };
}
export type ErrorCode = 'rate_limited' | 'too_long' | 'empty' | 'ended' | 'bad_frame' | 'unknown';
export type ServerFrame =
  | Welcome
  | { t: 'batch'; e: RoomEvent[] }
  | { t: 'pong'; c: number; s: number }
  | { t: 'error'; code: ErrorCode; detail: string; cid?: string }
  | { t: 'drain'; retry_ms: number };

export type ClientFrame =
  | { t: 'hello'; device: string; epoch?: string; offset?: number }
  | { t: 'comment'; cid: string; text: string; captured_ms: number | null }
  | { t: 'hearts'; n: number; colour: number; captured_ms: number | null }
  | { t: 'playing'; rung: RungName; latency_ms: number; captured_ms: number }
  | { t: 'ping'; c: number };

export const CLOSE = { slow: 4000, bad_hello: 4001, missing: 4004, restarting: 1012 } as const;
export const COMMENT_MAX = 500;
export const COLOURS = 6;

/** Reads a frame; null for what this version does not know. */
export function parse(text: string): ServerFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const t = typeof value === 'object' && value !== null && 't' in value ? value.t : null;
  return t === 'welcome' || t === 'batch' || t === 'pong' || t === 'error' || t === 'drain' ? (value as ServerFrame) : null;
}
