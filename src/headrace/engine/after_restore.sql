-- name: streams
select id from streams

-- name: add_head
insert into stream_heads (stream_id, head, appended_at)
select stream_id, max(head) + $2, $3 from stream_heads where stream_id = $1 group by stream_id

-- name: living_workers
select count(*) from workers where heartbeat_at > $1

-- name: forget_workers
delete from workers

-- name: consumers
select consumer_id from consumers where stream_id = $1

-- name: new_token_key
update consumers set token_key = $3 where stream_id = $1 and consumer_id = $2

-- name: void_leases
update sync_epochs set owner = null, epoch = epoch + $2, revision = revision + 1 where stream_id = $1

-- name: sweeps
select sync_id, scope, form, value from checkpoints where stream_id = $1 and reading = 'sweep'

-- name: put_sweep
update checkpoints set form = $4, value = $5
where stream_id = $1 and sync_id = $2 and reading = 'sweep' and scope = $3

-- name: forget_seen
delete from sweep_seen where stream_id = $1

-- name: forget_held_deletes
delete from held_deletes where stream_id = $1
