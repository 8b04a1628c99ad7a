// Takes pictures of every page and state on a phone and a desk in both themes, runs axe on each, and fails on violations,
// page errors and content-security reports. Needs `npm run build`; starts the mock itself.
import AxeBuilder from '@axe-core/playwright';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const OUT = fileURLToPath(new URL('./out/', import.meta.url));
mkdirSync(OUT, { recursive: true });
const only = process.argv[2];

const mock = spawn(process.execPath, [fileURLToPath(new URL('../mock/server.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
await once(mock.stdout, 'data');
const BASE = 'http://127.0.0.1:8099';
const tell = (what) => fetch(`${BASE}/mock/${what}`);

const watching = (page) => page.waitForFunction(() => window.__oriel?.phase === 'playing' && window.__oriel.latency_ms !== null, null, { timeout: 30_000 });
const SHOTS = [
  ['home', '/', async (page) => page.waitForSelector('img')],
  ['home-empty', '/', async (page) => page.waitForSelector('.empty'), 'empty'],
  ['home-error', '/', async (page) => page.waitForSelector('.trouble'), 'broken'],
  ['signin', '/signin', async (page) => {
    await page.click('text=New here');
    await page.click('text=Create account');
  }],
  ['missing', '/nowhere', async () => undefined],
  ['watch', '/watch/aaaaaaaaaaaaa?rung=flv', async (page) => {
    await watching(page);
    await page.waitForTimeout(1500);
  }],
  ['watch-details', '/watch/aaaaaaaaaaaaa', async (page) => {
    await watching(page);
    await page.click('[aria-controls=rung-details]');
  }],
  ['watch-help', '/watch/bbbbbbbbbbbbb?rung=hls', async (page) => {
    await watching(page);
    await page.keyboard.press('?');
  }],
  ['watch-ended', '/watch/eeeeeeeeeeeee', async (page) => page.waitForSelector('text=has ended')],
  ['watch-soon', '/watch/fffffffffffff', async (page) => page.waitForSelector('text=Not on air yet')],
  ['watch-gone', '/watch/zzzzzzzzzzzzz', async (page) => page.waitForSelector('text=No such broadcast')],
  ['watch-dropped', '/watch/ccccccccccccc?rung=flv', async (page) => {
    await watching(page);
    await tell('drop/ccccccccccccc');
    await page.waitForSelector('text=waiting for them', { timeout: 10_000 });
  }, 'normal', async () => tell('back/ccccccccccccc')],
  ['go-signed-out', '/go', async (page) => page.waitForSelector('#password')],
  ['go-new', '/go', async (page) => page.waitForSelector('#title'), 'signin'],
  ['go-connect', '/go', async (page) => {
    await page.fill('#title', 'Paper boats on the canal');
    await page.click('text=Next: connect');
    await page.waitForSelector('text=Connect your encoder');
  }, 'signin'],
  ['go-live', '/go/aaaaaaaaaaaaa', async (page) => {
    await page.waitForSelector('text=Upload health');
    await page.waitForSelector('dd:has-text(" s late")', { timeout: 30_000 });
  }, 'signin'],
  ['go-reload', '/go/fffffffffffff', async (page) => page.waitForSelector('text=The key is gone'), 'signin'],
];

const SIZES = [['phone', { width: 390, height: 844 }], ['desk', { width: 1280, height: 800 }]];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'] });
let bad = 0;
try {
  for (const [name, path, ready, before = 'normal', after] of SHOTS) {
    if (only && !name.startsWith(only)) continue;
    for (const [size, viewport] of SIZES) {
      for (const colorScheme of ['dark', 'light']) {
        await tell('normal');
        await tell(before);
        const context = await browser.newContext({ viewport, colorScheme, hasTouch: size === 'phone', deviceScaleFactor: 1 });
        const page = await context.newPage();
        const trouble = [];
        page.on('pageerror', (error) => trouble.push(`page error: ${error.message}`));
        page.on('console', (line) => {
          if (/Content Security Policy|Refused to/.test(line.text())) trouble.push(line.text());
        });
        const label = `${name}-${size}-${colorScheme}`;
        try {
          await page.goto(BASE + path);
          await ready(page);
          await page.waitForTimeout(400);
          await page.screenshot({ path: `${OUT}${label}.png` });
          const { violations } = await new AxeBuilder({ page }).analyze();
          for (const one of violations) trouble.push(`axe ${one.id} (${one.impact}): ${one.nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ''}`).slice(0, 4).join(' | ')}`);
        } catch (error) {
          trouble.push(String(error.message).split('\n')[0]);
          await page.screenshot({ path: `${OUT}${label}-failed.png` }).catch(() => undefined);
          trouble.push(JSON.stringify(await page.evaluate(() => window.__oriel && { phase: window.__oriel.phase, log: window.__oriel.log }).catch(() => null)));
        }
        await context.close();
        if (after) await after();
        bad += trouble.length ? 1 : 0;
        console.log(trouble.length ? 'BAD ' : 'ok  ', label, ...trouble.map((line) => `\n       ${line}`));
      }
    }
  }
} finally {
  await browser.close();
  mock.kill('SIGTERM');
}
process.exit(bad ? 1 : 0);
