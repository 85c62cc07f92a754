"""The numbers: NumPy arrays in and out; no HTTP, no JSON, no settings."""
