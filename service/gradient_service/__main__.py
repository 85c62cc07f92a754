"""`python -m gradient_service`, the same as the command `gradient-service`."""

from gradient_service.cli import main

main()
