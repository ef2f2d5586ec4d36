"""Routes of webhooks: their endpoints and deliveries."""
