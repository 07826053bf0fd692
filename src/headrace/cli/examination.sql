-- name: applied
select name, checksum from schema_migrations

-- name: version
show server_version

-- name: size
select pg_size_pretty(pg_database_size(current_database()))

-- name: clock
-- Unix seconds.
select extract(epoch from clock_timestamp())

-- name: workers
select host, pid, extract(epoch from clock_timestamp() - heartbeat_at)::float8 as age_s
from workers where not stopping order by heartbeat_at desc

-- name: active_syncs
select org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
  sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at
from syncs where deleted_at is null and status = 'active' order by org_id, id
