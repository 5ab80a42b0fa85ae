"""The policy model: objects, checks of single objects, and the indexes that the compiler needs."""
