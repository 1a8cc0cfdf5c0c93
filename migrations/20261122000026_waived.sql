-- Hosts who waive what they would be paid.

alter table payments
  -- Set when the host lets go of what is held: nothing is owed for it any more, whatever becomes of the session.
  add column waived_at timestamptz;
