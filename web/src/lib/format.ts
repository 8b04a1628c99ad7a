/** Numbers and times in words. */

/** "just now", "4 min", "1 h 12 min". */
export function duration(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return rest ? `${hours} h ${rest} min` : `${hours} h`;
}

/** A length that is over: "42 s", "4 min 10 s", "1 h 12 min". */
export function length(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return seconds % 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${seconds / 60} min`;
  return duration(ms);
}

/** Exact up to 9,999, then "12.3 K", "1.2 M". */
export function count(n: number): string {
  if (n < 10_000) return n.toLocaleString('en');
  if (n < 1_000_000) return `${trim(n / 1000)} K`;
  return `${trim(n / 1_000_000)} M`;
}

function trim(n: number): string {
  return n >= 100 ? String(Math.floor(n)) : (Math.floor(n * 10) / 10).toFixed(1).replace(/\.0$/, '');
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A delay: "0.8 s", "12 s". */
export function delay(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  return s < 9.95 ? `${s.toFixed(1)} s` : `${Math.round(s)} s`;
}

export function bitrate(bps: number): string {
  return bps >= 1_000_000 ? `${(bps / 1_000_000).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

/** One letter for a picture of a person. */
export function initial(name: string): string {
  return (name.trim()[0] ?? '?').toUpperCase();
}

/** One of six steady hues for a name. */
export function hue(name: string): number {
  let h = 0;
  for (const c of name) h = (h * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  return h % 6;
}

/** A place to a tenth of a degree: "48.9° N, 2.4° E". */
export function place({ lat, lng }: { lat: number; lng: number }): string {
  const part = (value: number, plus: string, minus: string) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? minus : plus}`;
  return `${part(lat, 'N', 'S')}, ${part(lng, 'E', 'W')}`;
}

/** A place on a time line: "0:07", "12:34", "1:02:03". */
export function clock(seconds: number): string {
  const all = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/** The same for those who hear it: "1 h 2 min 3 s". */
export function spoken(seconds: number): string {
  const all = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(all / 3600), 'h'],
    [Math.floor(all / 60) % 60, 'min'],
    [all % 60, 's'],
  ] as const;
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`);
  return said.length > 0 ? said.join(' ') : '0 s';
}

/** A day: "21 November 2026". */
export function day(ms: number): string {
  return new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
}

/** A size: "340 KB", "12 MB", "1.4 GB". */
export function bytes(n: number): string {
  if (n < 1_000_000) return `${Math.max(1, Math.round(n / 1000))} KB`;
  return n < 1_000_000_000 ? `${Math.round(n / 1_000_000)} MB` : `${(n / 1_000_000_000).toFixed(1)} GB`;
}
