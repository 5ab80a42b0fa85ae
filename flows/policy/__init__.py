"""The policy's model: its objects, the checks of each, and the indexes that compiling needs."""
