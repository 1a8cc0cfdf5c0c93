/** Queues, live: what waits, runs and is parked, how fast they go, and the switch that stops them. */

import { useEffect, useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { Chart } from "../../ui/Chart";
import { count, duration, rate } from "../../ui/format";
import { useDeed, usePolled } from "../../ui/hooks";
import { Problem, State } from "../../ui/parts";
import { Table } from "../../ui/Table";
import { address, follow } from "../route";
import { useStaff } from "../staff";

type Backlog = Schemas["Backlog"];

/** Staff have 30 requests a minute (`RATE_LIMIT_ADMIN`): half of them are left for what they do. */
const EVERY_MS = 4_000;
/** A quarter of an hour. */
const KEPT_LOOKS = 225;

interface Look {
  at: number;
  queues: Backlog[];
}

export function Queues() {
  const { api } = useStaff();
  const { data, failure, at, reload } = usePolled(() => taken(api.GET("/api/admin/queues")), EVERY_MS);
  const [looks, setLooks] = useState<Look[]>([]);
  useEffect(() => {
    if (data) setLooks((before) => [...before, { at, queues: data.queues }].slice(-KEPT_LOOKS));
  }, [at]);
  if (!data) return failure ? <Problem failure={failure} /> : <p class="empty">Loading…</p>;
  return (
    <>
      <Problem failure={failure} />
      <section class="panel" aria-label="Queues">
        <List queues={data.queues} reload={reload} />
      </section>
      <section class="panel charts">
        <Over looks={looks} title="Done a second" of={(queue) => queue.done_per_second} write={rate} least={1} />
        <Over looks={looks} title="Waiting" of={(queue) => queue.waiting} write={count} />
      </section>
    </>
  );
}

function Over({ looks, title, of, write, least }: {
  looks: Look[];
  title: string;
  of: (queue: Backlog) => number;
  write: (value: number) => string;
  least?: number;
}) {
  const names = looks.at(-1)?.queues.map(({ name }) => name) ?? [];
  const value = (look: Look, name: string) => {
    const queue = look.queues.find((queue) => queue.name === name);
    return queue ? of(queue) : null;
  };
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <Chart label={`${title}, by queue, since this page was opened`} times={looks.map(({ at }) => at / 1000)} write={write} least={least}
        series={names.map((name) => ({ name, values: looks.map((look) => value(look, name)) }))} />
    </figure>
  );
}

function List({ queues, reload }: { queues: Backlog[]; reload: () => Promise<void> }) {
  const { api, say } = useStaff();
  const turn = useDeed(async ({ name, paused_at }: Backlog) => {
    const params = { params: { path: { name } } };
    const deed = paused_at
      ? api.POST("/api/admin/queues/{name}/resume", params)
      : api.POST("/api/admin/queues/{name}/pause", params);
    const { queue } = await taken(deed);
    say(`${queue.name} ${queue.paused_at ? "is paused: what runs goes on" : "goes on"}.`);
    await reload();
  });
  return (
    <>
      <Table caption="Now" items={queues} keyOf={(queue) => queue.name} columns={[
        { title: "Queue", cell: ({ name }) => <b>{name}</b> },
        { title: "State", cell: ({ paused_at }) => <State of={paused_at ? "paused" : "open"} /> },
        { title: "Waiting", cell: (queue) => <Listed queue={queue.name} state="available" number={queue.waiting} />, isNumber: true },
        { title: "Due later", cell: (queue) => count(queue.scheduled), isNumber: true },
        { title: "Running", cell: (queue) => <Listed queue={queue.name} state="running" number={queue.running} />, isNumber: true },
        { title: "Parked", cell: (queue) => <Listed queue={queue.name} state="parked" number={queue.parked} />, isNumber: true },
        { title: "Oldest", cell: (queue) => duration(queue.oldest_seconds), isNumber: true },
        { title: "Done a second", cell: (queue) => rate(queue.done_per_second), isNumber: true },
        {
          title: "Switch",
          cell: (queue) => (
            <button type="button" disabled={turn.isBusy} onClick={() => void turn.run(queue)}>
              {queue.paused_at ? "Resume" : "Pause"}<span class="visually-hidden"> {queue.name}</span>
            </button>
          ),
        },
      ]} />
      <Problem failure={turn.failure} />
    </>
  );
}

function Listed({ queue, state, number }: { queue: string; state: Schemas["JobState"]; number: number }) {
  if (number === 0) return <>0</>;
  const label = `${number} ${state} jobs of ${queue}`;
  return <a href={address("jobs", { queue, state })} aria-label={label} onClick={follow}>{count(number)}</a>;
}
