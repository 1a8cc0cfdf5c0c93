/** A socket that comes back by itself and misses nothing: it asks for what came after the last number it heard. */

import { taken } from "./failure";
import { type Login, randomKey } from "./login";

export interface Frame {
  type: string;
  payload: Record<string, unknown>;
  channel?: string;
  seq?: number;
  timestamp: number;
}

export interface Listener {
  heard: (frame: Frame) => void;
  said: (frame: object) => void;
  turned: (isOpen: boolean) => void;
  /** What was missed is gone: everything is to be fetched anew. */
  lost: () => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The tab has a newer socket. */
const REPLACED = 4001;

export class Socket {
  readonly #login: Login;
  readonly #listener: Listener;
  readonly #tab = randomKey();
  /** The channels that are listened to, with the last number heard of each. */
  readonly #channels = new Map<string, number | undefined>();
  #socket: WebSocket | undefined;
  #pause = FIRST_PAUSE_MS;
  #isClosed = false;

  constructor(login: Login, listener: Listener) {
    this.#login = login;
    this.#listener = listener;
    void this.#open();
  }

  subscribe(channel: string): void {
    if (this.#channels.has(channel)) return;
    this.#channels.set(channel, undefined);
    this.#ask(channel);
  }

  typing(conversationId: string): void {
    this.#say({ type: "typing", payload: { conversationId } });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.close();
  }

  async #open(): Promise<void> {
    try {
      // A ticket, for tokens don't belong in addresses.
      const { ticket } = await taken(this.#login.api.POST("/api/ws/ticket"));
      if (this.#isClosed) return;
      const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws?token=${ticket}&tab=${this.#tab}`);
      this.#socket = socket;
      socket.onopen = () => {
        this.#pause = FIRST_PAUSE_MS;
        this.#listener.turned(true);
        for (const channel of this.#channels.keys()) this.#ask(channel);
      };
      socket.onmessage = ({ data }) => this.#hear(JSON.parse(String(data)) as Frame);
      socket.onclose = ({ code }) => {
        this.#listener.turned(false);
        if (code !== REPLACED) this.#again();
      };
    } catch {
      this.#again();
    }
  }

  #again(): void {
    if (this.#isClosed) return;
    setTimeout(() => void this.#open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  #hear(frame: Frame): void {
    if (frame.type === "subscribed") {
      const { channel, seq, recovered } = frame.payload as { channel: string; seq: number; recovered: boolean };
      if (!recovered) {
        this.#channels.set(channel, seq);
        this.#listener.lost();
      } else if (this.#channels.get(channel) === undefined) {
        this.#channels.set(channel, seq);
      }
    } else if (frame.channel && frame.seq !== undefined) {
      this.#channels.set(frame.channel, frame.seq);
    }
    this.#listener.heard(frame);
  }

  #ask(channel: string): void {
    this.#say({ type: "subscribe", channel, after: this.#channels.get(channel) });
  }

  #say(frame: object): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(frame));
    this.#listener.said(frame);
  }
}
