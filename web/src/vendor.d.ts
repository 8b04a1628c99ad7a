/** hls.js ships no types for its light build; it is the full one without subtitles, DRM and alternate audio. */
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}
