"""Files as such: the cache folder, locks between processes, files that are complete or absent."""
