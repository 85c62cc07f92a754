"""The process: uvicorn with its protocol guards, the workers, and how they end."""
