-- What came in, so that it can be added up from one index; and what staff look for in payments.

-- The cause a gift was for, as it stood then.
alter table payments add column charity_name text;
update payments p set charity_name = u.charity_name from users u where u.id = p.payee_user_id and p.kind = 'donation';

-- What was taken of payers, or given back to them (negative); 0 where money only changed its account.
alter table ledger_transactions
  add column amount_minor bigint not null default 0,
  -- Whether of a donation, and to whom; nobody is the platform.
  add column is_gift boolean not null default false,
  add column payee_user_id uuid references users;

alter table ledger_transactions disable trigger ledger_transactions_stay;
update ledger_transactions t
set amount_minor = e.amount_minor, is_gift = p.kind = 'donation', payee_user_id = p.payee_user_id
from ledger_entries e, payments p
where e.transaction_id = t.id and e.account = 'provider' and p.id = t.payment_id
  and t.kind in ('capture', 'refund', 'refund_failure');
alter table ledger_transactions enable trigger ledger_transactions_stay;

alter table ledger_transactions
  add check (case kind when 'capture' then amount_minor > 0 when 'refund' then amount_minor < 0
                       when 'refund_failure' then amount_minor > 0 else amount_minor = 0 end);
create index ledger_takings on ledger_transactions (currency, created_at) include (amount_minor, is_gift)
  where amount_minor <> 0;
create index ledger_gifts on ledger_transactions (payee_user_id, currency) include (amount_minor) where is_gift;

-- At the commit: what a transaction says it brought is what its entries say.
create function check_ledger_amount() returns trigger language plpgsql as $$
begin
  if (select amount_minor from ledger_entries where transaction_id = new.id and account = 'provider')
     is distinct from new.amount_minor then
    raise exception 'a ledger transaction is not of the amount it names' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger ledger_transactions_amount after insert on ledger_transactions
  deferrable initially deferred for each row when (new.kind in ('capture', 'refund', 'refund_failure')) execute function check_ledger_amount();

create index payments_status on payments (status, id desc);
create index payments_kind on payments (kind, id desc);
