-- name: lock_epoch
-- The fence, held to the end: a claim, a change of scope and a deletion wait. No row: the writer is late.
select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $3 and revision = $4 and not deleted
for share
