"""Packlead: deploys, scales and operates an application on its owner's EC2 fleet, from Slack."""
