/** Encoders: ffmpeg with a test picture and a steady tone, and the synthetic broadcaster whose picture holds the time. */

import { type ChildProcess, spawn } from 'node:child_process';

import { LAB } from './server.ts';

export class Encoder {
  #child: ChildProcess;
  #log = '';

  private constructor(command: string, args: string[], env: Record<string, string> = {}) {
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-50_000)));
  }

  /** H.264 and AAC by RTMP, as a person's ffmpeg would send them. */
  static ffmpeg(url: string, options: { bframes?: number; audio?: boolean; video?: boolean } = {}): Encoder {
    const { bframes = 0, audio = true, video = true } = options;
    const args = ['-hide_banner', '-loglevel', 'warning', '-re'];
    if (video) args.push('-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30');
    if (audio) args.push('-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000');
    if (video) {
      args.push('-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1', '-pix_fmt', 'yuv420p', '-b:v', '800k');
      args.push('-g', '60', '-sc_threshold', '0', '-bf', String(bframes));
    }
    if (audio) args.push('-c:a', 'aac', '-b:a', '96k', '-ac', '2');
    return new Encoder('ffmpeg', [...args, '-f', 'flv', url]);
  }

  /** The synthetic broadcaster. */
  static synthetic(url: string, args: string[] = []): Encoder {
    return new Encoder(LAB, ['publish', '--url', url, ...args]);
  }

  /** The synthetic picture, encoded by x264 with two B-frames. */
  static syntheticWithBFrames(url: string): Encoder {
    const encode = ['ffmpeg', '-hide_banner', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', '640x360', '-r', '30', '-i', '-',
      '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '2',
      '-g', '60', '-b:v', '800k', '-c:a', 'aac', '-ac', '2', '-f', 'flv', url].join(' ');
    // One process group, so that a kill reaches both.
    return new Encoder('sh', ['-c', `"${LAB}" raw | exec ${encode}`]);
  }

  /** Any program, or several in a pipe; one process group, so that a kill reaches all. */
  static command(line: string, env: Record<string, string> = {}): Encoder {
    return new Encoder('sh', ['-c', line], env);
  }

  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.running) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    process.kill(-(this.#child.pid ?? 0), signal);
    await ended;
  }

  /** The encoder's exit code, once it has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.running) await new Promise((resolve) => this.#child.once('exit', resolve));
    return this.#child.exitCode;
  }
}
