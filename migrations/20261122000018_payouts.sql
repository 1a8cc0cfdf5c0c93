-- What hosts earned is passed on to their accounts, unless the payer's bank disputes it.

alter table payments
  -- When what was earned is passed on; null where nothing is, or all was.
  add column payout_at         timestamptz,
  -- What has been passed on, less what was taken back.
  add column transferred_minor bigint not null default 0 check (transferred_minor between 0 and captured_minor),
  add column dispute           text check (dispute in ('open', 'won', 'lost'));
create index payments_payouts on payments (payout_at) where payout_at is not null;

alter table payment_calls
  -- Which transfer some is taken back of.
  add column transfer_id text,
  drop constraint payment_calls_kind_check,
  add constraint payment_calls_kind_check check (kind in
    ('create_intent', 'create_checkout', 'create_setup', 'authorize', 'capture', 'void', 'refund', 'transfer',
     'reverse_transfer')),
  add constraint payment_calls_transfer check ((kind = 'reverse_transfer') = (transfer_id is not null));

alter table ledger_transactions
  drop constraint ledger_transactions_kind_check,
  add constraint ledger_transactions_kind_check check (kind in
    ('capture', 'refund', 'refund_failure', 'transfer', 'transfer_reversal'));

create table payment_transfers (
  -- The provider's.
  id             text primary key,
  payment_id     uuid not null references payments,
  amount_minor   bigint not null check (amount_minor > 0),
  reversed_minor bigint not null default 0 check (reversed_minor between 0 and amount_minor)
);
create index payment_transfers_payment on payment_transfers (payment_id);

-- How hosts' accounts at the provider stand.
create table payout_accounts (
  user_id           uuid primary key references users,
  account_id        text not null unique,
  transfers_enabled boolean not null,
  charges_enabled   boolean not null,
  payouts_enabled   boolean not null,
  details_submitted boolean not null,
  -- What the provider wants to know, in its words.
  requirements      text[] not null,
  disabled_reason   text,
  checked_at        timestamptz not null
);
