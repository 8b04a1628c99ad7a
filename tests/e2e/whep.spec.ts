/** The WebRTC rung: quick, with sound from AAC, refused in words where B-frames forbid it; and a camera watched by WebRTC. */

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { Server } from '../support/server.ts';
import { Viewer, expectSmooth, percentile } from '../support/viewer.ts';
import { Camera } from '../support/whip.ts';

let server: Server;

test.beforeAll(async () => {
  server = await Server.start();
});

test.afterAll(async () => {
  await server?.stop();
});

test('the synthetic broadcaster is seen by WebRTC within half a second, and the page knows the delay', async ({ browser }) => {
  const broadcast = await server.broadcast('Synthetic');
  const encoder = Encoder.synthetic(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const viewer = await Viewer.open(browser, broadcast, 'webrtc');
    await viewer.playing('webrtc');
    await viewer.watch(3);
    const measured = await viewer.watch(10);
    const state = await viewer.state();
    const said = JSON.stringify({ median: percentile(measured.delays_ms, 0.5), ...measured, delays_ms: measured.delays_ms.length, state });
    test.info().annotations.push({ type: 'delay', description: said });
    expectSmooth(measured, 10, 30);
    expect(percentile(measured.delays_ms, 0.5), said).toBeLessThan(500);
    expect(state.latency_ms, said).not.toBeNull();
    expect(Math.abs(state.latency_ms - percentile(measured.delays_ms, 0.5)), said).toBeLessThan(150);
    await viewer.close();
  } finally {
    await encoder.kill();
  }
});

test('B-frames are refused in words and the ladder goes on to the next rung', async ({ browser }) => {
  const broadcast = await server.broadcast('B-frames');
  const encoder = Encoder.ffmpeg(broadcast.publishUrl, { bframes: 2 });
  try {
    await server.live(broadcast.id);
    await expect.poll(async () => (await server.api('GET', `/broadcasts/${broadcast.id}/health`)).body.b_frames).toBe(true);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url);
    const answer = await page.evaluate(async (path) => {
      const connection = new RTCPeerConnection();
      connection.addTransceiver('video', { direction: 'recvonly' });
      await connection.setLocalDescription();
      const response = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: connection.localDescription!.sdp });
      return { status: response.status, problem: await response.json() };
    }, `/whep/${broadcast.id}`);
    expect(answer).toMatchObject({ status: 409, problem: { detail: expect.stringContaining('B-frames') } });
    await context.close();
  } finally {
    await encoder.kill();
  }
});

test('a camera is watched by WebRTC with picture and sound', async ({ browser }) => {
  const broadcast = await server.broadcast('Face to face');
  const camera = await Camera.publish(browser, server, broadcast);
  expect(camera.answered.status, camera.answered.body).toBe(201);
  await server.live(broadcast.id);
  const viewer = await Viewer.open(browser, broadcast, 'webrtc');
  await viewer.playing('webrtc');
  await viewer.unmute();
  await viewer.watch(2);
  const measured = await viewer.watch(8);
  const said = JSON.stringify({ measured, state: await viewer.state() });
  expectSmooth(measured, 8, 20);
  // The fake microphone beeps once a second.
  expect(1 - measured.sound.silent / measured.sound.blocks, said).toBeGreaterThan(0.1);
  await viewer.close();
  await camera.close();
});
