-- What is left of destroyed keys in the server's files, by name. Run by the owner in the ledger's schema.

-- name: wait
SELECT set_config('lock_timeout', %(lock_wait)s, false);

-- name: size
SELECT pg_table_size('party_key');

-- name: superuser
SELECT rolsuper FROM pg_roles WHERE rolname = current_user;

-- name: switch
-- Goes on to the next file of the write-ahead log; an empty one would not be left.
SELECT pg_logical_emit_message(false, 'recount', 'erased'), pg_switch_wal();

-- name: ahead
-- Files of the log that lie ahead of where it is written: they were used before, and hold what was written then.
SELECT count(*) FROM pg_ls_waldir()
WHERE name ~ '^[0-9A-F]{24}$' AND name > pg_walfile_name(pg_current_wal_insert_lsn());
