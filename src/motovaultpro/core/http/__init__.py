"""What every HTTP service of ours does with a request before and after its routes see it."""
