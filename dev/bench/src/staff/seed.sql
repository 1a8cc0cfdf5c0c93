-- A hundred thousand people of whom two thousand are here, a million messages, a month of sessions.
insert into users (id, name, email, headline, bio, skills, conversation_type, present_until, managed, created_at, updated_at)
select gen_random_uuid(), initcap(md5(n::text)) || ' ' || (array['Miller', 'Lopez', 'Tanaka', 'O''Neil'])[n % 4 + 1],
  'person-' || n || '@people.test', 'Talks about ' || (array['bees', 'tax law', 'sourdough', 'sailing'])[n % 4 + 1],
  'I have done this for ' || n % 40 || ' years and like to explain it to anybody who asks. ' || repeat(md5(n::text) || ' ', 6)
    || case when n % 10000 = 0 then 'Celestial navigation.' else '' end,
  array['skill ' || n % 50], 'free', case when n % 50 = 0 then now() + interval '1 hour' end, n % 500 = 0, now(), now()
from generate_series(1, 100000) n;

insert into presences (user_id, since, until) select id, now(), present_until from users where present_until is not null;

insert into conversations (id, type, first_user_id, second_user_id, message_count, counted, first_sent, last_activity, created_at)
select gen_random_uuid(), 'human', least(a.id, b.id), greatest(a.id, b.id), 50, 50, 50, now(), now()
from (select id, row_number() over () as n from users) a
join (select id, row_number() over () as n from users) b on b.n = a.n + 1
where a.n <= 20000;

insert into conversation_participants (conversation_id, user_id)
select id, unnest(array[first_user_id, second_user_id]) from conversations;

insert into messages (conversation_id, seq, sender_id, origin, type, content, created_at)
select c.id, n, c.first_user_id, 'human', 'user_text', 'Hello for the ' || n || 'th time', now()
from conversations c, generate_series(1, 50) n;

insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, started_at, end_time,
                      ended_at, ended_by, owed_minor, duration_minutes, currency, payment_mode, created_at, updated_at)
select gen_random_uuid(), first_user_id, second_user_id, id, 'instant', 'complete', at - interval '1 hour',
  at - interval '1 hour', at, at, 'host', 0, 30, 'usd', 'free', now(), now()
from (select *, now() - interval '1 hour' * (row_number() over () % 720) as at from conversations) c;

insert into requests (id, requester_user_id, target_user_id, message, created_at, updated_at)
select gen_random_uuid(), first_user_id, second_user_id, 'Bees?', now(), now() from conversations limit 5000;

insert into invites (id, conversation_id, requester_user_id, target_user_id, status, expires_at, resolved_at, created_at)
select gen_random_uuid(), id, first_user_id, second_user_id, 'expired', now(), now(), now() - interval '5 minutes'
from conversations, generate_series(1, 5);
