/** What waits for staff: requests to managed members, and people who were asked for. */

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { ago, count, when } from "../../ui/format";
import { useDeed, usePages } from "../../ui/hooks";
import { every, Problem } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { Person } from "../Person";
import { useStaff } from "../staff";

type Request = Schemas["Request"];
type RequestedPerson = Schemas["RequestedPerson"];

const STATES = every<RequestedPerson["status"]>({ pending: true, contacted: true, declined: true, onboarded: true });

/** One cursor goes through both lists: an entry is of one or the other. */
type Entry = { request: Request } | { person: RequestedPerson };

export function Asked() {
  const { api, say } = useStaff();
  const pages = usePages<Entry>(async (cursor) => {
    const { requests, requestedPeople, nextCursor } = await taken(api.GET("/api/admin/requests", { params: { query: { cursor } } }));
    const items = [...requests.map((request) => ({ request })), ...requestedPeople.map((person) => ({ person }))];
    return { items, next: nextCursor };
  }, []);

  const decide = useDeed(async (request: Request, status: Schemas["Answer"]) => {
    const params = { path: { id: request.id } };
    const decided = await taken(api.PATCH("/api/requests/{id}/status", { params, body: { status } }));
    say(`The request is ${decided.request.status}.`);
    await pages.reload();
  });
  const mark = useDeed(async (person: RequestedPerson, status: RequestedPerson["status"]) => {
    const params = { path: { id: person.id } };
    const { requestedPerson } = await taken(api.PATCH("/api/admin/requested-people/{id}", { params, body: { status } }));
    say(`${requestedPerson.name}: ${requestedPerson.status}.`);
    pages.replace((entry) => "person" in entry && entry.person.id === person.id, { person: requestedPerson });
  });

  const requests = pages.items.flatMap((entry) => ("request" in entry ? [entry.request] : []));
  const people = pages.items.flatMap((entry) => ("person" in entry ? [entry.person] : []));
  const shared = { failure: undefined, isLoading: pages.isLoading, reload: pages.reload, replace: () => {} };
  return (
    <>
      <h2>To managed members</h2>
      <PagedTable caption="Requests to managed members" none="Nothing waits for you." keyOf={(request) => request.id}
        pages={{ ...shared, items: requests, more: undefined }} columns={[
          { title: "From", cell: (request) => <Person id={request.requester_user_id} /> },
          { title: "To", cell: (request) => <Person id={request.target_user_id} /> },
          { title: "Message", cell: (request) => <bdi class="text">{request.message}</bdi> },
          { title: "When", cell: (request) => <bdi>{request.preferred_time ?? "–"}</bdi> },
          { title: "Budget", cell: (request) => <bdi>{request.budget_range ?? "–"}</bdi> },
          { title: "Asked", cell: ({ created_at }) => <time dateTime={created_at} title={when(created_at)}>{ago(created_at)}</time> },
          {
            title: "Answer",
            cell: (request) => (
              <span class="actions">
                <button type="button" disabled={decide.isBusy} onClick={() => void decide.run(request, "approved")}>Approve</button>
                <button type="button" disabled={decide.isBusy} onClick={() => void decide.run(request, "declined")}>Decline</button>
              </span>
            ),
          },
        ]} />
      <Problem failure={decide.failure} />
      <h2>People asked for</h2>
      <PagedTable caption="People who were asked for and aren't members" none="Nobody was asked for in vain." keyOf={(person) => person.id}
        pages={{ ...shared, failure: pages.failure, items: people, more: pages.more }} columns={[
          { title: "Name", cell: ({ name }) => <bdi class="clipped">{name}</bdi> },
          { title: "Asked for", cell: (person) => `${count(person.request_count)} ×`, isNumber: true },
          { title: "Last", cell: (person) => when(person.last_requested_at) },
          {
            title: "How far we are",
            cell: (person) => (
              <select aria-label={`How far we are with ${person.name}`} value={person.status} disabled={mark.isBusy}
                onChange={(event) => void mark.run(person, event.currentTarget.value as RequestedPerson["status"])}>
                {STATES.map((state) => <option key={state}>{state}</option>)}
              </select>
            ),
          },
        ]} />
      <Problem failure={mark.failure} />
    </>
  );
}
