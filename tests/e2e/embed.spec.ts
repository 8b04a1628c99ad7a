/** The player in a frame of another site, and what that site may not frame. */

import { createServer, type Server as HttpServer } from 'node:http';

import { AxeBuilder } from '@axe-core/playwright';
import { type Frame, type Page, expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { type Broadcast, Server } from '../support/server.ts';

let server: Server;
let encoder: Encoder;
let broadcast: Broadcast;
let other: HttpServer;
/** Another site: another host than the server's. */
let elsewhere: string;

test.beforeAll(async () => {
  server = await Server.start();
  broadcast = await server.broadcast('Framed & shown');
  encoder = Encoder.ffmpeg(broadcast.publishUrl);
  await server.live(broadcast.id);
  other = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').searchParams.get('frame') ?? '/';
    response.setHeader('content-type', 'text/html');
    const allow = 'autoplay; fullscreen; picture-in-picture';
    response.end(`<!doctype html><title>Elsewhere</title><iframe width="640" height="360" title="x" allow="${allow}" src="${server.url}${path}"></iframe>`);
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  elsewhere = `http://127.0.0.1:${(other.address() as { port: number }).port}`;
});

test.afterAll(async () => {
  await encoder?.kill();
  await server?.stop();
  other?.close();
});

async function framed(page: Page, path: string): Promise<Frame> {
  await page.goto(`${elsewhere}/?frame=${encodeURIComponent(path)}`);
  const frame = page.frames()[1];
  if (!frame) throw new Error('the page has no frame');
  return frame;
}

test('the player plays in a frame of another site, live and as a replay', async ({ page }) => {
  const frame = await framed(page, `/embed/${broadcast.id}`);
  await frame.waitForFunction(() => window.__oriel?.phase === 'playing', undefined, { timeout: 30_000 });
  await frame.waitForFunction(() => window.__oriel.room.viewers === 1, undefined, { timeout: 30_000 });
  await expect(frame.getByRole('link', { name: /Framed & shown/ })).toHaveAttribute('target', '_blank');
  expect((await new AxeBuilder({ page }).include('iframe').analyze()).violations.map(({ id }) => id)).toEqual([]);

  await server.api('POST', `/broadcasts/${broadcast.id}/end`);
  await frame.getByRole('button', { name: 'Watch the replay' }).click({ timeout: 30_000 });
  await frame.waitForFunction(() => window.__oriel.recording?.current_s > 1);
  expect((await new AxeBuilder({ page }).include('iframe').analyze()).violations.map(({ id }) => id)).toEqual([]);
});

test('no other page may be framed', async ({ page }) => {
  for (const path of ['/', '/go', '/signin', `/watch/${broadcast.id}`]) {
    const refused = page.waitForEvent('console', (line) => /frame/i.test(line.text()) && line.type() === 'error');
    const frame = await framed(page, path);
    await refused;
    expect(await frame.locator('#app').count(), path).toBe(0);
  }
});

test('a crawler that runs no script finds title, picture and player', async ({ request }) => {
  const html = await (await request.get(broadcast.watchUrl)).text();
  const tag = (name: string): string => new RegExp(`(?:property|name)="${name}" content="([^"]*)"`).exec(html)?.[1] ?? '';
  expect(tag('og:title')).toBe('Framed &amp; shown');
  expect(tag('twitter:card')).toBe('player');
  const picture = await request.get(tag('og:image'));
  expect(picture.headers()['content-type']).toBe('image/jpeg');
  const address = /json\+oembed" href="([^"]*)"/.exec(html)?.[1]?.replaceAll('&amp;', '&') ?? '';
  const said = await (await request.get(address)).json();
  expect(said.html).toContain(`src="${server.url}/embed/${broadcast.id}"`);
  expect(said.width / said.height).toBeCloseTo(16 / 9, 1);
});
