-- name: read_purge
-- The oldest removal of the stream that still goes on.
select purge_id, sync_id, collection_id, up_to, cause from purges where stream_id = $1 order by purge_id limit 1

-- name: purge_records
-- Some records up to the number at which the removal began; what came later, or again, stays.
delete from records
where stream_id = $1 and updated_idx <= $4 and record_id = any (array(
  select r.record_id from records r
  where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3) and r.updated_idx <= $4
  limit $5
))
returning record_id

-- name: purge_tombstones
-- Of a sync that is gone, its guards too.
delete from records
where stream_id = $1 and updated_idx is null and record_id = any (array(
  select r.record_id from records r where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is null limit $3
))
returning record_id

-- name: purge_events
-- Likewise of what happened to them.
delete from events
where stream_id = $1 and updated_idx <= $4 and updated_idx = any (array(
  select e.updated_idx from events e
  where e.stream_id = $1 and e.sync_id = $2 and ($3::text is null or e.collection_id = $3) and e.updated_idx <= $4
  order by e.updated_idx limit $5
))

-- name: drop_dead_letters
-- Messages set aside go with their records.
delete from dead_letters
where stream_id = $1 and record_id = any ($2::uuid[])
  and consumer_id = any (array(select c.consumer_id from consumers c where c.stream_id = $1))

-- name: finish_purge
delete from purges where stream_id = $1 and purge_id = $2

-- name: finish_epoch
delete from sync_epochs where stream_id = $1 and sync_id = $2 and deleted

-- name: finish_state
delete from sync_states where stream_id = $1 and sync_id = $2

-- name: finish_checkpoints
delete from checkpoints where stream_id = $1 and sync_id = $2

-- name: finish_held_deletes
delete from held_deletes where stream_id = $1 and sync_id = $2

-- name: finish_set_aside
delete from set_aside where stream_id = $1 and sync_id = $2

-- name: age_out
-- Records whose later time is before the limit. A record of which the provider tells no time at all never ages.
delete from records
where stream_id = $1 and greatest(upstream_created_at, upstream_updated_at) < $3 and record_id = any (array(
  select r.record_id from records r
  where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is not null
    and greatest(r.upstream_created_at, r.upstream_updated_at) < $3
    and (r.upstream_created_at is not null or r.version <> 0)
  limit $4
))
returning record_id

-- name: drop_deleted
-- Records deleted upstream before the limit, and guards of that age.
delete from records
where stream_id = $1 and deleted and appended_at < $3 and record_id = any (array(
  select r.record_id from records r
  where r.stream_id = $1 and r.sync_id = $2 and r.deleted and r.appended_at < $3
  limit $4
))
returning record_id

-- name: drop_heads
-- All but the last before the moment (from which `1h` is found) and those after it, some at a time.
delete from stream_heads
where stream_id = $1 and head < (
  select max(o.head) from (
    select h.head from stream_heads h where h.stream_id = $1 and h.appended_at < $2 order by h.head limit $3
  ) o
)

-- name: read_consumers
select consumer_id, generation from consumers where stream_id = $1

-- name: drop_positions
-- All but the one in force, some at a time.
delete from consumer_positions
where stream_id = $1 and consumer_id = $2 and generation <= $3 and (generation, seq) < (
  select o.generation, o.seq from (
    select p.generation, p.seq from consumer_positions p
    where p.stream_id = $1 and p.consumer_id = $2
    order by p.generation, p.seq
    limit $4
  ) o order by o.generation desc, o.seq desc limit 1
)
