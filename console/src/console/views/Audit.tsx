/** Who of the staff changed what. */

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { words, when } from "../../ui/format";
import { usePages } from "../../ui/hooks";
import { Choice, every } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { Person } from "../Person";
import { useFilters } from "../route";
import { useStaff } from "../staff";

type Entry = Schemas["AuditEntry"];

const ACTIONS = every<Entry["action"]>({
  user_changed: true,
  requested_person_changed: true,
  request_decided: true,
  payment_refunded: true,
  announcement_created: true,
  job_retried: true,
  job_cancelled: true,
  queue_paused: true,
  queue_resumed: true,
});

export function Audit() {
  const { api } = useStaff();
  const [{ action, actor, target }, setFilters] = useFilters("audit", ["action", "actor", "target"]);
  const pages = usePages(async (cursor) => {
    const query = {
      action: (action || undefined) as Entry["action"] | undefined,
      actor: actor || undefined,
      target: target || undefined,
      cursor,
    };
    const { entries, nextCursor } = await taken(api.GET("/api/admin/audit", { params: { query } }));
    return { items: entries, next: nextCursor };
  }, [action, actor, target]);
  return (
    <>
      <form class="filters" role="search" aria-label="Audit log" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Action" value={action as Entry["action"] | ""} of={ACTIONS} all="any" onChange={(action) => setFilters({ action })} />
        {(actor || target) && <button type="button" onClick={() => setFilters({ actor: "", target: "" })}>Everything, not only this one</button>}
      </form>
      <PagedTable caption="Audit log" pages={pages} keyOf={(entry) => entry.id} none="Nothing was changed." columns={[
        { title: "When", cell: ({ created_at }) => when(created_at) },
        { title: "Who", cell: (entry) => <Person id={entry.actor_user_id} /> },
        { title: "Did", cell: ({ action }) => words(action) },
        { title: "To", cell: ({ target }) => <code class="clipped" title={target}>{target}</code> },
        { title: "Before", cell: ({ before }) => <Facts of={before} /> },
        { title: "After", cell: ({ after }) => <Facts of={after} /> },
      ]} />
    </>
  );
}

function Facts({ of }: { of: Record<string, unknown> | null }) {
  const facts = Object.entries(of ?? {});
  if (facts.length === 0) return <>–</>;
  return <ul class="facts">{facts.map(([name, value]) => <li key={name}>{words(name)}: <bdi>{JSON.stringify(value)}</bdi></li>)}</ul>;
}
