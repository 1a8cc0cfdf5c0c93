-- GET /api/conversations/{id}/messages?limit=50
\set elsewhere random(0, 99) * :started
\if :elsewhere = 0
\set target random(0, :targets / 5 - 1)
select bench.user_id(person) as caller, conversation
from bench.targets where n = :target / 2 * 10 + :target % 2 + 1 \gset
\set started 1
\endif
select seq, sender_id as "sender_id: UserId", origin as "origin: Origin", type as "kind: MessageType", content,
       attachments as "attachments: Json<Vec<Attachment>>", actions as "actions: Json<Vec<Value>>",
       client_message_id, created_at
from messages
where conversation_id = :conversation and seq < coalesce(null, 9223372036854775807)
  and exists (select from conversation_participants where conversation_id = :conversation and user_id = :caller)
order by seq desc limit :limit;
