-- name: ensure_row
insert into access_tokens (org_id, credential_id) values ($1, $2) on conflict do nothing

-- name: token
select token, renew_at, expires_at from access_tokens where org_id = $1 and credential_id = $2

-- name: lock_token
select token, token_mark, renew_at, expires_at, made_at, made_in, turn, turn_until, sent, refused, refusal, refusals,
  ask_again_at
from access_tokens where org_id = $1 and credential_id = $2 for update

-- name: take_turn
update access_tokens set turn = turn + 1, turn_until = $3, sent = $4
where org_id = $1 and credential_id = $2
returning turn

-- name: keep_token
-- The grant that made it has given an answer: nothing is out any more.
update access_tokens set token = $3, token_mark = $4, renew_at = $5, expires_at = $6, made_at = $7, made_in = $8,
  turn = greatest(turn, $8), turn_until = null, sent = null, refused = null, refusal = null, refusals = 0,
  ask_again_at = null
where org_id = $1 and credential_id = $2

-- name: end_turn
-- Only one's own: a turn that ran out may be another's by now. $4: nothing was sent, so that nothing is out.
update access_tokens set turn_until = null, sent = case when $4 then null else sent end
where org_id = $1 and credential_id = $2 and turn = $3

-- name: refuse
update access_tokens set turn_until = null, sent = null, refused = $4, refusal = $5, refusals = refusals + 1,
  ask_again_at = $6
where org_id = $1 and credential_id = $2 and turn = $3

-- name: store_learned
update credentials set properties = $3, secret_names = $4, secrets = $5, revision = $6, updated_at = $7,
  grant_mark = $8
where org_id = $1 and id = $2

-- name: idle
-- Not used for so long, the longest first. What is in error waits for a person.
select c.org_id, c.id
from credentials c left join access_tokens t on t.org_id = c.org_id and t.credential_id = c.id
where c.kind = $1 and c.grant_mark is not null and c.health_status <> 'error'
  and coalesce(t.made_at, c.created_at) < $2
order by coalesce(t.made_at, c.created_at) limit $3
