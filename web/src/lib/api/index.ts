/** The server's HTTP API: typed by its own OpenAPI document, errors as one class with words to show. */

import createClient from 'openapi-fetch';

import type { components, paths } from './schema';

export type User = components['schemas']['User'];
export type Broadcast = components['schemas']['Broadcast'];
export type CreatedBroadcast = components['schemas']['CreatedBroadcast'];
export type Health = components['schemas']['Health'];
export type NewBroadcast = components['schemas']['NewBroadcast'];
export type Replay = components['schemas']['Replay'];
export type ReplayVisibility = components['schemas']['ReplayVisibility'];
export type ReplayComment = components['schemas']['ReplayComment'];
export type HeartSecond = components['schemas']['HeartSecond'];

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    words: string,
  ) {
    super(words);
    this.name = 'ApiError';
  }
}

const client = createClient<paths>({ baseUrl: '', fetch: (request) => fetch(request) });

interface Answer<D> {
  data?: D;
  error?: unknown;
  response: Response;
}

async function value<D>(call: Promise<Answer<D>>): Promise<NonNullable<D>> {
  let answer: Answer<D>;
  try {
    answer = await call;
  } catch {
    throw new ApiError(0, 'No answer from the server. Check your connection and try again.');
  }
  // 204 has no body.
  if (answer.response.ok) return (answer.data ?? {}) as NonNullable<D>;
  throw new ApiError(answer.response.status, words(answer.response.status, answer.error));
}

function words(status: number, body: unknown): string {
  const { detail, title } = (typeof body === 'object' && body !== null ? body : {}) as { detail?: unknown; title?: unknown };
  if (typeof detail === 'string' && detail) return sentence(detail);
  if (typeof title === 'string' && title) return sentence(title);
  return status >= 500 ? 'The server has a problem. Try again in a moment.' : 'The server refused that.';
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

/** Writes carry the JSON type even without a body: the server asks for it against forged requests. */
const JSON_TYPE = { headers: { 'content-type': 'application/json' } };

const at = (id: string) => ({ params: { path: { id } } });

export const api = {
  session: () => value(client.GET('/api/v1/session')),
  signUp: (name: string, password: string) => value(client.POST('/api/v1/accounts', { body: { name, password } })),
  signIn: (name: string, password: string) => value(client.POST('/api/v1/session', { body: { name, password } })),
  signOut: () => value(client.DELETE('/api/v1/session', JSON_TYPE)),
  live: async () => (await value(client.GET('/api/v1/broadcasts'))).broadcasts,
  mine: async () => (await value(client.GET('/api/v1/broadcasts/mine'))).broadcasts,
  broadcast: (id: string) => value(client.GET('/api/v1/broadcasts/{id}', at(id))),
  create: (body: NewBroadcast) => value(client.POST('/api/v1/broadcasts', { body })),
  end: (id: string) => value(client.POST('/api/v1/broadcasts/{id}/end', { ...at(id), ...JSON_TYPE })),
  health: (id: string) => value(client.GET('/api/v1/broadcasts/{id}/health', at(id))),
  replays: async (before_ms?: number) =>
    (await value(client.GET('/api/v1/replays', { params: { query: before_ms === undefined ? {} : { before_ms } } }))).replays,
  myReplays: async () => (await value(client.GET('/api/v1/replays/mine'))).replays,
  replay: (id: string) => value(client.GET('/api/v1/replays/{id}', at(id))),
  changeReplay: (id: string, visibility: ReplayVisibility) =>
    value(client.PUT('/api/v1/replays/{id}', { ...at(id), body: { visibility } })),
  deleteReplay: (id: string) => value(client.DELETE('/api/v1/replays/{id}', { ...at(id), ...JSON_TYPE })),
  replayComments: (id: string, from: { from_ms?: number; after?: string }) =>
    value(client.GET('/api/v1/replays/{id}/comments', { params: { path: { id }, query: from } })),
  replayHearts: (id: string, from_s: number) =>
    value(client.GET('/api/v1/replays/{id}/hearts', { params: { path: { id }, query: { from_s } } })),
  time: async () => (await value(client.GET('/api/v1/time'))).now_ms,
};
