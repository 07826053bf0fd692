-- How often was looked at what a webhook named without finding that anything had changed: it may not show yet.
alter table set_aside add column looks smallint not null default 0;
