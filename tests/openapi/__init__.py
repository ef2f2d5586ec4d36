"""The API's description in the hands of linters and of a generator of clients."""
