-- name: applied
select name, checksum from schema_migrations

-- name: size
select pg_size_pretty(pg_database_size(current_database()))

-- name: clock
-- The offset between this machine and the database, the way there and back left out of account.
select extract(epoch from clock_timestamp())

-- name: workers
select host, pid, extract(epoch from clock_timestamp() - heartbeat_at)::float8 as age_s
from workers where not stopping order by heartbeat_at desc

-- name: troubled_syncs
-- Read-only, over all streams. A sync that nobody has read from for a while is in trouble whatever its row says.
select s.id, s.name, t.health_status, t.health_notes
from syncs s join sync_states t on t.stream_id = s.stream_id and t.sync_id = s.id
where s.deleted_at is null and s.status = 'active' and t.health_status in ('warning', 'error')
order by t.erroring_since nulls last
limit 50
