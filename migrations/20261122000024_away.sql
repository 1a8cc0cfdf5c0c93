-- How often in a row somebody left an invite unanswered since they last answered one or said that they are
-- here; and whether that is why they show as idle.
alter table users
  add column unanswered smallint not null default 0 check (unanswered >= 0),
  add column found_away boolean not null default false;
