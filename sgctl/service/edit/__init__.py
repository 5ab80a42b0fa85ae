"""`create`, `set` and `unset`: computes plans for edits of single objects."""
