/** Asks again and again while the page is in view, never twice at a time; the next round waits for the last answer. */
export function poll(every_ms: number, call: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = false;
  let stopped = false;

  const round = async () => {
    if (running || stopped || document.hidden) return;
    running = true;
    clearTimeout(timer);
    try {
      await call();
    } finally {
      running = false;
      if (!stopped) timer = setTimeout(round, every_ms);
    }
  };
  const wake = () => {
    if (!document.hidden) void round();
  };
  document.addEventListener('visibilitychange', wake);
  addEventListener('online', wake);
  void round();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', wake);
    removeEventListener('online', wake);
  };
}

/** The time, each second, for "4 min" and the like. */
class Now {
  ms = $state(Date.now());
  constructor() {
    setInterval(() => (this.ms = Date.now()), 1000);
  }
}
export const now = new Now();
