/** One member: what staff decide about them. A change is shown before it is made. */

import { useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { words } from "../../ui/format";
import { useDeed } from "../../ui/hooks";
import { Choice, Dialog, every, Field, Problem } from "../../ui/parts";
import { address, follow } from "../route";
import { useStaff } from "../staff";

type Member = Schemas["Member"];

interface Wish {
  role: Schemas["Role"];
  displayMode: Schemas["DisplayMode"];
  managed: boolean;
  managerId: string;
  confidentialRate: boolean;
  suspended: boolean;
}

const LABELS: Record<keyof Wish, string> = {
  role: "Role",
  displayMode: "Reached",
  managed: "Managed: staff answer for them",
  managerId: "Manager's id",
  confidentialRate: "Rate hidden from others",
  suspended: "Suspended: shut out within five seconds",
};
const ROLES = every<Schemas["Role"]>({ user: true, manager: true, admin: true });
const DISPLAY_MODES = every<Schemas["DisplayMode"]>({ normal: true, by_request: true, confidential: true });
const FLAGS = ["managed", "confidentialRate", "suspended"] as const;

function standing(member: Member): Wish {
  return {
    role: member.role,
    displayMode: member.display_mode,
    managed: member.managed,
    managerId: member.manager_id ?? "",
    confidentialRate: member.confidential_rate,
    suspended: member.suspended_at !== null,
  };
}

/** What the api is asked for: what differs, and nothing else. */
function difference(before: Wish, after: Wish): Schemas["MemberChange"] {
  const names = (Object.keys(after) as (keyof Wish)[]).filter((name) => before[name] !== after[name]);
  const change = Object.fromEntries(names.map((name) => [name, after[name] === "" ? null : after[name]]));
  // Whoever is managed no more has no manager.
  if (change.managed === false) delete change.managerId;
  return change;
}

export function MemberDialog({ member, onClose, onChange }: {
  member: Member;
  onClose: () => void;
  onChange: (member: Member) => void;
}) {
  const { api, say } = useStaff();
  const before = standing(member);
  const [wish, setWish] = useState(before);
  const [isSure, setSure] = useState(false);
  const change = difference(before, wish);
  const names = Object.keys(change) as (keyof Wish)[];
  const apply = useDeed(async () => {
    const params = { path: { id: member.id } };
    const { user } = await taken(api.PATCH("/api/admin/users/{id}", { params, body: change }));
    say(`${user.name} is changed.`);
    onChange(user);
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isSure) void apply.run();
    else setSure(true);
  };
  const set = (part: Partial<Wish>) => {
    setWish({ ...wish, ...part });
    setSure(false);
  };
  return (
    <Dialog title={member.name} onClose={onClose}>
      <dl>
        <dt>Address</dt><dd><bdi>{member.email}</bdi>{!member.email_verified && " (not proven)"}</dd>
        <dt>Id</dt><dd><code>{member.id}</code></dd>
        {member.headline && <><dt>Headline</dt><dd><bdi>{member.headline}</bdi></dd></>}
        <dt>More</dt>
        <dd>
          <a href={address("sessions", { userId: member.id })} onClick={follow}>sessions</a>,{" "}
          <a href={address("payments", { userId: member.id })} onClick={follow}>payments</a>,{" "}
          <a href={address("audit", { target: member.id })} onClick={follow}>what staff changed</a>
        </dd>
      </dl>
      <form onSubmit={submit}>
        <fieldset disabled={apply.isBusy}>
          <legend class="visually-hidden">Decide</legend>
          <Choice label={LABELS.role} value={wish.role} of={ROLES} onChange={(role) => role && set({ role })} />
          <Choice label={LABELS.displayMode} value={wish.displayMode} of={DISPLAY_MODES}
            onChange={(displayMode) => displayMode && set({ displayMode })} />
          {FLAGS.map((flag) => (
            <label key={flag} class="check">
              <input type="checkbox" checked={wish[flag]} onChange={(event) => set({ [flag]: event.currentTarget.checked })} />
              {LABELS[flag]}
            </label>
          ))}
          {wish.managed && (
            <Field label={LABELS.managerId} hint="A manager or an admin; empty for nobody in particular">
              {(id) => (
                <input id={id} value={wish.managerId} spellcheck={false} placeholder="user_…"
                  onInput={(event) => set({ managerId: event.currentTarget.value.trim() })} />
              )}
            </Field>
          )}
        </fieldset>
        <div role="status">
          {isSure && (
            <ul class="changes">
              {names.map((name) => <li key={name}>{LABELS[name]}: {said(before[name])} → <b>{said(wish[name])}</b></li>)}
            </ul>
          )}
        </div>
        <Problem failure={apply.failure} />
        <div class="actions">
          <button class="main" disabled={names.length === 0 || apply.isBusy}>{isSure ? "Yes, change it" : "Change…"}</button>
          {isSure && <button type="button" onClick={() => setSure(false)}>No</button>}
        </div>
      </form>
    </Dialog>
  );
}

function said(value: string | boolean): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value ? words(value) : "nobody";
}
