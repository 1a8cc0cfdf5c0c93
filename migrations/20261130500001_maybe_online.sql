-- Who may be online: everybody of whom user_is_online is true, and some who chose to be offline. From those who are here,
-- not from everybody there is.
create function maybe_online(at timestamptz) returns setof uuid language sql stable parallel safe as $$
  select s.user_id from user_sockets s join socket_processes p on p.id = s.process_id
  where p.seen_at > now() - interval '20 seconds'
  union
  select user_id from presences where until > at
$$;
