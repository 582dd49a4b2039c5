-- Stream positions that cannot lose a row, whatever writers do (design: core/sync/README.md).
-- pos = epoch << 42 | id of the top-level transaction. An epoch is one life of this cluster's transaction
-- ids: it moves when PostgreSQL restarts, is restored or promoted, because ids can come again then.
-- (bodies: filled in by the owner of core/db)
SELECT 1;
