/** Members: found by name, address, words or id. What staff decide about one is in `Member.tsx`. */

import { useEffect, useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { when } from "../../ui/format";
import { usePages } from "../../ui/hooks";
import { Choice, every, Field, State } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { useFilters } from "../route";
import { useStaff } from "../staff";
import { MemberDialog } from "./Member";

type Member = Schemas["Member"];

const ROLES = every<Schemas["Role"]>({ user: true, manager: true, admin: true });
const MANAGED = ["managed", "not_managed"] as const;

export function Users() {
  const { api } = useStaff();
  const [{ search, role, managed }, setFilters] = useFilters("users", ["search", "role", "managed"]);
  const [typed, setTyped] = useState(search);
  useEffect(() => setTyped(search), [search]);
  const [chosen, setChosen] = useState<Member>();
  const pages = usePages(async (cursor) => {
    const query = {
      search: search || undefined,
      role: (role || undefined) as Schemas["Role"] | undefined,
      managed: managed ? managed === "managed" : undefined,
      cursor,
    };
    const { users, nextCursor } = await taken(api.GET("/api/admin/users", { params: { query } }));
    return { items: users, next: nextCursor };
  }, [search, role, managed]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setFilters({ search: typed });
  };
  return (
    <>
      <form class="filters" role="search" aria-label="Users" onSubmit={submit}>
        <Field label="Name, address, words or id">
          {(id) => (
            <input id={id} type="search" maxLength={200} value={typed} dir="auto"
              onInput={(event) => setTyped(event.currentTarget.value)} />
          )}
        </Field>
        <Choice label="Role" value={role as Schemas["Role"] | ""} of={ROLES} all="any" onChange={(role) => setFilters({ role })} />
        <Choice label="Managed" value={managed as (typeof MANAGED)[number] | ""} of={MANAGED} all="any"
          onChange={(managed) => setFilters({ managed })} />
        <button class="main">Search</button>
      </form>
      <PagedTable caption="Users" pages={pages} keyOf={(user) => user.id} none="Nobody is found." columns={[
        {
          title: "Name",
          cell: (user) => (
            <button type="button" class="link" onClick={() => setChosen(user)}><bdi class="clipped">{user.name}</bdi></button>
          ),
        },
        { title: "Address", cell: ({ email }) => <bdi class="clipped">{email}</bdi> },
        { title: "Role", cell: ({ role }) => role },
        { title: "Talks", cell: ({ conversation_type }) => conversation_type },
        { title: "State", cell: (user) => <Standing user={user} /> },
        { title: "Since", cell: ({ created_at }) => when(created_at) },
      ]} />
      {chosen && (
        <MemberDialog
          member={chosen}
          onClose={() => setChosen(undefined)}
          onChange={(member) => {
            pages.replace(({ id }) => id === member.id, member);
            setChosen(undefined);
          }}
        />
      )}
    </>
  );
}

function Standing({ user }: { user: Member }) {
  return (
    <span class="states">
      {user.suspended_at && <State of="suspended" />}
      {user.is_online && <State of="online" />}
      {user.managed && <State of="managed" />}
      {user.display_mode !== "normal" && <State of={user.display_mode} />}
    </span>
  );
}
