-- Running jobs are few: those of one kind are counted through jobs_leases. An index of their own
-- was written twice for every job.
drop index jobs_running_kind;
