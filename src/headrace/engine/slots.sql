-- name: take_slot
-- One of the numbered slots that nobody alive holds. Two that reach for the same one: the second gets none and tries again.
insert into limit_slots (provider, account_hash, limit_class, slot_id, worker_id, taken_at)
select $1, $2, $3, free.slot_id, $5, $6
from (
  select s.slot_id from unnest($4::uuid[]) with ordinality as s (slot_id, place)
  where not exists (
    select 1 from limit_slots t join workers w on w.id = t.worker_id and w.heartbeat_at > $7 and w.heartbeat_at < $8
    where t.provider = $1 and t.account_hash = $2 and t.limit_class = $3 and t.slot_id = s.slot_id)
  order by s.place limit 1) free
on conflict (provider, account_hash, limit_class, slot_id)
do update set worker_id = excluded.worker_id, taken_at = excluded.taken_at
where not exists (
  select 1 from workers w where w.id = limit_slots.worker_id and w.heartbeat_at > $7 and w.heartbeat_at < $8)
returning slot_id

-- name: give_back
delete from limit_slots where provider = $1 and account_hash = $2 and limit_class = $3 and slot_id = $4 and worker_id = $5
