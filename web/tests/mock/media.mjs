// Live media for the mock: one ffmpeg makes H.264 and AAC as FLV; it is handed on as HTTP-FLV with onOrielClock tags, and
// a second ffmpeg remuxes it to plain HLS in a temporary directory.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HEADER = Buffer.from([0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0]);

export class Media {
  #viewers = new Set();
  #sequence = [];
  #group = [];
  #ffmpeg = null;
  #started_ms = 0;
  #offset_ms = 10_000;
  #seen_ms = 0;
  hls = mkdtempSync(join(tmpdir(), 'oriel-mock-'));

  /** Unix time of media time 0. */
  get zero_ms() {
    return this.#started_ms - this.#offset_ms;
  }

  start() {
    const args = ['-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-re', '-f', 'lavfi'];
    args.push('-i', 'sine=frequency=440:beep_factor=4:sample_rate=48000', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency');
    args.push('-pix_fmt', 'yuv420p', '-g', '60', '-b:v', '800k', '-c:a', 'aac', '-f', 'flv', 'pipe:1');
    args.push('-map', '0:v', '-map', '1:a', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '30');
    args.push('-c:a', 'aac', '-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_time', '1', '-hls_list_size', '6');
    args.push('-hls_flags', 'program_date_time+delete_segments+append_list+discont_start', join(this.hls, 'index.m3u8'));
    const ffmpeg = spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ffmpeg = ffmpeg;
    this.#started_ms = 0;
    let rest = Buffer.alloc(0);
    let skipped = false;
    ffmpeg.stdout.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      if (!skipped && rest.length >= 13) {
        rest = rest.subarray(13);
        skipped = true;
      }
      while (skipped && rest.length >= 11) {
        const size = 11 + rest.readUIntBE(1, 3) + 4;
        if (rest.length < size) break;
        this.#tag(Buffer.from(rest.subarray(0, size)));
        rest = rest.subarray(size);
      }
    });
    ffmpeg.on('exit', () => {
      if (this.#ffmpeg === ffmpeg) this.#ffmpeg = null;
    });
  }

  /** The publisher drops; its timeline goes on where the wall clock is. */
  stop() {
    this.#ffmpeg?.kill('SIGKILL');
    this.#ffmpeg = null;
  }

  close() {
    this.stop();
    for (const end of this.#viewers) end(null);
    rmSync(this.hls, { recursive: true, force: true });
  }

  /** `send(bytes)` for each chunk; the answer stops. */
  watch(send) {
    send(HEADER);
    for (const tag of [...this.#sequence, ...this.#group]) send(tag);
    this.#viewers.add(send);
    return () => this.#viewers.delete(send);
  }

  #tag(tag) {
    const now = Date.now();
    const at = tag.readUIntBE(4, 3) | (tag[7] << 24);
    // The quickest tag so far is the nearest to its capture.
    if (this.#started_ms > 0) this.#started_ms = Math.min(this.#started_ms, now - at);
    else {
      this.#started_ms = now - at;
      if (this.#seen_ms) this.#offset_ms += now - this.#seen_ms + (this.#last_ms - this.#offset_ms);
    }
    const pts = at + this.#offset_ms;
    this.#last_ms = pts;
    this.#seen_ms = now;
    tag.writeUIntBE(pts & 0xffffff, 4, 3);
    const type = tag[0];
    const header = type === 9 ? tag[12] === 0 : type === 8 && tag[12] === 0;
    if (type === 18) return;
    if (header) {
      this.#sequence = [...this.#sequence.filter((one) => one[0] !== type), tag];
      this.#group = [];
    } else if (type === 9 && tag[11] >> 4 === 1) {
      this.#group = [];
      this.#send(clockTag(pts, this.#started_ms + at));
    }
    this.#send(tag, header);
  }

  #last_ms = 0;

  #send(tag, header = false) {
    if (!header) this.#group.push(tag);
    for (const send of this.#viewers) send(tag);
  }
}

function clockTag(pts_ms, captured_ms) {
  const text = (value) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const number = (value) => {
    const bytes = Buffer.alloc(9);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  };
  const body = Buffer.concat([
    Buffer.from([2]),
    text('onOrielClock'),
    Buffer.from([3]),
    text('pts_ms'),
    number(pts_ms),
    text('captured_ms'),
    number(captured_ms),
    Buffer.from([0, 0, 9]),
  ]);
  const tag = Buffer.alloc(11 + body.length + 4);
  tag[0] = 18;
  tag.writeUIntBE(body.length, 1, 3);
  tag.writeUIntBE(pts_ms & 0xffffff, 4, 3);
  body.copy(tag, 11);
  tag.writeUInt32BE(11 + body.length, 11 + body.length);
  return tag;
}
