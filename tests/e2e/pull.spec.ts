/** Players outside the browser: ffmpeg and ffprobe pull every protocol for 20 s. */

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { run } from '../support/run.ts';
import { type Broadcast, Server } from '../support/server.ts';

const SECONDS = 20;

for (const [name, options] of [
  ['picture with B-frames and sound', { bframes: 2 }],
  ['picture and sound', {}],
  ['picture only', { audio: false }],
  ['sound only', { video: false }],
] as const) {
  test(`${name}: RTMP, HTTP-FLV and HLS`, async () => {
    const server = await Server.start();
    const broadcast = await server.broadcast();
    const encoder = Encoder.ffmpeg(broadcast.publishUrl, options);
    try {
      await server.live(broadcast.id);
      const hasVideo = !('video' in options);
      const hasAudio = !('audio' in options);
      await Promise.all(sources(server, broadcast).map((url) => pull(url, hasVideo, hasAudio)));
      expect(encoder.log).toBe('');
    } finally {
      await encoder.kill();
      await server.stop();
    }
  });
}

function sources(server: Server, { id }: Broadcast): string[] {
  return [
    `rtmp://127.0.0.1:${server.ports.rtmp}/play/${id}`,
    `http://127.0.0.1:${server.ports.http}/live/${id}.flv`,
    `http://127.0.0.1:${server.ports.http}/hls/${id}/index.m3u8`,
  ];
}

async function pull(url: string, hasVideo: boolean, hasAudio: boolean): Promise<void> {
  const [copied, probed] = await Promise.all([
    run('ffmpeg', ['-hide_banner', '-loglevel', 'warning', '-i', url, '-t', String(SECONDS), '-c', 'copy', '-f', 'mp4',
      '-movflags', 'frag_keyframe+empty_moov', '-y', '/dev/null'], 60_000),
    run('ffprobe', ['-v', 'warning', '-read_intervals', `%+${SECONDS}`, '-show_entries', 'packet=stream_index,codec_type,pts,dts',
      '-of', 'json', url], 60_000),
  ]);
  expect(complaints(copied.stderr), `ffmpeg on ${url}`).toEqual([]);
  expect(copied.code, copied.stderr).toBe(0);
  expect(complaints(probed.stderr), `ffprobe on ${url}`).toEqual([]);

  const packets = JSON.parse(probed.stdout).packets as { codec_type: string; pts?: number; dts?: number }[];
  for (const [kind, wanted] of [['video', hasVideo], ['audio', hasAudio]] as const) {
    const times = packets.filter((packet) => packet.codec_type === kind);
    const rate = kind === 'video' ? 30 : 47;
    if (!wanted) expect(times.length, `${kind} of ${url}`).toBe(0);
    else expect(times.length, `${kind} of ${url}`).toBeGreaterThan(SECONDS * rate * 0.9);
    for (const [n, { pts = NaN, dts = NaN }] of times.entries()) {
      expect(dts, `${kind} packet ${n} of ${url}`).toBeLessThanOrEqual(pts);
      if (n > 0) expect(dts, `${kind} packet ${n} of ${url}`).toBeGreaterThan(times[n - 1].dts ?? NaN);
    }
  }
}

/** ffmpeg 5 says these of every fMP4 HLS stream it reads, anyone's: it puts the init segment before each segment itself. */
const HARMLESS = [/Found duplicated MOOV Atom/, /Last message repeated/, /Opening '.*' for reading/, /keepalive request failed/];

function complaints(log: string): string[] {
  return log.split('\n').filter((line) => line.trim() !== '' && !HARMLESS.some((pattern) => pattern.test(line)));
}
