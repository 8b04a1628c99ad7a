import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

import { moqWatch } from './build/moq-watch.ts';

/** Where `npm run dev` finds the server (or `npm run mock`). */
const backend = process.env['ORIEL_BACKEND'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [moqWatch(), svelte()],
  build: {
    target: 'es2022',
    // Everything is a file of its own: the server's content security policy forbids data: scripts and inline styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    // The site, and the player that other sites may frame.
    rollupOptions: { input: ['index.html', 'embed.html'] },
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/live', '/hls', '/replay', '/whep', '/whip', '/moq', '/certificate.sha256'].map((path) => [path, { target: backend, ws: true }]),
    ),
  },
  test: { include: ['tests/unit/**/*.test.ts'], environment: 'node' },
});
