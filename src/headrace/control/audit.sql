-- name: insert_audit
insert into audit (org_id, id, token_id, token_name, method, route, object_id, status, detail, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: audit
-- Newest first; $2 is the row before which to go on.
select id, token_id, token_name, method, route, object_id, status, detail, at
from audit
where org_id = $1
  and ($2::uuid is null or id < $2)
  and ($3::uuid is null or token_id = $3)
  and ($4::text is null or object_id = $4)
  and ($5::text is null or route = $5)
order by id desc limit $6
