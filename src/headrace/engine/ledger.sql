-- name: read_rows
-- The rows that a batch of asks is counted by, as they are now, without a lock.
select b.account_hash, b.limit_class, b.window_ms, b.allowed, b.tokens, b.refilled_at, b.blocked_until, b.believed_remaining
from unnest($2::bytea[], $3::text[], $4::integer[]) as k (account_hash, limit_class, window_ms)
join limit_buckets b on b.provider = $1 and b.account_hash = k.account_hash
  and b.limit_class = k.limit_class and b.window_ms = k.window_ms

-- name: swap_rows
-- The new rows in place of those that were read, all of them or none: none when another process was faster with one.
-- The rows are locked in one order; one that was changed meanwhile no longer matches when its lock is had.
with unchanged as (
  select 1
  from unnest($2::bytea[], $3::text[], $4::integer[], $5::float8[], $6::float8[], $7::timestamptz[], $8::float8[])
    as k (account_hash, limit_class, window_ms, allowed, tokens, refilled_at, believed_remaining)
  join limit_buckets b on b.provider = $1 and b.account_hash = k.account_hash
    and b.limit_class = k.limit_class and b.window_ms = k.window_ms
  where b.allowed = k.allowed and b.tokens = k.tokens and b.refilled_at = k.refilled_at
    and b.believed_remaining is not distinct from k.believed_remaining
  order by b.account_hash, b.limit_class, b.window_ms
  for update of b)
update limit_buckets b
set allowed = k.allowed, tokens = k.tokens, refilled_at = k.refilled_at, believed_remaining = k.believed_remaining
from unnest($2::bytea[], $3::text[], $4::integer[], $9::float8[], $10::float8[], $11::timestamptz[], $12::float8[])
  as k (account_hash, limit_class, window_ms, allowed, tokens, refilled_at, believed_remaining)
where b.provider = $1 and b.account_hash = k.account_hash and b.limit_class = k.limit_class and b.window_ms = k.window_ms
  and (select count(*) from unchanged) = cardinality($2::bytea[])
returning 1

-- name: lock_class
-- All rows of one class of an account, the provider's word included.
select account_hash, limit_class, window_ms, allowed, tokens, refilled_at, blocked_until, believed_remaining
from limit_buckets
where provider = $1 and account_hash = $2 and limit_class = $3
order by account_hash, limit_class, window_ms
for update

-- name: add_rows
-- Rows that are asked for the first time; another process may be doing the same.
insert into limit_buckets (provider, account_hash, limit_class, window_ms, allowed, tokens, refilled_at)
select $1, k.account_hash, k.limit_class, k.window_ms, k.allowed, k.tokens, $7
from unnest($2::bytea[], $3::text[], $4::integer[], $5::float8[], $6::float8[])
  as k (account_hash, limit_class, window_ms, allowed, tokens)
on conflict do nothing

-- name: save_allowed
update limit_buckets b set allowed = k.allowed, tokens = k.tokens, refilled_at = k.refilled_at
from unnest($2::bytea[], $3::text[], $4::integer[], $5::float8[], $6::float8[], $7::timestamptz[])
  as k (account_hash, limit_class, window_ms, allowed, tokens, refilled_at)
where b.provider = $1 and b.account_hash = k.account_hash and b.limit_class = k.limit_class and b.window_ms = k.window_ms

-- name: block
-- The provider said to wait. Two that say so at once: the later moment holds.
insert into limit_buckets (provider, account_hash, limit_class, window_ms, allowed, tokens, refilled_at, blocked_until)
values ($1, $2, $3, 0, 0, 0, $4, $5)
on conflict (provider, account_hash, limit_class, window_ms)
do update set blocked_until = greatest(limit_buckets.blocked_until, excluded.blocked_until)

-- name: believe
-- The provider said how much is left until a moment; of two sayings about the same stretch the lower one holds.
insert into limit_buckets (provider, account_hash, limit_class, window_ms, allowed, tokens, refilled_at, believed_remaining)
values ($1, $2, $3, $4, 0, 0, $6, $7)
on conflict (provider, account_hash, limit_class, window_ms)
do update set
  believed_remaining = case
    when limit_buckets.believed_remaining is null or limit_buckets.refilled_at <= $5 then excluded.believed_remaining
    else least(limit_buckets.believed_remaining, excluded.believed_remaining) end,
  refilled_at = case
    when limit_buckets.believed_remaining is null or limit_buckets.refilled_at <= $5 then excluded.refilled_at
    else limit_buckets.refilled_at end

-- name: tell_share
insert into limit_shares (provider, account_hash, worker_id, waiting, turns, told_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (provider, account_hash, worker_id)
do update set waiting = excluded.waiting, turns = excluded.turns, told_at = excluded.told_at

-- name: others_shares
select waiting, turns from limit_shares
where provider = $1 and account_hash = $2 and worker_id <> $3 and told_at > $4

-- name: forget_shares
delete from limit_shares where told_at < $1

-- name: forget_idle
-- Rows that stand as if they had never been: full again, and nothing said that still holds.
delete from limit_buckets
where refilled_at < $1 and window_ms < 86400000 and (blocked_until is null or blocked_until < $1)
