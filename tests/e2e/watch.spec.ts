/** A real encoder by RTMP, real Chromium on every rung: the picture moves, the sound is heard, nothing stalls. */

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { type Broadcast, Server } from '../support/server.ts';
import { RUNGS, Viewer, expectSmooth } from '../support/viewer.ts';

const SECONDS = 30;

for (const bframes of [0, 2]) {
  test.describe(bframes ? 'an encoder with B-frames' : 'an encoder without B-frames', () => {
    let server: Server;
    let encoder: Encoder;
    let broadcast: Broadcast;

    test.beforeAll(async () => {
      server = await Server.start();
      broadcast = await server.broadcast();
      encoder = Encoder.ffmpeg(broadcast.publishUrl, { bframes });
      await server.live(broadcast.id);
    });

    test.afterAll(async () => {
      await encoder?.kill();
      await server?.stop();
    });

    for (const rung of RUNGS) {
      // Browsers cannot play B-frames over WebRTC; whep.spec.ts has what happens then.
      if (bframes && rung === 'webrtc') continue;
      test(`${rung} plays ${SECONDS} s without a stall`, async ({ browser }) => {
        const viewer = await Viewer.open(browser, broadcast, rung);
        await viewer.playing(rung);
        await viewer.unmute();
        // Joining may hurry to the live edge; what a viewer bears with is measured after that.
        await viewer.watch(3);
        const stallsBefore = (await viewer.state()).stalls;
        const measured = await viewer.watch(SECONDS);
        const state = await viewer.state();
        const said = JSON.stringify({ measured: { ...measured, delays_ms: undefined }, state });
        expect(state.rung, said).toBe(rung);
        expect(state.stalls - stallsBefore, said).toBe(0);
        expectSmooth(measured, SECONDS, 30);
        expect(measured.sound.rms, said).toBeGreaterThan(0.01);
        expect(measured.sound.silent / measured.sound.blocks, said).toBeLessThan(0.01);
        expect(viewer.problems).toEqual([]);
        await viewer.close();
      });
    }
  });
}

test('without a wish the ladder starts on its first rung and shows the delay', async ({ browser }) => {
  const server = await Server.start();
  const broadcast = await server.broadcast();
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const viewer = await Viewer.open(browser, broadcast);
    await viewer.playing('moq');
    await expect(viewer.page.getByText(/live, \d+\.\d s/)).toBeVisible();
    await viewer.close();
  } finally {
    await encoder.kill();
    await server.stop();
  }
});

test('the ladder steps down where a rung is not to be had', async ({ browser }) => {
  const server = await Server.start({ 'moq.enabled': 'false' });
  const broadcast = await server.broadcast();
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const viewer = await Viewer.open(browser, broadcast);
    await viewer.playing('webrtc');
    const { log } = await viewer.state();
    expect(JSON.stringify(log)).toMatch(/moq/);
    await viewer.close();
  } finally {
    await encoder.kill();
    await server.stop();
  }
});
