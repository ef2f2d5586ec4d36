"""Types of the API's problems, by the part of a request that they concern."""
