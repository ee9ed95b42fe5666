"""Checks of the services and the environment, without side effects."""
