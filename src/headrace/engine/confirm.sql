-- name: lock_epoch
-- The sync's fence, held so that no append comes between.
select epoch, revision from sync_epochs where stream_id = $1 and sync_id = $2 and not deleted for update
