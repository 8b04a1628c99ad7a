/** The film (clip.py), made once. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../support/run.ts';
import { PYTHON } from '../support/server.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const CLIP = at('clip.py');
export const RTC = at('rtc.py');
export const WORK = at('../../target/interop');
export const FILM = `${WORK}/film.mkv`;
/** Longer than a row takes. */
const SECONDS = '300';

export async function makeFilm(): Promise<void> {
  if (existsSync(FILM) && statSync(FILM).mtimeMs > statSync(CLIP).mtimeMs) return;
  mkdirSync(dirname(FILM), { recursive: true });
  await ok(PYTHON, [CLIP, 'make', FILM, SECONDS]);
  await ok('ffmpeg', ['-v', 'error', '-i', FILM, '-c', 'copy', '-movflags', 'faststart', '-y', FILM.replace(/mkv$/, 'mp4')]);
}

async function ok(command: string, args: string[]): Promise<void> {
  const { code, stderr } = await run(command, args, 200_000);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
}
