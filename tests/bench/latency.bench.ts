/**
 * Delay from glass to glass, read from the clock in the picture: the synthetic broadcaster draws the time at which it made
 * each picture, the page reads it from what it shows. Encoder and network are in the number; with B-frames so is the time that x264
 * holds pictures back to reorder them. `SECONDS` a rung (default 60).
 */

import { test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { Server } from '../support/server.ts';
import { RUNGS, Viewer, percentile } from '../support/viewer.ts';

const SECONDS = Number(process.env.SECONDS ?? 60);
/** Most milliseconds at the median; plain HLS has no bound but its nature. */
const BOUND: Record<string, number> = { moq: 200, flv: 600, llhls: 1200 };

for (const [name, encode] of [
  ['no B-frames', (url: string) => Encoder.synthetic(url)],
  ['B-frames', (url: string) => Encoder.syntheticWithBFrames(url)],
] as const) {
  test(name, async ({ browser }) => {
    const server = await Server.start();
    const broadcast = await server.broadcast();
    const encoder = encode(broadcast.publishUrl);
    const rows: string[] = [];
    try {
      await server.live(broadcast.id);
      // WebRTC has no B-frames.
      for (const rung of RUNGS.filter((rung) => rung !== 'webrtc' || name === 'no B-frames')) {
        const viewer = await Viewer.open(browser, broadcast, rung);
        await viewer.playing(rung);
        await viewer.unmute();
        await viewer.watch(5);
        const before = (await viewer.state()).stalls;
        const measured = await viewer.watch(SECONDS);
        const state = await viewer.state();
        const at = (share: number) => String(Math.round(percentile(measured.delays_ms, share))).padStart(6);
        const bound = BOUND[rung] === undefined ? '' : percentile(measured.delays_ms, 0.5) <= BOUND[rung] ? `within ${BOUND[rung]}` : `ABOVE ${BOUND[rung]}`;
        rows.push(
          [
            rung.padEnd(6), at(0.5), at(0.95), at(1), String(measured.delays_ms.length).padStart(7), String(state.stalls - before).padStart(7),
            String(measured.longest_gap_ms).padStart(9), String(measured.sound.longest_silence_ms).padStart(12), String(state.latency_ms).padStart(8), ` ${bound}`,
          ].join(' '),
        );
        await viewer.close();
      }
    } finally {
      await encoder.kill();
      await server.stop();
    }
    console.log(`\nGlass to glass, ${name}, ${SECONDS} s a rung, milliseconds`);
    console.log('rung      p50    p95    max pictures  stalls   longest gap  silence  page says');
    for (const row of rows) console.log(row);
  });
}
