-- Whom an answer of Sam's may speak of: who was looked up for it, and whom it names out of an earlier one. When somebody
-- leaves, these are the answers that lose the name.
create table sam_mentions (
  conversation_id uuid not null,
  seq             bigint not null,
  user_id         uuid not null references users,
  primary key (conversation_id, seq, user_id),
  foreign key (conversation_id, seq) references messages on delete cascade
);
create index sam_mentions_user on sam_mentions (user_id, conversation_id, seq);

-- Removing a message looks for the run that it answers.
create index sam_runs_answer on sam_runs (conversation_id, answer_seq);
