-- name: read_purge
-- The oldest removal of the stream that still goes on.
select purge_id, sync_id, collection_id, up_to, cause from purges where stream_id = $1 order by purge_id limit 1

-- name: find_purged
-- Some records up to the number at which the removal began; what came later, or again, stays. In the order of their
-- index and from behind the last ones ($6, $7), so that no chunk walks over what those before it left.
select r.record_id, r.collection_id, r.updated_idx from records r
where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3) and r.updated_idx <= $4
  and ($6::text is null or (r.collection_id, r.updated_idx) > ($6, $7::bigint))
order by r.collection_id, r.updated_idx
limit $5

-- name: purge_records
-- Those that have not come again meanwhile.
delete from records where stream_id = $1 and record_id = any ($2::uuid[]) and updated_idx <= $3

-- name: purge_tombstones
-- Of a sync that is gone, its guards too.
delete from records
where stream_id = $1 and updated_idx is null and record_id = any (array(
  select r.record_id from records r where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is null limit $3
))
returning record_id

-- name: find_purged_events
-- Likewise of what happened to them.
select e.updated_idx from events e
where e.stream_id = $1 and e.sync_id = $2 and ($3::text is null or e.collection_id = $3)
  and e.updated_idx > $6 and e.updated_idx <= $4
order by e.updated_idx
limit $5

-- name: purge_events
delete from events where stream_id = $1 and updated_idx = any ($2::bigint[])

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

-- name: read_sweeps
-- The marks of a sync's sweeps, not looked into: a cursor may hold U+0000, with which no operator of json gives an answer.
select value from checkpoints where stream_id = $1 and sync_id = $2 and reading = 'sweep'

-- name: forget_seen
-- Some of what these sweeps of a sync that is gone had seen.
delete from sweep_seen
where stream_id = $1 and sweep_id = any ($2::uuid[]) and record_id = any (array(
  select s.record_id from sweep_seen s where s.stream_id = $1 and s.sweep_id = any ($2::uuid[]) limit $3
))

-- name: finish_dictionaries
delete from payload_dicts where stream_id = $1 and sync_id = $2

-- name: finish_held_deletes
delete from held_deletes where stream_id = $1 and sync_id = $2

-- name: finish_set_aside
delete from set_aside where stream_id = $1 and sync_id = $2

-- name: begin_removal
-- The fence, held for itself to the end: no append and no purge comes between. An append that compared before this and
-- writes after it begins anew by the number.
update sync_epochs set removals = removals + 1
where stream_id = $1 and sync_id = $2 and epoch = $3 and revision = $4 and not deleted
returning 1

-- name: find_aged
-- Records whose later time is before the limit, the oldest first, from the age $5 on. A record of which the provider
-- tells no time at all never ages. The conditions are those of the index `records_age`.
select r.record_id, greatest(r.upstream_created_at, r.upstream_updated_at) as moment from records r
where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is not null
  and (r.upstream_created_at is not null or r.version <> 0)
  and greatest(r.upstream_created_at, r.upstream_updated_at) < $3
  and ($5::timestamptz is null or greatest(r.upstream_created_at, r.upstream_updated_at) >= $5)
order by greatest(r.upstream_created_at, r.upstream_updated_at)
limit $4

-- name: age_out
-- Those that have not changed meanwhile; `counted` are those that a reader saw and that were not deleted.
delete from records r
where r.stream_id = $1 and r.record_id = any ($2::uuid[])
  and greatest(r.upstream_created_at, r.upstream_updated_at) < $3
returning r.collection_id, not r.deleted and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = r.collection_id)) as counted

-- name: find_deleted
-- Records deleted upstream before the limit, and guards of that age, likewise by the index `records_deleted`.
select r.record_id, r.appended_at as moment from records r
where r.stream_id = $1 and r.sync_id = $2 and r.deleted and r.appended_at < $3
  and ($5::timestamptz is null or r.appended_at >= $5)
order by r.appended_at
limit $4

-- name: drop_deleted
delete from records where stream_id = $1 and record_id = any ($2::uuid[]) and deleted and appended_at < $3

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
