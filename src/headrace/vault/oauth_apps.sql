-- name: app
select org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
  health_status, health_notes, health_at, created_at, updated_at
from oauth_apps where org_id = $1 and id = $2

-- name: lock_app
select org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
  health_status, health_notes, health_at, created_at, updated_at
from oauth_apps where org_id = $1 and id = $2 for update

-- name: apps
select org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
  health_status, health_notes, health_at, created_at, updated_at
from oauth_apps
where org_id = $1
  and ($2::uuid is null or id > $2)
  and ($3::text is null or provider = $3)
  and ($4::text is null or health_status = $4)
  and ($5::jsonb is null or metadata::jsonb @> $5)
order by id limit $6

-- name: apps_by_id
select org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
  health_status, health_notes, health_at, created_at, updated_at
from oauth_apps where org_id = $1 and id = any ($2)

-- name: add_app
insert into oauth_apps
  (org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
   health_status, health_notes, health_at, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: write_app
update oauth_apps set name = $3, secret_names = $4, secrets = $5, redirect_uris = $6, metadata = $7, updated_at = $8
where org_id = $1 and id = $2

-- name: users
select count(*) from credentials where org_id = $1 and oauth_app_id = $2

-- name: delete_app
delete from oauth_apps where org_id = $1 and id = $2

-- name: set_app_health
update oauth_apps set health_status = $3, health_notes = $4, health_at = $5
where org_id = $1 and id = $2 and (health_status, health_notes) is distinct from ($3, $4::jsonb)

-- name: app_by_its_id
select org_id, id, provider, name, client_id, secret_names, secrets, redirect_uris, properties, metadata,
  health_status, health_notes, health_at, created_at, updated_at
from oauth_apps where id = $1

-- name: set_app_webhook
-- The secret part of the path is stored as its hash, the signing secret sealed; null: the client secret signs.
update oauth_apps set webhook_path_hash = $3, webhook_secret = $4 where org_id = $1 and id = $2

-- name: app_of_webhook
select org_id, webhook_secret from oauth_apps where id = $1 and webhook_path_hash = $2
