-- GET /api/conversations
\set elsewhere random(0, 99) * :started
\if :elsewhere = 0
\set person random(1, :targets / 10)
select bench.user_id(:person) as caller,
       (select array_agg(conversation_id) from conversation_participants where user_id = bench.user_id(:person))::text as ids
\gset
\set started 1
\endif
select c.id as "id: ConversationId", c.last_activity as activity, pg_current_snapshot()::text as "began!"
from conversation_participants p join conversations c on c.id = p.conversation_id
where p.user_id = :caller and (null::text is null or c.type = null)
  and (not :unread or case
    when c.counted = c.message_count and p.heard_through = p.read_through
    then c.message_count - case c.first_user_id when :caller then c.first_sent else c.second_sent end > p.heard
    else exists (select from messages m where m.conversation_id = c.id
                 and m.seq > p.read_through and m.sender_id is distinct from :caller) end)
order by c.last_activity desc, c.id desc limit :limit;
select c.id as "id!: ConversationId", c.type as "kind!: ConversationKind",
       c.linked_session_id as "linked_session_id: SessionId", c.last_activity as "last_activity!: Timestamp",
       c.created_at as "created_at!: Timestamp", c.message_count as "message_count!",
       a.id as "first_id!: UserId", a.name as "first_name!",
       b.id as "second_id?: UserId", b.name as "second_name?",
       m.sender_id as "sender_id?: UserId", m.origin as "origin?: Origin", m.type as "message_type?: MessageType",
       m.content as "content?", m.attachments as "attachments?: Json<Vec<Attachment>>",
       m.actions as "actions?: Json<Vec<Value>>", m.client_message_id, m.created_at as "sent_at?: DateTime<Utc>",
       case when c.counted = c.message_count and p.heard_through = p.read_through
            then c.message_count - case c.first_user_id when :caller then c.first_sent else c.second_sent end - p.heard
            else (select count(*) from messages u where u.conversation_id = c.id
                  and u.seq > p.read_through and u.sender_id is distinct from :caller) end as unread_count
from unnest(:ids::uuid[]) as wanted(id)
join conversation_participants p on p.conversation_id = wanted.id and p.user_id = :caller
join conversations c on c.id = p.conversation_id
join users a on a.id = c.first_user_id
left join users b on b.id = c.second_user_id
left join messages m on m.conversation_id = c.id and m.seq = c.message_count;
