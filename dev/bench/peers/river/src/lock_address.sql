select pg_advisory_xact_lock(hashtextextended('humanchat:link:' || $1, 0)) is null as locked
