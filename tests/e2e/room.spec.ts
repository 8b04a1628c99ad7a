/** Two people watching the same broadcast talk and send hearts. */

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { type Broadcast, Server } from '../support/server.ts';
import { Viewer } from '../support/viewer.ts';

let server: Server;
let encoder: Encoder;
let broadcast: Broadcast;

test.beforeAll(async () => {
  server = await Server.start();
  broadcast = await server.broadcast();
  encoder = Encoder.ffmpeg(broadcast.publishUrl);
  await server.live(broadcast.id);
});

test.afterAll(async () => {
  await encoder?.kill();
  await server?.stop();
});

test('comments and hearts reach the other browser, and both are counted', async ({ browser }) => {
  const [one, two] = [await Viewer.open(browser, broadcast, 'flv'), await Viewer.open(browser, broadcast, 'llhls')];
  await one.playing();
  await two.playing();

  await one.page.keyboard.press('c');
  await one.page.keyboard.type('good evening from the first window');
  await one.page.keyboard.press('Enter');
  await expect(two.page.getByText('good evening from the first window')).toBeVisible();
  await expect(one.page.getByText('good evening from the first window')).toHaveCount(1);

  await two.page.keyboard.press('h');
  await two.page.keyboard.press('h');
  for (const viewer of [one, two]) {
    await viewer.page.waitForFunction(() => (window.__oriel?.room.hearts ?? 0) >= 2);
    await viewer.page.waitForFunction(() => window.__oriel?.room.viewers === 2, undefined, { timeout: 20_000 });
  }
  const { body } = await server.api('GET', `/broadcasts/${broadcast.id}`);
  expect(body.viewers).toBe(2);
  expect(body.hearts).toBeGreaterThanOrEqual(2);
  await one.close();
  await two.close();
});

test('a late arrival sees what was said', async ({ browser }) => {
  const late = await Viewer.open(browser, broadcast, 'flv');
  await expect(late.page.getByText('good evening from the first window')).toBeVisible({ timeout: 15_000 });
  await late.close();
});

test('markup in a comment stays text', async ({ browser }) => {
  const viewer = await Viewer.open(browser, broadcast, 'flv');
  await viewer.page.waitForFunction(() => window.__oriel?.room.link === 'open');
  await viewer.page.keyboard.press('c');
  await viewer.page.keyboard.type('<img src=x onerror="document.title=1"> hello');
  await viewer.page.keyboard.press('Enter');
  await expect(viewer.page.getByText('<img src=x onerror')).toBeVisible();
  expect(await viewer.page.title()).not.toBe('1');
  await viewer.close();
});
