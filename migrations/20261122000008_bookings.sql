-- When hosts can be booked, and everybody's time.

-- Trusted: the database's owner may create it.
create extension if not exists btree_gist;

create table availability (
  user_id    uuid primary key references users on delete cascade,
  rules      jsonb not null check (jsonb_typeof(rules) = 'object'),
  updated_at timestamptz not null
);

-- Whose time is taken by a session that is agreed, held or going on: a row for each of its people,
-- gone once the session is over. Nobody can be in two places at once.
create table engagements (
  session_id uuid not null references sessions on delete cascade,
  user_id    uuid not null references users,
  -- The host's with the buffer behind it.
  during     tstzrange not null check (not isempty(during) and lower_inc(during) and not upper_inc(during)
                                       and not lower_inf(during) and not upper_inf(during)),
  -- Going on now: the unique index keeps everybody to one at a time, however long it takes.
  live       boolean not null default false,
  primary key (session_id, user_id),
  constraint engagements_apart exclude using gist (user_id with =, during with &&)
);
create unique index engagements_live on engagements (user_id) where live;

insert into engagements (session_id, user_id, during, live)
select a.session_id, a.user_id, tstzrange(s.start_time, greatest(s.start_time, now()) + interval '30 minutes'), true
from active_sessions a join sessions s on s.id = a.session_id;
drop table active_sessions;

create index sessions_host_start on sessions (host_user_id, start_time);
create index sessions_guest_start on sessions (guest_user_id, start_time);
