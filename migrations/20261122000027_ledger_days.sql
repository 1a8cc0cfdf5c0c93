-- What came in, added up as it is booked: totals are read from a few rows, however much there was.

create table ledger_days (
  currency     text not null,
  -- In UTC.
  day          date not null,
  is_gift      boolean not null,
  -- Whether nobody but the platform was paid.
  is_platforms boolean not null,
  -- Of many who book at once most have a row of their own to add to.
  shard        smallint not null,
  amount_minor bigint not null,
  primary key (currency, day, is_gift, is_platforms, shard)
) with (fillfactor = 50);

create function add_to_ledger_day() returns trigger language plpgsql as $$
begin
  insert into ledger_days (currency, day, is_gift, is_platforms, shard, amount_minor)
  values (new.currency, (new.created_at at time zone 'UTC')::date, new.is_gift, new.payee_user_id is null,
          pg_backend_pid() % 8, new.amount_minor)
  on conflict (currency, day, is_gift, is_platforms, shard)
  do update set amount_minor = ledger_days.amount_minor + excluded.amount_minor;
  return null;
end $$;
create trigger ledger_transactions_add_up after insert on ledger_transactions
  for each row when (new.amount_minor <> 0) execute function add_to_ledger_day();

insert into ledger_days (currency, day, is_gift, is_platforms, shard, amount_minor)
select currency, (created_at at time zone 'UTC')::date, is_gift, payee_user_id is null, 0, sum(amount_minor)
from ledger_transactions where amount_minor <> 0 group by 1, 2, 3, 4;

drop index ledger_takings;
