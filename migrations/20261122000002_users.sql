-- People, and how they sign in.

-- What people search finds: array_to_string is only stable, but over text it never changes.
create function users_search_document(name text, headline text, bio text, skills text[])
returns tsvector language sql immutable parallel safe as $$
  select setweight(to_tsvector('simple', name), 'A')
      || setweight(to_tsvector('english', headline), 'B')
      || setweight(to_tsvector('english', array_to_string(skills, ' ')), 'B')
      || setweight(to_tsvector('simple', array_to_string(skills, ' ')), 'B')
      || setweight(to_tsvector('english', bio), 'C')
$$;

create table users (
  id                 uuid primary key,
  name               text not null check (char_length(name) between 2 and 80),
  email              text not null unique check (email = lower(email)),
  email_verified     boolean not null default false,
  password_hash      text,
  role               text not null default 'user' check (role in ('user', 'manager', 'admin')),
  suspended_at       timestamptz,
  timezone           text not null default 'UTC',
  avatar_url         text,
  headline           text not null default '',
  bio                text not null default '',
  skills             text[] not null default '{}',
  languages          text[] not null default '{}',
  conversation_type  text not null default 'free' check (conversation_type in ('free', 'paid', 'charity')),
  instant_rate_minor bigint check (instant_rate_minor > 0),
  -- {"30": 2200}: minutes to price in minor units.
  scheduled_rates    jsonb not null default '{}' check (jsonb_typeof(scheduled_rates) = 'object'),
  currency           text not null default 'usd' check (currency ~ '^[a-z]{3}$'),
  charity_name       text,
  managed            boolean not null default false,
  manager_id         uuid references users,
  display_mode       text not null default 'normal' check (display_mode in ('normal', 'by_request', 'confidential')),
  confidential_rate  boolean not null default false,
  presence_state     text not null default 'active' check (presence_state in ('active', 'idle', 'offline')),
  -- "Here" over HTTP, without a socket, until then.
  present_until      timestamptz,
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  search             tsvector not null generated always as
                     (users_search_document(name, headline, bio, skills)) stored
);
create index users_search on users using gin (search);

-- A sign-in and everything that descends from it.
create table logins (
  id         uuid primary key,
  user_id    uuid not null references users on delete cascade,
  created_at timestamptz not null,
  ended_at   timestamptz
);
create index logins_user on logins (user_id) where ended_at is null;

create table refresh_tokens (
  hash       bytea primary key check (length(hash) = 32),
  login_id   uuid not null references logins on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz
);
create index refresh_tokens_login on refresh_tokens (login_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table magic_links (
  id         uuid primary key,
  email      text not null check (email = lower(email)),
  -- Written when the mail is: until then nobody can use it.
  token_hash bytea unique check (length(token_hash) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz
);
create index magic_links_email on magic_links (email, id desc);
create index magic_links_expiry on magic_links (expires_at);

-- One-time keys to the socket door, for clients that don't want a token in a URL.
create table socket_tickets (
  hash       bytea primary key check (length(hash) = 32),
  login_id   uuid not null references logins on delete cascade,
  expires_at timestamptz not null
);
create index socket_tickets_expiry on socket_tickets (expires_at);

-- Api processes that hold sockets; one that stops renewing is dead, and its sockets with it.
create table socket_processes (
  id      uuid primary key,
  seen_at timestamptz not null
);
create table user_sockets (
  user_id    uuid not null references users on delete cascade,
  process_id uuid not null references socket_processes on delete cascade,
  primary key (user_id, process_id)
);
create index user_sockets_process on user_sockets (process_id);

-- Mail that was written. Without SMTP this is where it stays.
create table mails (
  id         uuid primary key,
  to_address text not null,
  subject    text not null,
  body       text not null,
  created_at timestamptz not null
);

-- Somebody is online while a socket of theirs is open in a living process, or shortly after they
-- said so over HTTP, unless they chose to be offline.
create function user_is_online(state text, present_until timestamptz, who uuid, at timestamptz)
returns boolean language sql stable parallel safe as $$
  select state <> 'offline' and (
    coalesce(present_until > at, false)
    or exists (select from user_sockets s join socket_processes p on p.id = s.process_id
               where s.user_id = who and p.seen_at > now() - interval '20 seconds'))
$$;
