/**
 * Media over QUIC through @moq/watch: WebTransport, or a WebSocket when UDP does not get through; WebCodecs onto a
 * canvas. The pieces are put together here rather than taking the <moq-watch> element, since we want its timestamps and
 * errors.
 *
 * Capture times: the catalog's root has `clock {wall, timescale}`, the wall time of media time 0 in units of 1/timescale
 * second since 2020-01-01.
 */

import * as Watch from '@moq/watch';

import { MotionWatch } from '../motion';
import type { Emit, Rung, RungStats, Source } from '../rung';

/** Held on top of one frame's time for jitter, milliseconds. Audio leaves when it is full, so it must hold a burst. */
const LATENCY_MS = 70;
/** Of a clock that names none. */
const DEFAULT_TIMESCALE = 1_000_000;
const MOQ_EPOCH_MS = Date.UTC(2020, 0, 1);
const TICK_MS = 100;
const SAMPLE_MS = 500;

const { Signal, Effect } = Watch.Signals;

export class MoqRung implements Rung {
  readonly name = 'moq';
  readonly element = document.createElement('canvas');
  #source: Source;
  #emit: Emit;
  #motion = new MotionWatch();
  #parts: Parts | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sampledAt = 0;
  #connected = false;
  #sound = { muted: new Signal(true), volume: new Signal(0) };

  constructor(source: Source, emit: Emit) {
    this.#source = source;
    this.#emit = emit;
  }

  start(): void {
    const parts = assemble(this.#source, this.element, this.#sound);
    this.#parts = parts;
    parts.connection.closed.catch((error: unknown) => this.#send({ type: 'failed', reason: String(error) }));
    let connecting = false;
    parts.effect.run((effect) => {
      // The first try decides: another rung starts sooner than a second one. Later losses show as a stall.
      const status = effect.get(parts.connection.status);
      if (connecting && status === 'disconnected') this.#send({ type: 'failed', reason: 'no connection by QUIC or WebSocket' });
      connecting = status === 'connecting' && !this.#connected;
      if (status === 'connected') this.#connected = true;
    });
    parts.effect.run((effect) => {
      if (effect.get(parts.videoSource.out.error)) {
        this.#send({ type: 'failed', reason: 'this browser cannot decode the picture', permanent: true });
      }
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    const parts = this.#parts;
    this.#parts = null;
    parts?.effect.close();
  }

  setSound(on: boolean, volume: number): void {
    this.#sound.muted.set(!on);
    this.#sound.volume.set(on ? volume : 0);
  }

  stats(): RungStats {
    const parts = this.#parts;
    const session = parts?.connection.established.peek();
    const stats = parts?.video.out.stats.peek();
    return {
      stalls: this.#motion.stalls,
      stalled_ms: Math.round(this.#motion.stalled_ms),
      buffer_ms: parts ? Math.round(parts.sync.out.buffer.peek()) : null,
      transport: session ? transportName(session.transport) : 'connecting',
      protocol: session?.version ?? null,
      frames: stats?.frameCount ?? 0,
      audio_bytes: parts?.audio.out.stats.peek()?.bytesReceived ?? 0,
    };
  }

  #tick(): void {
    const parts = this.#parts;
    if (!parts) return;
    const now = performance.now();
    // Sound alone moves too.
    const audioOnly = parts.catalogHas('audio') && !parts.catalogHas('video');
    const at = (audioOnly ? parts.sync.out.timestamp : parts.renderer.out.timestamp).peek() ?? null;
    const motion = this.#motion.sample(now, at, document.hidden);
    if (motion === 'started' || motion === 'resumed') this.#send({ type: 'playing' });
    else if (motion === 'stalled') this.#send({ type: 'stalled' });
    if (now - this.#sampledAt < SAMPLE_MS || at === null) return;
    this.#sampledAt = now;
    const zero_ms = clockZero(parts.broadcast.out.catalog.peek());
    if (zero_ms !== null) this.#send({ type: 'sample', captured_ms: zero_ms + at });
  }

  #send(event: Parameters<Emit>[0]): void {
    if (this.#parts) this.#emit(event);
  }
}

type Parts = ReturnType<typeof assemble>;

function assemble(
  source: Source,
  canvas: HTMLCanvasElement,
  sound: { muted: InstanceType<typeof Signal<boolean>>; volume: InstanceType<typeof Signal<number>> },
) {
  const effect = new Effect();
  const on = new Signal(true);
  const connection = new Watch.Net.Connection.Reload({
    enabled: true,
    url: new URL(source.urls.moq, location.href),
    delay: { initial: 300, multiplier: 2, max: 3_000, timeout: 15_000 },
  });
  const broadcast = new Watch.Broadcast({
    connection: connection.established,
    enabled: on,
    name: new Signal(Watch.Net.Path.from(source.id)),
    reload: new Signal(true),
    catalogFormat: new Signal<'hang' | undefined>('hang'),
  });
  const videoSource = new Watch.Video.Source({ broadcast: new Signal(broadcast), supported: new Signal(Watch.Video.Decoder.supported) });
  const audioSource = new Watch.Audio.Source({ broadcast: new Signal(broadcast), supported: new Signal(Watch.Audio.Decoder.supported) });
  const sync = new Watch.Sync({
    latency: new Signal<Watch.Latency>(Watch.Net.Time.Milli(LATENCY_MS)),
    connection: connection.established,
    video: videoSource.out.jitter,
    audio: audioSource.out.jitter,
  });
  const listening = new Signal(false);
  const video = new Watch.Video.Decoder(videoSource, sync, { enabled: on });
  const audio = new Watch.Audio.Decoder(audioSource, sync, { enabled: listening });
  const emitter = new Watch.Audio.Emitter(audio, { volume: sound.volume, muted: sound.muted, paused: new Signal(false) });
  const renderer = new Watch.Video.Renderer(video, { canvas: new Signal(canvas), visible: new Signal<Watch.Video.Visible>('always') });
  effect.run((inner) => listening.set(inner.get(emitter.out.enabled)));
  for (const part of [connection, broadcast, videoSource, audioSource, sync, video, audio, emitter, renderer]) {
    effect.cleanup(() => part.close());
  }
  const catalogHas = (kind: 'video' | 'audio') => Boolean(broadcast.out.catalog.peek()?.[kind]);
  return { effect, connection, broadcast, videoSource, sync, video, audio, renderer, catalogHas };
}

/** Unix time of media time 0, milliseconds. The catalog keeps sections it does not know. */
function clockZero(catalog: unknown): number | null {
  const clock = (catalog as { clock?: { wall?: unknown; timescale?: unknown } } | undefined)?.clock;
  if (typeof clock?.wall !== 'number') return null;
  const scale = typeof clock.timescale === 'number' && clock.timescale > 0 ? clock.timescale : DEFAULT_TIMESCALE;
  return MOQ_EPOCH_MS + (clock.wall / scale) * 1000;
}

function transportName(transport: unknown): string {
  return String(transport).toLowerCase().includes('websocket') ? 'WebSocket' : 'WebTransport';
}
