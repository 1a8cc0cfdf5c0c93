-- Sam, the concierge: what it was asked, and what it proposed.
create table sam_runs (
  id              uuid primary key,
  user_id         uuid not null references users on delete cascade,
  conversation_id uuid not null,
  question_seq    bigint not null,
  answer_seq      bigint,
  status          text not null default 'running' check (status in ('running', 'complete')),
  -- What the client sent along with the question; emptied when it is answered.
  context         jsonb not null check (jsonb_typeof(context) = 'object'),
  -- Why the answer is not the model's; null where it is.
  fallback        text check (fallback in ('not_configured', 'over_budget', 'slow', 'down', 'over_quota', 'refused', 'incoherent')),
  model_calls     integer not null default 0 check (model_calls >= 0),
  input_tokens    bigint not null default 0 check (input_tokens >= 0),
  output_tokens   bigint not null default 0 check (output_tokens >= 0),
  -- Millionths of a US dollar.
  cost_micros     bigint not null default 0 check (cost_micros >= 0),
  -- What the model wanted to show or do and may not.
  dropped_actions integer not null default 0 check (dropped_actions >= 0),
  created_at      timestamptz not null,
  finished_at     timestamptz,
  unique (conversation_id, question_seq),
  foreign key (conversation_id, question_seq) references messages on delete cascade,
  foreign key (conversation_id, answer_seq) references messages on delete cascade,
  check ((status = 'complete') = (answer_seq is not null)),
  check ((status = 'complete') = (finished_at is not null))
);
create index sam_runs_user on sam_runs (user_id, created_at);

-- A deed that happens only if its user confirms it, once, with these arguments.
create table sam_actions (
  id         uuid primary key,
  run_id     uuid not null references sam_runs on delete cascade,
  user_id    uuid not null references users on delete cascade,
  deed       jsonb not null check (jsonb_typeof(deed) = 'object'),
  -- The facts it was proposed under, such as price and policy.
  terms      jsonb not null check (jsonb_typeof(terms) = 'object'),
  status     text not null default 'proposed' check (status in ('proposed', 'confirmed', 'declined')),
  -- What came of it, as it was answered.
  result     json,
  expires_at timestamptz not null,
  decided_at timestamptz,
  created_at timestamptz not null,
  check ((status = 'proposed') = (decided_at is null)),
  check (status = 'confirmed' or result is null)
);
create index sam_actions_run on sam_actions (run_id);
create index sam_actions_user on sam_actions (user_id, id);
