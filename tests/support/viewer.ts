/** A person at the watch page: what they would see and hear, measured in the page. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { type Browser, type BrowserContext, type Page, expect } from '@playwright/test';

import type { Broadcast } from './server.ts';

export const RUNGS = ['moq', 'webrtc', 'flv', 'llhls', 'hls'] as const;
export type Rung = (typeof RUNGS)[number];

const READ_CLOCK = readFileSync(fileURLToPath(new URL('../../crates/lab/assets/read-clock.js', import.meta.url)), 'utf8');
const METER = readFileSync(fileURLToPath(new URL('./meter.js', import.meta.url)), 'utf8');

/** What the meter in the page found over a time. */
export interface Measured {
  /** Distinct pictures shown. */
  pictures: number;
  /** Longest time without a new picture, milliseconds. */
  longest_gap_ms: number;
  /** Delays from glass to glass of pictures whose clock could be read, milliseconds. */
  delays_ms: number[];
  /** Ticks heard in the sound. */
  ticks: number;
  /** How late the sound is against the picture; null where the clock or the ticks cannot be read. */
  sync_ms: number | null;
  /** Sound: blocks heard, and those below half the level of a steady tone. */
  sound: { blocks: number; silent: number; rms: number; longest_silence_ms: number };
}

export class Viewer {
  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    readonly problems: string[],
  ) {}

  static async open(browser: Browser, broadcast: Broadcast, rung?: Rung, size = { width: 900, height: 600 }): Promise<Viewer> {
    return Viewer.at(browser, broadcast.watchUrl + (rung ? `?rung=${rung}` : ''), size);
  }

  /** At any page that tells `window.__oriel` which element shows the picture. */
  static async at(browser: Browser, url: string, size = { width: 900, height: 600 }, prepare?: (context: BrowserContext) => Promise<void>): Promise<Viewer> {
    const context = await browser.newContext({ viewport: size });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.addInitScript(METER);
    await page.addInitScript(READ_CLOCK + '\nwindow.readClock = readClock;');
    await prepare?.(context);
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    return new Viewer(page, context, problems);
  }

  /** Waits until the picture moves. */
  async playing(rung?: Rung): Promise<void> {
    try {
      await this.page.waitForFunction((wanted) => {
        const state = window.__oriel;
        return state?.phase === 'playing' && (!wanted || state.rung === wanted);
      }, rung, { timeout: 30_000 });
    } catch (error) {
      throw new Error(`${rung ?? 'the ladder'} does not play: ${JSON.stringify(await this.state())}\n${this.problems.join('\n')}\n${error}`);
    }
  }

  async unmute(): Promise<void> {
    await this.page.keyboard.press('m');
  }

  async state(): Promise<any> {
    return this.page.evaluate(() => {
      const state = window.__oriel;
      if (!state) return null;
      const { rung, trying, phase, notice, latency_ms, stalls, stats, log, room } = state;
      return { rung, trying, phase, notice, latency_ms, stalls, stats, log: log.slice(-12), room };
    });
  }

  /** Watches for a while; the page measures every picture it is shown. */
  async watch(seconds: number): Promise<Measured> {
    await this.page.evaluate(() => window.__meter.start());
    await this.page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), seconds * 1000);
    return this.page.evaluate(() => window.__meter.stop());
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

/** The picture kept moving. Half the frames are enough: a browser without a GPU on a busy machine paints no more, stall or not. */
export function expectSmooth(measured: Measured, seconds: number, fps: number): void {
  expect(measured.pictures).toBeGreaterThan(seconds * fps * 0.5);
  expect(measured.longest_gap_ms).toBeLessThan(1_500);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

declare global {
  interface Window {
    __oriel?: any;
    __meter: { start(): void; stop(): Measured };
  }
}
