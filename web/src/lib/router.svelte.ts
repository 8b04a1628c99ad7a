/** The router: which page an address means, links without a reload, focus and title on arrival. */

import { match, type Route } from './routes';

class Router {
  route: Route = $state({ page: 'home' });
  query: URLSearchParams = $state.raw(new URLSearchParams());
  #positions = new Map<string, number>();
  #key = '';

  /** Takes over same-origin clicks and the browser's back and forward. */
  start(): () => void {
    history.scrollRestoration = 'manual';
    this.#read();
    const stop = new AbortController();
    addEventListener('popstate', () => this.#arrive(true), { signal: stop.signal });
    document.addEventListener('click', (event) => this.#click(event), { signal: stop.signal });
    return () => stop.abort();
  }

  go(path: string, options: { replace?: boolean } = {}): void {
    this.#positions.set(this.#key, scrollY);
    const state = { key: String(performance.now()) };
    if (options.replace) history.replaceState(state, '', path);
    else history.pushState(state, '', path);
    this.#arrive(false);
  }

  #arrive(back: boolean): void {
    this.#read();
    scrollTo(0, back ? (this.#positions.get(this.#key) ?? 0) : 0);
    // Screen readers and keyboards start at the top of the new page.
    requestAnimationFrame(() => document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true }));
  }

  #read(): void {
    this.route = match(location.pathname);
    this.query = new URLSearchParams(location.search);
    this.#key = (history.state as { key?: string } | null)?.key ?? '';
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest<HTMLAnchorElement>('a[href]');
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    if (link.href !== location.href) this.go(link.pathname + link.search + link.hash);
  }
}

export const router = new Router();
