-- POST /api/conversations/{id}/messages
\set elsewhere random(0, 99) * :started
\if :elsewhere = 0
\set target random(1, :targets)
select bench.user_id(person) as caller, conversation,
       array['conversation:' || bench.typeid('conv', conversation)]::text as channels, now()::text as now
from bench.targets where n = :target \gset
\set started 1
\endif
begin;
with numbered as (
  update conversations c
  set message_count = message_count + 1, last_activity = greatest(last_activity, :now),
      active_in = pg_current_xact_id(), counted = counted + (counted = message_count)::integer,
      first_sent = first_sent + (first_user_id = :caller)::integer,
      second_sent = second_sent + (second_user_id is not distinct from :caller)::integer
  where id = :conversation and exists (select from conversation_participants p where p.conversation_id = :conversation and p.user_id = :caller)
  returning message_count, last_activity, type
), stored as (
  insert into messages (conversation_id, seq, sender_id, origin, type, content, attachments, actions,
                        client_message_id, created_at)
  select :conversation, message_count, :caller, 'human', :type, :content, :none, :none, null, last_activity from numbered
  on conflict (conversation_id, sender_id, client_message_id) where client_message_id is not null do nothing
  returning seq, created_at
)
select s.seq as "seq?", s.created_at as "created_at?", away.user_id as "away_id?: UserId",
       away.read_through as "read_through?", away.sender_name as "sender_name?",
       n.type as "kind!: ConversationKind"
from numbered n left join stored s on true
left join (select p.user_id, p.read_through, u.presence_state, u.present_until,
                  (select name from users where id = :caller) as sender_name
           from conversation_participants p join users u on u.id = p.user_id
           where p.conversation_id = :conversation and p.user_id <> :caller) away
  on s.seq = 1 or not user_is_online(away.presence_state, away.present_until, away.user_id, :now);
with input as (
  select channel, type, payload, ord
  from unnest(:channels::text[], :types::text[], :payloads::jsonb[]) with ordinality as t(channel, type, payload, ord)
), counted as (
  select channel, count(*) as n from input group by channel order by channel
), numbered as (
  insert into event_channels as c (channel, seq) select channel, n from counted order by channel
  on conflict (channel) do update set seq = c.seq + excluded.seq
  returning channel, seq
), stored as (
  insert into events (channel, seq, type, payload, created_at)
  select i.channel,
         n.seq - c.n + row_number() over (partition by i.channel order by i.ord),
         i.type, i.payload, :now
  from input i join numbered n using (channel) join counted c using (channel)
  returning channel, seq
)
select channel as "channel!", seq as "seq!" from stored order by channel, seq;
commit;
