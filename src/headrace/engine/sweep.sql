-- name: forget_seen
-- A chunk of the ids that a sweep which is over has seen.
delete from sweep_seen where stream_id = $1 and sweep_id = $2 and record_id = any (
  array(select record_id from sweep_seen where stream_id = $1 and sweep_id = $2 limit $3))
