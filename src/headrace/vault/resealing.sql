-- name: orgs_with_keys
select distinct org_id from org_keys order by org_id

-- name: retire_key
update org_keys set active = false where org_id = $1 and active

-- name: add_active_key
insert into org_keys (org_id, key_id, master_key_id, wrapped, active, created_at) values ($1, $2, $3, $4, true, $5)

-- name: credentials_of_other_keys
-- Behind its form a sealed value names its key in 16 bytes.
select id, secrets as sealed from credentials where org_id = $1 and substring(secrets from 2 for 16) <> $2 limit $3

-- name: put_credential
update credentials set secrets = $4 where org_id = $1 and id = $2 and secrets = $3

-- name: apps_of_other_keys
select id, secrets as sealed from oauth_apps where org_id = $1 and substring(secrets from 2 for 16) <> $2 limit $3

-- name: put_app
update oauth_apps set secrets = $4 where org_id = $1 and id = $2 and secrets = $3

-- name: syncs_of_other_keys
select id, webhook_secret as sealed from syncs
where org_id = $1 and substring(webhook_secret from 2 for 16) <> $2 limit $3

-- name: put_sync
update syncs set webhook_secret = $4 where org_id = $1 and id = $2 and webhook_secret = $3

-- name: tokens_of_other_keys
select credential_id as id, token as sealed from access_tokens
where org_id = $1 and substring(token from 2 for 16) <> $2 limit $3

-- name: put_token
update access_tokens set token = $4 where org_id = $1 and credential_id = $2 and token = $3

-- name: app_webhooks_of_other_keys
select id, webhook_secret as sealed from oauth_apps
where org_id = $1 and substring(webhook_secret from 2 for 16) <> $2 limit $3

-- name: put_app_webhook
update oauth_apps set webhook_secret = $4 where org_id = $1 and id = $2 and webhook_secret = $3
