/** What the encoder's numbers mean, in words. Pure. */

import type { Health } from './api';
import { bitrate } from './format';

/** How many of three bars. */
export type Bars = 0 | 1 | 2 | 3;

export interface HealthLine {
  name: string;
  bars: Bars;
  words: string;
}

/** A keyframe interval longer than this makes joining slow. */
const KEYFRAME_GOOD_MS = 2_500;
const KEYFRAME_FAIR_MS = 5_000;

export function overall(health: Health): { bars: Bars; words: string } {
  if (!health.connected) return { bars: 0, words: 'No picture is coming from your encoder' };
  const worst = Math.min(...lines(health).map(({ bars }) => bars)) as Bars;
  if (worst <= 1) return { bars: 1, words: 'Viewers will notice' };
  if (worst === 2 || health.warnings.length > 0) return { bars: 2, words: 'Good, could be better' };
  return { bars: 3, words: 'Very good' };
}

export function lines(health: Health): HealthLine[] {
  const { video, audio } = health.bitrate_bps;
  const out: HealthLine[] = [
    {
      name: 'Upload',
      bars: video + audio === 0 ? 1 : 3,
      words: `${bitrate(video + audio)}: picture ${bitrate(video)}, sound ${audio ? bitrate(audio) : 'none'}`,
    },
  ];
  if (health.fps != null) {
    out.push({ name: 'Frame rate', bars: health.fps >= 23 ? 3 : health.fps >= 14 ? 2 : 1, words: `${round(health.fps)} frames a second` });
  }
  if (health.keyframe_interval_ms != null) {
    const every = health.keyframe_interval_ms;
    const bars: Bars = every <= KEYFRAME_GOOD_MS ? 3 : every <= KEYFRAME_FAIR_MS ? 2 : 1;
    const advice = bars === 3 ? '' : '; 2 s lets viewers join sooner';
    out.push({ name: 'Keyframes', bars, words: `one every ${round(every / 1000)} s${advice}` });
  }
  out.push({
    name: 'B-frames',
    bars: health.b_frames ? 2 : 3,
    words: health.b_frames ? 'on; off gives less delay' : 'off, best for low delay',
  });
  return out;
}

function round(n: number): string {
  return (Math.round(n * 10) / 10).toString();
}
