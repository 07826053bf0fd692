"""Events: what happened to the records of a stream, kept for as many days as the stream says."""
