-- name: syncs_with
-- The syncs of a credential that have one of these collections; always in this order, so that two who change several do
-- not wait for one another.
select id from syncs
where org_id = $1 and credential_id = $2 and deleted_at is null and collection_ids && $3::text[]
order by id
