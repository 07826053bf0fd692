-- name: purging
-- The streams that have purges to be done. The one list without given streams: a stream may be gone by now, and its
-- purges are all that tells of it.
select distinct stream_id from purges

-- name: purging_syncs
select distinct sync_id from purges where stream_id = any ($1)

-- name: deleted_syncs
select org_id, id, stream_id from syncs where deleted_at is not null

-- name: health
select health_status, count(*) as syncs from sync_states
where stream_id = any ($1) and sync_id = any ($2) group by health_status

-- name: oldest_reads
select sync_id, min(last_success_at) as oldest from checkpoints
where stream_id = any ($1) and sync_id = any ($2) and reading = 'changes' group by sync_id
