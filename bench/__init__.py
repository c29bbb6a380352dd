"""Every performance figure that the project states, as a script."""
