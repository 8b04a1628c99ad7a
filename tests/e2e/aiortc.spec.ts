/** Another WebRTC stack at both ends: aiortc publishes by WHIP and plays by WHEP. */

import { fileURLToPath } from 'node:url';

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { run } from '../support/run.ts';
import { PYTHON, Server } from '../support/server.ts';
import { Viewer } from '../support/viewer.ts';

const RTC = fileURLToPath(new URL('../interop/rtc.py', import.meta.url));

let server: Server;

test.beforeAll(async () => {
  server = await Server.start();
});

test.afterAll(async () => {
  await server?.stop();
});

test('aiortc publishes, and is watched by aiortc and in a browser', async ({ browser }) => {
  const broadcast = await server.broadcast('aiortc');
  const publisher = run(PYTHON, [RTC, 'publish', `${server.url}/whip/${broadcast.id}`, broadcast.key, '20'], 60_000);
  await server.live(broadcast.id);
  const player = run(PYTHON, [RTC, 'play', `${server.url}/whep/${broadcast.id}`, '6'], 60_000);
  const viewer = await Viewer.open(browser, broadcast, 'webrtc');
  await viewer.playing('webrtc');
  const { stdout, stderr } = await player;
  const seen = JSON.parse(stdout || JSON.stringify({ stderr }));
  expect(seen.width, stdout + stderr).toBe(640);
  expect(seen.pictures, stdout).toBeGreaterThan(60);
  expect(seen.loudest, stdout).toBeGreaterThan(5_000);
  await viewer.close();
  const published = await publisher;
  expect(published.code, published.stderr).toBe(0);
  expect(JSON.parse(published.stdout).state).toBe('connected');
});

test('aiortc hears AAC from RTMP as Opus', async () => {
  const broadcast = await server.broadcast('From RTMP');
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const { stdout, stderr } = await run(PYTHON, [RTC, 'play', `${server.url}/whep/${broadcast.id}`, '6'], 60_000);
    const seen = JSON.parse(stdout || JSON.stringify({ stderr }));
    expect(seen.pictures, stdout + stderr).toBeGreaterThan(90);
    expect(seen.blocks, stdout).toBeGreaterThan(150);
    expect(seen.loudest, stdout).toBeGreaterThan(1_000);
  } finally {
    await encoder.kill();
  }
});
