"""`make bench`: measures sgctl, its peers and the switch's own limit side by side in one run."""
