"""Data files scored block by block: the operations of the service over more rows than a request, or a memory, holds."""
