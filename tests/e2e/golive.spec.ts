/** Going live from the page itself: camera, mute, a reload, the end. */

import { expect, test } from '@playwright/test';

import { Server } from '../support/server.ts';

test('a browser goes live, survives a reload, and ends', async ({ browser }) => {
  const server = await Server.start();
  const context = await browser.newContext({ viewport: { width: 420, height: 900 } });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  try {
    await page.goto(`${server.url}/go`);
    await page.getByLabel('Name', { exact: false }).first().fill('cam');
    await page.getByLabel('Password').first().fill('correct horse battery');
    await page.locator('form button[type=submit], form button.main').first().click();
    await page.getByLabel(/title/i).first().fill('From my phone');
    await page.locator('form button[type=submit], form button.main').first().click();
    const camera = page.locator('section[data-phase]');
    await camera.getByRole('button', { name: 'Open camera' }).click();
    await camera.getByRole('button', { name: 'Go live' }).click();
    await expect(camera).toHaveAttribute('data-phase', 'live');
    const id = new URL(page.url()).pathname.split('/').at(-1)!;
    await server.live(id);
    await expect(page.getByText('You are live.')).toBeVisible();
    await camera.getByRole('button', { name: 'Mute' }).click();
    await expect(camera.getByRole('button', { name: 'Unmute' })).toBeVisible();

    await page.reload();
    await expect(camera).toHaveAttribute('data-phase', 'live');
    await server.live(id);

    await camera.getByRole('button', { name: 'Stop camera' }).click();
    await expect(page.getByText(/connection dropped/)).toBeVisible();
    expect(problems).toEqual([]);
  } finally {
    await context.close();
    await server.stop();
  }
});
