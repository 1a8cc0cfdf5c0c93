-- A time that Sam offers somebody is kept for them while they may take it: a row of its host's alone.
alter table engagements
  drop constraint engagements_pkey,
  alter column session_id drop not null,
  -- The proposal that it is kept for, where there is no session yet.
  add column offer_id uuid references sam_actions on delete cascade,
  add constraint engagements_session unique (session_id, user_id),
  add constraint engagements_offer unique (offer_id),
  add constraint engagements_have_one_reason check (num_nonnulls(session_id, offer_id) = 1),
  add constraint engagements_offers_wait check (offer_id is null or not live);
