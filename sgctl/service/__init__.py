"""What manifests, the command line and an API do alike: names, checks, plans and their transactions."""
