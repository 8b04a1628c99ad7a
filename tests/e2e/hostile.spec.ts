/** Strangers at the doors while a broadcast is on: it goes on, memory stays bounded, each of them is shown out. */

import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';

import { expect, test } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { run } from '../support/run.ts';
import { type Broadcast, Server } from '../support/server.ts';
import { Viewer, expectSmooth } from '../support/viewer.ts';

let server: Server;
let encoder: Encoder;
let broadcast: Broadcast;

test.beforeAll(async () => {
  // Everyone comes from one address here; the limits of one address are tested by themselves below.
  server = await Server.start({
    'limits.rtmp_connections_per_address': 2000,
    'limits.http_connections_per_address': 2000,
    'limits.header_timeout_s': 3,
    'limits.write_timeout_s': 3,
  });
  broadcast = await server.broadcast();
  encoder = Encoder.ffmpeg(broadcast.publishUrl);
  await server.live(broadcast.id);
});

test.afterAll(async () => {
  await encoder?.kill();
  await server?.stop();
});

/** Opens a connection and gives what came and when it was closed. */
async function dial(port: number, say: (socket: Socket) => void): Promise<{ closed: Promise<number>; socket: Socket }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const began = Date.now();
  const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(Date.now() - began)));
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.resume();
  say(socket);
  return { closed, socket };
}

/** While `hostilities` last, a viewer watches; they must not notice. */
async function undisturbed(browser: import('@playwright/test').Browser, hostilities: () => Promise<void>): Promise<void> {
  const viewer = await Viewer.open(browser, broadcast, 'flv');
  await viewer.playing();
  await viewer.watch(2);
  const stalls = (await viewer.state()).stalls;
  const [measured] = await Promise.all([viewer.watch(12), hostilities()]);
  expect((await viewer.state()).stalls - stalls).toBe(0);
  expectSmooth(measured, 12, 30);
  expect(encoder.running).toBe(true);
  await viewer.close();
}

test('garbage on every door', async ({ browser }) => {
  await undisturbed(browser, async () => {
    const doors = [server.ports.rtmp, server.ports.rtmps, server.ports.http];
    const visits = doors.flatMap((port) =>
      Array.from({ length: 50 }, () => dial(port, (socket) => socket.write(randomBytes(4096)))),
    );
    for (const visit of visits) expect(await (await visit).closed).toBeLessThan(15_000);
  });
});

test('half a handshake is closed at its deadline', async ({ browser }) => {
  await undisturbed(browser, async () => {
    const half = await dial(server.ports.rtmp, (socket) => socket.write(Buffer.concat([Buffer.from([3]), Buffer.alloc(700)])));
    expect(await half.closed).toBeLessThan(15_000);
  });
});

test('a chunk larger than any real one closes its own connection', async ({ browser }) => {
  await undisturbed(browser, async () => {
    const visit = await dial(server.ports.rtmp, (socket) => {
      socket.write(Buffer.concat([Buffer.from([3]), Buffer.alloc(1536), Buffer.alloc(1536)]));
      // Set Chunk Size to the largest number, then a message that announces 16 MB.
      socket.write(Buffer.from([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]));
      socket.write(Buffer.from([3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]));
    });
    expect(await visit.closed).toBeLessThan(5_000);
  });
});

test('a thousand idle connections', async ({ browser }) => {
  const before = server.rssKib();
  await undisturbed(browser, async () => {
    const visits = await Promise.all(Array.from({ length: 1000 }, () => dial(server.ports.rtmp, () => undefined)));
    expect(server.rssKib() - before).toBeLessThan(64 * 1024);
    await Promise.all(visits.map((visit) => visit.closed));
  });
});

test('a viewer that reads nothing is closed and costs a bounded amount', async ({ browser }) => {
  const before = server.rssKib();
  await undisturbed(browser, async () => {
    const deaf = Array.from({ length: 20 }, async () => {
      const socket = connect(server.ports.http, '127.0.0.1');
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.pause();
      socket.write(`GET /live/${broadcast.id}.flv HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      return socket;
    });
    const sockets = await Promise.all(deaf);
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    expect(server.rssKib() - before).toBeLessThan(48 * 1024);
    for (const socket of sockets) socket.destroy();
  });
});

test('one address gets no more connections than its share', async () => {
  const own = await Server.start({ 'limits.rtmp_connections_per_address': 4 });
  try {
    const visits = await Promise.all(Array.from({ length: 12 }, () => dial(own.ports.rtmp, () => undefined)));
    const early = await Promise.all(visits.map((visit) => Promise.race([visit.closed, new Promise<number>((resolve) => setTimeout(() => resolve(-1), 1500))])));
    expect(early.filter((closed) => closed !== -1).length).toBe(8);
    for (const { socket } of visits) socket.destroy();
  } finally {
    await own.stop();
  }
});

test('after all that a newcomer plays at once', async () => {
  const result = await run('ffprobe', ['-v', 'error', '-read_intervals', '%+2', '-show_entries', 'packet=pts', '-of', 'csv', `rtmp://127.0.0.1:${server.ports.rtmp}/play/${broadcast.id}`], 15_000);
  expect(result.stderr).toBe('');
  expect(result.stdout.trim().split('\n').length).toBeGreaterThan(50);
});
