"""Free disk space by rule: what is over, pruned or unused."""
