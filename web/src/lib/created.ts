/** Stream keys of this visit. The server shows a key once; it lives in memory only and a reload forgets it. */

import type { CreatedBroadcast } from './api';

const keys = new Map<string, CreatedBroadcast['ingest']>();

export function remember({ broadcast, ingest }: CreatedBroadcast): void {
  keys.set(broadcast.id, ingest);
}

export function ingestOf(id: string): CreatedBroadcast['ingest'] | null {
  return keys.get(id) ?? null;
}
