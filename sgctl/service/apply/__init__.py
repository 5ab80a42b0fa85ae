"""`apply`: computes a plan that makes the policy match manifests."""
