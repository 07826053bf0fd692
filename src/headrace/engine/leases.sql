-- name: streams
-- Read again when a sync turns up that is not known, and every few seconds.
select id from streams

-- name: living
-- The processes whose heartbeat is fresh. Those that are stopping keep what they hold until they release it.
select id, 'worker' = any (roles) and not stopping as takes from workers
where heartbeat_at > $1 and heartbeat_at < $2

-- name: held
-- What this worker owns, as the rows say.
select stream_id, sync_id, org_id, epoch, revision from sync_epochs
where stream_id = any ($1) and owner = $2 and not deleted

-- name: owners
select owner, count(*) as syncs from sync_epochs where stream_id = any ($1) and not deleted group by owner

-- name: orphans
-- What nobody alive owns, read without locks.
select stream_id, sync_id, epoch from sync_epochs
where stream_id = any ($1) and not deleted and (owner is null or owner <> all ($2))

-- name: claim
-- Won only if the epoch is still the one that was read: of two that try, one.
update sync_epochs set owner = $4, epoch = epoch + 1
where stream_id = $1 and sync_id = $2 and epoch = $3 and not deleted
returning stream_id, sync_id, org_id, epoch, revision

-- name: release
-- All that a worker gives up in a stream at once: thousands, when it stops.
update sync_epochs e set owner = null
from unnest($3::uuid[], $4::bigint[]) as given (sync_id, epoch)
where e.stream_id = $1 and e.owner = $2 and e.sync_id = given.sync_id and e.epoch = given.epoch

-- name: released
select pg_notify('headrace_lease', '')
