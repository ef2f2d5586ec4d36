"""Webhooks: endpoints, the events that they receive, and requests to addresses that users name."""
