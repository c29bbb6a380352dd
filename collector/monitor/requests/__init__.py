"""Requests that people describe, to be sent once or many times."""
