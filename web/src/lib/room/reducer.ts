/**
 * What a viewer knows of the room, and how each frame changes it. Pure. Content events carry offsets that grow; what was
 * seen is skipped, so that a recovery after a reconnect never doubles a line. Holes are normal: the server samples.
 */

import { COLOURS, type CommentEvent, type Person, type RoomEvent, type ServerFrame, type State, type Welcome } from './protocol';

/** Lines kept on the page. */
export const KEPT = 200;

export interface RoomState {
  /** Where to go on after a reconnect; null before the first welcome. */
  position: { epoch: string; offset: number } | null;
  you: Person | null;
  comments: readonly CommentEvent[];
  hearts: number;
  viewers: number;
  broadcast: { state: State; interrupted: boolean } | null;
  /** Hearts of everybody in the newest gauge, by colour, with a serial so that equal ones are told apart. */
  burst: { serial: number; colours: readonly number[] };
}

export const EMPTY: RoomState = {
  position: null,
  you: null,
  comments: [],
  hearts: 0,
  viewers: 0,
  broadcast: null,
  burst: { serial: 0, colours: [] },
};

export function reduce(state: RoomState, frame: ServerFrame): RoomState {
  switch (frame.t) {
    case 'welcome':
      return welcome(state, frame);
    case 'batch':
      return frame.e.reduce(apply, state);
    default:
      return state;
  }
}

function welcome(state: RoomState, frame: Welcome): RoomState {
  const { snapshot } = frame;
  const next: RoomState = {
    ...state,
    you: frame.you,
    hearts: snapshot.hearts,
    viewers: snapshot.viewers,
    broadcast: { state: snapshot.state, interrupted: snapshot.interrupted },
  };
  // Recovered: the missed events follow as a batch and move the position themselves.
  if (frame.recovered && state.position) return { ...next, position: { ...state.position, epoch: frame.epoch } };
  const comments = (snapshot.comments ?? []).filter((event) => event.k === 'comment');
  return { ...next, comments: comments.slice(-KEPT), position: { epoch: frame.epoch, offset: frame.offset } };
}

function apply(state: RoomState, event: RoomEvent): RoomState {
  switch (event.k) {
    case 'comment': {
      const moved = advance(state, event.o);
      return moved && { ...moved, comments: insert(state.comments, event) };
    }
    case 'state': {
      const moved = advance(state, event.o);
      return { ...moved, broadcast: { state: event.state, interrupted: event.interrupted } };
    }
    case 'hearts':
      return { ...state, hearts: event.total, burst: { serial: state.burst.serial + 1, colours: byColour(event.delta, event.colours) } };
    case 'viewers':
      return { ...state, viewers: event.n };
    default:
      // A kind of a later version.
      return state;
  }
}

/** The position only grows. */
function advance(state: RoomState, offset: number): RoomState {
  if (!state.position || offset <= state.position.offset) return state;
  return { ...state, position: { ...state.position, offset } };
}

function insert(comments: readonly CommentEvent[], event: CommentEvent): readonly CommentEvent[] {
  if (comments.some((one) => one.id === event.id)) return comments;
  const last = comments.at(-1);
  const next = [...comments, event];
  if (last && last.o > event.o) next.sort((a, b) => a.o - b.o);
  return next.slice(-KEPT);
}

function byColour(delta: number, colours: readonly number[]): readonly number[] {
  if (colours.length === COLOURS) return colours;
  return [delta, ...Array.from({ length: COLOURS - 1 }, () => 0)];
}
