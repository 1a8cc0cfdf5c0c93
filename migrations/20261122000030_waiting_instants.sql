-- Sessions at once that wait for their host.

-- Until when such a one can be begun; of one from before, only the job that ends it knows.
alter table sessions add column start_by timestamptz;

-- A pair waits for one at a time.
create unique index sessions_instant_waiting on sessions (conversation_id) where type = 'instant' and status = 'pending';
