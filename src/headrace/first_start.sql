-- name: take_first_start
-- Of processes that start at once on a new database, one writes this row; the others wait for its transaction here.
insert into instance (name, value) values ('first_org', '') on conflict (name) do nothing

-- name: lock_first_org
select value from instance where name = 'first_org' for update

-- name: set_first_org
update instance set value = $1 where name = 'first_org'

-- name: token_is_known
-- Revoked and expired ones too: a token that was taken away does not come back with the next start.
select exists (select from api_tokens where token_hash = $1)
