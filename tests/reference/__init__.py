"""The independent reference: exact answers, adversarial rows, errors counted in ulps."""
