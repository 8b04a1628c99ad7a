/** A broadcast watched again: in step with what was said, across breaks, rewound while it is live, hidden and deleted. */

import { AxeBuilder } from '@axe-core/playwright';
import { type Page, expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { type Broadcast, Server } from '../support/server.ts';
import { Viewer } from '../support/viewer.ts';

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

/** The replay, when it is whole. */
async function replay(id: string): Promise<any> {
  await expect.poll(async () => (await server.api('GET', `/replays/${id}`)).body.recording, { timeout: 20_000 }).toBe(false);
  return (await server.api('GET', `/replays/${id}`)).body;
}

/** Waits until so much of the broadcast is recorded. */
async function recorded(id: string, segments: number): Promise<void> {
  const listed = async () => ((await (await fetch(`${server.url}/replay/${id}/dvr.m3u8`)).text()).match(/#EXTINF/g) ?? []).length;
  await expect.poll(listed, { timeout: 60_000 }).toBeGreaterThanOrEqual(segments);
}

/** Publishes for a while, then ends the broadcast. */
async function finished(seconds: number, title?: string): Promise<Broadcast> {
  const broadcast = await server.broadcast(title);
  const encoder = Encoder.synthetic(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    // Segments last two seconds here.
    await recorded(broadcast.id, Math.ceil(seconds / 2));
    await server.api('POST', `/broadcasts/${broadcast.id}/end`);
  } finally {
    await encoder.kill();
  }
  await replay(broadcast.id);
  return broadcast;
}

/** Distance between the clock in the picture and the capture time that the page goes by, milliseconds; null while unreadable. */
function clockAgainstPage(page: Page): Promise<number | null> {
  return page.evaluate(() => {
    const { element, recording } = window.__oriel;
    const read = (window as any).readClock(element, element.videoWidth, element.videoHeight);
    return read === null || recording.captured_ms === null ? null : recording.captured_ms - read.unixMs;
  });
}

/** Opens the home page; the titles of the replays it is given. */
async function listed(page: Page): Promise<string[]> {
  const answer = page.waitForResponse((response) => response.url().endsWith('/api/v1/replays'));
  await page.goto(server.url);
  return (await (await answer).json()).replays.map(({ title }: { title: string }) => title);
}

const place = (page: Page): Promise<number> => page.evaluate(() => window.__oriel.element.currentTime);

test('a replay plays with sound, seeks by keyboard, and its pictures are those of the time it says', async ({ browser }) => {
  const broadcast = await finished(12);
  const viewer = await Viewer.open(browser, broadcast, undefined, { width: 1280, height: 800 });
  const { page } = viewer;
  await page.getByRole('button', { name: 'Play the replay' }).click();
  await page.waitForFunction(() => window.__oriel?.recording?.current_s > 1.5 && !window.__oriel.recording.paused);
  expect(await page.evaluate(() => window.__oriel.element.muted)).toBe(false);
  await page.keyboard.press(' ');
  await page.waitForFunction(() => window.__oriel.recording.paused);

  const seek = page.getByRole('slider', { name: 'Seek' });
  await seek.focus();
  await page.keyboard.press('Home');
  await expect.poll(() => place(page)).toBe(0);
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => place(page)).toBe(5);
  await expect(seek).toHaveAttribute('aria-valuetext', /^5 s of \d+ s$/);
  // The time at which it was taken stands in the picture, and the encoder stamps it as capture time.
  await expect.poll(async () => Math.abs((await clockAgainstPage(page)) ?? Infinity)).toBeLessThan(100);
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => place(page)).toBe(0);

  await page.getByLabel('Speed').selectOption('2');
  expect(await page.evaluate(() => window.__oriel.element.playbackRate)).toBe(2);
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => window.__oriel.element.ended, undefined, { timeout: 30_000 });
  await accessible(page, 'replay');
  expect(viewer.problems).toEqual([]);

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: /Download as MP4/ }).click()]);
  expect(download.suggestedFilename()).toMatch(/\.mp4$/);
  await download.cancel();
  await page.setViewportSize({ width: 390, height: 844 });
  await accessible(page, 'replay on a phone');
  await viewer.close();
});

test('comments and hearts appear when the picture is shown that their senders saw', async ({ browser }) => {
  const broadcast = await server.broadcast();
  const encoder = Encoder.ffmpeg(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    const viewer = await Viewer.open(browser, broadcast, 'flv');
    const { page } = viewer;
    await viewer.playing('flv');
    const say = async (text: string): Promise<void> => {
      await page.getByLabel('Your comment').fill(text);
      await page.keyboard.press('Enter');
      await expect(page.getByLabel('Comments').getByText(text)).toBeVisible();
    };
    await say('at the beginning');
    await page.getByRole('button', { name: /Send a heart/ }).click();
    await page.waitForFunction(() => window.__oriel.room.hearts === 1);
    const before = (await viewer.page.evaluate(() => window.__oriel.captured_ms)) as number;
    await page.waitForFunction((from) => window.__oriel.captured_ms > from + 8_000, before, { timeout: 60_000 });
    await say('much later');
    const { body } = await server.api('GET', `/broadcasts/${broadcast.id}`);
    expect(body.urls.dvr).toContain(`/replay/${broadcast.id}/dvr.m3u8`);
    await server.api('POST', `/broadcasts/${broadcast.id}/end`);

    // Who watched to the end is offered the replay.
    await page.getByRole('button', { name: 'Watch the replay' }).click({ timeout: 30_000 });
    const comments = page.getByLabel('Comments');
    const said = (await server.api('GET', `/replays/${broadcast.id}/comments`)).body.comments as { text: string; time_ms: number }[];
    const [first, last] = said;
    expect([first?.text, last?.text]).toEqual(['at the beginning', 'much later']);
    await expect(comments.getByText('at the beginning')).toBeVisible({ timeout: 30_000 });
    const shownAt = await page.evaluate(() => window.__oriel.recording.captured_ms);
    expect(shownAt).toBeGreaterThanOrEqual((first?.time_ms ?? 0) - 250);
    await expect(comments.getByText('much later')).toBeHidden();
    await page.getByRole('slider', { name: 'Seek' }).focus();
    await page.keyboard.press('End');
    await expect(comments.getByText('much later')).toBeVisible();
    await page.keyboard.press('Home');
    await expect(comments.getByText('much later')).toBeHidden();
    const hearts = (await server.api('GET', `/replays/${broadcast.id}/hearts`)).body.hearts as { colours: number[] }[];
    expect(hearts.flatMap(({ colours }) => colours).reduce((sum, n) => sum + n, 0)).toBe(1);
    await viewer.close();
  } finally {
    await encoder.kill();
  }
});

test('an encoder that drops three times leaves one replay that plays across the breaks', async ({ browser }) => {
  const broadcast = await server.broadcast();
  const runs = 4;
  for (let run = 0; run < runs; run += 1) {
    const encoder = Encoder.ffmpeg(broadcast.publishUrl, { bframes: 2 });
    try {
      await server.live(broadcast.id);
      await recorded(broadcast.id, 2 * (run + 1));
    } finally {
      await encoder.kill();
    }
    await expect.poll(async () => (await server.api('GET', `/broadcasts/${broadcast.id}`)).body.interrupted, { timeout: 20_000 }).toBe(true);
  }
  await server.api('POST', `/broadcasts/${broadcast.id}/end`);
  const whole = await replay(broadcast.id);
  expect(whole.lost_ms).toBe(0);
  const list = await (await fetch(whole.urls.hls.replace('index', 'media'))).text();
  expect(list.match(/#EXT-X-DISCONTINUITY\n/g)).toHaveLength(runs - 1);

  const viewer = await Viewer.open(browser, broadcast);
  await viewer.page.getByRole('button', { name: 'Play the replay' }).click();
  await viewer.page.getByLabel('Speed').selectOption('2');
  // At an end that is reached nothing in between has stopped it.
  await viewer.page.waitForFunction(() => window.__oriel.element.ended, undefined, { timeout: 90_000 });
  expect(Math.abs((await place(viewer.page)) - whole.duration_ms / 1000)).toBeLessThan(0.5);
  expect(viewer.problems).toEqual([]);
  await viewer.close();
});

test('viewers go back while it is live, see how far, and return', async ({ browser }) => {
  const broadcast = await server.broadcast();
  const encoder = Encoder.synthetic(broadcast.publishUrl);
  try {
    await server.live(broadcast.id);
    await recorded(broadcast.id, 12);
    const viewer = await Viewer.open(browser, broadcast);
    const { page } = viewer;
    await viewer.playing();
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => window.__oriel.recording?.live && window.__oriel.recording.current_s > 0 && !window.__oriel.recording.paused, undefined, {
      timeout: 30_000,
    });
    await expect(page.getByText(/^\d+ s behind$/)).toBeVisible();
    // What the page says is what the clock in the picture says.
    const honest = async (): Promise<number> => {
      const off = await clockAgainstPage(page);
      return off === null ? Infinity : Math.abs(off);
    };
    await expect.poll(honest, { timeout: 20_000 }).toBeLessThan(500);
    const behind = await page.evaluate(() => Date.now() - window.__oriel.recording.captured_ms);
    expect(behind).toBeGreaterThan(9_000);
    await page.waitForFunction(() => window.__oriel.room.viewers === 1, undefined, { timeout: 30_000 });
    await accessible(page, 'rewound');
    await page.getByRole('button', { name: 'Back to live' }).click();
    await viewer.playing();
    expect(await page.evaluate(() => window.__oriel.recording)).toBe(null);
    expect(viewer.problems).toEqual([]);
    await viewer.close();
    await server.api('POST', `/broadcasts/${broadcast.id}/end`);
  } finally {
    await encoder.kill();
  }
});

test('its owner hides a replay, shows it again and deletes it; the list follows', async ({ browser }) => {
  const broadcast = await finished(4, 'Owned and gone');
  const context = await browser.newContext();
  const owner = await context.newPage();
  await owner.goto(`${server.url}/signin`);
  await owner.getByLabel('Name').fill('tester');
  await owner.getByLabel('Password').fill('correct horse battery');
  await owner.keyboard.press('Enter');
  await expect(owner.getByRole('button', { name: 'Sign out' })).toBeVisible();
  const guest = await (await browser.newContext()).newPage();

  await guest.goto(server.url);
  const card = guest.getByRole('link', { name: /Owned and gone/ });
  await expect(card).toBeVisible();
  await expect(card.locator('img')).toBeVisible();
  await accessible(guest, 'home with replays');
  await card.click();
  await expect(guest.getByRole('button', { name: 'Play the replay' })).toBeVisible();
  await expect(guest.getByLabel('Who may watch')).toHaveCount(0);

  await owner.goto(broadcast.watchUrl);
  await owner.getByLabel('Who may watch').first().selectOption('private');
  await expect(owner.getByText('Saved').first()).toBeVisible();
  await accessible(owner, 'replay of one’s own');
  await guest.reload();
  await expect(guest.getByText('This broadcast has ended.')).toBeVisible();
  expect(await listed(guest)).not.toContain('Owned and gone');
  await expect(card).toHaveCount(0);
  await owner.goto(server.url);
  await expect(owner.getByRole('link', { name: /only you.*Owned and gone/ })).toBeVisible();

  await owner.goto(broadcast.watchUrl);
  await owner.getByLabel('Who may watch').first().selectOption('public');
  await expect(owner.getByText('Saved').first()).toBeVisible();
  await owner.getByRole('button', { name: 'Delete' }).first().click();
  await accessible(owner, 'deleting a replay');
  await owner.getByRole('button', { name: 'Delete for good' }).click();
  await expect(owner.getByText('This broadcast has ended.')).toBeVisible();
  expect((await fetch(`${server.url}/replay/${broadcast.id}.mp4`)).status).toBe(404);
  expect(await listed(guest)).not.toContain('Owned and gone');
  await expect(card).toHaveCount(0);
  await context.close();
});
