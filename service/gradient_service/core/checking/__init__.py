"""What `/check` does: a claim held against the reference, and the known mistakes that reproduce it."""
