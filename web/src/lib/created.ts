/**
 * Stream keys of this visit. The server shows a key once; it lives in memory, and a reload forgets it. Only who goes live from
 * this browser keeps it in the tab's own storage, so that the camera goes on after a reload.
 */

import type { CreatedBroadcast } from './api';

export type Ingest = CreatedBroadcast['ingest'];

const keys = new Map<string, Ingest>();
const stored = (id: string) => `oriel-ingest-${id}`;

export function remember({ broadcast, ingest }: CreatedBroadcast): void {
  keys.set(broadcast.id, ingest);
}

export function ingestOf(id: string): Ingest | null {
  return keys.get(id) ?? kept(id);
}

/** Whether the camera of this tab was live when the page was left. */
export function wasLive(id: string): boolean {
  return kept(id) !== null;
}

/** Keeps the key for a reload of this tab. */
export function keep(id: string, ingest: Ingest): void {
  try {
    sessionStorage.setItem(stored(id), JSON.stringify(ingest));
  } catch {
    // Storage may be off; then a reload ends the camera.
  }
}

export function forget(id: string): void {
  try {
    sessionStorage.removeItem(stored(id));
  } catch {
    // Nothing was kept.
  }
}

function kept(id: string): Ingest | null {
  try {
    return JSON.parse(sessionStorage.getItem(stored(id)) ?? 'null') as Ingest | null;
  } catch {
    return null;
  }
}
