// Uses the pages against the mock as a person would: comment, hearts, keys, pause, the ladder without MoQ, going live and
// ending. Fails at the first thing that does not happen. Needs `npm run build`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const BASE = 'http://127.0.0.1:8099';
const mock = spawn(process.execPath, [fileURLToPath(new URL('../mock/server.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'ignore'] });
await once(mock.stdout, 'data');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const playing = (page) => page.waitForFunction(() => window.__oriel?.phase === 'playing', null, { timeout: 20_000 });
const step = (name) => console.log('ok', name);

try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));

  await page.goto(BASE);
  await page.click('text=Morning market');
  await page.waitForURL('**/watch/aaaaaaaaaaaaa');
  await playing(page);
  assert.equal(await page.evaluate(() => window.__oriel.rung), 'moq');
  assert.match(await page.title(), /Morning market/);
  step('home leads to a playing picture on the best rung');

  await page.keyboard.press('c');
  await page.keyboard.type('hello from a test');
  await page.keyboard.press('Enter');
  await page.waitForSelector('li.own >> text=hello from a test');
  assert.equal(await page.inputValue('#comment'), '');
  step('a comment is shown when the room delivers it');

  // The mock takes one in 700 ms: the first of these is taken, the second is not.
  await page.waitForTimeout(800);
  for (const text of ['in time', 'too quick']) {
    await page.fill('#comment', text);
    await page.keyboard.press('Enter');
  }
  await page.waitForSelector('text=A little slower');
  assert.equal(await page.inputValue('#comment'), 'too quick');
  step('a refused comment comes back with words');

  await page.fill('#comment', '');
  await page.click('.title');
  await page.evaluate(() => document.activeElement?.blur());
  const hearts = await page.evaluate(() => window.__oriel.room.hearts);
  for (let i = 0; i < 3; i += 1) await page.keyboard.press('h');
  assert.ok((await page.evaluate(() => window.__oriel.room.hearts)) >= hearts + 3);
  assert.ok((await page.locator('.hearts svg').count()) >= 3);
  step('hearts count and rise at once');

  await page.mouse.dblclick(500, 300);
  await page.waitForSelector('.hearts svg.big');
  step('a double tap sends a heart from there');

  await page.keyboard.press('m');
  await page.waitForSelector('[aria-label="Sound off"]');
  await page.keyboard.press(' ');
  await page.waitForFunction(() => window.__oriel.phase === 'idle');
  await page.waitForSelector('.frozen');
  await page.keyboard.press(' ');
  await playing(page);
  await page.waitForFunction(() => !document.querySelector('.frozen'));
  step('space pauses on the last picture and goes on live');

  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.press('Escape');
  await page.focus('[aria-controls=rung-details]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Media over QUIC');
  await page.keyboard.press('Escape');
  step('help and details open by keyboard');

  const calm = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 390, height: 844 } });
  const other = await calm.newPage();
  await other.addInitScript(() => {
    delete globalThis.VideoDecoder;
  });
  await other.goto(`${BASE}/watch/aaaaaaaaaaaaa`);
  await playing(other);
  assert.equal(await other.evaluate(() => window.__oriel.rung), 'flv');
  await other.click('[aria-controls=rung-details]');
  await other.waitForSelector('text=no WebCodecs');
  await other.keyboard.press('Escape');
  await other.click('.heart');
  assert.equal(await other.locator('.hearts svg').count(), 0);
  step('without WebCodecs it plays FLV and says why; reduced motion shows no hearts');
  await other.route('**/live/**', (route) => route.abort());
  await other.reload();
  await playing(other);
  assert.equal(await other.evaluate(() => window.__oriel.rung), 'llhls');
  step('without FLV it plays HLS');
  await calm.close();

  await page.goto(`${BASE}/go`);
  await page.fill('#name', 'amber');
  await page.fill('#password', 'long enough');
  await page.click('text=Create account');
  await page.fill('#title', 'A test card');
  await page.click('text=Next: connect');
  await page.waitForURL('**/go/ggggggggggggg');
  assert.ok(!(await page.content()).includes('ok_7hQ2'));
  await page.click('[aria-label="Show stream key"]');
  assert.match(await page.inputValue('input[id]:below(:text("Stream key"))'), /^ok_/);
  step('a new broadcast shows its key on request');
  await fetch(`${BASE}/mock/start/ggggggggggggg`);
  await page.waitForSelector('text=You are live.');
  await page.waitForSelector('text=Upload health');
  await page.waitForSelector('dd:has-text(" s late")', { timeout: 20_000 });
  step('the picture turns up by itself');
  await page.reload();
  await page.waitForSelector('text=You are live.');
  await page.click('button.hold');
  assert.equal(await page.locator('text=That was it').count(), 0);
  await page.focus('button.hold');
  await page.keyboard.down('Enter');
  await page.waitForSelector('text=That was it', { timeout: 5_000 });
  await page.keyboard.up('Enter');
  step('End needs to be held, by keyboard too');
  assert.deepEqual(errors, []);
} finally {
  await browser.close();
  mock.kill('SIGTERM');
}
