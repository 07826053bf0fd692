-- name: start_refresh
-- Taken by one: no row comes back while another refresh of the credential is under way and younger than $4.
insert into collection_refreshes (org_id, credential_id, status, last_started_at) values ($1, $2, 'processing', $3)
on conflict (org_id, credential_id) do update set status = 'processing', last_started_at = $3, error = null
where collection_refreshes.status <> 'processing' or collection_refreshes.last_started_at < $4
returning last_started_at

-- name: refresh
select status, last_started_at, last_succeeded_at, error, refused_at
from collection_refreshes where org_id = $1 and credential_id = $2

-- name: end_refresh
-- Only the refresh that began then may say how it ended. Being refused lasts from the first time to the next success.
update collection_refreshes set
  status = $4, last_succeeded_at = coalesce($5, last_succeeded_at), error = $6,
  refused_at = case when $5::timestamptz is null then coalesce(refused_at, $7) end
where org_id = $1 and credential_id = $2 and last_started_at = $3 and status = 'processing'

-- name: known_id
select id from collections where org_id = $1 and provider = $2 and upstream_scope = $3 and upstream_id = $4

-- name: add_id
-- An id is given once and stays: of two refreshes that meet the same table at once, one gives it.
insert into collections (org_id, provider, upstream_scope, upstream_id, id) values ($1, $2, $3, $4, $5)
on conflict do nothing

-- name: put_collection
insert into credential_collections
  (org_id, credential_id, id, name, upstream_id, schema, upstream_metadata, seen_at, upstream_scope)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (org_id, credential_id, id) do update set
  name = excluded.name, upstream_id = excluded.upstream_id, schema = excluded.schema,
  upstream_metadata = excluded.upstream_metadata, seen_at = excluded.seen_at, upstream_scope = excluded.upstream_scope

-- name: forget_unseen
delete from credential_collections where org_id = $1 and credential_id = $2 and seen_at < $3

-- name: collections
select id, name, upstream_id, schema, upstream_metadata, upstream_scope
from credential_collections where org_id = $1 and credential_id = $2 order by id

-- name: collections_named
select id, name, upstream_id, schema, upstream_metadata, upstream_scope
from credential_collections where org_id = $1 and credential_id = $2 and id = any ($3) order by id

-- name: collection
select id, name, upstream_id, schema, upstream_metadata, upstream_scope
from credential_collections where org_id = $1 and credential_id = $2 and id = $3
