/** Which rungs this browser can try here, in order, with the reason in words for each that it cannot. */

import type { RungChoice, RungName } from './ladder';

export const RUNGS: readonly RungName[] = ['moq', 'webrtc', 'flv', 'llhls', 'hls'];

export const RUNG_WORDS: Record<RungName, { name: string; what: string }> = {
  moq: { name: 'MoQ', what: 'Media over QUIC, the quickest' },
  webrtc: { name: 'WebRTC', what: 'as in a video call' },
  flv: { name: 'HTTP-FLV', what: 'one steady HTTP stream' },
  llhls: { name: 'LL-HLS', what: 'low-latency HLS, small pieces' },
  hls: { name: 'HLS', what: 'plain HLS, the steadiest' },
};

export interface Abilities {
  secure: boolean;
  webCodecs: boolean;
  audioWorklet: boolean;
  webRtc: boolean;
  mse: boolean;
  nativeHls: boolean;
}

export function abilities(): Abilities {
  return {
    secure: isSecureContext,
    // @moq/watch also uses Promise.withResolvers, which is younger than WebCodecs.
    webCodecs: 'VideoDecoder' in globalThis && 'AudioDecoder' in globalThis && 'withResolvers' in Promise,
    audioWorklet: 'AudioWorkletNode' in globalThis,
    webRtc: 'RTCPeerConnection' in globalThis,
    mse: 'MediaSource' in globalThis || 'ManagedMediaSource' in globalThis,
    nativeHls: document.createElement('video').canPlayType('application/vnd.apple.mpegurl') !== '',
  };
}

export function choices(can: Abilities, pinned: string | null): RungChoice[] {
  const all = RUNGS.map((name): RungChoice => ({ name, unavailable: reason(name, can) }));
  const pin = all.find(({ name }) => name === pinned);
  // A pinned rung is tried whatever we think of it.
  return pin ? [{ name: pin.name }] : all;
}

function reason(name: RungName, can: Abilities): string | undefined {
  switch (name) {
    case 'moq':
      if (!can.secure) return 'needs a page served over HTTPS';
      if (!can.webCodecs || !can.audioWorklet) return 'this browser has no WebCodecs';
      return undefined;
    case 'webrtc':
      return can.webRtc ? undefined : 'this browser has no WebRTC';
    case 'flv':
      return can.mse ? undefined : 'this browser has no Media Source Extensions';
    case 'llhls':
    case 'hls':
      return can.mse || can.nativeHls ? undefined : 'this browser plays no HLS';
  }
}
