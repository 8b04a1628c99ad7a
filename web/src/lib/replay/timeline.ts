/**
 * Which moment of a recording was taken when, read from its playlist: EXTINF says how long each segment is shown,
 * EXT-X-PROGRAM-DATE-TIME when it was captured. Breaks of the broadcast are left out of a recording, so the two clocks part
 * there. Pure.
 */

export interface Span {
  /** On the recording's own time line, seconds. */
  start_s: number;
  length_s: number;
  /** Unix capture time of its first frame. */
  captured_ms: number;
}

export function parse(playlist: string): Span[] {
  const spans: Span[] = [];
  let start_s = 0;
  let length_s: number | null = null;
  let captured_ms: number | null = null;
  for (const line of playlist.split('\n')) {
    if (line.startsWith('#EXTINF:')) length_s = parseFloat(line.slice(8));
    else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) captured_ms = Date.parse(line.slice(25).trim());
    else if (line !== '' && !line.startsWith('#')) {
      const last = spans.at(-1);
      const length = length_s !== null && length_s > 0 ? length_s : 0;
      const captured = captured_ms !== null && Number.isFinite(captured_ms) ? captured_ms : last ? last.captured_ms + last.length_s * 1000 : null;
      if (captured !== null) spans.push({ start_s, length_s: length, captured_ms: captured });
      start_s += length;
      length_s = captured_ms = null;
    }
  }
  return spans;
}

/** When the picture at this place was taken; null outside of the recording. */
export function capturedAt(spans: readonly Span[], media_s: number): number | null {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const span = spans[middle];
    if (span && span.start_s <= media_s) low = middle + 1;
    else high = middle;
  }
  const span = spans[low - 1];
  return span ? span.captured_ms + (media_s - span.start_s) * 1000 : null;
}

/** The place of the picture taken then, or of the next one after a break; the end for what came later. */
export function mediaAt(spans: readonly Span[], captured_ms: number): number {
  for (const { start_s, length_s, captured_ms: from_ms } of spans) {
    if (captured_ms < from_ms + length_s * 1000) return start_s + Math.max(0, captured_ms - from_ms) / 1000;
  }
  const last = spans.at(-1);
  return last ? last.start_s + last.length_s : 0;
}
