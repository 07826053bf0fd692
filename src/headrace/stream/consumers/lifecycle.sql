-- name: insert_consumer
insert into consumers (stream_id, consumer_id, org_id, kind, token_key, generation, ack_wait_ms, max_deliver,
  max_ack_pending, filters)
values ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9)

-- name: update_settings
update consumers set kind = $3, ack_wait_ms = $4, max_deliver = $5, max_ack_pending = $6, filters = $7
where stream_id = $1 and consumer_id = $2
returning 1

-- name: next_generation
-- Tokens of an older one are void.
update consumers set generation = generation + 1 where stream_id = $1 and consumer_id = $2
returning generation

-- name: delete_deliveries
delete from deliveries where stream_id = $1 and consumer_id = $2

-- name: delete_positions
delete from consumer_positions where stream_id = $1 and consumer_id = $2

-- name: delete_dead_letters
delete from dead_letters where stream_id = $1 and consumer_id = $2

-- name: delete_consumer
delete from consumers where stream_id = $1 and consumer_id = $2

-- name: place_new
select head from stream_heads where stream_id = $1 order by head desc limit 1

-- name: place_since
-- The last number given out before the moment. Heads are kept for longer than the hour that this is asked for.
select head from stream_heads where stream_id = $1 and appended_at < $2 order by head desc limit 1

-- name: count_dead
select count(*) from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2

-- name: count_lost
select coalesce(sum(e.lost), 0) from event_losses e where e.stream_id = $1 and e.consumer_id = $2

-- name: delete_losses
delete from event_losses where stream_id = $1 and consumer_id = $2
