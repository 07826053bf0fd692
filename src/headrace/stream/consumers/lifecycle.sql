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

-- name: place_last
-- Just before the last visible record.
select r.updated_idx - 1 from records r
where r.stream_id = $1 and r.updated_idx is not null and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = r.collection_id)
)
order by r.updated_idx desc
limit 1

-- name: place_since
-- The last number given out before the moment. Heads are kept for longer than the hour that this is asked for.
select head from stream_heads where stream_id = $1 and appended_at < $2 order by head desc limit 1

-- name: count_dead
select count(*) from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2

-- name: list_dead
-- By record; past $3 when given.
select d.record_id, d.idx, d.deliveries, d.reason, d.dead_at,
  r.sync_id, r.collection_id, r.upstream_id, r.updated_idx, r.deleted, r.upstream_created_at, r.upstream_updated_at,
  r.inserted_at, r.codec, r.data
from dead_letters d
join records r on r.stream_id = $1 and r.record_id = d.record_id
where d.stream_id = $1 and d.consumer_id = $2 and ($3::uuid is null or d.record_id > $3)
  and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )
order by d.record_id
limit $4

-- name: take_dead
delete from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2 and ($3::uuid[] is null or d.record_id = any ($3))
returning record_id, idx
