-- Requests to talk: asked by one, decided once by the other or by staff.
create table requests (
  id                uuid primary key,
  requester_user_id uuid not null references users,
  target_user_id    uuid not null references users,
  message           text not null check (char_length(message) between 1 and 2000),
  preferred_time    text check (char_length(preferred_time) between 1 and 200),
  budget_range      text check (char_length(budget_range) between 1 and 200),
  status            text not null default 'pending' check (status in ('pending', 'approved', 'declined')),
  conversation_id   uuid references conversations,
  decided_at        timestamptz,
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  -- Which transactions wrote these: a walk through the list sees what was committed when it began.
  stored_in         xid8 not null default pg_current_xact_id(),
  decided_in        xid8,
  check (requester_user_id <> target_user_id),
  check ((status = 'pending') = (decided_at is null)),
  check ((status = 'pending') = (decided_in is null)),
  check ((status = 'approved') = (conversation_id is not null))
);
create unique index requests_one_pending on requests (requester_user_id, target_user_id) where status = 'pending';
create index requests_target on requests (target_user_id, id desc);
create index requests_requester on requests (requester_user_id, id desc);
