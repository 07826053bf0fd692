-- name: create_lock
insert into stream_locks (stream_id, event_days) values ($1, $2)

-- name: set_event_days
-- Waits for the append under way; the next one does as it says.
update stream_locks set event_days = $2 where stream_id = $1

-- name: create_head
insert into stream_heads (stream_id, head, appended_at) values ($1, 0, $2)

-- name: create_epoch
insert into sync_epochs (stream_id, sync_id, org_id, epoch, revision) values ($1, $2, $3, 0, 0)

-- name: create_state
insert into sync_states (stream_id, sync_id) values ($1, $2)

-- name: bump_revision
-- Waits for the appends under way, and every later one with the old revision is refused.
update sync_epochs set revision = revision + 1
where stream_id = $1 and sync_id = $2 and not deleted
returning revision

-- name: delete_epoch
-- The same for a sync that goes: no owner, and no append ever again.
update sync_epochs set epoch = epoch + 1, revision = revision + 1, owner = null, deleted = true
where stream_id = $1 and sync_id = $2 and not deleted
returning epoch

-- name: lock_stream
select 1 from stream_locks where stream_id = $1 for update

-- name: read_head
select head from stream_heads where stream_id = $1 order by head desc limit 1

-- name: tell_removal
-- Records are taken away: a number that no record gets tells it to those who count what waits. Under the stream's lock.
insert into stream_heads (stream_id, head, appended_at, removals)
select $1, h.head + 1, greatest(h.appended_at, $2), h.removals + 1
from stream_heads h where h.stream_id = $1
order by h.head desc
limit 1

-- name: create_purge
insert into purges (stream_id, purge_id, sync_id, collection_id, up_to, cause, requested_at)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: count_visible
-- Records that a reader would see now, deleted ones included.
select count(*) from records r
where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3) and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )

-- name: drop_lock
delete from stream_locks where stream_id = $1

-- name: drop_heads
delete from stream_heads where stream_id = $1

-- name: drop_epochs
delete from sync_epochs where stream_id = $1

-- name: drop_states
delete from sync_states where stream_id = $1

-- name: drop_checkpoints
delete from checkpoints where stream_id = $1

-- name: drop_minutes
delete from sync_minutes where stream_id = $1

-- name: drop_consumer_minutes
delete from consumer_minutes where stream_id = $1

-- name: drop_log
delete from sync_log where stream_id = $1

-- name: drop_held_deletes
delete from held_deletes where stream_id = $1

-- name: drop_set_aside
delete from set_aside where stream_id = $1
