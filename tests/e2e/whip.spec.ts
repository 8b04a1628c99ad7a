/** A browser's camera published by WHIP: picture and sound in what others watch, keyframes for HLS, and the same key again. */

import { expect, test } from '@playwright/test';

import { run } from '../support/run.ts';
import { Server } from '../support/server.ts';
import { Viewer } from '../support/viewer.ts';
import { Camera } from '../support/whip.ts';

let server: Server;

test.beforeAll(async () => {
  server = await Server.start();
});

test.afterAll(async () => {
  await server?.stop();
});

test('a camera is watched with picture and sound', async ({ browser }) => {
  const broadcast = await server.broadcast('A camera');
  const camera = await Camera.publish(browser, server, broadcast);
  expect(camera.answered.status, camera.answered.body).toBe(201);
  expect(camera.answered.location).toMatch(new RegExp(`^/whip/${broadcast.id}/\\w{20,}$`));
  await server.live(broadcast.id);

  // 8 s of HLS: both tracks, steady, keyframes at least every 2.5 s though the camera makes none by itself.
  const file = test.info().outputPath('camera.mp4');
  const url = `${server.url}/hls/${broadcast.id}/plain.m3u8`;
  const saved = await run('ffmpeg', ['-v', 'error', '-i', url, '-t', '8', '-c', 'copy', '-y', file], 60_000);
  expect(saved.code, saved.stderr).toBe(0);
  const probe = await run('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name,width,height,channels', '-show_entries', 'packet=codec_type,pts_time,flags', '-of', 'json', file], 30_000);
  const { streams, packets } = JSON.parse(probe.stdout);
  expect(streams.map((stream: { codec_name: string }) => stream.codec_name).sort()).toEqual(['h264', 'opus']);
  const times = (kind: string, only = '') => packets
    .filter((packet: { codec_type: string; flags: string }) => packet.codec_type === kind && packet.flags.includes(only))
    .map((packet: { pts_time: string }) => Number(packet.pts_time)).sort((a: number, b: number) => a - b);
  const gaps = (list: number[]) => list.slice(1).map((time, i) => time - list[i]!);
  expect(times('video').length).toBeGreaterThan(60);
  expect(Math.max(...gaps(times('video', 'K')))).toBeLessThan(2.6);
  expect(Math.max(...gaps(times('audio')))).toBeLessThan(0.1);
  const heard = await run('ffmpeg', ['-i', file, '-vn', '-af', 'volumedetect', '-f', 'null', '-'], 30_000);
  expect(Number(/max_volume: (-?[\d.]+) dB/.exec(heard.stderr)?.[1])).toBeGreaterThan(-40);

  const { body: health } = await server.api('GET', `/broadcasts/${broadcast.id}/health`);
  expect(health, JSON.stringify(health)).toMatchObject({ connected: true, capture: 'device', b_frames: false });

  const viewer = await Viewer.open(browser, broadcast);
  await viewer.playing();
  expect(viewer.problems).toEqual([]);
  await viewer.close();
  await camera.close();
});

test('a session ends by DELETE, and the same key goes on at once', async ({ browser }) => {
  const broadcast = await server.broadcast('Twice');
  const first = await Camera.publish(browser, server, broadcast);
  await server.live(broadcast.id);
  const busy = await Camera.publish(browser, server, broadcast);
  expect([busy.answered.status, busy.answered.body]).toEqual([409, expect.stringContaining('another encoder')]);

  const location = first.answered.location!;
  const fragment = { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': first.answered.etag! };
  expect((await first.request('PATCH', location, fragment, 'a=end-of-candidates\r\n')).status).toBe(204);
  expect((await first.request('PATCH', location, { ...fragment, 'if-match': '*' }, 'a=ice-ufrag:abcd\r\n')).status).toBe(422);
  expect((await first.request('DELETE', location)).status).toBe(200);
  expect((await first.request('DELETE', location)).status).toBe(404);

  const second = await Camera.publish(browser, server, broadcast, { path: '/whip' });
  expect(second.answered.status, second.answered.body).toBe(201);
  await server.live(broadcast.id);
  await Promise.all([first.close(), second.close(), busy.close()]);
});

test('a wrong key and a foreign broadcast are refused in words', async ({ browser }) => {
  const [one, two] = [await server.broadcast('One'), await server.broadcast('Two')];
  const wrong = await Camera.publish(browser, server, one, { key: 'ok_wrong' });
  expect([wrong.answered.status, JSON.parse(wrong.answered.body).type]).toEqual([401, '/problems/stream-key']);
  const foreign = await Camera.publish(browser, server, one, { key: two.key });
  expect([foreign.answered.status, JSON.parse(foreign.answered.body).type]).toEqual([409, '/problems/conflict']);
  const answer = await fetch(`${server.url}/whip`, { method: 'POST', headers: { authorization: `Bearer ${one.key}`, 'content-type': 'application/sdp' }, body: 'v=0\r\n' });
  expect(answer.status).toBe(400);
  await Promise.all([wrong.close(), foreign.close()]);
});

test('sound alone and picture alone are broadcast too', async ({ browser }) => {
  for (const only of ['audio', 'video'] as const) {
    const broadcast = await server.broadcast(only);
    const camera = await Camera.publish(browser, server, broadcast, { audio: only === 'audio', video: only === 'video' });
    await server.live(broadcast.id);
    const { body } = await server.api('GET', `/broadcasts/${broadcast.id}`);
    expect([body.media.audio !== null, body.media.video !== null]).toEqual([only === 'audio', only === 'video']);
    await camera.close();
  }
});
