/** The real server, on free ports and a data directory of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BINARY = process.env.ORIEL ?? fail('ORIEL must name the server binary: run `make e2e`');
export const LAB = process.env.ORIEL_LAB ?? fail('ORIEL_LAB must name the lab binary: run `make e2e`');
/** A Python that has `tests/requirements.txt`. */
export const PYTHON = process.env.ORIEL_PYTHON ?? resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'venv/bin/python');

function fail(what: string): never {
  throw new Error(what);
}

async function freePort(): Promise<number> {
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

export interface Broadcast {
  id: string;
  key: string;
  /** Where an encoder publishes, key included. */
  publishUrl: string;
  watchUrl: string;
}

export class Server {
  readonly url: string;
  #child: ChildProcess;
  #data: string;
  #log = '';
  #cookie = '';

  private constructor(
    readonly ports: { http: number; rtmp: number; rtmps: number; srt: number; metrics: number },
    child: ChildProcess,
    data: string,
  ) {
    // A name that browsers treat as secure, so that WebTransport and WebCodecs exist.
    this.url = `http://localhost:${ports.http}`;
    this.#child = child;
    this.#data = data;
    const keep = (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-200_000));
    child.stderr?.on('data', keep);
    child.stdout?.on('data', keep);
  }

  /** Starts a server and waits until it is ready. `settings` are configuration keys such as `flv.flush_ms`. */
  static async start(settings: Record<string, string | number> = {}): Promise<Server> {
    const ports = { http: await freePort(), rtmp: await freePort(), rtmps: await freePort(), srt: await freePort(), metrics: await freePort() };
    const data = mkdtempSync(join(tmpdir(), 'oriel-test-'));
    const all = {
      data_dir: data,
      'http.listen': `127.0.0.1:${ports.http}`,
      'rtmp.listen': `127.0.0.1:${ports.rtmp}`,
      'rtmp.tls_listen': `127.0.0.1:${ports.rtmps}`,
      'srt.listen': `127.0.0.1:${ports.srt}`,
      'metrics.listen': `127.0.0.1:${ports.metrics}`,
      'rtc.listen': '127.0.0.1:0',
      ...settings,
    };
    const env: NodeJS.ProcessEnv = { ...process.env };
    for (const [key, value] of Object.entries(all)) env[`ORIEL__${key.replaceAll('.', '__').toUpperCase()}`] = String(value);
    const child = spawn(BINARY, ['serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new Server(ports, child, data);
    await server.#ready();
    return server;
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`the server ended at once:\n${this.#log}`);
      const answer = await fetch(`http://127.0.0.1:${this.ports.http}/readyz`).catch(() => null);
      if (answer?.ok) return;
      if (Date.now() > deadline) throw new Error(`the server did not become ready:\n${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child.pid ?? fail('the server is not running');
  }

  /** Resident memory in KiB. */
  rssKib(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }

  /** Sends SIGTERM and waits for the end; gives the exit code and how long it took. */
  async terminate(): Promise<{ code: number | null; tookMs: number }> {
    const began = Date.now();
    if (this.#child.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      await ended;
    }
    return { code: this.#child.exitCode, tookMs: Date.now() - began };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** One API call as the test's account. */
  async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const headers: Record<string, string> = { origin: this.url, cookie: this.#cookie };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const cookie = answer.headers.getSetCookie().find((one) => one.startsWith('oriel_session='));
    if (cookie) this.#cookie = cookie.split(';')[0];
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
  }

  /** Makes the test's account on first use, then a broadcast. */
  async broadcast(title = 'A test'): Promise<Broadcast> {
    if (this.#cookie === '') {
      const made = await this.api('POST', '/accounts', { name: 'tester', password: 'correct horse battery' });
      if (made.status !== 201) throw new Error(`no account: ${JSON.stringify(made)}`);
    }
    const made = await this.api('POST', '/broadcasts', { title, visibility: 'public' });
    if (made.status !== 201) throw new Error(`no broadcast: ${JSON.stringify(made)}`);
    const { broadcast, stream_key: key } = made.body;
    return {
      id: broadcast.id,
      key,
      publishUrl: `rtmp://127.0.0.1:${this.ports.rtmp}/live/${key}`,
      watchUrl: `${this.url}/watch/${broadcast.id}`,
    };
  }

  /** Waits until the broadcast is live with media flowing. */
  async live(id: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { body } = await this.api('GET', `/broadcasts/${id}`);
      if (body.state === 'RUNNING' && !body.interrupted && body.media) return;
      if (Date.now() > deadline) throw new Error(`not live: ${JSON.stringify(body)}\n${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
