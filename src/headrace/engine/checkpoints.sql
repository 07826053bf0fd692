-- name: checkpoints_of_sync
-- Every checkpoint row of a sync.
select reading, scope, collection_id, form, value, pages, records, expected,
       started_at, settled_through, completed_at, last_success_at, last_error
from checkpoints
where stream_id = $1 and sync_id = $2

-- name: checkpoints_of_syncs
-- The same of several, the sync before.
select sync_id, reading, scope, collection_id, form, value, pages, records, expected,
       started_at, settled_through, completed_at, last_success_at, last_error
from checkpoints
where stream_id = any ($1::uuid[]) and sync_id = any ($2::uuid[])

-- name: put_checkpoint
-- Write a checkpoint outside an append: what a person asked for, never what a read has proved.
insert into checkpoints (stream_id, sync_id, reading, scope, collection_id, form, value)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (stream_id, sync_id, reading, scope)
do update set form = excluded.form, value = excluded.value

-- name: drop_slices
-- Forget the slices of a collection's backfill: it begins anew.
delete from checkpoints
where stream_id = $1 and sync_id = $2 and collection_id = $3 and reading = 'backfill' and scope <> $3

-- name: note_error
-- The last error of a reading, null when it reads well again. Only the holder of the sync may say so: where a backfill
-- is done, no append would ever take a late word back.
update checkpoints set last_error = $5
where stream_id = $1 and sync_id = $2 and reading = $3 and scope = $4
  and exists (select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $6)
