/** Announcements: what was announced, and how far each is. Writing one is in `Compose.tsx`. */

import { useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { count, duration, rate, when } from "../../ui/format";
import { usePages, usePolled } from "../../ui/hooks";
import { Problem, State } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { useStaff } from "../staff";
import { Compose } from "./Compose";

type Announcement = Schemas["Announcement"];

const EVERY_MS = 4_000;

export function Announcements() {
  const { api } = useStaff();
  const [isWriting, setWriting] = useState(false);
  const load = (cursor?: string) => taken(api.GET("/api/admin/announcements", { params: { query: { cursor } } }));
  const latest = usePolled(() => load(), EVERY_MS);
  const pages = usePages(async (cursor) => {
    const { announcements, nextCursor } = await load(cursor);
    return { items: announcements, next: nextCursor };
  }, []);

  // The first page is looked at again and again; what is further down has long been sent.
  const fresh = latest.data?.announcements ?? [];
  const known = new Set(fresh.map(({ id }) => id));
  const items = [...fresh, ...pages.items.filter(({ id }) => !known.has(id))];
  return (
    <>
      <div class="actions">
        <button type="button" class="main" onClick={() => setWriting(true)}>Announce something…</button>
      </div>
      <Problem failure={latest.failure} />
      <PagedTable caption="Announcements" pages={{ ...pages, items }} keyOf={({ id }) => id} none="Nothing was announced." columns={[
        { title: "Title", cell: ({ title, body }) => <details><summary><bdi>{title}</bdi></summary><bdi class="text">{body}</bdi></details> },
        { title: "To", cell: ({ audience, email }) => `${audience}${email ? ", by mail too" : ""}` },
        { title: "Status", cell: ({ status }) => <State of={status} /> },
        { title: "Starts", cell: ({ starts_at }) => when(starts_at) },
        { title: "Ends", cell: ({ ends_at }) => when(ends_at) },
        { title: "Reached", cell: (announcement) => <Reached announcement={announcement} /> },
      ]} />
      {isWriting && (
        <Compose
          onClose={() => setWriting(false)}
          onDone={() => {
            setWriting(false);
            void latest.reload();
          }}
        />
      )}
    </>
  );
}

function Reached({ announcement: { title, status, progress } }: { announcement: Announcement }) {
  const { sent, total, per_second, seconds_left } = progress;
  if (status === "scheduled") return <>not yet</>;
  const done = status === "sent" ? 100 : total ? Math.floor((100 * sent) / total) : 0;
  const pace = [
    per_second !== null && `${rate(per_second)} a second`,
    seconds_left !== null && status === "sending" && `${duration(seconds_left)} left`,
  ];
  return (
    <div class="reached">
      <progress aria-label={`How many were told: ${title}`} max={100} value={done} />
      <span>{done} % · {count(sent)} of {count(total ?? sent)}</span>
      <small>{pace.filter(Boolean).join(" · ")}</small>
    </div>
  );
}
