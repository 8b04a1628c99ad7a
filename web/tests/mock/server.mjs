// A small stand-in for the server, to look at the pages without it: the API, rooms and media of invented broadcasts, under
// the same content security policy. `npm run mock`, then http://127.0.0.1:8099. Not a reference for the protocol.
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

import { Media } from './media.mjs';
import * as moq from './moq.mjs';

const PORT = Number(process.env.PORT ?? 8099);
const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.m3u8': 'application/vnd.apple.mpegurl', '.mp4': 'video/mp4', '.m4s': 'video/mp4' };
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self' ws: wss: https:; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const media = new Media();
media.start();

const pictures = ['testsrc2', 'mandelbrot', 'smptehdbars', 'life=mold=10:ratio=0.1:death_color=#C83232:life_color=#FFB547'].map((source) =>
  execFileSync('ffmpeg', ['-loglevel', 'error', '-f', 'lavfi', '-i', `${source}${source.includes('=') ? ':' : '='}size=640x360`, '-ss', '1', '-frames:v', '1', '-f', 'mjpeg', 'pipe:1'], { maxBuffer: 1 << 24 }),
);

const amber = { id: 'u1', name: 'amber' };
const cast = [
  ['aaaaaaaaaaaaa', 'Morning market by the harbour', 'amber', 128, 4210, { lat: 48.86, lng: 2.35 }],
  ['bbbbbbbbbbbbb', 'Fractal drawing, no rules, bring a colour', 'lio_kestrel', 12840, 130222, null],
  ['ccccccccccccc', 'Tuning an old television', 'testcard-fan', 3, 12, null],
  ['ddddddddddddd', 'Game of life until somebody wins', 'conway', 0, 0, { lat: -33.9, lng: 151.2 }],
];
const broadcasts = new Map();
function add(id, title, owner, viewers, hearts, location, state = 'RUNNING', visibility = 'public') {
  const now = Date.now();
  const base = `http://127.0.0.1:${PORT}`;
  const one = {
    id, title, owner: { id: `u-${owner}`, name: owner }, state, interrupted: false, visibility, location,
    created_at_ms: now - 4_000_000, started_at_ms: state === 'NOT_STARTED' ? null : now - 1_345_000 - viewers * 60, ended_at_ms: state === 'ENDED' ? now - 5_000 : null, viewers, hearts,
    media: null,
    urls: {
      flv: `/live/${id}.flv`, flv_ws: `/live/${id}.flv`, hls: `/hls/${id}/index.m3u8`, hls_plain: `/hls/${id}/plain.m3u8`, moq: `${base}/moq/${id}`,
      rtmp: `rtmp://127.0.0.1/play/${id}`, thumbnail: `/api/v1/broadcasts/${id}/thumbnail.jpg`, room: `/api/v1/broadcasts/${id}/room`, dvr: null, embed: `/embed/${id}`,
    },
  };
  broadcasts.set(id, one);
  return one;
}
for (const one of cast) add(...one);
add('eeeeeeeeeeeee', 'Night train to the coast', 'amber', 42, 961, null, 'ENDED');
add('fffffffffffff', 'Soon: a garden tour', 'amber', 0, 0, null, 'NOT_STARTED');

let user = null;
let empty = false;
let broken = false;
const rooms = new Map();

const json = (response, status, body, type = 'application/json') => {
  response.writeHead(status, { 'content-type': type });
  response.end(body === undefined ? '' : JSON.stringify(body));
};
const problem = (response, status, detail) => json(response, status, { type: 'about:blank', title: 'refused', status, detail }, 'application/problem+json');
const body = async (request) => {
  let text = '';
  for await (const part of request) text += part;
  return text ? JSON.parse(text) : {};
};

async function api(request, response, path) {
  const key = `${request.method} ${path}`;
  if (key === 'GET /api/v1/time') return json(response, 200, { now_ms: Date.now() });
  if (key === 'GET /api/v1/session') return json(response, 200, { user });
  if (key === 'DELETE /api/v1/session') {
    user = null;
    return json(response, 204);
  }
  if (key === 'POST /api/v1/session' || key === 'POST /api/v1/accounts') {
    const { name, password } = await body(request);
    if (password === 'wrong-password') return problem(response, 401, 'the name or the password is wrong');
    user = { ...amber, name };
    return json(response, key.endsWith('accounts') ? 201 : 200, user);
  }
  if (key === 'GET /api/v1/broadcasts') {
    if (broken) return problem(response, 503, 'the database does not answer');
    return json(response, 200, { broadcasts: empty ? [] : [...broadcasts.values()].filter((one) => one.state === 'RUNNING' && one.visibility === 'public') });
  }
  if (key === 'POST /api/v1/broadcasts') {
    const { title, visibility, location } = await body(request);
    const one = add('ggggggggggggg', title, user?.name ?? 'amber', 0, 0, location ?? null, 'NOT_STARTED', visibility);
    const stream_key = 'ok_7hQ2mVx9RkLpZtW4sYbN8cDfGjA3uEe1';
    const at = (scheme, port) => ({ server: `${scheme}://127.0.0.1:${port}/live`, key: stream_key });
    return json(response, 201, {
      broadcast: one, stream_key, watch_url: `/watch/${one.id}`,
      ingest: { rtmp: at('rtmp', 1935), rtmps: at('rtmps', 1936), one_line: { rtmp: `rtmp://127.0.0.1:1935/live/${stream_key}`, rtmps: `rtmps://127.0.0.1:1936/live/${stream_key}` } },
    });
  }
  // Nothing is recorded here: replays are tried against the real server.
  if (key === 'GET /api/v1/replays' || key === 'GET /api/v1/replays/mine') return json(response, 200, { replays: [] });
  const [, id, rest] = /^\/api\/v1\/broadcasts\/([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
  const one = broadcasts.get(id);
  if (!one) return problem(response, 404, 'there is no such broadcast');
  if (!rest) return json(response, 200, one);
  if (rest === 'thumbnail.jpg') {
    if (one.state === 'NOT_STARTED') return problem(response, 404, 'no picture yet');
    response.writeHead(200, { 'content-type': 'image/jpeg', 'cache-control': 'max-age=2' });
    return response.end(pictures[[...broadcasts.keys()].indexOf(id) % pictures.length]);
  }
  if (rest === 'health') {
    return json(response, 200, {
      connected: !one.interrupted, peer: '127.0.0.1:50112', uptime_ms: 92_000, bitrate_bps: { video: 2_480_000, audio: 128_000 }, fps: 29.97,
      keyframe_interval_ms: 4_000, b_frames: true, capture: 'ingest', warnings: [{ code: 'b_frames', text: 'B-frames are on: viewers see you about 0.1 s later.' }],
    });
  }
  if (rest === 'end') {
    state(one, { state: 'ENDED', interrupted: false, ended_at_ms: Date.now() });
    return json(response, 200, one);
  }
  return problem(response, 404, 'nothing here');
}

function state(one, change) {
  Object.assign(one, change);
  const room = rooms.get(one.id);
  room?.publish({ k: 'state', o: room.next(), state: one.state, interrupted: one.interrupted });
}

// Drives the mock from a test: /mock/empty, /mock/broken, /mock/drop/ID, /mock/back/ID, /mock/start/ID, /mock/stall, …
function control(response, path) {
  const [, , verb, id] = path.split('/');
  const one = broadcasts.get(id);
  if (verb === 'empty') empty = true;
  if (verb === 'broken') broken = true;
  if (verb === 'normal') empty = broken = false;
  if (verb === 'signin') user = amber;
  if (verb === 'drop' && one) {
    media.stop();
    state(one, { interrupted: true });
  }
  if (verb === 'back' && one) {
    media.start();
    state(one, { interrupted: false });
  }
  if (verb === 'start' && one) state(one, { state: 'RUNNING', started_at_ms: Date.now() });
  if (verb === 'kick' && one) for (const socket of rooms.get(id)?.sockets ?? []) socket.close(1012);
  json(response, 200, {});
}

async function file(response, path) {
  const name = normalize(path === '/' ? 'index.html' : path.slice(1));
  const known = extname(name) in TYPES && !name.startsWith('..');
  try {
    const bytes = await readFile(join(DIST, known ? name : 'index.html'));
    response.writeHead(200, { 'content-type': TYPES[known ? extname(name) : '.html'], 'content-security-policy': CSP });
    response.end(bytes);
  } catch {
    problem(response, 404, 'no such file');
  }
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://mock');
  if (pathname.startsWith('/api/')) return api(request, response, pathname);
  if (pathname.startsWith('/mock/')) return control(response, pathname);
  if (pathname.startsWith('/live/')) {
    response.writeHead(200, { 'content-type': 'video/x-flv' });
    const stop = media.watch((bytes) => (bytes ? response.write(bytes) : response.end()));
    return request.on('close', stop);
  }
  if (pathname.startsWith('/hls/')) {
    const name = pathname.split('/').pop();
    try {
      const bytes = await readFile(join(media.hls, /^(index|plain)\.m3u8$/.test(name) ? 'index.m3u8' : name));
      response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'cache-control': 'no-cache' });
      return response.end(bytes);
    } catch {
      return problem(response, 404, 'not yet');
    }
  }
  if (pathname.startsWith('/moq') || pathname === '/certificate.sha256') return problem(response, 404, 'the mock has no MoQ');
  return file(response, pathname);
});

class Room {
  sockets = new Set();
  epoch = 'mock-1';
  #offset = 0;
  log = [];
  hearts;
  #delta = [0, 0, 0, 0, 0, 0];

  constructor(one) {
    this.one = one;
    this.hearts = one.hearts;
    const says = [
      ['Copper Wren 4', 'good morning from Lisbon'],
      ['lio_kestrel', 'that light on the water!'],
      ['Quiet Otter 71', 'what is the name of the boat on the left?'],
      ['amber', 'She is called Ninette, built in 1962 and still fishing.'],
      ['Velvet Crane 12', 'I can nearly smell the bread from here'],
      ['Copper Wren 4', 'the delay is so short, it feels like a phone call'],
    ];
    for (const [name, text] of says) this.#comment({ id: `g-${name}`, name, role: name === one.owner.name ? 'broadcaster' : 'guest' }, text, `seed-${text}`);
    this.timer = setInterval(() => this.#gauge(), 500);
  }

  next() {
    this.#offset += 1;
    return this.#offset;
  }

  #comment(who, text, cid) {
    const event = { k: 'comment', o: this.next(), id: `c${this.#offset}`, cid, who, text, at_ms: Date.now(), captured_ms: null };
    this.log.push(event);
    return event;
  }

  publish(event) {
    if ('o' in event && !this.log.includes(event)) this.log.push(event);
    this.send({ t: 'batch', e: [event] });
  }

  send(frame) {
    for (const socket of this.sockets) socket.send(JSON.stringify(frame));
  }

  #gauge() {
    if (this.one.state === 'RUNNING' && Math.random() < 0.5) this.#delta[Math.floor(Math.random() * 6)] += Math.ceil(Math.random() * 3);
    const delta = this.#delta.reduce((a, b) => a + b, 0);
    if (delta === 0) return;
    this.hearts += delta;
    this.send({ t: 'batch', e: [{ k: 'hearts', total: this.hearts, delta, colours: this.#delta }] });
    this.#delta = [0, 0, 0, 0, 0, 0];
  }

  join(socket) {
    let you = null;
    let last = 0;
    socket.on('message', (data) => {
      const frame = JSON.parse(data);
      if (frame.t === 'hello') {
        you = { id: `g-${frame.device.slice(0, 6)}`, name: 'Amber Heron 27', role: 'guest' };
        const recovered = frame.epoch === this.epoch;
        const snapshot = { hearts: this.hearts, viewers: this.one.viewers + 1, state: this.one.state, interrupted: this.one.interrupted };
        if (!recovered) snapshot.comments = this.log.filter((event) => event.k === 'comment').slice(-50);
        socket.send(JSON.stringify({ t: 'welcome', epoch: this.epoch, offset: this.#offset, recovered, you, now_ms: Date.now(), snapshot }));
        const missed = recovered ? this.log.filter((event) => event.o > frame.offset) : [];
        if (missed.length) socket.send(JSON.stringify({ t: 'batch', e: missed }));
        this.sockets.add(socket);
      } else if (frame.t === 'ping') socket.send(JSON.stringify({ t: 'pong', c: frame.c, s: Date.now() }));
      else if (frame.t === 'hearts') this.#delta[frame.colour] += frame.n;
      else if (frame.t === 'comment') {
        const now = Date.now();
        if (now - last < 700) socket.send(JSON.stringify({ t: 'error', code: 'rate_limited', detail: 'too fast', cid: frame.cid }));
        else {
          last = now;
          setTimeout(() => this.publish(this.#comment(you, frame.text, frame.cid)), 150);
        }
      }
    });
    socket.on('close', () => this.sockets.delete(socket));
  }
}

const sockets = new WebSocketServer({ noServer: true });
const moqSockets = new WebSocketServer({ noServer: true, handleProtocols: moq.subprotocol });
server.on('upgrade', (request, socket, head) => {
  const [, watched] = /^\/moq\/([^/?]+)/.exec(request.url) ?? [];
  if (watched && broadcasts.has(watched)) {
    moqSockets.handleUpgrade(request, socket, head, (ws) => void moq.serve(ws, ws.protocol, watched, media));
    return;
  }
  const [, id] = /^\/api\/v1\/broadcasts\/([^/]+)\/room$/.exec(request.url) ?? [];
  const one = broadcasts.get(id);
  if (!one) {
    socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (ws) => {
    if (!rooms.has(id)) rooms.set(id, new Room(one));
    rooms.get(id).join(ws);
  });
});

server.listen(PORT, '127.0.0.1', () => console.log(`mock on http://127.0.0.1:${PORT}`));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    media.close();
    process.exit(0);
  });
}
