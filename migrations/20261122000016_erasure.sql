-- People who left, and invites that became something else.

-- Who left can't come back: the row stays, without anything of theirs, for those who met them.
alter table users add column erased_at timestamptz;
alter table users add constraint users_erased_is_suspended check (erased_at is null or suspended_at is not null);

create index users_erased on users (id) where erased_at is not null;

create index mails_address on mails (to_address);

-- The request or booking that an unanswered invite was turned into, once.
alter table invites
  add column request_id uuid references requests,
  add column booking_id uuid references sessions,
  add constraint invites_converted_once check (num_nonnulls(request_id, booking_id) <= 1);
