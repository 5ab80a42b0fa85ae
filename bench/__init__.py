"""`make bench`: this project, its peers and the switch's own limit, measured side by side in one run."""
