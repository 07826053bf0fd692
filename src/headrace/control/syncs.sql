-- name: insert_sync
insert into syncs
  (org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
   sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: sync
select org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
  sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at
from syncs where org_id = $1 and id = $2 and deleted_at is null

-- name: lock_sync
select org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
  sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at
from syncs where org_id = $1 and id = $2 and deleted_at is null for update

-- name: syncs
select org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
  sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at
from syncs
where org_id = $1 and deleted_at is null
  and ($2::uuid is null or id > $2)
  and ($3::uuid[] is null or stream_id = any ($3))
  and ($4::text is null or provider = $4)
  and ($5::uuid is null or stream_id = $5)
  and ($6::text is null or status = $6)
  and ($7::text is null or name = $7)
  and ($8::text is null or external_id = $8)
  and ($9::uuid is null or credential_id = $9)
  and ($10::jsonb is null or metadata::jsonb @> $10)
order by id limit $11

-- name: syncs_by_id
select org_id, id, stream_id, provider, credential_id, name, status, collection_ids, rate_limit, max_age_days,
  sync_frequency, max_poll_ms, deleted_retention_days, external_id, metadata, created_at, updated_at
from syncs where org_id = $1 and id = any ($2) and deleted_at is null

-- name: update_sync
update syncs set
  name = $3, status = $4, collection_ids = $5, rate_limit = $6, max_age_days = $7, sync_frequency = $8,
  max_poll_ms = $9, deleted_retention_days = $10, external_id = $11, metadata = $12, updated_at = $13
where org_id = $1 and id = $2 and deleted_at is null

-- name: mark_deleted
update syncs set deleted_at = $3 where org_id = $1 and id = $2 and deleted_at is null

-- name: remove
delete from syncs where org_id = $1 and id = $2 and deleted_at is not null

-- name: set_webhook
-- The secret part of the path is stored as its hash, the provider's signing secret sealed.
update syncs set webhook_secret = $3, webhook_path_hash = $4 where org_id = $1 and id = $2 and deleted_at is null

-- name: sync_of_webhook
select org_id, webhook_secret from syncs
where id = $1 and webhook_path_hash = $2 and webhook_secret is not null and deleted_at is null

-- name: syncs_of_app_account
-- Those that read an account ($3, as the provider names it) by what it gave to an app.
select s.id from syncs s join credentials c on c.org_id = s.org_id and c.id = s.credential_id
where s.org_id = $1 and c.org_id = $1 and c.oauth_app_id = $2 and c.account_id = $3 and s.deleted_at is null
order by s.id
