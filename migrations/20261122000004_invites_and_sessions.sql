-- Live talks, and the instant invites that lead to them.
create table sessions (
  id                  uuid primary key,
  host_user_id        uuid not null references users,
  guest_user_id       uuid not null references users,
  conversation_id     uuid not null references conversations,
  type                text not null check (type in ('instant', 'scheduled')),
  status              text not null check (status in ('pending', 'in_progress', 'complete', 'cancelled', 'no_show')),
  start_time          timestamptz not null,
  end_time            timestamptz,
  duration_minutes    integer check (duration_minutes > 0),
  agreed_price_minor  bigint not null default 0 check (agreed_price_minor >= 0),
  currency            text not null check (currency ~ '^[a-z]{3}$'),
  payment_mode        text not null check (payment_mode in ('free', 'paid', 'charity')),
  cancellation_policy jsonb,
  version             integer not null default 1,
  created_at          timestamptz not null,
  updated_at          timestamptz not null,
  check (host_user_id <> guest_user_id),
  check (end_time >= start_time)
);
create index sessions_host on sessions (host_user_id, id desc);
create index sessions_guest on sessions (guest_user_id, id desc);

alter table conversations add foreign key (linked_session_id) references sessions;

-- Who is in a live session: the primary key keeps everybody to one at a time.
create table active_sessions (
  user_id    uuid primary key references users,
  session_id uuid not null references sessions
);
create index active_sessions_session on active_sessions (session_id);

create table invites (
  id                uuid primary key,
  conversation_id   uuid not null references conversations,
  requester_user_id uuid not null references users,
  target_user_id    uuid not null references users,
  status            text not null default 'pending'
                    check (status in ('pending', 'accepted', 'declined', 'cancelled', 'expired')),
  session_id        uuid references sessions,
  expires_at        timestamptz not null,
  resolved_at       timestamptz,
  created_at        timestamptz not null,
  check (requester_user_id <> target_user_id),
  check ((status = 'pending') = (resolved_at is null)),
  check ((status = 'accepted') = (session_id is not null))
);
create unique index invites_one_live on invites (conversation_id) where status = 'pending';
create index invites_target on invites (target_user_id, id desc);
create index invites_requester on invites (requester_user_id, id desc);
