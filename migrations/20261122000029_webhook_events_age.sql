-- What the provider told long ago is deleted.
create index webhook_events_processed on webhook_events (received_at) where state <> 'waiting';
