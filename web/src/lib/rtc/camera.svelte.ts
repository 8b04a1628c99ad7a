/**
 * The camera of this device, live by WHIP: it comes back by itself after the network or the page went away, within the time
 * that the server keeps the broadcast.
 */

import { exchange, gathered, h264First, hangUp } from './signal';

export type Phase =
  | 'off'
  /** The browser asks its user. */
  | 'asking'
  /** The picture is on the page and goes nowhere yet. */
  | 'ready'
  | 'connecting'
  | 'live'
  /** The connection was lost; another try follows. */
  | 'waiting';

type Facing = 'user' | 'environment';

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { channelCount: { ideal: 2 }, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** A common access line carries it to the viewers too; the browser goes below it when the uplink cannot. */
const MOST_BPS = 2_000_000;
/** Browsers say "disconnected" at every hiccup. */
const HICCUP_MS = 3_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000];

/** Refusals that another try does not change: the key is wrong, or the broadcast is over. */
const FINAL = [401, 404, 422];

export class Camera {
  phase: Phase = $state('off');
  /** What is wrong, in words. */
  trouble = $state('');
  muted = $state(false);
  facing: Facing = $state('user');
  /** Whether there is another camera to switch to. */
  several = $state(false);
  stream: MediaStream | null = $state.raw(null);

  #url: string;
  #token: string;
  #connection: RTCPeerConnection | null = null;
  #session: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #wanted = false;
  #lock: WakeLockSentinel | null = null;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  /** Asks for camera and microphone, and shows the picture. */
  async open(): Promise<boolean> {
    if (!navigator.mediaDevices?.getUserMedia) {
      this.trouble = 'A browser gives its camera only to pages served over HTTPS.';
      return false;
    }
    this.phase = 'asking';
    this.trouble = '';
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: AUDIO, video: { ...VIDEO, facingMode: this.facing } });
    } catch (error) {
      this.phase = 'off';
      this.trouble = refused(error);
      return false;
    }
    this.phase = 'ready';
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.several = devices.filter(({ kind }) => kind === 'videoinput').length > 1;
    return true;
  }

  async goLive(): Promise<void> {
    if (!this.stream && !(await this.open())) return;
    this.#wanted = true;
    addEventListener('online', this.#again);
    addEventListener('pagehide', this.#leave);
    document.addEventListener('visibilitychange', this.#wake);
    void this.#wake();
    await this.#connect();
  }

  /** Stops and gives the camera back. */
  async stop(): Promise<void> {
    this.#wanted = false;
    removeEventListener('online', this.#again);
    removeEventListener('pagehide', this.#leave);
    document.removeEventListener('visibilitychange', this.#wake);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.phase = 'off';
    void this.#lock?.release();
    this.#lock = null;
    await this.#drop();
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = !muted));
  }

  /** Front to back, or back to front, without a new connection. */
  async flip(): Promise<void> {
    const { stream } = this;
    const old = stream?.getVideoTracks()[0];
    if (!stream || !old) return;
    const facing: Facing = this.facing === 'user' ? 'environment' : 'user';
    // Phones have one camera open at a time.
    old.stop();
    const video = await this.#other(facing, old);
    if (!video) return;
    stream.removeTrack(old);
    stream.addTrack(video);
    const sender = this.#connection?.getSenders().find(({ track }) => track === old || track?.kind === 'video');
    await sender?.replaceTrack(video);
    this.stream = new MediaStream(stream.getTracks());
  }

  async #other(facing: Facing, old: MediaStreamTrack): Promise<MediaStreamTrack | null> {
    const used = old.getSettings().deviceId;
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === 'videoinput');
    const next = devices[(devices.findIndex(({ deviceId }) => deviceId === used) + 1) % devices.length];
    // Phones know which way a camera looks; other machines have a list of them.
    const choice = old.getSettings().facingMode || !next ? { facingMode: facing } : { deviceId: { exact: next.deviceId } };
    for (const wish of [choice, { facingMode: this.facing }]) {
      try {
        const [track] = (await navigator.mediaDevices.getUserMedia({ video: { ...VIDEO, ...wish } })).getVideoTracks();
        if (wish === choice) this.facing = facing;
        return track ?? null;
      } catch (error) {
        this.trouble = refused(error);
      }
    }
    return null;
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer);
    const { stream } = this;
    if (!this.#wanted || !stream) return;
    this.phase = 'connecting';
    // The server takes one publisher at a time: the session before must be gone.
    await this.#drop();
    const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#connection = connection;
    for (const track of stream.getTracks()) {
      const encodings = track.kind === 'video' ? [{ maxBitrate: MOST_BPS }] : [{ maxBitrate: 128_000 }];
      const transceiver = connection.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings: encodings });
      if (track.kind === 'video') {
        track.contentHint = 'motion';
        h264First(transceiver);
      }
    }
    connection.addEventListener('connectionstatechange', () => this.#changed(connection));
    await gathered(connection);
    const answer = await exchange(this.#url, connection.localDescription?.sdp ?? '', this.#token);
    if (!this.#wanted || this.#connection !== connection) {
      if ('session' in answer) void hangUp(answer.session);
      return;
    }
    if ('refusal' in answer) {
      this.trouble = `The server says: ${answer.refusal}.`;
      if (FINAL.includes(answer.status) || answer.refusal.includes('is over')) {
        this.#wanted = false;
        this.phase = 'ready';
        return;
      }
      this.#retry();
      return;
    }
    this.#session = answer.session;
    try {
      await connection.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    } catch (error) {
      this.trouble = String(error);
      this.#retry();
      return;
    }
    this.#timer = setTimeout(() => this.#lost(connection), 15_000);
  }

  #changed(connection: RTCPeerConnection): void {
    if (connection !== this.#connection) return;
    const state = connection.connectionState;
    if (state === 'connected') {
      clearTimeout(this.#timer);
      this.#tries = 0;
      this.trouble = '';
      this.phase = 'live';
    } else if (state === 'disconnected') {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#lost(connection), HICCUP_MS);
    } else if (state === 'failed' || state === 'closed') this.#lost(connection);
  }

  #lost(connection: RTCPeerConnection): void {
    if (connection !== this.#connection || connection.connectionState === 'connected') return;
    this.#retry();
  }

  #retry(): void {
    clearTimeout(this.#timer);
    if (!this.#wanted) return;
    this.phase = 'waiting';
    const wait = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)] ?? 0;
    this.#tries += 1;
    this.#timer = setTimeout(() => void this.#connect(), wait);
  }

  /** The network is another: at once, without waiting for the old one to be given up. */
  #again = (): void => {
    if (!this.#wanted) return;
    this.#tries = 0;
    void this.#connect();
  };

  #leave = (): void => {
    void this.#drop();
  };

  async #drop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
    const session = this.#session;
    this.#session = null;
    if (session) await hangUp(session);
  }

  /** A phone that sleeps stops its camera. The lock goes whenever the page is hidden. */
  #wake = async (): Promise<void> => {
    if (!this.#wanted || document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return;
    this.#lock = await navigator.wakeLock.request('screen').catch(() => null);
  };
}

function refused(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') return 'The camera was not allowed. Allow it in the browser’s address bar and try again.';
  if (name === 'NotFoundError') return 'This device has no camera or microphone.';
  if (name === 'NotReadableError') return 'Another program uses the camera.';
  return `The camera does not open: ${String(error)}`;
}
