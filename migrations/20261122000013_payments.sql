-- Money: what is held, taken and given back, and every call to the provider that moves it.

-- A deed in two steps around a call to a provider: what the first step made, and until when the
-- request that is at work on it has it for itself. The reply comes with the second step.
alter table idempotency_keys
  add column deed uuid,
  add column busy_until timestamptz,
  alter column status drop not null,
  alter column reply drop not null,
  add check ((status is null) = (reply is null)),
  add check (status is not null or (deed is not null and busy_until is not null));

create table payments (
  id             uuid primary key,
  kind           text not null check (kind in ('session', 'donation')),
  session_id     uuid references sessions,
  payer_user_id  uuid not null references users,
  payee_user_id  uuid references users,
  status         text not null default 'requires_payment' check (status in
                   ('requires_payment', 'authorized', 'capturing', 'captured', 'voided', 'refunded', 'failed')),
  amount_minor   bigint not null check (amount_minor > 0),
  captured_minor bigint not null default 0 check (captured_minor between 0 and amount_minor),
  refunded_minor bigint not null default 0 check (refunded_minor between 0 and captured_minor),
  currency       text not null check (currency ~ '^[a-z]{3}$'),
  -- The platform's share, as it stood when the payment was made.
  fee_percent    smallint not null check (fee_percent between 0 and 100),
  -- Until when the provider keeps the hold.
  capture_before timestamptz,
  message        text,
  intent_id      text unique,
  checkout_id    text unique,
  -- When the provider was last asked about it.
  checked_at     timestamptz not null,
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  check (kind = 'donation' or (session_id is not null and payee_user_id is not null)),
  check (payee_user_id <> payer_user_id),
  check ((captured_minor > 0) = (status in ('captured', 'refunded'))),
  check ((status = 'refunded') = (captured_minor > 0 and refunded_minor = captured_minor))
);
-- A session is paid for once.
create unique index payments_one_live on payments (session_id)
  where kind = 'session' and status not in ('voided', 'failed');
create index payments_payer on payments (payer_user_id, id desc);
create index payments_payee on payments (payee_user_id, id desc);
create index payments_session on payments (session_id);
create index payments_unsettled on payments (checked_at)
  where status in ('requires_payment', 'authorized', 'capturing');

-- Every call that moves money or makes something to pay with: written, with its idempotency key,
-- before it is made.
create table payment_calls (
  id            uuid primary key,
  payment_id    uuid not null references payments,
  kind          text not null check (kind in ('create_intent', 'create_checkout', 'capture', 'void', 'refund')),
  key           text not null unique,
  amount_minor  bigint not null check (amount_minor > 0),
  reason        text,
  state         text not null default 'open' check (state in ('open', 'done', 'refused')),
  attempts      integer not null default 0 check (attempts >= 0),
  attempted_at  timestamptz,
  error_code    text,
  error_message text,
  created_at    timestamptz not null,
  settled_at    timestamptz,
  check ((state = 'open') = (settled_at is null)),
  check ((state = 'refused') = (error_code is not null))
);
-- What is asked of a payment is asked one after the other.
create unique index payment_calls_one_open on payment_calls (payment_id) where state = 'open';
create unique index payment_calls_one_capture on payment_calls (payment_id) where kind = 'capture' and state = 'done';
create index payment_calls_payment on payment_calls (payment_id, id);
create index payment_calls_open on payment_calls (created_at) where state = 'open';

-- The ledger: double entry, and nothing in it ever changes.
create table ledger_transactions (
  id         uuid primary key,
  payment_id uuid not null references payments,
  kind       text not null check (kind in ('capture', 'refund')),
  currency   text not null check (currency ~ '^[a-z]{3}$'),
  created_at timestamptz not null
);
create unique index ledger_one_capture on ledger_transactions (payment_id) where kind = 'capture';
create index ledger_transactions_payment on ledger_transactions (payment_id, id);

create table ledger_entries (
  transaction_id uuid not null references ledger_transactions,
  -- provider: money that lies there. payee: what is owed to somebody. platform: what is ours.
  account        text not null check (account in ('provider', 'payee', 'platform')),
  user_id        uuid references users,
  amount_minor   bigint not null check (amount_minor <> 0),
  primary key (transaction_id, account),
  check ((account = 'payee') = (user_id is not null))
);
create index ledger_entries_payee on ledger_entries (user_id) include (amount_minor) where user_id is not null;

create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only' using errcode = 'restrict_violation';
end $$;
create trigger ledger_transactions_stay before update or delete or truncate on ledger_transactions
  for each statement execute function refuse_ledger_change();
create trigger ledger_entries_stay before update or delete or truncate on ledger_entries
  for each statement execute function refuse_ledger_change();

-- At the commit, when all entries are there. The argument names the transaction's column.
create function check_ledger_balance() returns trigger language plpgsql as $$
begin
  if (select sum(amount_minor) from ledger_entries
      where transaction_id = (to_jsonb(new) ->> tg_argv[0])::uuid) is distinct from 0 then
    raise exception 'a ledger transaction does not sum to zero' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger ledger_transactions_balance after insert on ledger_transactions
  deferrable initially deferred for each row execute function check_ledger_balance('id');
create constraint trigger ledger_entries_balance after insert on ledger_entries
  deferrable initially deferred for each row execute function check_ledger_balance('transaction_id');

-- What the provider told us, once each. Only what it was about is kept: the provider is asked how
-- that stands.
create table webhook_events (
  id           text primary key check (char_length(id) between 1 and 255),
  type         text not null,
  api_version  text,
  object_id    text,
  state        text not null check (state in ('waiting', 'done', 'parked')),
  created_at   timestamptz not null,
  received_at  timestamptz not null,
  processed_at timestamptz
);
create index webhook_events_waiting on webhook_events (object_id) where state = 'waiting';

-- How far the provider's list of events has been read.
create table reconciliation (
  singleton   boolean primary key default true check (singleton),
  events_read timestamptz not null
);

-- Where our books and the provider's differ, until somebody or something settles it.
create table payment_differences (
  id          uuid primary key,
  payment_id  uuid references payments,
  object_id   text not null,
  kind        text not null,
  details     jsonb not null check (jsonb_typeof(details) = 'object'),
  found_at    timestamptz not null,
  resolved_at timestamptz
);
create unique index payment_differences_open on payment_differences (kind, object_id) where resolved_at is null;
