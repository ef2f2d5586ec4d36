"""Events and deliveries of webhooks."""
