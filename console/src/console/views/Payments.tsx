/** Payments, and what our books and the provider's don't agree on. */

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { minor, shortId, when, words } from "../../ui/format";
import { usePages, usePolled } from "../../ui/hooks";
import { Choice, every, Problem, State } from "../../ui/parts";
import { PagedTable, Table } from "../../ui/Table";
import { Person } from "../Person";
import { useFilters } from "../route";
import { useStaff } from "../staff";

/** Differences are looked for every ten minutes. */
const EVERY_MS = 60_000;

type Payment = Schemas["Payment"];

const STATES = every<Payment["status"]>({
  requires_payment: true, authorized: true, capturing: true, captured: true, voided: true, refunded: true, failed: true,
});
const KINDS = every<Payment["kind"]>({ session: true, donation: true });

export function Payments() {
  const { api } = useStaff();
  const [{ status, kind, userId }, setFilters] = useFilters("payments", ["status", "kind", "userId"]);
  const pages = usePages(async (cursor) => {
    const query = {
      status: (status || undefined) as Payment["status"] | undefined,
      kind: (kind || undefined) as Payment["kind"] | undefined,
      userId: userId || undefined,
      cursor,
    };
    const { payments, nextCursor } = await taken(api.GET("/api/admin/payments", { params: { query } }));
    return { items: payments, next: nextCursor };
  }, [status, kind, userId]);
  return (
    <>
      <Differences />
      <h2>Payments</h2>
      <form class="filters" role="search" aria-label="Payments" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Status" value={status as Payment["status"] | ""} of={STATES} all="any" onChange={(status) => setFilters({ status })} />
        <Choice label="Kind" value={kind as Payment["kind"] | ""} of={KINDS} all="any" onChange={(kind) => setFilters({ kind })} />
        {userId && <button type="button" onClick={() => setFilters({ userId: "" })}>Everybody's, not only {shortId(userId)}'s</button>}
      </form>
      <PagedTable caption="Payments" pages={pages} keyOf={(payment) => payment.id} none="Nothing was paid." columns={[
        { title: "Payment", cell: ({ id }) => <code title={id}>{shortId(id)}</code> },
        { title: "Kind", cell: ({ kind }) => kind },
        { title: "Status", cell: ({ status }) => <State of={status} /> },
        { title: "Amount", cell: ({ amount, currency }) => minor(amount, currency), isNumber: true },
        { title: "Captured", cell: (payment) => minor(payment.amount_captured, payment.currency), isNumber: true },
        { title: "Refunded", cell: (payment) => minor(payment.amount_refunded, payment.currency), isNumber: true },
        { title: "From", cell: (payment) => <Person id={payment.payer_user_id} /> },
        { title: "To", cell: (payment) => <Person id={payment.payee_user_id} /> },
        { title: "Made", cell: ({ created_at }) => when(created_at) },
      ]} />
    </>
  );
}

function Differences() {
  const { api } = useStaff();
  const { data, failure } = usePolled(() => taken(api.GET("/api/admin/payments/differences")), EVERY_MS);
  return (
    <>
      <h2>Differences</h2>
      <section class="panel" aria-label="Differences" aria-busy={!data}>
        <Problem failure={failure} />
        {data?.differences.length === 0 && <p class="empty">Our books and the provider's agree.</p>}
        {data && data.differences.length > 0 && (
          <Table caption="What a program can't settle" items={data.differences} keyOf={(difference) => difference.id} columns={[
            { title: "Found", cell: ({ found_at }) => when(found_at) },
            { title: "What", cell: ({ kind }) => words(kind) },
            { title: "Payment", cell: ({ payment_id }) => <code title={payment_id ?? ""}>{payment_id ? shortId(payment_id) : "–"}</code> },
            { title: "At the provider", cell: ({ object_id }) => <code>{object_id}</code> },
            { title: "Details", cell: ({ details }) => <Details of={details} /> },
          ]} />
        )}
      </section>
    </>
  );
}

function Details({ of }: { of: Schemas["Difference"]["details"] }) {
  return <code class="text">{JSON.stringify(of)}</code>;
}
