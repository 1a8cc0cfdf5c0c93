-- Members ask for skills that nobody here has, too. Their keys begin with "skill" on a line of its own, which no name does.
alter table requested_people
  add column kind text not null default 'person' check (kind in ('person', 'skill'));
