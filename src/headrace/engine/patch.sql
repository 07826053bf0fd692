-- name: count_visible
-- Records that a reader sees now, by collection.
select r.collection_id, count(*) as records from records r
where r.stream_id = $1 and r.sync_id = $2 and ($3::text[] is null or r.collection_id = any ($3))
  and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id))
group by r.collection_id order by r.collection_id

-- name: count_older
-- Records that a reader sees now and whose later time lies before $3.
select r.collection_id, count(*) as records from records r
where r.stream_id = $1 and r.sync_id = $2 and r.updated_idx is not null
  and greatest(r.upstream_created_at, r.upstream_updated_at) < $3
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id))
group by r.collection_id order by r.collection_id

-- name: last_read
-- What the last backfills of these collections took, and how many records of each are held now.
select c.collection_id, c.form, c.value, c.requests, c.records, (
  select count(*) from records r
  where r.stream_id = $1 and r.sync_id = $2 and r.collection_id = c.collection_id
    and r.updated_idx is not null and not r.deleted) as held
from checkpoints c
where c.stream_id = $1 and c.sync_id = $2 and c.reading = 'backfill' and c.scope = c.collection_id
  and c.collection_id = any ($3::text[]) and c.requests > 0

-- name: notify
-- Tell the worker that holds the sync; goes out at the commit.
select pg_notify('headrace_sync', $1)

-- name: complete_initial
-- The initial backfill is complete when every collection that the sync has was read to its end; set once.
update sync_states s set initial_backfill_completed_at = $4
where s.stream_id = $1 and s.sync_id = $2 and s.initial_backfill_completed_at is null
  and (select count(*) from checkpoints c
       where c.stream_id = $1 and c.sync_id = $2 and c.reading = 'backfill' and c.scope = any ($3::text[])
         and c.completed_at is not null) = cardinality($3::text[])

-- name: schedule
-- Every four hours from the last read of changes on.
update sync_states s set next_run_at = $4 + coalesce(
  (select max(c.last_success_at) from checkpoints c
   where c.stream_id = $1 and c.sync_id = $2 and c.reading = 'changes'), $3)
where s.stream_id = $1 and s.sync_id = $2

-- name: unschedule
update sync_states set next_run_at = null, last_run_started_at = null where stream_id = $1 and sync_id = $2

-- name: request_run
update sync_states set run_requested_at = $3 where stream_id = $1 and sync_id = $2

-- name: hint
update sync_states set hinted_at = $3 where stream_id = $1 and sync_id = $2

-- name: forget_held
-- What the safety catch held back of a collection is decided otherwise.
delete from held_deletes
where stream_id = $1 and sync_id = $2 and ($3::text is null or collection_id = $3)

-- name: forget_aside
delete from set_aside
where stream_id = $1 and sync_id = $2 and ($3::text is null or collection_id = $3)

-- name: forget_changes
-- Readings of changes that lead to no collection of the sync any more: they begin anew when they are needed again.
delete from checkpoints
where stream_id = $1 and sync_id = $2 and reading in ('changes', 'settled') and scope <> all ($3::text[])
