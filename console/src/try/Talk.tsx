/** Meeting the other one: connect, ask, answer, chat. */

import { useEffect, useRef, useState } from "preact/hooks";

import { taken } from "../api/failure";
import type { Schemas } from "../api/login";
import { useDeed } from "../ui/hooks";
import { Problem, State } from "../ui/parts";
import type { Seat } from "./seat";
import { Meetings } from "./Meetings";
import { Waiting } from "./Waiting";

/** How long somebody counts as typing after they were heard. */
const TYPING_MS = 4_000;
/** How often others are told that one types. */
const TELL_MS = 2_000;

interface Props {
  seat: Seat;
  other: Schemas["User"];
}

export function Talk({ seat, other }: Props) {
  return (
    <div class="talk">
      <Meet seat={seat} other={other} />
      <Waiting seat={seat} other={other} />
      <Meetings seat={seat} />
      <Chat seat={seat} other={other} />
    </div>
  );
}

function Meet({ seat, other }: Props) {
  const connect = useDeed(async () => {
    const met = await taken(seat.api.POST("/api/conversations/connect", { body: { targetUserId: other.id } }));
    await seat.meet(met.conversation);
    if (met.flow === "invite") seat.take("invites", met.invite);
    else seat.take("sessions", met.session);
  });
  const ask = useDeed(async () => {
    const body = { targetUserId: other.id, message: `Would you talk with me, ${other.name}?` };
    const { request } = await taken(seat.api.POST("/api/requests", { body }));
    seat.take("requests", request);
  });
  const state = other.has_active_session ? "busy" : other.is_online ? "online" : "offline";
  return (
    <section class="meet" aria-label={`Meet ${other.name}`}>
      <p><bdi>{other.name}</bdi> <State of={state} /></p>
      <div class="actions">
        <button type="button" class="main" disabled={connect.isBusy} onClick={() => void connect.run()}>Connect now</button>
        <button type="button" disabled={ask.isBusy} onClick={() => void ask.run()}>Send a request</button>
      </div>
      <Problem failure={connect.failure ?? ask.failure} />
    </section>
  );
}

function Chat({ seat, other }: Props) {
  const { conversation, messages, typedAt } = seat.state;
  const [text, setText] = useState("");
  const told = useRef(0);
  const send = useDeed(async () => {
    if (!text.trim()) return;
    const id = conversation?.id ?? (await begin(seat, other.id));
    await taken(seat.api.POST("/api/conversations/{id}/messages", { params: { path: { id } }, body: { content: text, type: "user_text" } }));
    setText("");
  });
  const type = (text: string) => {
    setText(text);
    if (!conversation || Date.now() - told.current < TELL_MS) return;
    told.current = Date.now();
    seat.socket.typing(conversation.id);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void send.run();
  };
  return (
    <section class="chat" aria-label={`Chat with ${other.name}`}>
      <Said messages={messages} me={seat.id} />
      <p class="typing" role="status"><Typing name={other.name} at={typedAt} /></p>
      <form onSubmit={submit}>
        <input aria-label={`Message to ${other.name}`} placeholder="Say something" maxLength={8000} dir="auto" value={text}
          onInput={(event) => type(event.currentTarget.value)} />
        <button class="main" disabled={send.isBusy}>Send</button>
      </form>
      <Problem failure={send.failure} />
    </section>
  );
}

async function begin(seat: Seat, participantId: string): Promise<string> {
  const { conversation } = await taken(seat.api.POST("/api/conversations", { body: { participantId } }));
  await seat.meet(conversation);
  return conversation.id;
}

function Typing({ name, at }: { name: string; at: number }) {
  const [isTyping, setTyping] = useState(false);
  useEffect(() => {
    const left = at + TYPING_MS - Date.now();
    setTyping(left > 0);
    if (left <= 0) return;
    const timer = setTimeout(() => setTyping(false), left);
    return () => clearTimeout(timer);
  }, [at]);
  return isTyping ? <><bdi>{name}</bdi> is typing…</> : null;
}

/** Messages, the newest in sight. */
export function Said({ messages, me }: { messages: { messageId: number; senderId: string | null; content: string }[]; me: string }) {
  const list = useRef<HTMLDivElement>(null);
  const last = messages.at(-1);
  useEffect(() => list.current?.scrollTo({ top: list.current.scrollHeight }), [last?.messageId, last?.content]);
  return (
    <div class="said-list" ref={list} role="log" tabIndex={0} aria-label="Messages">
      {messages.map(({ messageId, senderId, content }) => (
        <p key={messageId} class={senderId === me ? "mine" : undefined} dir="auto">{content}</p>
      ))}
    </div>
  );
}
