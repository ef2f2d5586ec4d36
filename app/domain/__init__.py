"""What the service is: models, rules and ports. Nothing here knows HTTP, a database or a decoder."""
