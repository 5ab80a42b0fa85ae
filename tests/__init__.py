"""A package, because one of the installed libraries (tinyrpc) brings one of the same name."""
