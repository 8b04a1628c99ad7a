/** Every page of the site and its address. */

export type Route =
  | { page: 'home' }
  | { page: 'watch'; id: string }
  | { page: 'go'; id: string | null }
  | { page: 'signin' }
  | { page: 'missing' };

/** A broadcast id: 13 characters without those that look alike. */
const ID = /^[abcdefghjkmnpqrstuvwxyz2-9]{13}$/;

export function match(path: string): Route {
  const [first = '', second, ...rest] = path.split('/').filter(Boolean);
  if (rest.length > 0) return { page: 'missing' };
  if (second === undefined) {
    if (first === '') return { page: 'home' };
    if (first === 'go') return { page: 'go', id: null };
    if (first === 'signin') return { page: 'signin' };
    return { page: 'missing' };
  }
  if (!ID.test(second)) return { page: 'missing' };
  if (first === 'watch') return { page: 'watch', id: second };
  if (first === 'go') return { page: 'go', id: second };
  return { page: 'missing' };
}

/** The broadcast of a player for other sites; that is no page of this router's. */
export function embedded(path: string): string | null {
  const [first, second = '', ...rest] = path.split('/').filter(Boolean);
  return first === 'embed' && rest.length === 0 && ID.test(second) ? second : null;
}

/** Where to go after signing in: a path of this site, or home. */
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : '/';
}
