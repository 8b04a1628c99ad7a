/**
 * How far this device's clock is from the server's. Each exchange gives one estimate that is wrong by at most half its
 * round trip, so the quickest recent exchange wins. Milliseconds.
 */

interface Exchange {
  offset_ms: number;
  rtt_ms: number;
}

const KEPT = 8;

export class ServerClock {
  #recent: Exchange[] = [];

  /** One exchange: sent and received on this device's clock, `server_ms` stamped in between. */
  add(sent_ms: number, server_ms: number, received_ms: number): void {
    const rtt_ms = received_ms - sent_ms;
    // The device's clock was set in the middle of it.
    if (rtt_ms < 0 || rtt_ms > 30_000) return;
    this.#recent = [...this.#recent.slice(1 - KEPT), { offset_ms: server_ms - (sent_ms + received_ms) / 2, rtt_ms }];
  }

  get known(): boolean {
    return this.#recent.length > 0;
  }

  /** Server clock minus device clock. */
  get offset_ms(): number {
    return this.#best()?.offset_ms ?? 0;
  }

  /** Half the round trip of the exchange it rests on. */
  get error_ms(): number {
    const best = this.#best();
    return best ? best.rtt_ms / 2 : Infinity;
  }

  now(device_ms: number = Date.now()): number {
    return device_ms + this.offset_ms;
  }

  #best(): Exchange | undefined {
    return this.#recent.reduce<Exchange | undefined>((best, one) => (best && best.rtt_ms <= one.rtt_ms ? best : one), undefined);
  }
}
