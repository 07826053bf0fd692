-- Since when the search for an account's own collections is refused for want of a permission; null once it succeeds.
-- Until one has succeeded, this is what lets the collections be read that need no search.

alter table collection_refreshes add column refused_at timestamptz;

-- What a webhook names is fetched at once; what it says is to be forgotten is erased once the fetch has found it gone.

alter table set_aside add column hint boolean not null default false;
alter table set_aside add column forget boolean not null default false;
