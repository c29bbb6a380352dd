"""Channels: how people and services are told of alerts. What is sent is made by pure functions, one file a service."""
