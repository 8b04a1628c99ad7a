/**
 * Things in the order of their time, loaded a page at a time around the place that is looked at. A long broadcast has more
 * of them than a page should hold. Pure but for the loader it is given.
 */

export interface Page<T> {
  items: T[];
  /** Where the next page goes on; null at the end. */
  next: string | null;
}

export type Load<T> = (from_ms: number, after: string | null) => Promise<Page<T>>;

/** After a leap, what happened so long before is loaded too. */
const BEFORE_MS = 5 * 60_000;
/** Loaded so far ahead. */
const AHEAD_MS = 30_000;
const KEPT = 3_000;
/** A loader that failed is asked again after this. */
const PAUSE_MS = 3_000;

export class Pages<T> {
  #items: T[] = [];
  /** All that happened in this time is known. */
  #from_ms = Infinity;
  #to_ms = -Infinity;
  #next: string | null = null;
  #loading = false;
  #run = 0;
  #triedAt = -Infinity;

  constructor(
    private readonly load: Load<T>,
    private readonly time_ms: (item: T) => number,
    private readonly now: () => number = Date.now,
  ) {}

  /** The viewer is at this time: loads what is needed around it. */
  async at(time_ms: number): Promise<void> {
    if (time_ms < this.#from_ms || (time_ms > this.#to_ms + AHEAD_MS && !this.#loading)) this.#leap(time_ms);
    while (!this.#loading && time_ms + AHEAD_MS > this.#to_ms && this.now() - this.#triedAt >= PAUSE_MS) {
      if (!(await this.#page(this.#run))) return;
    }
  }

  /** The newest `most` of what happened up to this time. */
  upTo(time_ms: number, most: number): T[] {
    const end = this.#after(time_ms);
    return this.#items.slice(Math.max(0, end - most), end);
  }

  /** What happened after `from_ms` and up to `to_ms`. */
  between(from_ms: number, to_ms: number): T[] {
    return this.#items.slice(this.#after(from_ms), this.#after(to_ms));
  }

  #leap(time_ms: number): void {
    this.#run += 1;
    this.#loading = false;
    this.#items = [];
    this.#next = null;
    this.#from_ms = time_ms - BEFORE_MS;
    this.#to_ms = this.#from_ms;
  }

  /** Whether a page came for the place that is still looked at. */
  async #page(run: number): Promise<boolean> {
    this.#loading = true;
    try {
      const { items, next } = await this.load(this.#from_ms, this.#next);
      if (run !== this.#run) return false;
      this.#items.push(...items);
      this.#next = next;
      const last = this.#items.at(-1);
      this.#to_ms = next === null || last === undefined ? Infinity : this.time_ms(last);
      this.#trim();
      return true;
    } catch {
      if (run === this.#run) this.#triedAt = this.now();
      return false;
    } finally {
      if (run === this.#run) this.#loading = false;
    }
  }

  #trim(): void {
    if (this.#items.length <= KEPT) return;
    this.#items = this.#items.slice(-KEPT);
    const first = this.#items[0];
    if (first !== undefined) this.#from_ms = this.time_ms(first);
  }

  /** How many happened up to this time. */
  #after(time_ms: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time_ms(this.#items[middle] as T) <= time_ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
