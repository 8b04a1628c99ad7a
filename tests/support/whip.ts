/** A camera that publishes by WHIP from a page: Chromium's fake one, a moving picture with a beep each second. */

import type { Browser, BrowserContext, Page } from '@playwright/test';

import type { Broadcast, Server } from './server.ts';

export interface Answered {
  status: number;
  location: string | null;
  etag: string | null;
  body: string;
}

export class Camera {
  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    readonly answered: Answered,
  ) {}

  /** Offers the camera; whether it is taken is in `answered`. */
  static async publish(browser: Browser, server: Server, broadcast: Broadcast, options: { audio?: boolean; video?: boolean; path?: string; key?: string } = {}): Promise<Camera> {
    const { audio = true, video = true, path = `/whip/${broadcast.id}`, key = broadcast.key } = options;
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url);
    const answered = await page.evaluate(
      async ({ audio, video, path, key }) => {
        const stream = await navigator.mediaDevices.getUserMedia({ audio, video: video && { width: 640, height: 360, frameRate: 30 } });
        const connection = new RTCPeerConnection();
        window.__connection = connection;
        for (const track of stream.getTracks()) {
          const { sender, receiver } = connection.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
          if (track.kind !== 'video' || !sender || !receiver) continue;
          const codecs = RTCRtpReceiver.getCapabilities('video')!.codecs.filter(({ mimeType }) => /h264|rtx/i.test(mimeType));
          connection.getTransceivers().at(-1)!.setCodecPreferences(codecs);
        }
        await connection.setLocalDescription();
        const response = await fetch(path, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/sdp' },
          body: connection.localDescription!.sdp,
        });
        const body = await response.text();
        if (response.status === 201) await connection.setRemoteDescription({ type: 'answer', sdp: body });
        return { status: response.status, location: response.headers.get('location'), etag: response.headers.get('etag'), body };
      },
      { audio, video, path, key },
    );
    return new Camera(page, context, answered);
  }

  async state(): Promise<string> {
    return this.page.evaluate(() => window.__connection!.connectionState);
  }

  /** What the connection sent, per kind of media. */
  async sent(): Promise<unknown> {
    return this.page.evaluate(async () => {
      const report = await window.__connection!.getStats();
      return [...report.values()].filter(({ type }) => type === 'outbound-rtp' || type === 'candidate-pair');
    });
  }

  async request(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<{ status: number; body: string }> {
    return this.page.evaluate(
      async ({ method, path, headers, body }) => {
        const response = await fetch(path, { method, headers, body });
        return { status: response.status, body: await response.text() };
      },
      { method, path, headers, body },
    );
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

declare global {
  interface Window {
    __connection?: RTCPeerConnection;
  }
}
