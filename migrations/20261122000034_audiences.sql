-- Whether an announcement for an audience is for somebody. Hosts are those who take bookings, or are paid or charity hosts.
create function is_in_audience(audience text, role text, conversation_type text, who uuid)
returns boolean language sql stable parallel safe as $$
  select case audience
    when 'all' then true
    when 'staff' then role in ('manager', 'admin')
    else conversation_type <> 'free' or exists (select from availability a where a.user_id = who) end
$$;
