/** The room for a page: the client on real sockets and timers, its state where Svelte sees it. */

import type { ServerClock } from '../clock';
import { deviceToken, uuid } from '../device';
import { hue } from '../format';
import { type Link, type Playing, RoomClient, type Socket } from './client';
import { EMPTY, type RoomState } from './reducer';

export class Room {
  state: RoomState = $state.raw(EMPTY);
  link: Link = $state('connecting');
  /** What went wrong with the last comment, in words. */
  trouble = $state('');
  /** Text to put back in the box. */
  returned: string | null = $state(null);
  /** Hearts given here that the total does not have yet. */
  ahead = $state(0);
  /** The colour of this viewer's hearts. */
  readonly colour: number;
  #client: RoomClient;

  constructor(url: string, clock: ServerClock, playing: () => Playing | null, hearts: (colours: readonly number[]) => void) {
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const device = deviceToken();
    this.colour = hue(device);
    this.#client = new RoomClient(
      device,
      clock,
      {
        connect: () => new WebSocket(address) as Socket,
        now: () => Date.now(),
        random: () => Math.random(),
        after: (ms, call) => {
          const timer = setTimeout(call, ms);
          return () => clearTimeout(timer);
        },
        uuid,
      },
      {
        state: (state) => {
          this.state = state;
          this.ahead = this.#client.ahead;
        },
        link: (link) => (this.link = link),
        hearts: (colours) => {
          this.ahead = this.#client.ahead;
          hearts(colours);
        },
        trouble: (words, text) => {
          this.trouble = words;
          this.returned = text;
        },
      },
      playing,
    );
  }

  get hearts(): number {
    return this.state.hearts + this.ahead;
  }

  start(): () => void {
    this.#client.start();
    const hurry = () => this.#client.hurry();
    addEventListener('online', hurry);
    return () => {
      removeEventListener('online', hurry);
      this.#client.stop();
    };
  }

  comment(text: string, captured_ms: number | null): boolean {
    this.trouble = '';
    const sent = this.#client.comment(text, captured_ms);
    if (!sent) this.trouble = 'Not connected just now. Your comment is still here: try again in a moment.';
    return sent;
  }

  heart(): void {
    this.#client.heart(this.colour);
    this.ahead = this.#client.ahead;
  }
}
