/** Full jitter: anywhere between nothing and the doubled ceiling, so that a crowd does not come back in step. */

export const BASE_MS = 500;
export const CAP_MS = 15_000;

export function fullJitter(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 16));
}
