-- What was read long ago is deleted.
create index notifications_read on notifications (read_at) where read_at is not null;
