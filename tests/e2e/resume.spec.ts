/** An encoder that dies and comes back within the grace: every viewer goes on by itself. */

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { Server } from '../support/server.ts';
import { RUNGS, Viewer } from '../support/viewer.ts';

for (const rung of RUNGS) {
  // WebRTC has no B-frames.
  const coding = rung === 'webrtc' ? {} : { bframes: 2 };
  test(`${rung} goes on when the encoder comes back`, async ({ browser }) => {
    const server = await Server.start();
    const broadcast = await server.broadcast();
    let encoder = Encoder.ffmpeg(broadcast.publishUrl, coding);
    try {
      await server.live(broadcast.id);
      const viewer = await Viewer.open(browser, broadcast, rung);
      await viewer.playing(rung);
      await encoder.kill('SIGKILL');
      await expect(viewer.page.getByText(/connection dropped|waiting for them/i)).toBeVisible({ timeout: 20_000 });
      encoder = Encoder.ffmpeg(broadcast.publishUrl, coding);
      await server.live(broadcast.id);
      await viewer.page.waitForFunction(
        (wanted) => window.__oriel?.phase === 'playing' && window.__oriel.rung === wanted,
        rung,
        { timeout: 30_000 },
      );
      const measured = await viewer.watch(8);
      expect(measured.pictures, JSON.stringify(await viewer.state())).toBeGreaterThan(150);
      expect(viewer.page.url()).toContain(broadcast.id);
      await viewer.close();
    } finally {
      await encoder.kill();
      await server.stop();
    }
  });
}

test('HLS numbers go on with a discontinuity, and the broadcast keeps its name', async () => {
  const server = await Server.start();
  const broadcast = await server.broadcast();
  let encoder = Encoder.ffmpeg(broadcast.publishUrl);
  const playlist = async () => (await fetch(`${server.url}/hls/${broadcast.id}/media.m3u8`)).text();
  const newest = (text: string) => Math.max(...[...text.matchAll(/seg-(\d+)\.m4s/g)].map((found) => Number(found[1])));
  try {
    await server.live(broadcast.id);
    await expect.poll(async () => newest(await playlist()), { timeout: 20_000 }).toBeGreaterThan(1);
    await encoder.kill('SIGKILL');
    const before = newest(await playlist());
    encoder = Encoder.ffmpeg(broadcast.publishUrl);
    await expect.poll(async () => newest(await playlist()), { timeout: 20_000 }).toBeGreaterThan(before + 1);
    expect(await playlist()).toContain('#EXT-X-DISCONTINUITY\n');
    const { body } = await server.api('GET', `/broadcasts/${broadcast.id}`);
    expect(body.state).toBe('RUNNING');
  } finally {
    await encoder.kill();
    await server.stop();
  }
});

test('after the grace the broadcast is over and the page says so', async ({ browser }) => {
  const server = await Server.start({ 'broadcast.grace_s': 2 });
  const broadcast = await server.broadcast();
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const viewer = await Viewer.open(browser, broadcast);
    await viewer.playing();
    await encoder.kill('SIGKILL');
    await expect(viewer.page.getByText(/ended|is over/i).first()).toBeVisible({ timeout: 15_000 });
    const { body } = await server.api('GET', `/broadcasts/${broadcast.id}`);
    expect(body.state).toBe('TIMED_OUT');
    await viewer.close();
  } finally {
    await encoder.kill();
    await server.stop();
  }
});
