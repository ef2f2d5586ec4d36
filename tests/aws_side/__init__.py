"""The service on AWS as a whole: its gateway, its doors, its urls."""
