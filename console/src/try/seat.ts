/** A person at this page: what they know, kept true by their socket. */

import { taken } from "../api/failure";
import type { Login, Schemas } from "../api/login";
import { type Frame, Socket } from "../api/socket";

export type Message = Schemas["Message"];
export type Session = Schemas["Session"];
export type Invite = Schemas["Invite"];
export type Request = Schemas["Request"];

export interface Logged {
  at: number;
  isOurs: boolean;
  type: string;
  channel?: string;
  seq?: number;
  text: string;
}

export interface SeatState {
  isOpen: boolean;
  other?: Schemas["User"];
  invites: Invite[];
  requests: Request[];
  sessions: Session[];
  conversation?: Schemas["Conversation"];
  messages: Message[];
  /** When the other one was last heard typing. */
  typedAt: number;
  samId?: string;
  samMessages: Message[];
  samDraft: string;
  log: Logged[];
}

const KEPT_LINES = 200;

export class Seat {
  state: SeatState = {
    isOpen: false, invites: [], requests: [], sessions: [], messages: [], typedAt: 0, samMessages: [], samDraft: "", log: [],
  };
  readonly socket: Socket;
  readonly #watchers = new Set<() => void>();
  /** What was last heard of where the other one stands: newer than anything fetched. */
  #status: Frame["payload"] = {};

  constructor(readonly login: Login, readonly otherId: string) {
    this.socket = new Socket(login, {
      heard: (frame) => {
        this.#log(frame, false);
        this.#apply(frame);
      },
      said: (frame) => this.#log(frame as Frame, true),
      turned: (isOpen) => this.set({ isOpen }),
      lost: () => void this.load(),
    });
    for (const channel of [`sessions:${this.id}`, `notifications:${this.id}`, `status:${otherId}`]) this.socket.subscribe(channel);
  }

  get id(): string {
    return this.login.user.id;
  }

  get api() {
    return this.login.api;
  }

  /** Calls `changed` after every change, until the function it returns is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  set(part: Partial<SeatState>): void {
    this.state = { ...this.state, ...part };
    for (const changed of this.#watchers) changed();
  }

  /** Fetches everything. */
  async load(): Promise<void> {
    const { api, otherId } = this;
    const [other, { invites }, { requests }, { sessions }, { conversations }] = await Promise.all([
      taken(api.GET("/api/users/{id}", { params: { path: { id: otherId } } })),
      taken(api.GET("/api/conversations/invites/pending")),
      taken(api.GET("/api/requests")),
      taken(api.GET("/api/sessions")),
      taken(api.GET("/api/conversations", { params: { query: { limit: 100 } } })),
    ]);
    this.set({ other: { ...other.user, ...this.#status }, invites, requests, sessions });
    const ours = conversations.find(({ type, participants }) => type === "human" && participants.includes(otherId));
    const sam = conversations.find(({ type }) => type === "sam");
    await Promise.all([ours && this.#enter(ours), sam && this.enterSam(sam.id)]);
  }

  /** Listens to the conversation with Sam, whose first question made it. */
  async enterSam(id: string): Promise<void> {
    this.set({ samId: id });
    this.socket.subscribe(`conversation:${id}`);
    this.set({ samMessages: merged(this.state.samMessages, await this.#messages(id)) });
  }

  /** Takes note of a conversation, if it is the one of these two. */
  async meet(conversation: Schemas["Conversation"] | null | undefined): Promise<void> {
    if (!conversation?.participants.includes(this.otherId) || conversation.type !== "human") return;
    if (this.state.conversation) this.set({ conversation });
    else await this.#enter(conversation);
  }

  take(kind: "invites" | "requests" | "sessions", item: Invite | Request | Session | null | undefined): void {
    if (!item) return;
    const others = (this.state[kind] as { id: string }[]).filter(({ id }) => id !== item.id);
    this.set({ [kind]: [item, ...others] });
  }

  async #enter(conversation: Schemas["Conversation"]): Promise<void> {
    this.set({ conversation });
    // First listen, then look: what comes in between is heard and seen, and counted once.
    this.socket.subscribe(`conversation:${conversation.id}`);
    this.set({ messages: merged(this.state.messages, await this.#messages(conversation.id)) });
  }

  async #messages(id: string): Promise<Message[]> {
    const params = { path: { id }, query: { limit: 50 } };
    return (await taken(this.api.GET("/api/conversations/{id}/messages", { params }))).messages;
  }

  #apply({ type, payload }: Frame): void {
    switch (type) {
      case "instant_invite":
        this.take("invites", payload.invite as Invite);
        this.take("sessions", payload.session as Session | undefined);
        void this.meet(payload.conversation as Schemas["Conversation"]);
        break;
      case "request.created":
      case "request.updated":
        this.take("requests", payload.request as Request);
        void this.meet(payload.conversation as Schemas["Conversation"]);
        break;
      case "session.created":
      case "session.updated":
      case "session.reminder":
        this.take("sessions", payload.session as Session);
        break;
      case "message.created":
        this.#hear(payload as unknown as Message);
        break;
      case "conversation.updated":
        void this.meet(payload.conversation as Schemas["Conversation"]);
        break;
      case "typing":
        if (payload.userId === this.otherId) this.set({ typedAt: Date.now() });
        break;
      case "sam.delta":
        this.set({ samDraft: beginning(this.state.samDraft, payload.offset as number) + String(payload.text) });
        break;
      case "status.changed":
        if (payload.user_id !== this.otherId) break;
        this.#status = payload;
        if (this.state.other) this.set({ other: { ...this.state.other, ...payload } });
        break;
    }
  }

  #hear(message: Message): void {
    if (message.conversationId === this.state.conversation?.id) {
      const typedAt = message.senderId === this.otherId ? 0 : this.state.typedAt;
      this.set({ messages: merged(this.state.messages, [message]), typedAt });
    }
    if (message.conversationId === this.state.samId) {
      const samDraft = message.origin === "sam" ? "" : this.state.samDraft;
      this.set({ samMessages: merged(this.state.samMessages, [message]), samDraft });
    }
  }

  #log(frame: Frame, isOurs: boolean): void {
    const { type, channel, seq } = frame;
    const line = { at: Date.now(), isOurs, type, channel, seq, text: JSON.stringify(frame, null, 2) };
    this.set({ log: [line, ...this.state.log].slice(0, KEPT_LINES) });
  }
}

/** The first so many characters, counted as the api counts them: an emoji is one. */
function beginning(text: string, count: number): string {
  return Array.from(text).slice(0, count).join("");
}

/** Messages by their numbers, each once. */
function merged(some: Message[], others: Message[]): Message[] {
  const all = new Map([...some, ...others].map((message) => [message.messageId, message]));
  return [...all.values()].sort((a, b) => a.messageId - b.messageId);
}
