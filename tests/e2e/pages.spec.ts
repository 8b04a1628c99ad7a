/** The pages as people use them: by thumb, by keyboard, with a screen reader; from sign-up to the end of a broadcast. */

import { AxeBuilder } from '@axe-core/playwright';
import { type Page, expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { Server } from '../support/server.ts';

let server: Server;

test.beforeAll(async () => {
  server = await Server.start();
});

test.afterAll(async () => {
  await server?.stop();
});

async function accessible(page: Page, what: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${what}: ${id} at ${nodes.map((node) => node.target).join(', ')}`)).toEqual([]);
}

test('nobody live: the home page says so and offers to begin', async ({ page }) => {
  await page.goto(server.url);
  await expect(page.getByText('Nobody is live')).toBeVisible();
  await accessible(page, 'home, empty');
});

test('a page or a broadcast that does not exist is named as such', async ({ page }) => {
  for (const path of ['/no/such/page', '/watch/abcdefghjkmnp']) {
    await page.goto(server.url + path);
    await expect(page.getByRole('link', { name: /who is live|home/i }).first()).toBeVisible();
    await accessible(page, path);
  }
});

test('going live: account, key, picture, health, viewers, end', async ({ page, browser }) => {
  await page.goto(`${server.url}/go`);
  await accessible(page, 'go live, signed out');
  const switchToNew = page.getByRole('button', { name: 'New here? Create an account' });
  if (await switchToNew.isVisible()) await switchToNew.click();
  await page.getByLabel('Name').fill('harbour');
  await page.getByLabel('Password').fill('a long enough password');
  await page.keyboard.press('Enter');

  await page.getByLabel(/title/i).fill('Morning at the harbour');
  await accessible(page, 'go live, new');
  await page.keyboard.press('Enter');
  await expect(page.getByText(/waiting for your encoder/i)).toBeVisible();
  await accessible(page, 'go live, waiting');
  await page.getByRole('button', { name: /show|reveal/i }).first().click();
  const { address, key } = await page.evaluate(() => {
    const values = [...document.querySelectorAll<HTMLInputElement>('input')].map((input) => input.value);
    return { address: values.find((value) => value.startsWith('rtmp://')) ?? '', key: values.find((value) => value.startsWith('ok_')) ?? '' };
  });
  expect(address).toContain(`:${server.ports.rtmp}/live`);
  expect(key).toMatch(/^ok_[A-Za-z0-9]{32}$/);

  const encoder = Encoder.ffmpeg(`${address.replace('localhost', '127.0.0.1')}/${key}`);
  try {
    await expect(page.getByText(/upload health/i)).toBeVisible({ timeout: 20_000 });
    await expect(page.getByText(/frames a second/i)).toBeVisible();
    await accessible(page, 'go live, on air');

    const home = await (await browser.newContext()).newPage();
    await home.goto(server.url);
    const card = home.getByRole('link', { name: /Morning at the harbour/ });
    await expect(card).toBeVisible();
    const picture = home.locator('img[src*="thumbnail"]').first();
    await expect(picture).toBeVisible({ timeout: 10_000 });
    await accessible(home, 'home');
    await card.first().click();
    await home.waitForFunction(() => window.__oriel?.phase === 'playing', undefined, { timeout: 30_000 });
    await accessible(home, 'watch');
    await home.keyboard.press('?');
    await expect(home.getByRole('dialog')).toBeVisible();
    await accessible(home, 'watch, help');
    await home.keyboard.press('Escape');

    // The end must be held: a slip ends nothing.
    await page.getByRole('button', { name: /end/i }).first().focus();
    await page.keyboard.down('Enter');
    await expect(home.getByText(/ended|is over/i).first()).toBeVisible({ timeout: 15_000 });
    await page.keyboard.up('Enter');
    await accessible(home, 'watch, ended');
    expect(await encoder.ended()).not.toBe(null);
  } finally {
    await encoder.kill();
  }
});

test('a wrong key is refused in words that ffmpeg prints', async () => {
  const encoder = Encoder.ffmpeg(`rtmp://127.0.0.1:${server.ports.rtmp}/live/ok_${'x'.repeat(32)}`);
  await encoder.ended();
  expect(encoder.log).toMatch(/stream key/i);
});

test('a second encoder on a live key is refused and the first goes on', async () => {
  const broadcast = await server.broadcast();
  const first = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const second = Encoder.ffmpeg(broadcast.publishUrl);
    await second.ended();
    expect(second.log).toMatch(/another encoder is live with this key/i);
    expect(first.running).toBe(true);
  } finally {
    await first.kill();
  }
});

test('SIGTERM ends everything within ten seconds and viewers are told', async ({ browser }) => {
  const own = await Server.start();
  const broadcast = await own.broadcast();
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await own.live(broadcast.id);
    const page = await (await browser.newContext()).newPage();
    await page.goto(broadcast.watchUrl);
    await page.waitForFunction(() => window.__oriel?.phase === 'playing', undefined, { timeout: 30_000 });
    const { code, tookMs } = await own.terminate();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(10_000);
    await page.waitForFunction(() => window.__oriel?.room.link !== 'open');
  } finally {
    await encoder.kill();
    await own.stop();
  }
});
