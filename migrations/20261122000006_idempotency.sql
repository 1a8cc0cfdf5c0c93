-- The first reply to a request with an Idempotency-Key, written in that request's transaction.
create table idempotency_keys (
  user_id    uuid not null references users on delete cascade,
  route      text not null,
  key        text not null check (char_length(key) between 1 and 255),
  body_hash  bytea not null check (length(body_hash) = 32),
  status     smallint not null check (status between 200 and 499),
  reply      text not null,
  created_at timestamptz not null,
  primary key (user_id, route, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
