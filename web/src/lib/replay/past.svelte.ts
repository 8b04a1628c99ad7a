/** The conversation beside a replay: comments and hearts at the capture time of what their senders saw. */

import { api, type HeartSecond, type ReplayComment } from '../api';
import type { Line } from '../room/protocol';
import { Pages } from './pages';

/** Lines on the page. */
const SHOWN = 200;
/** A step of the replay's clock larger than this is a leap: its hearts do not rise. */
const LEAP_MS = 3_000;

export class Past {
  comments: readonly Line[] = $state.raw([]);
  #comments: Pages<ReplayComment>;
  #hearts: Pages<HeartSecond>;
  #rise: (colours: readonly number[]) => void;
  #at_ms: number | null = null;
  #shown = '';

  constructor(id: string, rise: (colours: readonly number[]) => void) {
    this.#rise = rise;
    this.#comments = new Pages(
      async (from_ms, after) => {
        const page = await api.replayComments(id, after === null ? { from_ms: Math.floor(from_ms) } : { after });
        return { items: page.comments, next: page.next };
      },
      ({ time_ms }) => time_ms,
    );
    this.#hearts = new Pages(
      async (from_ms, after) => {
        const page = await api.replayHearts(id, after === null ? Math.floor(from_ms / 1000) : Number(after));
        return { items: page.hearts, next: page.next_s === null ? null : String(page.next_s) };
      },
      ({ at_s }) => at_s * 1000,
    );
  }

  /** The picture on screen was taken then. */
  at(captured_ms: number): void {
    const before_ms = this.#at_ms;
    this.#at_ms = captured_ms;
    void this.#comments.at(captured_ms).then(() => this.#show());
    void this.#hearts.at(captured_ms);
    this.#show();
    if (before_ms === null || captured_ms < before_ms || captured_ms - before_ms > LEAP_MS) return;
    for (const { colours } of this.#hearts.between(before_ms, captured_ms)) this.#rise(colours);
  }

  #show(): void {
    const comments = this.#at_ms === null ? [] : this.#comments.upTo(this.#at_ms, SHOWN);
    const shown = `${comments.length} ${comments.at(-1)?.id}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.comments = comments.map(({ id, name, role, text, time_ms }) => ({ id, o: time_ms, who: { id: '', name, role }, text }));
  }
}
