-- Who may be online, found from who is here and not by asking everybody. By the words of user_is_online, those of them are
-- online who haven't chosen to be offline, and have a socket or are here until later.
create function signs_of_life(at timestamptz) returns table (user_id uuid, has_socket boolean)
language sql stable parallel safe as $$
  select user_id, bool_or(has_socket) from (
    select s.user_id, true from user_sockets s join socket_processes p on p.id = s.process_id
    where p.seen_at > now() - interval '20 seconds'
    union all
    select user_id, false from presences where until > at
  ) sign (user_id, has_socket)
  group by user_id
$$;
