/** What waits for somebody's answer: invites and requests. */

import { useEffect, useState } from "preact/hooks";

import { taken } from "../api/failure";
import type { Schemas } from "../api/login";
import { duration } from "../ui/format";
import { useDeed } from "../ui/hooks";
import { Problem, State } from "../ui/parts";
import type { Invite, Request, Seat } from "./seat";

export function Waiting({ seat, other }: { seat: Seat; other: Schemas["User"] }) {
  const invite = newest(seat.state.invites, (invite) => [invite.requester_user_id, invite.target_user_id].includes(other.id));
  const request = newest(seat.state.requests, (request) => [request.requester_user_id, request.target_user_id].includes(other.id));
  return (
    <>
      {invite && <InviteCard key={invite.id} seat={seat} other={other} invite={invite} />}
      {request && <RequestCard key={request.id} seat={seat} other={other} request={request} />}
    </>
  );
}

function newest<T extends { created_at: string }>(items: T[], isOurs: (item: T) => boolean): T | undefined {
  return items.filter(isOurs).sort((a, b) => b.created_at.localeCompare(a.created_at))[0];
}

function InviteCard({ seat, other, invite }: { seat: Seat; other: Schemas["User"]; invite: Invite }) {
  const params = { params: { path: { id: invite.id } } };
  const answer = useDeed(async (what: "accept" | "decline" | "cancel") => {
    if (what === "accept") {
      const accepted = await taken(seat.api.POST("/api/conversations/invites/{id}/accept", params));
      seat.take("invites", accepted.invite);
      seat.take("sessions", accepted.session);
      await seat.meet(accepted.conversation);
    } else {
      const path = `/api/conversations/invites/{id}/${what}` as const;
      seat.take("invites", (await taken(seat.api.POST(path, params))).invite);
    }
  });
  const isForMe = invite.target_user_id === seat.id;
  return (
    <section class="card" aria-label="Invite">
      <p>
        {isForMe ? <><bdi>{other.name}</bdi> wants to talk now.</> : <>You asked <bdi>{other.name}</bdi> to talk now.</>}{" "}
        <State of={invite.status} />
      </p>
      {invite.status === "pending" && (
        <div class="actions">
          {isForMe && <button type="button" class="main" disabled={answer.isBusy} onClick={() => void answer.run("accept")}>Accept</button>}
          {isForMe && <button type="button" disabled={answer.isBusy} onClick={() => void answer.run("decline")}>Decline</button>}
          {!isForMe && <button type="button" disabled={answer.isBusy} onClick={() => void answer.run("cancel")}>Take it back</button>}
          <Left until={invite.expires_at} />
        </div>
      )}
      <Problem failure={answer.failure} />
    </section>
  );
}

/** How long it still waits. */
function Left({ until }: { until: string }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const secs = Math.max(0, Math.floor((Date.parse(until) - now) / 1000));
  return <small>{duration(secs)} left</small>;
}

function RequestCard({ seat, other, request }: { seat: Seat; other: Schemas["User"]; request: Request }) {
  const decide = useDeed(async (status: Schemas["Answer"]) => {
    const params = { path: { id: request.id } };
    const decided = await taken(seat.api.PATCH("/api/requests/{id}/status", { params, body: { status } }));
    seat.take("requests", decided.request);
    await seat.meet(decided.conversation);
  });
  const isForMe = request.target_user_id === seat.id;
  return (
    <section class="card" aria-label="Request">
      <p>{isForMe ? <>Request from <bdi>{other.name}</bdi></> : <>Request to <bdi>{other.name}</bdi></>} <State of={request.status} /></p>
      <p><bdi class="text">{request.message}</bdi></p>
      {isForMe && request.status === "pending" && (
        <div class="actions">
          <button type="button" class="main" disabled={decide.isBusy} onClick={() => void decide.run("approved")}>Approve</button>
          <button type="button" disabled={decide.isBusy} onClick={() => void decide.run("declined")}>Decline</button>
        </div>
      )}
      <Problem failure={decide.failure} />
    </section>
  );
}
