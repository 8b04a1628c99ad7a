/** Every publisher with every player; the table goes to docs/design/interop.md. `-g NAME` runs some rows and keeps the others. */

import { mkdirSync, writeFileSync } from 'node:fs';

import { expect, test } from '@playwright/test';

import { Server } from '../support/server.ts';
import { WORK, makeFilm } from './film.ts';
import { PUBLISHERS, type Publisher } from './publishers.ts';
import { impossible, judge, write } from './table.ts';
import { BATCHES, type Player } from './viewers.ts';

let server: Server;

test.beforeAll(async () => {
  await makeFilm();
  server = await Server.start();
});

test.afterAll(async () => {
  await server?.stop();
});

for (const publisher of PUBLISHERS) {
  test(publisher.name, async ({ browser }) => {
    const broadcast = await server.broadcast(publisher.name);
    const row: Record<string, string> = {};
    const publishing = await publisher.start(browser, server, broadcast);
    try {
      await server.live(broadcast.id).catch((error) => {
        throw new Error(`${publishing.log}\n${error}`);
      });
      for (const batch of BATCHES) await Promise.all(batch.map(async (player) => (row[player.name] = await cell(player))));
      if (!publishing.running) row.publisher = `FAILS: ended: ${publishing.log.slice(-300)}`;
    } finally {
      await publishing.kill();
      mkdirSync(`${WORK}/rows`, { recursive: true });
      writeFileSync(`${WORK}/rows/${publisher.name}.json`, JSON.stringify(row, null, 1));
      await write();
    }
    console.log(publisher.name, row);
    expect(Object.entries(row).filter(([, text]) => text.startsWith('FAILS'))).toEqual([]);

    async function cell(player: Player): Promise<string> {
      const why = impossible(publisher, player);
      if (why) return why;
      try {
        return judge(publisher, player, await player.watch(browser, server, broadcast, publisher));
      } catch (error) {
        return `FAILS: ${String(error).split('\n')[0]}`;
      }
    }
  });
}
