-- name: credential
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials where org_id = $1 and id = $2

-- name: lock_credential
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials where org_id = $1 and id = $2 for update

-- name: credentials
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials
where org_id = $1
  and ($2::uuid is null or id > $2)
  and ($3::text is null or provider = $3)
  and ($4::text is null or kind = $4)
  and ($5::text is null or health_status = $5)
  and ($6::jsonb is null or metadata::jsonb @> $6)
order by id limit $7

-- name: credentials_by_id
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials where org_id = $1 and id = any ($2)

-- name: lock_same
-- The row of the same account; else the row of the same secret, unless both accounts are known and differ.
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials
where org_id = $1
  and (upsert_key = $2 or (fingerprint = $3 and ($4::text is null or account_id is null or account_id = $4)))
order by upsert_key = $2 desc, id limit 1 for update

-- name: of_secret
select org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
  upsert_key, revision, metadata, health_status, health_notes, health_at, created_at, updated_at
from credentials where org_id = $1 and (fingerprint = $2 or grant_mark = $3) order by account_id is null, id limit 1

-- name: add_credential
insert into credentials
  (org_id, id, provider, kind, name, properties, secret_names, secrets, oauth_app_id, account_id, mode, account_hash,
   upsert_key, fingerprint, revision, metadata, health_status, health_notes, health_at, created_at, updated_at,
   grant_mark)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, $15, $16, $17, $18, $18, $18, $19)
on conflict do nothing

-- name: write_credential
update credentials set
  name = $3, properties = $4, secret_names = $5, secrets = $6, account_id = $7, mode = $8, account_hash = $9,
  upsert_key = $10, fingerprint = $11, revision = $12, metadata = $13, health_status = $14, health_notes = $15,
  health_at = $16, updated_at = $17, grant_mark = $18
where org_id = $1 and id = $2

-- name: describe_credential
update credentials set name = $3, metadata = $4, updated_at = $5 where org_id = $1 and id = $2

-- name: set_health
-- Written when it says something new; the time of a health that lasts is when it began.
update credentials set health_status = $3, health_notes = $4, health_at = $5
where org_id = $1 and id = $2 and (health_status, health_notes) is distinct from ($3, $4::jsonb)

-- name: wake_users
-- The engine reads the credential anew for each sync that uses it.
select pg_notify('headrace_sync', id::text)
from syncs where org_id = $1 and credential_id = $2 and deleted_at is null and status = 'active'

-- name: users
select id from syncs where org_id = $1 and credential_id = $2 and deleted_at is null order by id limit 10

-- name: forget_deleted_syncs
-- A deleted sync that waits for the purge of its records needs no credential any more.
update syncs set credential_id = null where org_id = $1 and credential_id = $2 and deleted_at is not null

-- name: delete_credential
delete from credentials where org_id = $1 and id = $2

-- name: forget_token
-- Another grant takes the place of the one that made it. The fence stays: turns that are out are the old grant's.
update access_tokens set token = null, token_mark = null, renew_at = null, expires_at = null, made_at = null,
  turn_until = null, sent = null, refused = null, refusal = null, refusals = 0, ask_again_at = null
where org_id = $1 and credential_id = $2
