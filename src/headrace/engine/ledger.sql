-- name: lock_rows
-- The rows that a batch of asks is counted by, locked in one order.
select b.account_hash, b.limit_class, b.window_ms, b.allowed, b.tokens, b.refilled_at, b.blocked_until, b.believed_remaining
from unnest($2::bytea[], $3::text[], $4::integer[]) as k (account_hash, limit_class, window_ms)
join limit_buckets b on b.provider = $1 and b.account_hash = k.account_hash
  and b.limit_class = k.limit_class and b.window_ms = k.window_ms
order by b.account_hash, b.limit_class, b.window_ms
for update of b

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

-- name: save_rows
update limit_buckets b
set allowed = k.allowed, tokens = k.tokens, refilled_at = k.refilled_at, believed_remaining = k.believed_remaining
from unnest($2::bytea[], $3::text[], $4::integer[], $5::float8[], $6::float8[], $7::timestamptz[], $8::float8[])
  as k (account_hash, limit_class, window_ms, allowed, tokens, refilled_at, believed_remaining)
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
values ($1, $2, $3, 0, 0, 0, $5, $6)
on conflict (provider, account_hash, limit_class, window_ms)
do update set
  believed_remaining = case
    when limit_buckets.believed_remaining is null or limit_buckets.refilled_at <= $4 then excluded.believed_remaining
    else least(limit_buckets.believed_remaining, excluded.believed_remaining) end,
  refilled_at = case
    when limit_buckets.believed_remaining is null or limit_buckets.refilled_at <= $4 then excluded.refilled_at
    else limit_buckets.refilled_at end

-- name: forget_idle
-- Rows that stand as if they had never been: full again, and nothing said that still holds.
delete from limit_buckets
where refilled_at < $1 and window_ms < 86400000 and (blocked_until is null or blocked_until < $1)
