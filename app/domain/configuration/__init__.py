"""Types of settings: addresses, hosts, stores and lists."""
