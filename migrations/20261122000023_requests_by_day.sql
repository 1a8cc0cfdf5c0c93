-- How many requests were sent on each of the latest days, for staff.
create index requests_created on requests (created_at);
