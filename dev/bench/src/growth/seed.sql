-- People, conversations and messages as the product writes them, at any size.
--
-- The first people are those who ask. Whatever the size, each of them has twenty conversations: one that grows with
-- the database, a hundredth of all that is stored, and nineteen of twenty messages. The others have what is left, in
-- conversations of 2 to 256 messages that ended some time in the last ninety days. A conversation has a message a
-- minute, and messages are stored in the order of their time, so that those of one conversation lie apart, as they do
-- in life. People grow with the messages, a hundredth of them.

create table bench.targets (
  n            bigint primary key,
  person       bigint not null,
  rank         bigint not null,
  size         bigint not null,
  conversation uuid not null
);

create function bench.grow(messages bigint, callers bigint, password_of text) returns void
language plpgsql as $$
declare
  people  constant bigint := greatest(1000, messages / 100);
  longest constant bigint := greatest(200, messages / 100);
  -- Who comes behind the callers and those they talk with.
  first   constant bigint := callers * 21 + 1;
  others  constant bigint := people - first - 60;
  left_over constant bigint := greatest(0, messages - callers * (longest + 19 * 20));
begin
  perform create_event_partitions((now() at time zone 'UTC')::date - 8, (now() at time zone 'UTC')::date - 1);

  -- They are all here: what is measured is a message, not the notification of somebody who is away.
  insert into users (id, name, email, email_verified, password_hash, headline, bio, skills, present_until, created_at, updated_at)
  select bench.user_id(n), 'Person ' || n, 'person-' || n || '@bench.test', true,
         case when n <= callers then (select password_hash from users where email = password_of) end,
         'Talks about ' || (array['bees', 'tax law', 'sourdough', 'sailing'])[n % 4 + 1],
         'I have done this for ' || n % 40 || ' years and like to explain it to anybody who asks.'
           || case when n % (people / 10) = 0 then ' Celestial navigation.' else '' end,
         array['skill ' || n % 50], now() + interval '1 day', now() - interval '100 days', now() - interval '100 days'
  from generate_series(1, people) as n;

  create temporary table made as
  select n, rank, size, person, other, bench.conversation_id(n) as id, bench.typeid('conv', bench.conversation_id(n)) as name,
         date_trunc('milliseconds', ended) as ended
  from (
    select (person - 1) * 20 + rank as n, rank, case rank when 1 then longest else 20 end as size, person,
           callers + (person - 1) * 20 + rank as other, now() - interval '1 minute' * rank as ended
    from generate_series(1, callers) as person, generate_series(1, 20) as rank
    union all
    select callers * 20 + 1 + i, 0, 2::bigint << (i % 8)::int, first + i % others, first + i % others + 1 + i / others,
           now() - interval '1 minute' * (i * 7919 % 129600)
    -- 64 is what they have on the average.
    from generate_series(0, left_over / 64 - 1) as i) as pair;
  analyze made;

  -- Every third message is the other's.
  insert into conversations (id, type, first_user_id, second_user_id, message_count, counted, first_sent, second_sent,
                             last_activity, created_at)
  select id, 'human', bench.user_id(person), bench.user_id(other), size, size, size - size / 3, size / 3,
         ended, ended - interval '1 minute' * size
  from made;

  -- The last caller never reads; the others have read all but the last five.
  insert into conversation_participants (conversation_id, user_id, read_through, heard_through, heard)
  select id, bench.user_id(who), reads, reads, case when who = person then reads / 3 else reads - reads / 3 end
  from made, unnest(array[person, other]) as who,
       lateral (select case when who = callers then 0 when who < callers then greatest(0, size - 5) else size end as reads) as mark;

  insert into messages (conversation_id, seq, sender_id, origin, type, content, created_at)
  select id, seq, bench.user_id(case when seq % 3 = 0 then other else person end), 'human', 'user_text',
         substr(repeat('Shall we talk about it on Thursday, when the bees have settled? ', 4), 1, 20 + (seq * 37 % 180)::int),
         ended - interval '1 minute' * (size - seq) as said
  from made, generate_series(1, size) as seq
  order by said, n;

  insert into event_channels (channel, seq) select 'conversation:' || name, size from made order by 1;

  -- Events are kept for a week.
  create temporary table senders as
  select bench.user_id(n) as sender_id, bench.typeid('user', bench.user_id(n)) as sender from generate_series(1, people) as n;
  analyze senders;
  insert into events (channel, seq, type, payload, created_at)
  select 'conversation:' || name, seq, 'message.created',
         jsonb_build_object('messageId', seq, 'conversationId', name, 'senderId', sender, 'origin', origin, 'type', type,
           'content', content, 'attachments', attachments, 'actions', actions,
           'timestamp', (extract(epoch from created_at) * 1000)::bigint),
         created_at
  from messages join made on made.id = conversation_id join senders using (sender_id)
  where created_at > now() - interval '7 days'
  order by created_at, 1;

  insert into bench.targets (n, person, rank, size, conversation)
  select n, person, rank, size, id from made where person <= callers;
  drop table made, senders;
end $$;
