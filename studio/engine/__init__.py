"""The queue, the worker process and the wire between them."""
