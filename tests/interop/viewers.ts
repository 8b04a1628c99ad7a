/** The columns of the table: other people's players. Those outside a browser record what they played, and clip.py reads that. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Browser, BrowserContext } from '@playwright/test';

import { type Result, run } from '../support/run.ts';
import { type Broadcast, PYTHON, type Server } from '../support/server.ts';
import { type Rung, Viewer } from '../support/viewer.ts';
import { CLIP, RTC } from './film.ts';
import type { Publisher } from './publishers.ts';

export const SECONDS = 20;
/** How a program ends that was told to at the terminal. */
const INTERRUPTED = 130;

/** What was played. */
export interface Seen {
  by: string;
  pictures: number;
  longest_gap_ms: number;
  ticks: number;
  longest_silence_ms: number;
  sync_ms: number | null;
  /** What the program said was wrong, or empty. */
  errors: string;
}

export interface Player {
  name: string;
  program: string;
  /** A player for pages paints no more than a machine without a GPU can. */
  paints: boolean;
  /** Why the clock and the ticks of this player say nothing about each other. */
  unread?: string;
  watch(browser: Browser, server: Server, broadcast: Broadcast, publisher: Publisher): Promise<Seen>;
}

type Source = { by: string; url: string };

/** HTTP-FLV and RTMP carry Opus as enhanced RTMP says, which came after these programs. */
function flvOrHls(server: Server, { id }: Broadcast, { audio }: Publisher, flv: Source): Source {
  return audio === 'aac' ? flv : { by: 'HLS', url: `${server.url}/hls/${id}/plain.m3u8` };
}

const NATIVE: Player[] = [
  {
    name: 'ffmpeg', program: 'ffmpeg', paints: false,
    watch: (_, server, broadcast, publisher) => {
      const { by, url } = flvOrHls(server, broadcast, publisher, { by: 'RTMP', url: `rtmp://127.0.0.1:${server.ports.rtmp}/play/${broadcast.id}` });
      return recorded(by, 'mkv', (file) => ['ffmpeg', '-v', 'error', '-i', url, '-t', `${SECONDS}`, '-c', 'copy', file], /./);
    },
  },
  {
    name: 'mpv', program: 'mpv', paints: false,
    watch: (_, server, broadcast, publisher) => {
      const { by, url } = flvOrHls(server, broadcast, publisher, { by: 'HTTP-FLV', url: `${server.url}/live/${broadcast.id}.flv` });
      // Encoding instead of showing: through mpv's own decoding, clock and correction of times.
      const to = (file: string) => [`--o=${file}`, '--of=matroska', '--ovc=mpeg4', '--ovcopts=b=4000000', '--oac=pcm_s16le', `--length=${SECONDS}`];
      return recorded(by, 'mkv', (file) => ['mpv', '--no-config', '--msg-level=all=error', ...to(file), url], /./);
    },
  },
  {
    name: 'VLC', program: 'cvlc', paints: false,
    watch: (_, server, { id }, { audio }) => {
      // VLC refuses to run as root.
      const user = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
      const out = (file: string) => `--sout=#transcode{vcodec=mp2v,vb=4000,acodec=mp2a,ab=192,channels=2}:std{access=file,mux=ts,dst=${file}}`;
      // The transport streams of HLS have no place for Opus.
      const [by, file] = audio === 'aac' ? ['TS HLS', 'ts.m3u8'] : ['HLS', 'plain.m3u8'];
      const url = `${server.url}/hls/${id}/${file}`;
      return recorded(by!, 'ts', (file) => [...user, 'env', `HOME=${dirname(file)}`, 'cvlc', '-q', '--no-interact', out(file), `--run-time=${SECONDS + 4}`, url, 'vlc://quit'], /fatal|cannot|failed/i);
    },
  },
  {
    name: 'GStreamer', program: 'gst-launch-1.0', paints: false,
    watch: (_, server, { id }, { audio }) => {
      // Its HLS demuxer gives as fast as it has, and is stopped while it has nothing: clocksync plays as a screen would.
      const pipeline = (file: string) => `uridecodebin3 uri=${server.url}/hls/${id}/plain.m3u8 caps=video/x-h264;audio/mpeg;audio/x-opus name=player
        mpegtsmux name=mux ! filesink location=${file} player. ! queue ! h264parse ! clocksync ! mux.
        player. ! queue ! ${audio === 'aac' ? 'aacparse' : 'opusparse'} ! clocksync ! mux.`.split(/\s+/);
      return recorded('HLS', 'ts', (file) => ['gst-launch-1.0', '-q', ...pipeline(file)], /ERROR|WARNING/, SECONDS + 8);
    },
  },
  {
    name: 'aiortc', program: 'aiortc', paints: false,
    unread: 'aiortc tells no common time',
    watch: async (_, server, { id }) => {
      const result = await run(PYTHON, [RTC, 'play', `${server.url}/whep/${id}`, `${SECONDS}`], 60_000);
      return seen('WHEP', result, result.stdout, /./);
    },
  },
];

const PAGES: Player[] = [
  page('hls.js', 'hls.js', 'LL-HLS', 'llhls'),
  {
    name: 'Shaka', program: 'shaka-player', paints: true,
    watch: async (browser, server, { id }) => {
      const viewer = await Viewer.at(browser, `${server.url}/interop/shaka#/hls/${id}/index.m3u8`, { width: 900, height: 600 }, shaka);
      return watched('LL-HLS', viewer);
    },
  },
  page('mpegts.js', 'mpegts.js', 'HTTP-FLV', 'flv'),
  page('@moq/watch', '@moq/watch', 'MoQ', 'moq'),
  page('Chromium', 'chromium', 'WHEP', 'webrtc'),
];

/** Those of one batch play at the same time. */
export const BATCHES: Player[][] = [NATIVE, PAGES.slice(0, 3), PAGES.slice(3)];

async function recorded(by: string, kind: string, command: (file: string) => string[], wrong: RegExp, stopAfter = SECONDS + 25): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), 'oriel-interop-'));
  chmodSync(folder, 0o777);
  try {
    const file = join(folder, `seen.${kind}`);
    // Ended the way a person would, when the program does not count the seconds itself.
    const played = await run('timeout', ['--preserve-status', '-s', 'INT', '-k', '5', `${stopAfter}`, ...command(file)], 60_000);
    const read = await run(PYTHON, [CLIP, 'read', file], 60_000);
    if (read.code !== 0) played.stderr += `\nfailed to read the recording: ${read.stderr.trim().split('\n').at(-1)}`;
    return seen(by, played, read.stdout, wrong);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function seen(by: string, played: Result, json: string, wrong: RegExp): Seen {
  const said = played.stderr.split('\n').filter((line) => wrong.test(line)).slice(0, 3).join(' ');
  const errors = said || (played.code === 0 || played.code === INTERRUPTED ? '' : `ended with ${played.code}`);
  const nothing = { pictures: 0, longest_gap_ms: 0, ticks: 0, longest_silence_ms: 0, sync_ms: null };
  return { ...nothing, ...(json ? JSON.parse(json) : {}), by, errors };
}

function page(name: string, program: string, by: string, rung: Rung): Player {
  return { name, program, paints: true, watch: async (browser, _, broadcast) => watched(by, await Viewer.open(browser, broadcast, rung), rung) };
}

async function watched(by: string, viewer: Viewer, rung?: Rung): Promise<Seen> {
  try {
    await viewer.playing(rung);
    if (rung) await viewer.unmute();
    await viewer.watch(3);
    const stalls = (await viewer.state()).stalls ?? 0;
    const { pictures, longest_gap_ms, ticks, sync_ms, sound } = await viewer.watch(SECONDS);
    const after = await viewer.state();
    const stalled = (after.stalls ?? 0) - stalls;
    const errors = [...viewer.problems, ...(after.notice ? [after.notice] : []), ...(stalled > 0 ? [`${stalled} stalls`] : [])].join(' ');
    return { by, pictures, longest_gap_ms, ticks, longest_silence_ms: sound.longest_silence_ms, sync_ms, errors };
  } finally {
    await viewer.close();
  }
}

/** A page with nothing but the player. */
async function shaka(context: BrowserContext): Promise<void> {
  const library = fileURLToPath(new URL('./node_modules/shaka-player/dist/shaka-player.compiled.js', import.meta.url));
  await context.route('**/interop/shaka.js', (route) => route.fulfill({ path: library, contentType: 'text/javascript' }));
  await context.route('**/interop/shaka', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><video autoplay width=640 height=360></video><script src="/interop/shaka.js"></script><script>
      const element = document.querySelector('video');
      const oriel = window.__oriel = { element, phase: 'loading', stalls: 0, log: [] };
      element.addEventListener('playing', () => { oriel.phase = 'playing'; });
      (async () => {
        const player = new shaka.Player();
        player.addEventListener('error', ({ detail }) => { oriel.notice = 'Shaka error ' + detail.code; });
        player.addEventListener('stalldetected', () => { oriel.stalls++; });
        await player.attach(element);
        await player.load(location.hash.slice(1));
      })().catch((error) => { oriel.notice = 'Shaka error ' + error.code; });
    </script>`,
  }));
}
