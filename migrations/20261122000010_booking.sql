-- Booked sessions: what was agreed, how it ended, and who was there.

-- {"full_refund_hours": 24, "half_refund_hours": 1}; null is the product's own.
alter table users add column cancellation_policy jsonb check (jsonb_typeof(cancellation_policy) = 'object');

alter table sessions
  -- What the price is for; null for a free instant session, which lasts as long as it lasts.
  add column booked_minutes  integer check (booked_minutes between 5 and 480),
  add column payment_status  text not null default 'not_required' check (payment_status in
    ('not_required', 'requires_payment', 'authorized', 'capturing', 'captured', 'voided', 'refunded', 'failed')),
  -- Until when the time is kept for who has not paid yet.
  add column hold_expires_at timestamptz,
  -- When nothing stood in its way any more: at once, or with the payment.
  add column confirmed_at    timestamptz,
  -- The last reminder that was sent: so many minutes before the start.
  add column reminded_before integer,
  add column started_at      timestamptz,
  add column ended_at        timestamptz,
  -- Who completed it or called it off; or who did not come.
  add column ended_by        text check (ended_by in ('host', 'guest', 'staff', 'system')),
  -- What the guest owes in the end, of what was agreed.
  add column owed_minor      bigint check (owed_minor between 0 and agreed_price_minor);

update sessions set confirmed_at = created_at, started_at = start_time;
update sessions set ended_at = end_time, ended_by = 'host', owed_minor = 0 where status = 'complete';

alter table sessions
  add constraint sessions_held check (hold_expires_at is null or status = 'pending'),
  add constraint sessions_started check ((started_at is not null) = (status in ('in_progress', 'complete'))),
  add constraint sessions_ended check (
    num_nonnulls(ended_at, ended_by, owed_minor) = case when status in ('pending', 'in_progress') then 0 else 3 end),
  add constraint sessions_booked check (type = 'instant' or num_nonnulls(booked_minutes, end_time, cancellation_policy) = 3);

create index sessions_held on sessions (host_user_id) where hold_expires_at is not null;
create index sessions_held_guest on sessions (guest_user_id) where hold_expires_at is not null;

-- When people had a socket open, or said that they are here: kept for two days, as evidence of who
-- came. A row without an end is still going on.
create table presences (
  user_id uuid not null references users on delete cascade,
  since   timestamptz not null,
  until   timestamptz,
  check (until >= since)
);
create unique index presences_open on presences (user_id) where until is null;
create index presences_closed on presences (user_id, until) where until is not null;
create index presences_until on presences (until);

-- Who was there, and when, of sessions that are over: what the money goes by.
create table attendance (
  session_id uuid not null references sessions on delete cascade,
  user_id    uuid not null references users,
  during     tstzrange not null check (not isempty(during)),
  constraint attendance_apart exclude using gist (session_id with =, user_id with =, during with &&)
);
