-- Unread messages without reading them: what was sent less what one sent oneself less what one has read of the other's.
--
-- A count says up to where it counts, and holds only there. A program that doesn't know it leaves it behind: then the
-- messages themselves are counted.
alter table conversations
  -- Of the first `counted` messages, how many each of the two sent; the rest is Sam's or the service's.
  add column counted     bigint not null default 0 check (counted >= 0),
  add column first_sent  bigint not null default 0 check (first_sent >= 0),
  add column second_sent bigint not null default 0 check (second_sent >= 0);

alter table conversation_participants
  -- Of the first `heard_through` messages, how many this one didn't send.
  add column heard_through bigint not null default 0 check (heard_through >= 0),
  add column heard         bigint not null default 0 check (heard >= 0);

-- Who is just written to is left as it is.
update conversations c
set counted = sent.total, first_sent = sent.by_first, second_sent = sent.by_second
from (select m.conversation_id, count(*) as total, count(*) filter (where m.sender_id = c.first_user_id) as by_first,
             count(*) filter (where m.sender_id = c.second_user_id) as by_second
      from messages m join conversations c on c.id = m.conversation_id group by 1) as sent
where c.id = sent.conversation_id and c.message_count = sent.total;

update conversation_participants p
set heard_through = read_through,
    heard = (select count(*) from messages m where m.conversation_id = p.conversation_id and m.seq <= p.read_through
             and m.sender_id is distinct from p.user_id)
where read_through > 0;
