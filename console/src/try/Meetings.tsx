/** Sessions of the two: begun, completed, called off, paid for. */

import { useContext, useState } from "preact/hooks";

import { taken } from "../api/failure";
import type { Schemas } from "../api/login";
import { price, when } from "../ui/format";
import { useDeed } from "../ui/hooks";
import { Problem, State } from "../ui/parts";
import type { Seat, Session } from "./seat";
import { SettingsContext } from "./settings";

/** How many are shown: those that go on first. */
const SHOWN = 4;
const RANK: Record<Session["status"], number> = { in_progress: 0, pending: 1, complete: 2, no_show: 3, cancelled: 4 };

export function Meetings({ seat }: { seat: Seat }) {
  const ours = seat.state.sessions
    .filter((session) => [session.host_user_id, session.guest_user_id].includes(seat.otherId))
    .sort((a, b) => RANK[a.status] - RANK[b.status] || b.updated_at.localeCompare(a.updated_at));
  return <>{ours.slice(0, SHOWN).map((session) => <Meeting key={session.id} seat={seat} session={session} />)}</>;
}

function Meeting({ seat, session }: { seat: Seat; session: Session }) {
  const change = useDeed(async (status: Session["status"]) => {
    const params = { path: { id: session.id } };
    seat.take("sessions", (await taken(seat.api.PATCH("/api/sessions/{id}", { params, body: { status } }))).session);
  });
  const isHost = session.host_user_id === seat.id;
  const { status, payment_status: paid } = session;
  const mayBegin = isHost && status === "pending" && (paid === "not_required" || paid === "authorized");
  return (
    <section class="card" aria-label="Session">
      <p>
        {session.type === "instant" ? "Talk" : "Booking"}, {when(session.start_time)} <State of={status} />
        {paid !== "not_required" && <> <State of={paid} /> {price(session.agreed_price, session.currency)}</>}
      </p>
      <div class="actions">
        {mayBegin && <button type="button" class="main" disabled={change.isBusy} onClick={() => void change.run("in_progress")}>Begin</button>}
        {isHost && status === "in_progress" && (
          <button type="button" class="main" disabled={change.isBusy} onClick={() => void change.run("complete")}>Complete</button>
        )}
        {status === "pending" && <button type="button" disabled={change.isBusy} onClick={() => void change.run("cancelled")}>Call off</button>}
        {!isHost && status === "pending" && paid === "requires_payment" && <Pay seat={seat} session={session} />}
      </div>
      <Problem failure={change.failure} />
    </section>
  );
}

/** In an app the client secret goes to Stripe's card form; here to the simulator's page. */
function Pay({ seat, session }: { seat: Seat; session: Session }) {
  const { cardPages } = useContext(SettingsContext);
  const [opened, setOpened] = useState<Schemas["Opened"]>();
  const pay = useDeed(async () => {
    const body = { sessionId: session.id, action: "create" as const };
    setOpened(await taken(seat.api.POST("/api/payments/session", { body })) as Schemas["Opened"]);
  });
  if (opened?.clientSecret && cardPages) {
    return <a href={`${cardPages}pay/${opened.clientSecret}`} target="_blank" rel="noopener">Open the card page</a>;
  }
  return (
    <>
      <button type="button" class="main" disabled={pay.isBusy} onClick={() => void pay.run()}>Pay by card…</button>
      {opened && <small>Enter a card in a client of Stripe's.</small>}
      <Problem failure={pay.failure} />
    </>
  );
}
