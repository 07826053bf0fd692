"""`make bench-peers`: Headrace beside others that do the same work, on the same provider and the same PostgreSQL."""
