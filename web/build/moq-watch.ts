/**
 * Two repairs of @moq/watch 0.4.6 while it is bundled. Each fails the build when its pattern is gone, so that an
 * upgrade of the package cannot lose them silently.
 *
 * 1. Its audio and video subscriptions name no maximum age, which on the wire means "skip every group but the newest".
 *    One AAC frame is one group, so a burst from the publisher loses most of the sound (measured: 30 to 95 % silence).
 * 2. Its audio worklet is a string turned into a blob: script. We emit the same text as a file, so that the page's
 *    content security policy needs no `blob:` in script-src.
 */
import type { Plugin } from 'vite';

/** How old a group may be before the relay skips it, in milliseconds. The jitter buffer drops what is too late anyway. */
const AUDIO_MAX_AGE_MS = 1000;
const VIDEO_MAX_AGE_MS = 1000;

const SOURCE = /@moq\/watch\/source-[^/]*\.js$/;
const AUDIO = 'subscribe({ priority: s.PRIORITY.audio })';
const VIDEO = 'subscribe({ priority: s.PRIORITY.video })';
const WORKLET = /(\w+) = new Blob\(\[("(?:[^"\\]|\\.)*")\], \{ type: "application\/javascript" \}\), (\w+) = URL\.createObjectURL\(\1\)/;

export function moqWatch(): Plugin {
  let patched = false;
  let built = false;
  return {
    name: 'oriel:moq-watch',
    enforce: 'pre',
    config: () => ({ optimizeDeps: { exclude: ['@moq/watch'] } }),
    buildStart() {
      patched = false;
    },
    resolveId(id) {
      // The Opus polyfill is for browsers without AudioDecoder; those skip the MoQ rung (rungs/support.ts).
      if (id === '@libav.js/variant-opus-af' || id === '@kixelated/libavjs-webcodecs-polyfill') return '\0oriel:no-libav';
      return null;
    },
    load(id) {
      return id === '\0oriel:no-libav' ? 'export const load = () => Promise.reject(new Error("no AudioDecoder"));' : null;
    },
    transform(code, id) {
      if (!SOURCE.test(id.split('?')[0] ?? '')) return null;
      let out = replaceOnce(code, AUDIO, `subscribe({ priority: s.PRIORITY.audio, latencyMax: ${AUDIO_MAX_AGE_MS} })`);
      out = replaceOnce(out, VIDEO, `subscribe({ priority: s.PRIORITY.video, latencyMax: ${VIDEO_MAX_AGE_MS} })`);
      const worklet = WORKLET.exec(out);
      if (!worklet) throw new Error('@moq/watch: the audio worklet blob is not where it was; see build/moq-watch.ts');
      const [whole, blob, text, url] = worklet as unknown as [string, string, string, string];
      const source = JSON.parse(text) as string;
      // The dev server has no emitted files: it keeps the blob.
      if (this.environment.mode === 'build') {
        const file = this.emitFile({ type: 'asset', name: 'moq-audio-worklet.js', source });
        out = out.replace(whole, () => `${blob} = null, ${url} = import.meta.ROLLUP_FILE_URL_${file}`);
      }
      patched = true;
      return { code: out, map: null };
    },
    generateBundle() {
      built = true;
    },
    closeBundle() {
      if (built && !patched) throw new Error('@moq/watch was bundled without its repairs; see build/moq-watch.ts');
    },
  };
}

function replaceOnce(code: string, from: string, to: string): string {
  if (code.split(from).length !== 2) throw new Error(`@moq/watch: expected exactly one "${from}"; see build/moq-watch.ts`);
  return code.replace(from, to);
}
