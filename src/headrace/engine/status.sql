-- name: states
-- Health as it was last written, when anything and the slowest reading of changes last succeeded, and, where changes
-- are not read, the marks of the comparisons. These are not looked into here: a cursor may hold U+0000, with which no
-- operator of json gives an answer.
select s.sync_id, s.health_status, s.health_notes, s.last_healthy_at, s.erroring_since, s.consecutive_errors,
  s.initial_backfill_completed_at, c.last_success_at, c.oldest_changes_at, c.sweep_forms, c.sweeps
from sync_states s
left join lateral (
  select max(last_success_at) as last_success_at,
         min(last_success_at) filter (where reading = 'changes') as oldest_changes_at,
         case when max(last_success_at) filter (where reading = 'changes') is null
           then array_agg(form) filter (where reading = 'sweep') end as sweep_forms,
         case when max(last_success_at) filter (where reading = 'changes') is null
           then array_agg(value) filter (where reading = 'sweep') end as sweeps
  from checkpoints c where c.stream_id = s.stream_id and c.sync_id = s.sync_id
) c on true
where s.stream_id = any ($1::uuid[]) and s.sync_id = any ($2::uuid[])

-- name: completed
-- When the initial backfills were completed.
select sync_id, initial_backfill_completed_at from sync_states
where stream_id = any ($1::uuid[]) and sync_id = any ($2::uuid[])

-- name: aside_by_collection
select collection_id, count(*) as aside from set_aside
where stream_id = $1 and sync_id = $2 and attempts > 0
group by collection_id

-- name: provider_offset
-- The provider's clock against the database's, in seconds.
select a.offset_s from credentials c
join account_clocks a on a.provider = c.provider and a.account_hash = c.account_hash
where c.org_id = $1 and c.id = $2
