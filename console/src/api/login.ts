/** Signing in, and staying signed in. */

import createClient from "openapi-fetch";

import { Failure, taken } from "./failure";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Auth = Schemas["Auth"];
export type Api = ReturnType<typeof createClient<paths>>;

/** The api for those who aren't signed in. */
export const anonymous: Api = createClient<paths>();

/** A login: calls that carry its token, which is traded for a new one when it has run out. */
export class Login {
  readonly api: Api = createClient<paths>({ fetch: (request) => this.#send(request) });
  /** Called when the login can't be renewed any more. */
  onEnd: () => void = () => {};
  #auth: Auth;
  #renewal: Promise<boolean> | undefined;

  constructor(auth: Auth) {
    this.#auth = auth;
  }

  /** Signs in with a password. */
  static async withPassword(email: string, password: string): Promise<Login> {
    return new Login(await taken(anonymous.POST("/api/auth/login", { body: { email, password } })));
  }

  get auth(): Auth {
    return this.#auth;
  }

  get user(): Schemas["OwnUser"] {
    return this.#auth.user;
  }

  /** Ends the login everywhere. */
  async signOut(): Promise<void> {
    await taken(this.api.POST("/api/auth/logout"));
  }

  async #send(request: Request): Promise<Response> {
    // A repetition, by us or by the browser, does nothing twice.
    if (request.method === "POST") request.headers.set("Idempotency-Key", randomKey());
    const again = request.clone();
    const token = this.#auth.token;
    const answer = await fetch(signed(request, token));
    if (answer.status !== 401 || !(await this.#renew(token))) return answer;
    return fetch(signed(again, this.#auth.token));
  }

  /** Using a refresh token twice ends the login, so calls that fail together share one renewal. */
  #renew(stale: string): Promise<boolean> {
    if (this.#auth.token !== stale) return Promise.resolve(true);
    this.#renewal ??= this.#trade().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  /** Whether the api took the refresh token; throws a {@link Failure} where it didn't say. */
  async #trade(): Promise<boolean> {
    const body = { refreshToken: this.#auth.refreshToken };
    const { data, error, response } = await anonymous.POST("/api/auth/refresh", { body });
    if (data) this.#auth = data;
    else if (response.status === 401) this.onEnd();
    else throw Failure.fromAnswer(response, error);
    return data !== undefined;
  }
}

function signed(request: Request, token: string): Request {
  request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

/** Not `crypto.randomUUID`, which plain http on another machine doesn't have. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Keeps a login over a reload of this tab. It lies in the session's storage only from when the page goes until it
 * comes back, so that a duplicated tab doesn't have the same refresh token and end the login with it.
 */
export function keepOverReload(name: string, login: () => Login | undefined): void {
  addEventListener("pagehide", () => {
    const auth = login()?.auth;
    if (auth) sessionStorage.setItem(name, JSON.stringify(auth));
  });
  addEventListener("pageshow", () => sessionStorage.removeItem(name));
}

/** What a storage holds of a login, if anything. */
export function kept(name: string, storage: Storage): Auth | undefined {
  const text = storage.getItem(name);
  return text ? (JSON.parse(text) as Auth) : undefined;
}

/** The login that was kept over a reload, if any. */
export function takeKept(name: string): Login | undefined {
  const auth = kept(name, sessionStorage);
  sessionStorage.removeItem(name);
  return auth && new Login(auth);
}
