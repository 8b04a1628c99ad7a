/** Who is signed in, for every page. */

import { api, type User } from './api';

class Session {
  user: User | null = $state(null);
  /** False until the server has answered once. */
  known = $state(false);

  async load(): Promise<void> {
    try {
      this.user = (await api.session()).user;
    } catch {
      // Signed out as far as we know; what needs an account will say so.
      this.user = null;
    }
    this.known = true;
  }

  async signIn(name: string, password: string): Promise<void> {
    this.user = await api.signIn(name, password);
  }

  async signUp(name: string, password: string): Promise<void> {
    this.user = await api.signUp(name, password);
  }

  async signOut(): Promise<void> {
    await api.signOut();
    this.user = null;
  }
}

export const session = new Session();
