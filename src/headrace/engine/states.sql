-- name: state
-- What is kept of a sync beside its checkpoints.
select health_status, health_notes, erroring_since, initial_backfill_completed_at, last_success_at,
       last_run_started_at, next_run_at, run_requested_at, hinted_at
from sync_states where stream_id = $1 and sync_id = $2

-- name: epoch
-- Whose the sync is, and in which shape.
select epoch, revision, deleted from sync_epochs where stream_id = $1 and sync_id = $2

-- name: start_run
-- A run begins; the next one is due at $4. Only its holder may say so.
update sync_states set last_run_started_at = $3, next_run_at = $4
where stream_id = $1 and sync_id = $2
  and exists (select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $5)

-- name: save_health
-- Health as the holder of the sync sees it.
update sync_states set
  health_status = $3, health_notes = $4, erroring_since = $5, consecutive_errors = $6,
  last_healthy_at = coalesce($7, last_healthy_at), last_success_at = coalesce($8, last_success_at)
where stream_id = $1 and sync_id = $2
  and exists (select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $9)

-- name: schedule_run
-- When the first run of a scheduled sync is due.
update sync_states set next_run_at = $3
where stream_id = $1 and sync_id = $2 and next_run_at is null
  and exists (select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $4)
