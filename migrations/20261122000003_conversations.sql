-- Conversations and their messages. A message's id is its position: 1, 2, 3, … without gaps.
create table conversations (
  id                uuid primary key,
  type              text not null check (type in ('sam', 'human')),
  -- Human: the pair, smaller id first. Sam: the one person.
  first_user_id     uuid not null references users,
  second_user_id    uuid references users,
  linked_session_id uuid,
  message_count     bigint not null default 0 check (message_count >= 0),
  last_activity     timestamptz not null,
  -- The transactions that wrote them: whether a walk that began earlier may see them.
  active_in         xid8 not null default pg_current_xact_id(),
  created_in        xid8 not null default pg_current_xact_id(),
  created_at        timestamptz not null,
  check (case type when 'human' then second_user_id is not null and first_user_id < second_user_id
                   else second_user_id is null end)
);
create unique index conversations_pair on conversations (first_user_id, second_user_id) where type = 'human';
create unique index conversations_sam on conversations (first_user_id) where type = 'sam';

create table conversation_participants (
  conversation_id uuid not null references conversations on delete cascade,
  user_id         uuid not null references users,
  read_through    bigint not null default 0 check (read_through >= 0),
  primary key (conversation_id, user_id)
);
create index conversation_participants_user on conversation_participants (user_id, conversation_id);

create table messages (
  conversation_id   uuid not null references conversations on delete cascade,
  seq               bigint not null check (seq > 0),
  sender_id         uuid references users,
  origin            text not null check (origin in ('human', 'sam', 'system')),
  type              text not null
                    check (type in ('user_text', 'attachment', 'sam_action', 'sam_response', 'system_notice')),
  content           text not null check (char_length(content) between 1 and 8000),
  attachments       jsonb not null default '[]' check (jsonb_typeof(attachments) = 'array'),
  actions           jsonb not null default '[]' check (jsonb_typeof(actions) = 'array'),
  client_message_id text,
  stored_in         xid8 not null default pg_current_xact_id(),
  created_at        timestamptz not null,
  primary key (conversation_id, seq),
  check ((sender_id is null) = (origin <> 'human'))
);
create unique index messages_client_id on messages (conversation_id, sender_id, client_message_id)
  where client_message_id is not null;
