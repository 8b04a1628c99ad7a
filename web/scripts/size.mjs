// What a first visit costs, from the built files: fails when the watch page's own script passes its budget.
import { readdir, readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 200 * 1024;
const assets = new URL('../dist/assets/', import.meta.url);
const files = (await readdir(assets)).filter((name) => /\.(js|css)$/.test(name));
const sizes = await Promise.all(
  files.map(async (name) => ({ name, gzip: gzipSync(await readFile(new URL(name, assets)), { level: 9 }).length })),
);
sizes.sort((a, b) => b.gzip - a.gzip);
for (const { name, gzip } of sizes) console.log(`${(gzip / 1024).toFixed(1).padStart(8)} KiB gzip  ${name}`);

// Everything that is not a player library and so may be loaded before the first rung.
const first = sizes.filter(({ name }) => !/^(moq|flv|hls|mpegts)/.test(name));
const total = first.reduce((sum, { gzip }) => sum + gzip, 0);
console.log(`${(total / 1024).toFixed(1).padStart(8)} KiB gzip  all pages without the players (budget ${BUDGET_BYTES / 1024})`);
if (total > BUDGET_BYTES) process.exit(1);
