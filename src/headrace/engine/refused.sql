-- name: refused
-- The partitions that are left out, when each is tried again, and how far that attempt has come.
select a.collection_id, a.upstream_id, a.reason, a.retry_at, c.form, c.value
from set_aside a
left join checkpoints c on c.stream_id = a.stream_id and c.sync_id = a.sync_id
  and c.reading = 'backfill' and c.scope = a.collection_id || '/' || a.upstream_id
where a.stream_id = $1 and a.sync_id = $2 and a.collection_id = any ($3::text[]) and a.what = 'partition'
order by a.retry_at

-- name: found_again
-- A partition was read whole, or is not there any more; unless it was refused anew meanwhile.
delete from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = $3 and what = 'partition' and upstream_id = $4
  and retry_at = $5
