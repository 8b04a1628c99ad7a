// MoQ over WebSocket for the mock: the media of media.mjs as a hang broadcast, AAC one frame a group and in bursts, as a
// real publisher's interleaving makes it.
import Session, { selectSubprotocol } from '@moq/qmux';

// @moq uses Promise.withResolvers; Node 20 does not have it yet.
Promise.withResolvers ??= function () {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
};
const Net = await import('@moq/net');

const PROTOCOLS = { 'moq-lite-05': null };
const EPOCH_MS = Date.UTC(2020, 0, 1);
/** So many audio frames arrive together. */
const BURST = 3;

export const subprotocol = (offered) => selectSubprotocol([...offered], { protocols: Object.keys(PROTOCOLS), versions: PROTOCOLS });

export async function serve(socket, protocol, id, media) {
  socket.binaryType = 'arraybuffer';
  const session = Session.accept(socket);
  await session.ready;
  const connection = await Net.Connection.accept(session, new URL('http://mock/'));
  const broadcast = new Net.Broadcast.Producer();
  const catalog = broadcast.createTrack('catalog.json');
  const video = broadcast.createTrack('video', { timescale: 1_000_000 });
  const audio = broadcast.createTrack('audio', { timescale: 1_000_000 });
  const formats = {};
  let group = null;
  let burst = [];

  function announce(zero_ms) {
    const group = catalog.appendGroup();
    group.writeString(
      JSON.stringify({
        clock: { wall: Math.round(zero_ms - EPOCH_MS), timescale: 1000 },
        video: { renditions: { video: { codec: formats.video.codec, container: { kind: 'legacy' }, description: formats.video.description, codedWidth: 640, codedHeight: 360, framerate: 30 } } },
        audio: { renditions: { audio: { codec: 'mp4a.40.2', container: { kind: 'legacy' }, description: formats.audio, sampleRate: 48_000, numberOfChannels: 1 } } },
      }),
    );
    group.close();
  }

  let announced = false;
  const stop = media.watch((tag) => {
    if (!tag || tag.length < 14 || tag[0] === 0x46) return;
    const at_ms = tag.readUIntBE(4, 3);
    const body = tag.subarray(11, -4);
    if (tag[0] === 9 && body[1] === 0) {
      const record = body.subarray(5);
      formats.video = { codec: `avc1.${record.subarray(1, 4).toString('hex')}`, description: record.toString('hex') };
    } else if (tag[0] === 8 && body[1] === 0) formats.audio = body.subarray(2).toString('hex');
    else if (!formats.video || !formats.audio) return;
    else if (tag[0] === 9) {
      if (!announced) announce(media.zero_ms);
      announced = true;
      const pts_us = (at_ms + body.readIntBE(2, 3)) * 1000;
      if (body[0] >> 4 === 1) {
        group?.close();
        group = video.appendGroup();
      }
      group?.writeFrame(frame(body.subarray(5), pts_us));
    } else if (tag[0] === 8) {
      burst.push([body.subarray(2), at_ms * 1000]);
      if (burst.length < BURST) return;
      for (const [data, pts_us] of burst) {
        const one = audio.appendGroup();
        one.writeFrame(frame(data, pts_us));
        one.close();
      }
      burst = [];
    }
  });
  connection.publish(Net.Path.from(id), broadcast);
  connection.closed.catch(() => undefined);
  socket.on('close', () => {
    stop();
    broadcast.close();
  });
}

function frame(data, pts_us) {
  const head = Net.Varint.encode(pts_us);
  const payload = new Uint8Array(head.byteLength + data.byteLength);
  payload.set(head);
  payload.set(data, head.byteLength);
  return { payload, timestamp: Net.Time.Timestamp.fromMicros(pts_us) };
}
