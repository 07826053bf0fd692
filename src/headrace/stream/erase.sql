-- name: erase_record
-- Of a record that is gone nothing is left but that it was there. One that has come back is another's business.
update records set raw_hash = ''::bytea, canon_hash = null, size = 2, codec = 0, data = '{}'::bytea
where stream_id = $1 and record_id = $2 and deleted and updated_idx is not null
returning 1

-- name: erase_events
update events set changes = null, size = 2, codec = 0, data = '{}'::bytea
where stream_id = $1 and record_id = $2
