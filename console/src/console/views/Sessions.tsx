/** Everybody's sessions. */

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { price, shortId, when } from "../../ui/format";
import { usePages } from "../../ui/hooks";
import { Choice, every, State } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { Person } from "../Person";
import { useFilters } from "../route";
import { useStaff } from "../staff";

type Session = Schemas["Session"];

const STATES = every<Session["status"]>({ pending: true, in_progress: true, complete: true, cancelled: true, no_show: true });
const TYPES = every<Session["type"]>({ instant: true, scheduled: true });

export function Sessions() {
  const { api } = useStaff();
  const [{ status, type, userId }, setFilters] = useFilters("sessions", ["status", "type", "userId"]);
  const pages = usePages(async (cursor) => {
    const query = {
      status: (status || undefined) as Session["status"] | undefined,
      type: (type || undefined) as Session["type"] | undefined,
      userId: userId || undefined,
      cursor,
    };
    const { sessions, nextCursor } = await taken(api.GET("/api/admin/sessions", { params: { query } }));
    return { items: sessions, next: nextCursor };
  }, [status, type, userId]);
  return (
    <>
      <form class="filters" role="search" aria-label="Sessions" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Status" value={status as Session["status"] | ""} of={STATES} all="any" onChange={(status) => setFilters({ status })} />
        <Choice label="Type" value={type as Session["type"] | ""} of={TYPES} all="any" onChange={(type) => setFilters({ type })} />
        {userId && <button type="button" onClick={() => setFilters({ userId: "" })}>Everybody's, not only {shortId(userId)}'s</button>}
      </form>
      <PagedTable caption="Sessions" pages={pages} keyOf={(session) => session.id} none="No such sessions." columns={[
        { title: "Session", cell: ({ id }) => <code title={id}>{shortId(id)}</code> },
        { title: "Status", cell: ({ status }) => <State of={status} /> },
        { title: "Type", cell: ({ type }) => type },
        { title: "Start", cell: ({ start_time }) => when(start_time) },
        { title: "Minutes", cell: ({ duration_minutes }) => duration_minutes ?? "–", isNumber: true },
        { title: "Host", cell: (session) => <Person id={session.host_user_id} /> },
        { title: "Guest", cell: (session) => <Person id={session.guest_user_id} /> },
        { title: "Price", cell: ({ agreed_price, currency }) => price(agreed_price, currency), isNumber: true },
        { title: "Payment", cell: ({ payment_status }) => <State of={payment_status} /> },
      ]} />
    </>
  );
}
