-- The engine makes an account's own collections anew from what a refresh found of them; for that it needs to know where
-- (in which base) each one was found. What was found before this is found again by the next refresh.
alter table credential_collections add column upstream_scope text not null default '';
