-- Since when the search for an account's own collections is refused for want of a permission; null once it succeeds.
-- Until one has succeeded, this is what lets the collections be read that need no search.

alter table collection_refreshes add column refused_at timestamptz;
