-- GET /api/conversations
\set elsewhere random(0, 99) * :started
\if :elsewhere = 0
\set person random(1, :targets / 10)
select bench.user_id(:person) as caller,
       (select array_agg(conversation_id) from conversation_participants where user_id = bench.user_id(:person))::text as ids
\gset
\set started 1
\endif
with walk as materialized (
  select coalesce(null::text::pg_snapshot, pg_current_snapshot()) as began
), mine as (
  select c.id, began,
         case when pg_visible_in_snapshot(c.active_in, began) then c.last_activity
              else coalesce((select m.created_at from messages m
                             where m.conversation_id = c.id and pg_visible_in_snapshot(m.stored_in, began)
                             order by m.seq desc limit 1), c.created_at)
         end as activity
  from walk, conversation_participants p join conversations c on c.id = p.conversation_id
  where p.user_id = :caller and pg_visible_in_snapshot(c.created_in, began)
    and (null::text is null or c.type = null)
    and (not :unread or exists (select from messages m where m.conversation_id = c.id
                                and m.seq > p.read_through and m.sender_id is distinct from :caller))
)
select id as "id: ConversationId", activity as "activity!", began::text as "began!" from mine
where null::timestamptz is null or (activity, id) < (null, null)
order by activity desc, id desc limit :limit;
select c.id as "id!: ConversationId", c.type as "kind!: ConversationKind",
       c.linked_session_id as "linked_session_id: SessionId", c.last_activity as "last_activity!: Timestamp",
       c.created_at as "created_at!: Timestamp", c.message_count as "message_count!",
       a.id as "first_id!: UserId", a.name as "first_name!",
       b.id as "second_id?: UserId", b.name as "second_name?",
       m.sender_id as "sender_id?: UserId", m.origin as "origin?: Origin", m.type as "message_type?: MessageType",
       m.content as "content?", m.attachments as "attachments?: Json<Vec<Attachment>>",
       m.actions as "actions?: Json<Vec<Value>>", m.client_message_id, m.created_at as "sent_at?: DateTime<Utc>",
       case when :caller::uuid is not null then
         (select count(*) from messages u where u.conversation_id = c.id
          and u.seq > p.read_through and u.sender_id is distinct from :caller)
       end as unread_count
from conversations c
join users a on a.id = c.first_user_id
left join users b on b.id = c.second_user_id
left join conversation_participants p on p.conversation_id = c.id and p.user_id = :caller
left join messages m on m.conversation_id = c.id and m.seq = c.message_count
where c.id = any(:ids) and (:caller::uuid is null or p.user_id is not null);
