-- name: insert_org
insert into orgs (org_id, name, created_at) values ($1, $2, $3)

-- name: org
select org_id, name, created_at from orgs where org_id = $1

-- name: orgs
-- In the order of their making; $1 null: from the first.
select org_id, name, created_at from orgs where $1::uuid is null or org_id > $1 order by org_id limit $2
