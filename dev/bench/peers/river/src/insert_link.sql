insert into magic_links (id, email, created_at, expires_at)
select $1::text::uuid, $2, now(), now() + interval '15 minutes'
where (select count(*) from magic_links where email = $2 and expires_at > now()) < 5
