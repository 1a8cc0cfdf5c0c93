-- People, conversations and messages as the product writes them, many at once.
--
-- Everybody has ten conversations with the ten who come next in the circle, so twenty in all. Half of what is
-- said in somebody's ten is said in the first of them, a quarter in the second, and so on. Messages are stored
-- in the order of their time, so that those of one conversation lie apart, as they do in life.

-- What may be asked for: conversations of the first people, who can sign in.
create table bench.targets (
  n            bigint primary key,
  person       bigint not null,
  rank         bigint not null,
  conversation uuid not null
);

create function bench.seed(people bigint, callers bigint, messages bigint, password_of text) returns void
language plpgsql as $$
begin
  perform create_event_partitions((now() at time zone 'UTC')::date - 8, (now() at time zone 'UTC')::date - 1);

  -- They are all here: what is measured is a message, not the notification of somebody who is away.
  insert into users (id, name, email, email_verified, password_hash, present_until, created_at, updated_at)
  select bench.user_id(n), 'Person ' || n, 'person-' || n || '@bench.test', true,
         (select password_hash from users where email = password_of), now() + interval '1 day',
         now() - interval '100 days', now() - interval '100 days'
  from generate_series(1, people) as n;

  create temporary table made on commit drop as
  select n, rank, size, person, other, bench.conversation_id(n) as id, bench.typeid('conv', bench.conversation_id(n)) as name,
         now() - interval '90 days' as began, now() - interval '1 minute' * n as ended
  from (select (person - 1) * 10 + rank as n, person, (person + rank - 1) % people + 1 as other, rank,
               greatest(1, round(messages::numeric / people / 2 ^ rank))::bigint as size
        from generate_series(1, people) as person, generate_series(1, 10) as rank) as pair;

  -- The other's are those messages whose number and the conversation's add up to a multiple of three.
  insert into conversations (id, type, first_user_id, second_user_id, message_count, counted, first_sent, second_sent,
                             last_activity, created_at)
  select id, 'human', bench.user_id(least(person, other)), bench.user_id(greatest(person, other)), size, size,
         case when person < other then size - others else others end, case when person < other then others else size - others end,
         date_trunc('milliseconds', ended), began
  from made, lateral (select (size + n % 3) / 3 as others) as said;

  -- One side has read everything, the other not the last few.
  insert into conversation_participants (conversation_id, user_id, read_through, heard_through, heard)
  select id, bench.user_id(who), reads, reads,
         case when who = person then (reads + n % 3) / 3 else reads - (reads + n % 3) / 3 end
  from made, unnest(array[person, other]) as who,
       lateral (select case when who = person then size else greatest(0, size - rank) end as reads) as mark;

  insert into messages (conversation_id, seq, sender_id, origin, type, content, created_at)
  select id, seq, bench.user_id(case when (seq + n) % 3 = 0 then other else person end), 'human', 'user_text',
         substr(repeat('Shall we talk about it on Thursday, when the bees have settled? ', 4), 1, 20 + (seq * 37 % 180)::int),
         date_trunc('milliseconds', ended - (ended - began) * ((size - seq)::float8 / size))
  from made, generate_series(1, size) as seq
  order by 7, 1, 2;

  insert into event_channels (channel, seq) select 'conversation:' || name, size from made order by 1;

  -- Events are kept for a week.
  insert into events (channel, seq, type, payload, created_at)
  select 'conversation:' || name, seq, 'message.created',
         jsonb_build_object('messageId', seq, 'conversationId', name, 'senderId', sender, 'origin', origin, 'type', type,
           'content', content, 'attachments', attachments, 'actions', actions,
           'timestamp', (extract(epoch from created_at) * 1000)::bigint),
         created_at
  from messages join made on made.id = conversation_id
       join (select bench.user_id(n) as sender_id, bench.typeid('user', bench.user_id(n)) as sender
             from generate_series(1, people) as n) as senders using (sender_id)
  where created_at > now() - interval '7 days'
  order by created_at, 1;

  insert into bench.targets (n, person, rank, conversation)
  select n, person, rank, id from made where person <= callers;
end $$;
