-- name: refused
-- The partitions that are left out, and when each is tried again.
select collection_id, upstream_id, reason, retry_at from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = any ($3::text[]) and what = 'partition'
order by retry_at

-- name: found_again
-- A partition was read whole, or is not there any more; unless it was refused anew meanwhile.
delete from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = $3 and what = 'partition' and upstream_id = $4
  and retry_at = $5
