-- name: add_fact
-- A fact about the installation is written once: the first process to write it wins.
insert into instance (name, value) values ($1, $2) on conflict (name) do nothing

-- name: fact
select value from instance where name = $1

-- name: replace_fact
-- Only over the value that was read: a second `rotate` at the same time changes nothing twice.
update instance set value = $3 where name = $1 and value = $2

-- name: active_key
select key_id, master_key_id, wrapped from org_keys where org_id = $1 and active

-- name: key
select key_id, master_key_id, wrapped from org_keys where org_id = $1 and key_id = $2

-- name: add_key
-- The organisation's first data key: of two processes that make one at once, one writes and both use it.
insert into org_keys (org_id, key_id, master_key_id, wrapped, active, created_at) values ($1, $2, $3, $4, true, $5)
on conflict do nothing

-- name: keys_of_other_masters
-- A chunk of the data keys that another master key than the given one wraps.
select org_id, key_id, master_key_id, wrapped from org_keys where master_key_id <> $1 order by org_id, key_id limit $2

-- name: rewrap
update org_keys set master_key_id = $4, wrapped = $5 where org_id = $1 and key_id = $2 and master_key_id = $3

-- name: count_by_master
select master_key_id, count(*) as keys from org_keys group by master_key_id
