"""Tests of the service, the client and their contract."""
