-- The callers' own rows: as the product's.
create table magic_links (
  id         uuid primary key,
  email      text not null,
  token_hash bytea unique,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz
);
create index magic_links_email on magic_links (email, id desc);
create index magic_links_expiry on magic_links (expires_at);
