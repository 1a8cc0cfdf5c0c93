-- What staff did, whom members ask for, and what finds people and numbers quickly.

create table audit_log (
  id            uuid primary key,
  actor_user_id uuid not null references users,
  action        text not null,
  -- An id's text, or a queue's name.
  target        text not null,
  -- What changed, field by field.
  before        jsonb not null check (jsonb_typeof(before) = 'object'),
  after         jsonb not null check (jsonb_typeof(after) = 'object'),
  request_id    text,
  created_at    timestamptz not null
);
create index audit_log_actor on audit_log (actor_user_id, id desc);
create index audit_log_action on audit_log (action, id desc);
create index audit_log_target on audit_log (target, id desc);

create function refuse_to_rewrite() returns trigger language plpgsql as $$
begin
  raise exception '% is only ever added to', tg_table_name;
end $$;
create trigger audit_log_is_append_only before update or delete or truncate on audit_log
  for each statement execute function refuse_to_rewrite();

-- People whom members asked for and who aren't members.
create table requested_people (
  id                uuid primary key,
  name              text not null check (char_length(name) between 1 and 120),
  -- The name in lower case, with single spaces: what makes two names one.
  name_key          text not null unique,
  request_count     integer not null default 0 check (request_count >= 0),
  status            text not null default 'pending'
                    check (status in ('pending', 'contacted', 'declined', 'onboarded')),
  last_requested_at timestamptz not null,
  created_at        timestamptz not null,
  updated_at        timestamptz not null
);
create index requested_people_pending on requested_people (id) where status = 'pending';

-- Who asked for whom: everybody counts once.
create table requested_people_askers (
  person_id uuid not null references requested_people on delete cascade,
  user_id   uuid not null references users,
  primary key (person_id, user_id)
);
create index requested_people_askers_user on requested_people_askers (user_id);

create index users_staff on users (role, id desc) where role <> 'user';
create index users_managed on users (id desc) where managed;
create index users_manager on users (manager_id) where manager_id is not null;
-- Byte by byte, so that a range of it is what begins with a text.
create index users_name_prefix on users (lower(name) collate "C");
create index users_email_prefix on users (email collate "C");

create index sessions_unfinished on sessions (status) where status in ('pending', 'in_progress');
create index sessions_started_at on sessions (started_at) where started_at is not null;
create index sessions_completed_at on sessions (ended_at) where status = 'complete';
