-- What listeners are told, numbered per channel 1, 2, 3, … in the transaction of the change itself.
create table event_channels (
  channel text primary key,
  seq     bigint not null check (seq > 0)
) with (fillfactor = 70);

create table events (
  channel    text not null,
  seq        bigint not null,
  type       text not null,
  payload    jsonb not null,
  created_at timestamptz not null,
  primary key (channel, seq, created_at)
) partition by range (created_at);

-- Catches what no day's partition takes, so that an idle schedule loses nothing.
create table events_rest partition of events default;

-- Makes the partitions of the days from first to last (UTC) that are missing. A day whose events
-- already lie in the rest stays there.
create function create_event_partitions(first date, last date) returns void language plpgsql as $$
declare
  day date;
  lower_bound timestamptz;
begin
  for day in select generate_series(first, last, interval '1 day')::date loop
    lower_bound := day::timestamp at time zone 'UTC';
    continue when to_regclass('events_' || to_char(day, 'YYYYMMDD')) is not null
      or exists (select from events_rest
                 where created_at >= lower_bound and created_at < lower_bound + interval '1 day');
    execute format('create table %I partition of events for values from (%L) to (%L)',
      'events_' || to_char(day, 'YYYYMMDD'), lower_bound, lower_bound + interval '1 day');
  end loop;
end $$;

select create_event_partitions((now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date + 3);
