/** Jobs by queue, state and kind; one of them whole, with what can be done about it. */

import { useEffect, useState } from "preact/hooks";

import { taken } from "../../api/failure";
import type { Schemas } from "../../api/login";
import { ago, shortId, when } from "../../ui/format";
import { useDeed, usePages, usePolled } from "../../ui/hooks";
import { Choice, Dialog, every, Field, Problem, State } from "../../ui/parts";
import { PagedTable } from "../../ui/Table";
import { useFilters } from "../route";
import { useStaff } from "../staff";

type Job = Schemas["QueuedJob"];

const STATES = every<Schemas["JobState"]>({ available: true, running: true, parked: true, done: true, cancelled: true });
/** A look at a job that may be running. */
const LOOK_MS = 5_000;

export function Jobs() {
  const { api } = useStaff();
  const [filters, setFilters] = useFilters("jobs", ["queue", "state", "kind", "job"]);
  const { queue, state, kind, job } = filters;
  const [typed, setTyped] = useState({ queue, kind });
  useEffect(() => setTyped({ queue, kind }), [queue, kind]);
  const pages = usePages(async (cursor) => {
    const query = { queue: queue || undefined, state: (state || undefined) as Job["state"], kind: kind || undefined, cursor };
    const { jobs, nextCursor } = await taken(api.GET("/api/admin/jobs", { params: { query } }));
    return { items: jobs, next: nextCursor };
  }, [queue, state, kind]);
  const search = (event: SubmitEvent) => {
    event.preventDefault();
    setFilters(typed);
  };
  return (
    <>
      <form class="filters" role="search" aria-label="Jobs" onSubmit={search}>
        <Choice label="State" value={state as Job["state"] | ""} of={STATES} all="any" onChange={(state) => setFilters({ state })} />
        {(["queue", "kind"] as const).map((name) => (
          <Field key={name} label={name === "queue" ? "Queue" : "Kind"}>
            {(id) => (
              <input id={id} value={typed[name]} placeholder="any" autocapitalize="off" spellcheck={false}
                onInput={(event) => setTyped({ ...typed, [name]: event.currentTarget.value })} />
            )}
          </Field>
        ))}
        <button class="main">Show</button>
      </form>
      <PagedTable caption="Jobs" pages={pages} keyOf={(job) => job.id} none="No such jobs." columns={[
        { title: "Job", cell: ({ id, kind }) => <button type="button" class="link" onClick={() => setFilters({ job: id })}>{kind}</button> },
        { title: "Queue", cell: ({ queue }) => queue },
        { title: "State", cell: ({ state }) => <State of={state} /> },
        { title: "Due", cell: ({ run_at }) => <time dateTime={run_at} title={when(run_at)}>{ago(run_at)}</time> },
        { title: "Tried", cell: ({ attempt, max_attempts }) => `${attempt} of ${max_attempts}`, isNumber: true },
        { title: "Last error", cell: ({ last_error }) => <bdi class="clipped">{last_error?.slice(0, 200)}</bdi> },
        { title: "Id", cell: ({ id }) => <code title={id}>{shortId(id)}</code> },
      ]} />
      {job && (
        <JobDialog id={job} onClose={() => setFilters({ job: "" })}
          onChange={(changed) => pages.replace((job) => job.id === changed.id, changed)} />
      )}
    </>
  );
}

function JobDialog({ id, onClose, onChange }: { id: string; onClose: () => void; onChange: (job: Job) => void }) {
  const { api, say } = useStaff();
  const params = { params: { path: { id } } };
  const { data, failure, reload } = usePolled(() => taken(api.GET("/api/admin/jobs/{id}", params)), LOOK_MS, [id]);
  const act = useDeed(async (what: "retry" | "cancel") => {
    const deed = what === "retry" ? api.POST("/api/admin/jobs/{id}/retry", params) : api.POST("/api/admin/jobs/{id}/cancel", params);
    const { job } = await taken(deed);
    say(what === "retry" ? `${job.kind} is tried again.` : `${job.kind} is cancelled.`);
    onChange(job);
    await reload();
  });
  const job = data?.job;
  return (
    <Dialog title={job?.kind ?? "Job"} onClose={onClose}>
      <Problem failure={failure} />
      {job && <JobFacts job={job} />}
      <Problem failure={act.failure} />
      {job && (
        <div class="actions">
          <button type="button" class="main" disabled={act.isBusy || !["parked", "cancelled"].includes(job.state)}
            onClick={() => void act.run("retry")}>Try again now</button>
          <button type="button" disabled={act.isBusy || !["parked", "available"].includes(job.state)}
            onClick={() => void act.run("cancel")}>Cancel it</button>
        </div>
      )}
    </Dialog>
  );
}

function JobFacts({ job }: { job: Job }) {
  const history: [string, string | null][] = [
    ["Asked for", job.created_at],
    ["Due", job.run_at],
    ["Last begun", job.started_at],
    ["Ended", job.finished_at],
  ];
  return (
    <>
      <dl>
        <dt>State</dt><dd><State of={job.state} /></dd>
        <dt>Tried</dt><dd>{job.attempt} of {job.max_attempts}{job.rescues > 0 && `, its process died ${job.rescues} times`}</dd>
        {history.map(([what, time]) => [<dt key={what}>{what}</dt>, <dd key={`${what}:`}>{when(time)}</dd>])}
        <dt>Queue</dt><dd>{job.queue}, priority {job.priority}</dd>
        <dt>Id</dt><dd><code>{job.id}</code></dd>
        {job.dedupe_key && <><dt>Key</dt><dd><code>{job.dedupe_key}</code></dd></>}
        {job.request_id && <><dt>Request</dt><dd><code>{job.request_id}</code></dd></>}
      </dl>
      <h3>Payload</h3>
      <pre tabIndex={0} aria-label="Payload">{JSON.stringify(job.data, null, 2)}</pre>
      {job.last_error && <><h3>Last error</h3><pre tabIndex={0} aria-label="Last error" dir="auto">{job.last_error}</pre></>}
    </>
  );
}
