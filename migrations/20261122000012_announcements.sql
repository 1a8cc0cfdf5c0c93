-- What staff say to many people at once, and how far it has come.
create table announcements (
  id             uuid primary key,
  author_user_id uuid not null references users,
  title          text not null check (char_length(title) between 1 and 200),
  body           text not null check (char_length(body) between 1 and 4000),
  audience       text not null check (audience in ('all', 'hosts', 'staff')),
  email          boolean not null,
  starts_at      timestamptz not null,
  ends_at        timestamptz check (ends_at > starts_at),
  -- How many people it is for, counted when it starts.
  total          bigint check (total >= 0),
  sent           bigint not null default 0 check (sent >= 0),
  -- The last person who has it: ids grow, so whoever comes meanwhile gets it too.
  reached        uuid,
  begun_at       timestamptz,
  -- When a batch last went out.
  sent_at        timestamptz,
  finished_at    timestamptz,
  created_at     timestamptz not null,
  check ((total is null) = (begun_at is null)),
  check (begun_at is not null or (sent = 0 and reached is null and finished_at is null))
);
