/** Asking Sam. What Sam proposes happens when it is confirmed. */

import { useState } from "preact/hooks";

import { taken } from "../api/failure";
import type { Schemas } from "../api/login";
import { price, when, words } from "../ui/format";
import { useDeed } from "../ui/hooks";
import { Problem, State } from "../ui/parts";
import type { Message, Seat } from "./seat";
import { Said } from "./Talk";

type Action = Schemas["Action"];
type Proposal = Schemas["Proposal"];

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const EXAMPLE = "Who knows about bees and is online now?";

export function Sam({ seat }: { seat: Seat }) {
  const { samMessages, samDraft } = seat.state;
  const [text, setText] = useState("");
  const ask = useDeed(async (message: string) => {
    const run = await taken(seat.api.POST("/api/sam", { body: { message, userContext: { timezone: ZONE } } }));
    setText("");
    await seat.enterSam(run.conversationId);
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (text.trim()) void ask.run(text);
  };
  const draft = { messageId: Infinity, senderId: null, content: samDraft };
  return (
    <section class="chat" aria-label="Sam">
      <Said messages={samDraft ? [...samMessages, draft] : samMessages} me={seat.id} />
      <Actions key={samMessages.at(-1)?.messageId} seat={seat} message={samMessages.at(-1)} />
      <form onSubmit={submit}>
        <input aria-label="Question to Sam" placeholder={EXAMPLE} maxLength={4000} dir="auto" value={text}
          onInput={(event) => setText(event.currentTarget.value)} />
        <button class="main" disabled={ask.isBusy}>{ask.isBusy ? "Thinking…" : "Ask"}</button>
      </form>
      {samMessages.length === 0 && (
        <p><button type="button" class="link" disabled={ask.isBusy} onClick={() => void ask.run(EXAMPLE)}>{EXAMPLE}</button></p>
      )}
      <Problem failure={ask.failure} />
    </section>
  );
}

/** What belongs to the last answer; proposals live for some minutes only. */
function Actions({ seat, message }: { seat: Seat; message: Message | undefined }) {
  if (message?.origin !== "sam") return null;
  return <>{(message.actions as Action[]).map((action, index) => <ActionCard key={index} seat={seat} action={action} />)}</>;
}

function ActionCard({ seat, action }: { seat: Seat; action: Action }) {
  if ("actionId" in action) return <ProposalCard seat={seat} proposal={action} />;
  if (action.type === "show_profiles") {
    return (
      <ul class="card">
        {action.profiles.map((profile) => (
          <li key={profile.user_id}>
            <b><bdi>{profile.name}</bdi></b> <State of={profile.status} /> <bdi>{profile.headline}</bdi>
            {profile.rate_per_minute !== null && `, ${price(profile.rate_per_minute, profile.currency)} a minute`}
          </li>
        ))}
      </ul>
    );
  }
  if (action.type === "show_slots") {
    return <ul class="card">{action.slots.map(({ start }) => <li key={start}>{when(start)}</li>)}</ul>;
  }
  return <p class="card">{action.type === "follow_up_prompt" ? action.prompt : action.notice}</p>;
}

function ProposalCard({ seat, proposal }: { seat: Seat; proposal: Proposal }) {
  const [status, setStatus] = useState("proposed");
  const decide = useDeed(async (decision: Schemas["Verdict"]) => {
    const body = { actionId: proposal.actionId, decision };
    await taken(seat.api.POST("/api/sam/actions", { body }));
    setStatus(decision === "confirm" ? "confirmed" : "declined");
    await seat.load();
  });
  const { type, actionId, expiresAt, ...terms } = proposal;
  return (
    <section class="card" aria-label={`Proposal: ${words(type)}`}>
      <p><b>{words(type)}</b> <State of={status} /></p>
      <code class="text">{JSON.stringify(terms)}</code>
      {status === "proposed" && (
        <div class="actions">
          <button type="button" class="main" disabled={decide.isBusy} onClick={() => void decide.run("confirm")}>Confirm</button>
          <button type="button" disabled={decide.isBusy} onClick={() => void decide.run("decline")}>Decline</button>
          <small>until {when(expiresAt)}</small>
        </div>
      )}
      <Problem failure={decide.failure} />
    </section>
  );
}
