"""The ClickHouse that the daemon starts itself: first to start, last to stop.

`database` is what the daemon sees of it, `process` what starts and watches its process, and `__main__` what runs in there, around
the server of `exporters.embedded`.
"""
