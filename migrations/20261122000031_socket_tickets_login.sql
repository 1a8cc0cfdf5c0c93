-- Logins are deleted with their tickets: these are found by an index.
create index socket_tickets_login on socket_tickets (login_id);
