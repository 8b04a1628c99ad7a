/** The HTTP side of WHIP and WHEP: an offer goes out, an answer comes back with the address of the session. */

export interface Answer {
  sdp: string;
  /** The session's own address, for ending it. */
  session: string;
  /** Unix time of RTP time 0, milliseconds; null where the server does not say. */
  zero_ms: number | null;
}

export interface Refused {
  /** Why, in words. */
  refusal: string;
  /** HTTP status; 0 when no answer came. */
  status: number;
}

/** Candidates beyond those found by then are not needed: the server is where it says. */
const GATHER_MS = 300;

/** Makes the offer and waits a moment for the browser's own candidates. */
export async function gathered(connection: RTCPeerConnection): Promise<void> {
  await connection.setLocalDescription();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    connection.addEventListener('icegatheringstatechange', () => {
      if (connection.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Sends an offer. `token` is a publisher's stream key. */
export async function exchange(url: string, sdp: string, token?: string): Promise<Answer | Refused> {
  const headers: Record<string, string> = { 'content-type': 'application/sdp' };
  if (token) headers.authorization = `Bearer ${token}`;
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', headers, body: sdp });
  } catch {
    return { refusal: 'no answer from the server', status: 0 };
  }
  if (response.status !== 201) return { refusal: await words(response), status: response.status };
  const path = response.headers.get('location');
  const clock = Number(response.headers.get('oriel-clock') ?? NaN);
  const zero_ms = Number.isFinite(clock) ? clock / 1000 : null;
  return { sdp: await response.text(), zero_ms, session: new URL(path ?? '', new URL(url, location.href)).href };
}

/** Ends a session; survives the end of the page. Resolves when the server has let go. */
export async function hangUp(session: string): Promise<void> {
  await fetch(session, { method: 'DELETE', keepalive: true }).catch(() => undefined);
}

/** H.264 is the one codec that the server takes; its retransmissions stay. */
export function h264First(transceiver: RTCRtpTransceiver): void {
  const known = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
  const wanted = known.filter(({ mimeType }) => /\/(h264|rtx)$/i.test(mimeType));
  if (wanted.length > 0 && 'setCodecPreferences' in transceiver) transceiver.setCodecPreferences(wanted);
}

async function words(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => null)) as { detail?: string } | null;
  return problem?.detail ?? `the server answered ${response.status}`;
}
