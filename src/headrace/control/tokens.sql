-- name: insert_token
insert into api_tokens
  (org_id, id, name, token_hash, scopes, stream_ids, instance, expires_at, created_at, requests_per_minute)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: token_by_hash
select org_id, id, name, scopes, stream_ids, instance, last_used_at, requests_per_minute
from api_tokens
where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)

-- name: touch_token
-- Seldom: a token's row is not rewritten with each request.
update api_tokens set last_used_at = $3::timestamptz
where org_id = $1 and id = $2 and (last_used_at is null or last_used_at < $3::timestamptz - interval '1 minute')

-- name: token
select org_id, id, name, scopes, stream_ids, instance, expires_at, last_used_at, created_at, requests_per_minute
from api_tokens where org_id = $1 and id = $2 and revoked_at is null

-- name: tokens
select org_id, id, name, scopes, stream_ids, instance, expires_at, last_used_at, created_at, requests_per_minute
from api_tokens
where org_id = $1 and revoked_at is null and ($2::uuid is null or id > $2)
order by id limit $3

-- name: lock_org
-- Two revocations at once may not each leave the other's token as the last one.
select from orgs where org_id = $1 for update

-- name: other_admins
select count(*) from api_tokens
where org_id = $1 and id <> $2 and 'admin' = any (scopes) and stream_ids is null
  and revoked_at is null and (expires_at is null or expires_at > $3)

-- name: revoke_token
update api_tokens set revoked_at = $3 where org_id = $1 and id = $2 and revoked_at is null
