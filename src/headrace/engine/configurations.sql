-- name: changed
-- Of the syncs held, those whose configuration or credential was written, or whose account was searched for its
-- collections, or may not be, since; a margin covers late commits.
select s.id, s.updated_at, c.revision as credential_revision, coalesce(f.last_succeeded_at, f.refused_at) as looked_at
from syncs s join credentials c on c.org_id = s.org_id and c.id = s.credential_id
left join collection_refreshes f on f.org_id = c.org_id and f.credential_id = c.id
where s.id = any ($1) and s.deleted_at is null
  and (s.updated_at > $2 or c.updated_at > $2 or f.last_succeeded_at > $2 or f.refused_at > $2)

-- name: searched
-- When the collections of these credentials' accounts were last found, or since when looking for them is refused.
select credential_id, last_succeeded_at, refused_at from collection_refreshes where org_id = $1 and credential_id = any ($2)

-- name: unusable
-- The holder cannot run the sync: it says so in its health.
update sync_states set
  health_status = 'error', health_notes = $3, erroring_since = coalesce(erroring_since, $4),
  consecutive_errors = consecutive_errors + 1
where stream_id = $1 and sync_id = $2
  and exists (select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and epoch = $5)
