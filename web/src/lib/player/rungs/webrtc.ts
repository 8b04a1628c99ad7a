/**
 * WebRTC by WHEP: one offer, one answer, and the picture comes as a media stream.
 *
 * Capture times: RTP time is media time, and the answer says when media time 0 was.
 */

import { exchange, gathered, h264First, hangUp } from '../../rtc/signal';
import { type Emit, type Source, VideoRung } from '../rung';

/** No way through in this time: another rung starts sooner. */
const CONNECT_MS = 5_000;

/** 32 bits of 90 kHz. */
const RTP_ROUND_MS = 2 ** 32 / 90;

interface Presented {
  presentedFrames: number;
  rtpTimestamp?: number;
}

export class WebRtcRung extends VideoRung {
  readonly name = 'webrtc';
  #source: Source;
  #connection: RTCPeerConnection | null = null;
  #session: string | null = null;
  #frames = 0;
  #zero_ms: number | null = null;
  /** RTP time of the picture on screen. */
  #rtp: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: Source, emit: Emit) {
    super(emit);
    this.#source = source;
  }

  protected override async load(): Promise<void> {
    const { whep } = this.#source.urls;
    if (!whep) {
      this.emit({ type: 'failed', reason: 'WebRTC is off on this server', permanent: true });
      return;
    }
    const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#connection = connection;
    const stream = new MediaStream();
    connection.addTransceiver('audio', { direction: 'recvonly' });
    h264First(connection.addTransceiver('video', { direction: 'recvonly' }));
    connection.addEventListener('track', ({ track }) => stream.addTrack(track));
    connection.addEventListener('connectionstatechange', () => this.#changed(connection.connectionState));
    this.element.srcObject = stream;
    this.#watchFrames();
    this.#timer = setTimeout(() => this.emit({ type: 'failed', reason: 'no connection by UDP' }), CONNECT_MS);
    await gathered(connection);
    if (this.stopped) return;
    const answer = await exchange(whep, connection.localDescription?.sdp ?? '');
    if ('refusal' in answer) {
      // What cannot be carried now may be carried once the broadcaster has changed it: a later try up finds out.
      this.emit({ type: 'failed', reason: answer.refusal });
      return;
    }
    this.#session = answer.session;
    this.#zero_ms = answer.zero_ms;
    if (this.stopped) {
      hangUp(answer.session);
      return;
    }
    await connection.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    this.play();
  }

  protected override unload(): void {
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
    this.element.srcObject = null;
    if (this.#session) hangUp(this.#session);
  }

  /** The element's own time runs on when no picture comes. */
  protected override position(): number | null {
    if (this.element.videoWidth === 0 && this.element.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return this.element.currentTime;
    return this.#frames > 0 ? this.#frames : null;
  }

  protected override captured_ms(): number | null {
    if (this.#zero_ms === null || this.#rtp === null) return null;
    return unwrapped(this.#zero_ms + this.#rtp / 90, this.#source.serverNow());
  }

  protected override steer(): void {
    if (this.element.paused && !document.hidden) this.play();
  }

  protected override moreStats(): Record<string, number | string | null> {
    return { transport: 'WebRTC' };
  }

  #changed(state: RTCPeerConnectionState): void {
    if (state === 'connected') clearTimeout(this.#timer);
    else if (state === 'failed' || state === 'closed') this.emit({ type: 'failed', reason: 'the connection ended' });
  }

  #watchFrames(): void {
    if (!('requestVideoFrameCallback' in this.element)) return;
    const next = () =>
      this.element.requestVideoFrameCallback((_, metadata) => {
        const { presentedFrames, rtpTimestamp } = metadata as Presented;
        this.#frames = presentedFrames;
        if (rtpTimestamp !== undefined) this.#rtp = rtpTimestamp;
        if (!this.stopped) next();
      });
    next();
  }
}

/** RTP time begins anew every 13 hours: the round that is nearest to now. */
function unwrapped(time_ms: number, now_ms: number): number {
  return time_ms + Math.round((now_ms - time_ms) / RTP_ROUND_MS) * RTP_ROUND_MS;
}
