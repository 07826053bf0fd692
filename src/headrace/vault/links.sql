-- name: add_link
insert into auth_links (org_id, id, oauth_app_id, kind, redirect_url, payload, start_hash, expires_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: link_to_start
-- One that no browser was sent on with yet.
select org_id, id, oauth_app_id, kind, redirect_url, payload
from auth_links where start_hash = $1 and browser_hash is null and expires_at > $2

-- name: send_link
-- Once: of two browsers that start the same link, one is sent on.
update auth_links set state_hash = $3, browser_hash = $4, payload = $5, expires_at = $6
where org_id = $1 and id = $2 and browser_hash is null

-- name: call_link_back
-- Once, and only the browser that was sent.
update auth_links set state_hash = null
where state_hash = $1 and browser_hash = $2 and expires_at > $3
returning org_id, id, oauth_app_id, kind, redirect_url, payload

-- name: finish_link
update auth_links set code_hash = $3, payload = $4, expires_at = $5 where org_id = $1 and id = $2

-- name: redeem_link
-- Once, and by the app that it was made for.
delete from auth_links where code_hash = $1 and oauth_app_id = $2 and expires_at > $3
returning org_id, id, oauth_app_id, kind, redirect_url, payload

-- name: drop_link
delete from auth_links where org_id = $1 and id = $2

-- name: sweep_links
delete from auth_links where expires_at < $1
