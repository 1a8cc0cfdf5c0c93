-- What concerns people, said to each of them once.
create table notifications (
  id         uuid primary key,
  user_id    uuid not null references users on delete cascade,
  kind       text not null check (kind in ('invite', 'invite_answered', 'request', 'request_decided', 'message',
                                           'session_booked', 'session_changed', 'session_cancelled', 'session_reminder',
                                           'payment', 'announcement')),
  -- What it is about, in the words of whoever said it: said again, it is the same one.
  key        text not null check (char_length(key) between 1 and 200),
  title      text not null,
  body       text not null,
  data       jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
  -- From then on it is no news any more, read or not.
  ends_at    timestamptz,
  read_at    timestamptz,
  created_at timestamptz not null
);
create unique index notifications_key on notifications (user_id, key);
create index notifications_user on notifications (user_id, id desc);
create index notifications_unread on notifications (user_id) where read_at is null;

-- Who wants what by mail. No row: the defaults, which are the program's.
create table notification_preferences (
  user_id        uuid primary key references users on delete cascade,
  -- {"invite": false}: where somebody differs from the default.
  mail           jsonb not null default '{}' check (jsonb_typeof(mail) = 'object'),
  digest         text not null default 'off' check (digest in ('off', 'hourly', 'daily')),
  -- Local wall time: an hour, and minutes of the day.
  digest_hour    smallint not null default 8 check (digest_hour between 0 and 23),
  quiet_start    smallint check (quiet_start between 0 and 1439),
  quiet_end      smallint check (quiet_end between 0 and 1440),
  -- Up to when digests have told of everything, and when the next one is due.
  digested_until timestamptz,
  next_digest_at timestamptz,
  updated_at     timestamptz not null,
  check ((quiet_start is null) = (quiet_end is null)),
  check (quiet_start <> quiet_end % 1440),
  check ((digest = 'off') = (next_digest_at is null)),
  check ((digest = 'off') = (digested_until is null))
);
create index notification_preferences_due on notification_preferences (next_digest_at) where next_digest_at is not null;

-- Mail is written once: a repeat has the same Message-ID.
alter table mails
  add column message_id text unique,
  add column calendar   text;
