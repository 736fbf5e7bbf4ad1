"""What is tried against the application is tried with the fixtures of its own tests."""

from web.conftest import app, client, opened, postgres, served, settings

__all__ = ["app", "client", "opened", "postgres", "served", "settings"]
