-- Ids of what a measurement stores, by number, and as clients know them.
create schema bench;

create function bench.user_id(n bigint) returns uuid language sql immutable as $$
  select ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

create function bench.conversation_id(n bigint) returns uuid language sql immutable as $$
  select ('01990000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- An id as clients know it: the prefix, and 128 bits in 26 digits of Crockford's base 32.
create function bench.typeid(prefix text, id uuid) returns text language sql immutable as $$
  select prefix || '_' || string_agg(
    substr('0123456789abcdefghjkmnpqrstvwxyz', substring(bits from n * 5 + 1 for 5)::bit(5)::int + 1, 1), '' order by n)
  from (select b'00' || ('x' || replace(id::text, '-', ''))::bit(128) as bits) as number, generate_series(0, 25) as n
$$;
