"""Operations shared by manifests, command line and REST API: names, checks, plans and transactions."""
