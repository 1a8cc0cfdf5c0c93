/** Writing an announcement. It is shown once more before it goes to everybody. */

import { useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { useDeed } from "../../ui/hooks";
import { Choice, Dialog, every, Field, Problem } from "../../ui/parts";
import { useStaff } from "../staff";

const AUDIENCES = every<Schemas["Audience"]>({ all: true, hosts: true, staff: true });
const WHO: Record<Schemas["Audience"], string> = { all: "everybody", hosts: "all hosts", staff: "all staff" };

/** A wall time of the writer's, as the api wants it. */
function moment(local: string): string | undefined {
  return local ? new Date(local).toISOString() : undefined;
}

export function Compose({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const { api, say } = useStaff();
  const [wish, setWish] = useState({ title: "", body: "", starts: "", ends: "", email: false });
  const [audience, setAudience] = useState<Schemas["Audience"]>("all");
  const [isSure, setSure] = useState(false);
  const announce = useDeed(async () => {
    const { title, body, starts, ends, email } = wish;
    const announcement = { title, body, audience, email, startsAt: moment(starts), endsAt: moment(ends) };
    await taken(api.POST("/api/admin/announcements", { body: announcement }));
    say(`“${title}” is announced.`);
    onDone();
  });
  const set = (part: Partial<typeof wish>) => {
    setWish({ ...wish, ...part });
    setSure(false);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isSure) void announce.run();
    else setSure(true);
  };
  const channels = wish.email ? "in their notifications and by mail" : "in their notifications";
  return (
    <Dialog title="Announce something" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Title">
          {(id) => <input id={id} required dir="auto" value={wish.title} onInput={(event) => set({ title: event.currentTarget.value })} />}
        </Field>
        <Field label="Text">
          {(id) => <textarea id={id} required rows={5} dir="auto" value={wish.body} onInput={(event) => set({ body: event.currentTarget.value })} />}
        </Field>
        <Choice label="To" value={audience} of={AUDIENCES} onChange={(audience) => {
          setAudience(audience || "all");
          setSure(false);
        }} />
        <div class="pair">
          <Field label="Starts" hint="Empty: at once">
            {(id) => <input id={id} type="datetime-local" value={wish.starts} onInput={(event) => set({ starts: event.currentTarget.value })} />}
          </Field>
          <Field label="Ends" hint="Empty: never">
            {(id) => <input id={id} type="datetime-local" value={wish.ends} onInput={(event) => set({ ends: event.currentTarget.value })} />}
          </Field>
        </div>
        <label class="check">
          <input type="checkbox" checked={wish.email} onChange={(event) => set({ email: event.currentTarget.checked })} />
          By mail too
        </label>
        <p role="status">{isSure && `This goes to ${WHO[audience]}, ${channels}. It can't be taken back.`}</p>
        <Problem failure={announce.failure} />
        <div class="actions">
          <button class="main" disabled={announce.isBusy}>{isSure ? "Yes, announce it" : "Announce…"}</button>
        </div>
      </form>
    </Dialog>
  );
}
