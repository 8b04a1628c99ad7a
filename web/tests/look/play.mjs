// Plays each rung against the mock for a while and prints delay, stalls and silence; then lets the publisher drop and come
// back, and the room's connection break. Needs `npm run build`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const SECONDS = Number(process.env.SECONDS ?? 20);
const rungs = process.argv.slice(2).length ? process.argv.slice(2) : ['moq', 'flv', 'hls'];
const BASE = 'http://127.0.0.1:8099';
const mock = spawn(process.execPath, [fileURLToPath(new URL('../mock/server.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
await once(mock.stdout, 'data');
await new Promise((resolve) => setTimeout(resolve, 3_000));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'] });
const state = (page) => page.evaluate(() => {
  const { rung, phase, latency_ms, stalls, stats, samples, log, notice, room } = window.__oriel;
  return { rung, phase, notice, latency_ms, stalls, stats, samples, log, room };
});

/** Loudness of what reaches the speakers, many times a second: from the video element, or from every worklet and gain. */
const LISTEN = () => {
  window.loudness = [];
  const meter = (context, node) => {
    const analyser = new AnalyserNode(context, { fftSize: 512 });
    node.connect(analyser);
    const data = new Float32Array(512);
    setInterval(() => {
      analyser.getFloatTimeDomainData(data);
      window.loudness.push(Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length));
    }, 10);
  };
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode && !this.metered) {
      this.metered = true;
      meter(this.context, this);
    }
    return connect.call(this, to, ...rest);
  };
  window.listenTo = (video) => {
    const context = new AudioContext();
    const source = context.createMediaElementSource(video);
    source.connect(context.destination);
  };
};

try {
  for (const rung of rungs) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const complaints = [];
    page.on('console', (line) => complaints.push(line.text()));
    page.on('pageerror', (error) => complaints.push(`page error ${error.message}`));
    await page.addInitScript(LISTEN);
    const from = Date.now();
    await page.goto(`${BASE}/watch/aaaaaaaaaaaaa?rung=${rung}`);
    try {
      await page.waitForFunction(() => window.__oriel?.phase === 'playing', null, { timeout: 20_000 });
    } catch {
      console.log(rung, 'did not play', JSON.stringify(await state(page)), complaints.slice(-12));
      continue;
    }
    const joined_ms = Date.now() - from;
    await page.click('text=Tap for sound');
    await page.evaluate(() => window.__oriel.element instanceof HTMLVideoElement && window.listenTo(window.__oriel.element));
    await page.waitForTimeout(4_000);
    const before = await state(page);
    await page.evaluate(() => (window.loudness.length = 0));
    await page.waitForTimeout(SECONDS * 1000);
    const after = await state(page);
    const quiet = await page.evaluate(() => window.loudness.filter((x) => x < 0.005).length / window.loudness.length);
    const delays = after.samples.slice(before.samples.length).map(([, ms]) => ms).sort((a, b) => a - b);
    const at = (p) => Math.round(delays[Math.floor((delays.length - 1) * p)]);
    console.log(`${rung}: page to picture ${joined_ms} ms, delay p50 ${at(0.5)} p95 ${at(0.95)} max ${at(1)} ms, stalls ${after.stalls - before.stalls}, silence ${(quiet * 100).toFixed(1)} %`);
    console.log('  ', JSON.stringify(after.stats), complaints.filter((line) => /error|Refused/i.test(line)).slice(0, 5));
    await fetch(`${BASE}/mock/drop/aaaaaaaaaaaaa`);
    await page.waitForFunction(() => window.__oriel.phase === 'waiting', null, { timeout: 15_000 }).catch(async () => {
      const { log, phase, stats } = await state(page);
      console.log('   never waited', phase, JSON.stringify(stats), JSON.stringify(log), await page.evaluate(() => window.__oriel.element.currentTime));
    });
    await page.waitForTimeout(5_000);
    await fetch(`${BASE}/mock/back/aaaaaaaaaaaaa`);
    const back = Date.now();
    try {
      await page.waitForFunction(() => window.__oriel.phase === 'playing', null, { timeout: 25_000 });
      await page.waitForTimeout(8_000);
    } catch {
      console.log('   did not come back');
    }
    const now = await state(page);
    console.log(`   publisher back: ${now.phase} on ${now.rung}, ${Math.round(now.latency_ms)} ms, after ${Date.now() - back - 8_000} ms; ${now.log.slice(-8).map(({ text }) => text).join(', ')}`);
    const offset = now.room.offset;
    await fetch(`${BASE}/mock/kick/aaaaaaaaaaaaa`);
    await page.waitForFunction(() => window.__oriel.room.link === 'lost', null, { timeout: 5_000, polling: 10 }).catch(() => console.log('   no loss seen'));
    await page.waitForFunction(() => window.__oriel.room.link === 'open', null, { timeout: 10_000 });
    console.log(`   room back at offset ${(await state(page)).room.offset} (was ${offset}), ${now.room.comments} comments`);
    await page.close();
  }
} finally {
  await browser.close();
  mock.kill('SIGTERM');
}
