/** The rows of the table: other people's programs, sending one film. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Browser } from '@playwright/test';

import { Encoder } from '../support/encoder.ts';
import { type Broadcast, PYTHON, type Server } from '../support/server.ts';
import { FILM, RTC } from './film.ts';

export interface Publishing {
  /** What it has said so far. */
  readonly log: string;
  readonly running: boolean;
  kill(): Promise<void>;
}

export interface Publisher {
  name: string;
  program: string;
  /** What the sound is when it arrives: some players know Opus in few containers. */
  audio: 'aac' | 'opus';
  /** Encodes in real time on this machine, so that some pictures may be missing. */
  encodes: boolean;
  start(browser: Browser, server: Server, broadcast: Broadcast): Promise<Publishing>;
}

const copied = { audio: 'aac', encodes: false } as const;
const FFMPEG = `exec ffmpeg -hide_banner -loglevel warning -re -i ${FILM} -c copy`;
/** The sinks keep the clock: nothing upstream of them does. */
const GSTREAMER = `exec gst-launch-1.0 filesrc location=${FILM} ! matroskademux name=film`;

export const PUBLISHERS: Publisher[] = [
  {
    ...copied, name: 'ffmpeg RTMP', program: 'ffmpeg',
    start: async (_, __, broadcast) => Encoder.command(`${FFMPEG} -f flv ${broadcast.publishUrl}`),
  },
  {
    ...copied, name: 'ffmpeg RTMPS', program: 'ffmpeg',
    start: async (_, server, { key }) => Encoder.command(`${FFMPEG} -f flv rtmps://127.0.0.1:${server.ports.rtmps}/live/${key}`),
  },
  {
    ...copied, name: 'ffmpeg SRT', program: 'ffmpeg',
    start: async (_, server, { key }) => Encoder.command(`${FFMPEG} -f mpegts 'srt://127.0.0.1:${server.ports.srt}?streamid=${key}&pkt_size=1316'`),
  },
  {
    ...copied, name: 'ffmpeg HTTP', program: 'ffmpeg',
    start: async (_, server, { id, key }) =>
      Encoder.command(`${FFMPEG} -f mpegts -method POST -headers 'Authorization: Bearer ${key}' http://127.0.0.1:${server.ports.http}/ingest/${id}`),
  },
  {
    ...copied, name: 'curl HTTP', program: 'curl',
    start: async (_, server, { id, key }) =>
      Encoder.command(`${FFMPEG.replace('exec ', '')} -f matroska - | curl -sS -T - -H 'Authorization: Bearer ${key}' http://127.0.0.1:${server.ports.http}/ingest/${id}`),
  },
  { audio: 'aac', encodes: true, name: 'OBS RTMP', program: 'obs', start: obs },
  {
    ...copied, name: 'GStreamer RTMP', program: 'gst-launch-1.0',
    start: async (_, __, broadcast) =>
      Encoder.command(`${GSTREAMER} flvmux name=mux streamable=true ! rtmp2sink sync=true location=${broadcast.publishUrl} film. ! queue ! h264parse ! mux. film. ! queue ! aacparse ! mux.`),
  },
  {
    ...copied, name: 'GStreamer SRT', program: 'gst-launch-1.0',
    start: async (_, server, { key }) =>
      Encoder.command(`${GSTREAMER} mpegtsmux name=mux alignment=7 ! srtsink sync=true 'uri=srt://127.0.0.1:${server.ports.srt}?streamid=${key}' film. ! queue ! h264parse config-interval=-1 ! mux. film. ! queue ! aacparse ! mux.`),
  },
  {
    audio: 'opus', encodes: true, name: 'aiortc WHIP', program: 'aiortc',
    start: async (_, server, { id, key }) => Encoder.command(`exec ${PYTHON} ${RTC} publish ${server.url}/whip/${id} ${key} 280 ${FILM}`),
  },
  { audio: 'opus', encodes: true, name: 'Chromium WHIP', program: 'chromium', start: chromium },
];

/** OBS as its window would have set it up: one scene with the film, streaming at once. */
async function obs(_: Browser, server: Server, { key }: Broadcast): Promise<Publishing> {
  const home = mkdtempSync(join(tmpdir(), 'oriel-obs-'));
  const basic = join(home, 'obs-studio/basic');
  mkdirSync(join(basic, 'profiles/Test'), { recursive: true });
  mkdirSync(join(basic, 'scenes'), { recursive: true });
  const ini = (sections: Record<string, Record<string, string | number | boolean>>) =>
    Object.entries(sections).map(([name, keys]) => `[${name}]\n${Object.entries(keys).map(([key, value]) => `${key}=${value}\n`).join('')}`).join('\n');
  const named = { Profile: 'Test', ProfileDir: 'Test', SceneCollection: 'Test', SceneCollectionFile: 'Test' };
  writeFileSync(join(home, 'obs-studio/global.ini'), ini({ General: { FirstRun: true, EnableAutoUpdates: false, LastVersion: 0x1d000002 }, Basic: named, BasicWindow: { SysTrayEnabled: false } }));
  writeFileSync(join(basic, 'profiles/Test/basic.ini'), ini({
    General: { Name: 'Test' },
    Video: { BaseCX: 640, BaseCY: 360, OutputCX: 640, OutputCY: 360, FPSType: 0, FPSCommon: 30 },
    Audio: { SampleRate: 48000, ChannelSetup: 'Stereo' },
    Output: { Mode: 'Simple' },
    SimpleOutput: { VBitrate: 800, ABitrate: 128, StreamEncoder: 'x264', UseAdvanced: true, Preset: 'ultrafast', x264Settings: 'keyint=60 bframes=0 tune=zerolatency' },
  }));
  const service = { type: 'rtmp_custom', settings: { server: `rtmp://127.0.0.1:${server.ports.rtmp}/live`, key, use_auth: false, bwtest: false } };
  writeFileSync(join(basic, 'profiles/Test/service.json'), JSON.stringify(service));
  const film = { id: 'ffmpeg_source', versioned_id: 'ffmpeg_source', name: 'Film', settings: { local_file: FILM, looping: true, hw_decode: false }, mixers: 255, volume: 1.0, sync: 0, flags: 0, enabled: true };
  const item = { name: 'Film', id: 1, visible: true, pos: { x: 0, y: 0 }, scale: { x: 1, y: 1 }, bounds_type: 0 };
  const scene = { id: 'scene', versioned_id: 'scene', name: 'Scene', settings: { id_counter: 1, items: [item] }, enabled: true };
  writeFileSync(join(basic, 'scenes/Test.json'), JSON.stringify({
    name: 'Test', current_scene: 'Scene', current_program_scene: 'Scene', scene_order: [{ name: 'Scene' }], sources: [film, scene],
  }));
  return Encoder.command(`exec xvfb-run -a -s '-screen 0 800x600x24' obs --multi --profile Test --collection Test --startstreaming --disable-updater`, {
    XDG_CONFIG_HOME: home, HOME: home, XDG_RUNTIME_DIR: home, LIBGL_ALWAYS_SOFTWARE: '1', QT_QPA_PLATFORM: 'xcb',
  });
}

/** The film played in a page, and what the page shows sent on. */
async function chromium(browser: Browser, server: Server, { id, key }: Broadcast): Promise<Publishing> {
  const context = await browser.newContext();
  const page = await context.newPage();
  let log = '';
  page.on('console', (message) => (log += `${message.text()}\n`));
  await page.route('**/film', (route) => route.fulfill({ path: FILM.replace(/mkv$/, 'mp4'), contentType: 'video/mp4' }));
  await page.goto(`${server.url}/healthz`);
  const status = await page.evaluate(async ({ id, key }) => {
    const video = document.createElement('video');
    // A script's own data: the page's policy lets no film in by address.
    video.src = URL.createObjectURL(await (await fetch('/film')).blob());
    document.body.append(video);
    await video.play();
    const stream: MediaStream = (video as any).captureStream();
    const connection = new RTCPeerConnection();
    for (const track of stream.getTracks()) {
      const transceiver = connection.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
      if (track.kind === 'video') transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities('video')!.codecs.filter(({ mimeType }) => /h264|rtx/i.test(mimeType)));
    }
    await connection.setLocalDescription();
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/sdp' };
    const response = await fetch(`/whip/${id}`, { method: 'POST', headers, body: connection.localDescription!.sdp });
    const body = await response.text();
    if (response.status === 201) await connection.setRemoteDescription({ type: 'answer', sdp: body });
    connection.onconnectionstatechange = () => console.log(connection.connectionState);
    return response.status === 201 ? '' : `${response.status}: ${body}`;
  }, { id, key });
  if (status) throw new Error(status);
  return {
    get log() {
      return log;
    },
    running: true,
    kill: () => context.close(),
  };
}
