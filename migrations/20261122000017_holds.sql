-- Cards saved for later, holds that end too soon, and refunds that fail after all.

alter table payments
  -- What a card is saved with, the card, and when it is to be authorised.
  add column setup_id     text unique,
  add column method_id    text,
  add column authorize_at timestamptz,
  -- Set when its hold is let go because it would end before its session.
  add column lapsed_at    timestamptz,
  add constraint payments_saved_card check (authorize_at is not null or num_nonnulls(setup_id, method_id) = 0);
create index payments_ending on payments (capture_before) where status in ('authorized', 'capturing');
create index payments_to_authorize on payments (authorize_at)
  where status = 'requires_payment' and method_id is not null and intent_id is null;

alter table payment_calls
  drop constraint payment_calls_kind_check,
  add constraint payment_calls_kind_check check (kind in
    ('create_intent', 'create_checkout', 'create_setup', 'authorize', 'capture', 'void', 'refund'));

alter table ledger_transactions
  drop constraint ledger_transactions_kind_check,
  add constraint ledger_transactions_kind_check check (kind in ('capture', 'refund', 'refund_failure'));

-- Who people are at the provider, where they are anybody there: written, with the idempotency key, before
-- it is asked to make them.
create table payment_parties (
  user_id      uuid not null references users,
  kind         text not null check (kind in ('customer', 'account')),
  object_id    text unique,
  key          text not null unique,
  keyed_at     timestamptz not null,
  attempted_at timestamptz,
  primary key (user_id, kind)
);
