-- The job queue. One row a job; the partial indexes are the queue's working set.
create table jobs (
  id           uuid primary key,
  kind         text not null,
  queue        text not null,
  priority     smallint not null,
  data         jsonb not null,
  state        text not null default 'available'
               check (state in ('available', 'running', 'done', 'parked', 'cancelled')),
  run_at       timestamptz not null,
  attempt      smallint not null default 0 check (attempt >= 0),
  max_attempts smallint not null check (max_attempts > 0),
  -- How often a worker took it: fences out the acknowledgement of an earlier taking. Attempts can't,
  -- for a job that is handed back or snoozes gets its attempt back.
  claims       integer not null default 0 check (claims >= 0),
  -- How often its process died while it ran.
  rescues      smallint not null default 0 check (rescues >= 0),
  locked_by    uuid,
  lease_until  timestamptz,
  dedupe_key   text,
  request_id   text,
  last_error   text,
  created_at   timestamptz not null,
  started_at   timestamptz,
  finished_at  timestamptz,
  check ((state = 'running') = (locked_by is not null and lease_until is not null)),
  check ((state in ('done', 'parked', 'cancelled')) = (finished_at is not null))
) with (
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_analyze_scale_factor = 0.05
);

create index jobs_due on jobs (queue, priority, run_at, id) where state = 'available';
create unique index jobs_waiting_key on jobs (kind, dedupe_key)
  where state = 'available' and dedupe_key is not null;
create index jobs_leases on jobs (lease_until) where state = 'running';
create index jobs_running_kind on jobs (kind) where state = 'running';
create index jobs_parked on jobs (queue, id) where state = 'parked';
create index jobs_finished on jobs (finished_at) where state in ('done', 'cancelled');

-- Queues that an operator paused: no row means running.
create table queue_pauses (
  queue     text primary key,
  paused_at timestamptz not null
);
