-- name: kept
select body_hash, status, answer from idempotency_keys
where org_id = $1 and token_id = $2 and route = $3 and key = $4 and created_at > $5

-- name: drop_expired
delete from idempotency_keys where org_id = $1 and token_id = $2 and route = $3 and key = $4 and created_at <= $5

-- name: take
-- A second call with the same key waits here until the transaction of the first one has ended.
insert into idempotency_keys (org_id, token_id, route, key, body_hash, created_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (org_id, token_id, route, key) do nothing

-- name: keep
update idempotency_keys set status = $5, answer = $6 where org_id = $1 and token_id = $2 and route = $3 and key = $4

-- name: sweep
delete from idempotency_keys where created_at <= $1
