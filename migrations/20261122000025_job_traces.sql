-- Where a job was asked for, as W3C trace context: a job's span belongs to the trace of its request.
alter table jobs add column traceparent text;
