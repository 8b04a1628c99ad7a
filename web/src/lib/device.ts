/** A random token that stands for this device, so that a guest keeps the same name. */

const KEY = 'oriel-device';

export function deviceToken(): string {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept && /^[\w-]{16,64}$/.test(kept)) return kept;
    const fresh = random();
    localStorage.setItem(KEY, fresh);
    return fresh;
  } catch {
    // Storage is forbidden: a name for this visit only.
    return random();
  }
}

/** 128 random bits; crypto.randomUUID is missing on plain http. */
export function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function uuid(): string {
  const hex = random();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
