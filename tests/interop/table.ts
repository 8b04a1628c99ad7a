/** What a cell says, and the page they make. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { run } from '../support/run.ts';
import { PYTHON } from '../support/server.ts';
import { WORK } from './film.ts';
import { PUBLISHERS, type Publisher } from './publishers.ts';
import { BATCHES, type Player, SECONDS, type Seen } from './viewers.ts';

const PAGE = fileURLToPath(new URL('../../docs/design/interop.md', import.meta.url));
const MOST_SYNC_MS = 60;

/** Why a cell cannot work, whatever Oriel does. */
export function impossible(_publisher: Publisher, _player: Player): string | null {
  return null;
}

export function judge(publisher: Publisher, player: Player, seen: Seen): string {
  const wrong: string[] = [];
  // Half the pictures are enough where a program draws or encodes without a GPU.
  const least = SECONDS * 30 * (publisher.encodes || player.paints ? 0.5 : 0.9);
  if (seen.pictures < least) wrong.push(`${seen.pictures} pictures`);
  if (seen.longest_gap_ms > 1500) wrong.push(`no picture for ${Math.round(seen.longest_gap_ms)} ms`);
  if (seen.ticks < SECONDS * 0.8) wrong.push(`${seen.ticks} ticks heard`);
  if (seen.longest_silence_ms > 500) wrong.push(`silent for ${Math.round(seen.longest_silence_ms)} ms`);
  const read = player.unread === undefined && seen.sync_ms !== null;
  if (player.unread === undefined && seen.sync_ms === null) wrong.push('sync not readable');
  if (read && Math.abs(seen.sync_ms!) > MOST_SYNC_MS) wrong.push(`sync ${signed(seen.sync_ms!)}`);
  if (seen.errors) wrong.push(seen.errors.replaceAll('|', '/').slice(0, 300));
  if (wrong.length > 0) return `FAILS by ${seen.by}: ${wrong.join(', ')}`;
  return `${seen.by}, ${read ? signed(seen.sync_ms!) : `sync not read: ${player.unread}`}`;
}

function signed(ms: number): string {
  return `${ms >= 0 ? '+' : '−'}${Math.abs(Math.round(ms))} ms`;
}

export async function write(): Promise<void> {
  const players = BATCHES.flat();
  const rows = PUBLISHERS.map(({ name }) => {
    const file = `${WORK}/rows/${name}.json`;
    const row: Record<string, string> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    return `| ${[row.publisher ? `${name}: ${row.publisher}` : name, ...players.map((player) => row[player.name] ?? 'not run')].join(' | ')} |`;
  });
  const programs = new Set([...PUBLISHERS, ...players].map(({ program }) => program));
  const versions = await Promise.all([...programs].map(async (program) => `| ${program} | ${await version(program)} |`));
  writeFileSync(PAGE, `# What plays with what

Made by \`make test-interop\`; do not edit. Each row is a program that sends a film to Oriel, each column one that plays it from Oriel. The
film has the time in each picture and a tick on each second in its sound ([the code](time.md)).

A cell names the protocol that the player used. It is filled when, for ${SECONDS} s, there were picture and sound without an error and without a
break (no picture for 1.5 s, no sound for 0.5 s), and the sound was within ${MOST_SYNC_MS} ms of the picture. The number is the median of how late the
sound is against the picture. Programs that send or play through a browser, or encode, may leave out pictures on a slow machine.

| from \\ to | ${players.map(({ name }) => name).join(' | ')} |
|${'---|'.repeat(players.length + 1)}
${rows.join('\n')}

| program | version |
|---|---|
${versions.join('\n')}
`);
}

async function version(program: string): Promise<string> {
  const first = async (command: string, args: string[], pattern: RegExp) => {
    const { stdout, stderr } = await run(command, args, 20_000);
    return pattern.exec(stdout + stderr)?.[1] ?? 'unknown';
  };
  const npm = (path: string) => JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8')).version as string;
  switch (program) {
    case 'ffmpeg': return first('ffmpeg', ['-version'], /version (\S+)/);
    case 'curl': return first('curl', ['--version'], /curl (\S+)/);
    case 'obs': return first('obs', ['--version'], /OBS Studio - (\S+)/);
    case 'gst-launch-1.0': return first('gst-launch-1.0', ['--version'], /version (\S+)/);
    case 'mpv': return first('mpv', ['--version'], /mpv (\S+)/);
    // VLC does not say its version to root.
    case 'cvlc': return first('dpkg-query', ['-W', '-f', 'version ${Version}', 'vlc-bin'], /version (\S+)/);
    case 'aiortc': return first(PYTHON, ['-c', 'import aiortc; print("version", aiortc.__version__)'], /version (\S+)/);
    case 'chromium': return first(process.env.CHROMIUM ?? 'chromium', ['--version'], /Chromium (\S+)/);
    case 'shaka-player': return npm('./node_modules/shaka-player/package.json');
    default: return npm(`../../web/node_modules/${program}/package.json`);
  }
}
